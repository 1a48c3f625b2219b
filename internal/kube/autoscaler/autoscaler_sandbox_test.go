package autoscaler

import (
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sandboxtest"
	"github.com/candlefish/deploy-action/internal/kube"
)

func TestHoldAndReleaseLeaveTheAutoscalerAsItWas(t *testing.T) {
	t.Parallel()
	s := sandboxtest.Start(t)
	ns := sandboxtest.Namespace(t, s)
	c, err := kube.Connect(kube.ConnectOptions{Kubeconfig: s.Kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	two := int32(2)
	hpas := c.Typed.AutoscalingV2().HorizontalPodAutoscalers(ns)
	for name, least := range map[string]*int32{"web": &two, "unset": nil, "other": &two} {
		target := "web"
		if name == "other" {
			target = "other"
		}
		_, err := hpas.Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: target}, MinReplicas: least, MaxReplicas: 10,
			},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) (int32, map[string]string) {
		t.Helper()
		hpa, err := hpas.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return kube.Deref(hpa.Spec.MinReplicas), hpa.Annotations
	}
	for _, n := range []int32{5, 6, 4} { // a second process, a growing and a shrinking need
		if err := Hold(t.Context(), c, ns, "web", n); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]int32{"web": 6, "unset": 6, "other": 2} {
		if got, _ := read(name); got != want {
			t.Errorf("%s: at least %d pods are held, want %d", name, got, want)
		}
	}
	for range 2 {
		if err := Release(t.Context(), c, ns, "web"); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]int32{"web": 2, "unset": 1, "other": 2} { // the API server's default is 1
		got, annotations := read(name)
		if got != want || len(annotations) != 0 {
			t.Errorf("%s: minReplicas %d with annotations %v, want %d and none", name, got, annotations, want)
		}
	}
}
