package rolling

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube/updates"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// watched is a workload as a watch has it, and the template of its new revision.
type watched struct {
	updates.Kind
	object *updates.Object
	fresh  corev1.PodTemplateSpec
}

func (w watched) Cached() *updates.Object { return w.object }

func (w watched) Template(release.Revision) (corev1.PodTemplateSpec, error) { return w.fresh, nil }

func image(name string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "website", Image: name}}}}
}

// The watch of a workload may be behind that of its revisions: what is older than our
// own write is nobody's change.
func TestDriftIsWhatCameAfterOurWrite(t *testing.T) {
	t.Parallel()
	ours := updates.Settings{MinReady: 31536000}
	for name, c := range map[string]struct {
		version, image string
		settings       updates.Settings
		since          string
		want           string
	}{
		"our write":                      {"20", "v2", ours, "20", ""},
		"older than our write":           {"19", "v1", updates.Settings{}, "20", ""},
		"a template after it":            {"21", "v3", ours, "20", "changed the pod template of deployment/website"},
		"settings after it":              {"21", "v2", updates.Settings{}, "20", "changed the update strategy of deployment/website"},
		"a process that wrote nothing":   {"19", "v3", updates.Settings{}, "", "changed the pod template of deployment/website"},
		"what another process has asked": {"19", "v2", updates.Settings{}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &updates.Object{Meta: &metav1.ObjectMeta{Name: "website", ResourceVersion: c.version}, Template: image(c.image), Settings: c.settings, Replicas: 3}
			target := &Target{
				watch:  &watch{Kind: watched{object: o, fresh: image("v2")}},
				record: &release.Record{Deployment: "website", Canary: release.Revision{UID: "new"}, Rolling: &release.Rolling{Kind: updates.Deployment}},
				since:  c.since,
			}
			if c.since != "" {
				target.written = &ours
			}
			got := target.drift(target.watch.object(), rollout.State{Phase: rollout.PhaseProgressing})
			if c.want == "" && got != "" || !strings.HasSuffix(got, c.want) {
				t.Errorf("drift = %q, want %q", got, c.want)
			}
		})
	}
}
