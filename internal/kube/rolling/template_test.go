package rolling

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube/updates"
	"github.com/candlefish/deploy-action/internal/release"
)

func TestOutdated(t *testing.T) {
	t.Parallel()
	pod := func(name string, stopping bool) corev1.Pod {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if stopping {
			p.DeletionTimestamp = &metav1.Time{Time: time.Unix(0, 0)}
		}
		return p
	}
	isNew := func(p *corev1.Pod) bool { return p.Name == "web-10" }
	for _, test := range []struct {
		name string
		all  []corev1.Pod
		pods int
		want []string
	}{
		{"the highest ordinal first", []corev1.Pod{pod("web-2", false), pod("web-9", false), pod("web-0", false)}, 2, []string{"web-9", "web-2"}},
		{"one is new", []corev1.Pod{pod("web-10", false), pod("web-9", false), pod("web-0", false)}, 2, []string{"web-9"}},
		{"one stops", []corev1.Pod{pod("web-9", true), pod("web-0", false)}, 1, nil},
		{"more than there are", []corev1.Pod{pod("web-0", false)}, 5, []string{"web-0"}},
	} {
		var got []string
		for _, p := range outdated(test.all, isNew, test.pods) {
			got = append(got, p.Name)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// The sleep comes once, beside a hook that the user wrote it does not come at all, and
// the grace period has room for it.
func TestPreStop(t *testing.T) {
	t.Parallel()
	live := corev1.PodTemplateSpec{Spec: corev1.PodSpec{TerminationGracePeriodSeconds: new(int64(20)), Containers: []corev1.Container{{Name: "web", Image: "web:1"}}}}
	record := &release.Record{Container: "web", Image: "web:2", Rolling: &release.Rolling{Kind: updates.Deployment, PreStop: 5 * time.Second}}
	once, err := Template(record, live)
	if err != nil {
		t.Fatal(err)
	}
	c := once.Spec.Containers[0]
	if c.Image != "web:2" || c.Lifecycle.PreStop.Sleep.Seconds != 5 || *once.Spec.TerminationGracePeriodSeconds != 25 {
		t.Errorf("%+v with a grace period of %d s", c, *once.Spec.TerminationGracePeriodSeconds)
	}
	twice, err := Template(record, once)
	if err != nil || !updates.SameTemplate(once, twice) {
		t.Errorf("once more it is another template, %v", err)
	}
	live.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"drain"}}}}
	own, err := Template(record, live)
	if err != nil || own.Spec.Containers[0].Lifecycle.PreStop.Exec == nil || *own.Spec.TerminationGracePeriodSeconds != 20 {
		t.Errorf("the user's own hook: %+v, %v", own.Spec.Containers[0].Lifecycle, err)
	}
}

func TestBalanced(t *testing.T) {
	t.Parallel()
	s := &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443}}}}
	if got := balanced(s); got != "" {
		t.Errorf("without a load balancer: %q", got)
	}
	s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "fd00::1"}}
	if got := balanced(s); got != "https://[fd00::1]:443" {
		t.Errorf("URL %q", got)
	}
}
