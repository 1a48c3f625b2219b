package replicas

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestDriftIsWhatDiffersFromTheReplicaSet(t *testing.T) {
	t.Parallel()
	template := func(image string, labels map[string]string) corev1.PodTemplateSpec {
		return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: image}}}}
	}
	app := func(more ...string) map[string]string {
		labels := map[string]string{"app": "web"}
		for i := 0; i < len(more); i += 2 {
			labels[more[i]] = more[i+1]
		}
		return labels
	}
	two := int32(2)
	deployment := func(t corev1.PodTemplateSpec) *appsv1.Deployment {
		return &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "d", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "helm", Time: &metav1.Time{}}}},
			Spec:       appsv1.DeploymentSpec{Template: t, Replicas: &two},
		}
	}
	controls, none := true, int32(0)
	off := deployment(template("web:1", app()))
	off.Spec.Replicas = &none
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web-1", OwnerReferences: []metav1.OwnerReference{{UID: "d", Controller: &controls}}},
		Spec:       appsv1.ReplicaSetSpec{Template: template("web:1", app("pod-template-hash", "1", "version", "stable"))},
	}
	again := deployment(template("web:1", app()))
	again.UID = "another"
	for name, c := range map[string]struct {
		deployment *appsv1.Deployment
		rs         *appsv1.ReplicaSet
		want       string
	}{
		"the same":                     {deployment(template("web:1", app("version", "stable"))), rs, ""},
		"not labelled yet":             {deployment(template("web:1", app())), rs, ""},
		"an image":                     {deployment(template("web:2", app("version", "stable"))), rs, `field manager "helm" changed the pod template of deployment web`},
		"a label":                      {deployment(template("web:1", app("version", "stable", "tier", "a"))), rs, "changed the pod template"},
		"scaled to 0":                  {off, rs, "deployment web was scaled to 0"},
		"a deployment that is gone":    {nil, rs, "deployment web was deleted"},
		"a deployment created again":   {again, rs, "no longer has the replicaset"},
		"a replicaset that is gone":    {deployment(template("web:1", app())), nil, "no longer has the replicaset"},
		"another label of the version": {deployment(template("web:1", app("version", "previous"))), rs, ""},
	} {
		if got := drift(c.deployment, c.rs, "web", "version"); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: drift = %q, want %q", name, got, c.want)
		}
	}
}
