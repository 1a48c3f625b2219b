package callers

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/release"
)

func service(name string, change func(*corev1.ServiceSpec)) corev1.Service {
	s := corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"}}
	s.Spec.ClusterIP = "10.0.0.1"
	if change != nil {
		change(&s.Spec)
	}
	return s
}

func TestEveryWayPastTheRoutesIsNamed(t *testing.T) {
	t.Parallel()
	balanced := service("web", func(s *corev1.ServiceSpec) { s.Type = corev1.ServiceTypeLoadBalancer })
	balanced.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{Hostname: "lb.example"}}
	all := []corev1.Service{
		balanced,
		service("web-internal", func(s *corev1.ServiceSpec) {
			s.Type, s.Ports = corev1.ServiceTypeNodePort, []corev1.ServicePort{{NodePort: 30080}}
		}),
		service("web-pods", func(s *corev1.ServiceSpec) { s.ClusterIP = corev1.ClusterIPNone }),
		service("site", func(s *corev1.ServiceSpec) {
			s.Type, s.ExternalName = corev1.ServiceTypeExternalName, "web.shop.svc.cluster.local"
		}),
		service("elsewhere", func(s *corev1.ServiceSpec) {
			s.Type, s.ExternalName = corev1.ServiceTypeExternalName, "web.blog.svc.cluster.local"
		}),
		service("other", nil),
	}
	r := &release.Record{
		Namespace: "shop", Service: "web", Router: "gateway-api", Routes: []release.Route{{Name: "web"}},
		Services: []release.Service{{Name: "web"}, {Name: "web-internal"}, {Name: "web-pods"}},
	}
	want := []string{
		"callers in the cluster through service web " + later,
		"requests through the load balancer lb.example of service web, past the routes, " + later,
		"callers in the cluster through service web-internal " + later,
		"requests through node port 30080 of service web-internal, past the routes, " + later,
		"clients that look up the pods of the headless service web-pods " + later + ", when they look again",
		"service site is another name of web.shop.svc.cluster.local: its callers fare as that one's",
		"requests through ingress old, which no router of this release writes, " + later,
	}
	if got := Of(r, all, []string{"old"}); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	r.Router = "service"
	got := Of(r, all, []string{"old"})
	if !strings.HasPrefix(got[0], "service web carries the weights") || !strings.Contains(got[len(got)-1], "follow the weights of service web") || slices.Contains(got, want[1]) {
		t.Errorf("by the selector: %q", got)
	}
}
