package workload

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/candlefish/deploy-action/internal/release"
)

func podTemplate(version string, containers ...corev1.Container) corev1.PodTemplateSpec {
	t := corev1.PodTemplateSpec{}
	t.Labels = map[string]string{"app": "web"}
	if version != "" {
		t.Labels["version"] = version
	}
	t.Spec.InitContainers = []corev1.Container{{Name: "migrate", Image: "web:1"}}
	t.Spec.Containers = containers
	return t
}

func TestTemplateOfARelease(t *testing.T) {
	t.Parallel()
	live := podTemplate("stable", corev1.Container{Name: "app", Image: "web:1"}, corev1.Container{Name: "proxy", Image: "proxy:1"})
	recorded := podTemplate("green", corev1.Container{Name: "app", Image: "web:2", Env: []corev1.EnvVar{{Name: "A", Value: "b"}}})
	raw, err := json.Marshal(recorded)
	if err != nil {
		t.Fatal(err)
	}
	init := podTemplate("stable", corev1.Container{Name: "app", Image: "web:1"}, corev1.Container{Name: "proxy", Image: "proxy:2"})
	init.Spec.InitContainers[0].Image = "web:2"
	whole := *recorded.DeepCopy()
	whole.Labels["version"] = "stable"
	for name, c := range map[string]struct {
		record release.Record
		want   corev1.PodTemplateSpec
	}{
		"an older record": {release.Record{Container: "proxy", Image: "proxy:2"},
			podTemplate("stable", corev1.Container{Name: "app", Image: "web:1"}, corev1.Container{Name: "proxy", Image: "proxy:2"})},
		"several containers":  {release.Record{Containers: []release.Container{{Name: "migrate", Init: true, Image: "web:2"}, {Name: "proxy", Image: "proxy:2"}}}, init},
		"a recorded template": {release.Record{Template: raw, Containers: []release.Container{{Name: "app", Image: "web:2"}}}, whole},
	} {
		c.record.VersionLabel = "version"
		before := *live.DeepCopy()
		got, err := Template(&c.record, live)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
		if diff := cmp.Diff(before, live); diff != "" {
			t.Errorf("%s changed the live template\n%s", name, diff)
		}
	}
	if _, err := Template(&release.Record{Template: json.RawMessage("{")}, live); err == nil {
		t.Error("a broken template is not refused")
	}
}
