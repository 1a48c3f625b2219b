package fields

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
)

// The one who wrote the field is named, not the one who wrote last.
func TestWriter(t *testing.T) {
	t.Parallel()
	at := func(second int) *metav1.Time {
		return &metav1.Time{Time: time.Date(2026, 5, 1, 12, 0, second, 0, time.UTC)}
	}
	entry := func(manager, operation, subresource string, second int, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{
			Manager: manager, Operation: metav1.ManagedFieldsOperationType(operation), Subresource: subresource, Time: at(second), FieldsV1: metav1.NewFieldsV1(fields),
		}
	}
	const selector, labels = `{"f:spec":{"f:selector":{}}}`, `{"f:metadata":{"f:labels":{"f:a":{}}}}`
	for name, c := range map[string]struct {
		entries []metav1.ManagedFieldsEntry
		path    []string
		want    string
	}{
		"nobody":   {nil, []string{"spec"}, "another writer"},
		"only us":  {[]metav1.ManagedFieldsEntry{entry(kube.FieldManager, "Update", "", 9, selector)}, []string{"spec"}, "another writer"},
		"one":      {[]metav1.ManagedFieldsEntry{entry("helm", "Apply", "", 1, selector)}, []string{"spec", "selector"}, `field manager "helm" (Apply at 2026-05-01T12:00:01Z)`},
		"the part": {[]metav1.ManagedFieldsEntry{entry("helm", "Apply", "", 1, selector), entry("kubectl-label", "Update", "", 5, labels)}, []string{"spec", "selector"}, `field manager "helm" (Apply at 2026-05-01T12:00:01Z)`},
		"the newest of two": {
			[]metav1.ManagedFieldsEntry{entry("kubectl-edit", "Update", "", 7, selector), entry("helm", "Apply", "", 1, selector)}, []string{"spec", "selector"},
			`field manager "kubectl-edit" (Update at 2026-05-01T12:00:07Z)`,
		},
		"nobody owns it": {[]metav1.ManagedFieldsEntry{entry("kubectl-patch", "Update", "", 5, labels)}, []string{"spec", "selector"}, `field manager "kubectl-patch" (Update at 2026-05-01T12:00:05Z)`},
		"a scale": {
			[]metav1.ManagedFieldsEntry{entry("helm", "Apply", "", 1, `{"f:spec":{"f:template":{}}}`), entry("kubectl", "Update", "scale", 3, `{"f:spec":{"f:replicas":{}}}`)}, []string{"spec", "replicas"},
			`field manager "kubectl" (Update of scale at 2026-05-01T12:00:03Z)`,
		},
		"a scale without a time": {
			[]metav1.ManagedFieldsEntry{entry("helm", "Apply", "", 1, `{"f:spec":{"f:template":{}}}`), {Manager: "kubectl", Operation: "Update", Subresource: "scale", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`)}},
			[]string{"spec", "replicas"}, `field manager "kubectl" (Update of scale)`,
		},
		"never the status": {[]metav1.ManagedFieldsEntry{entry("kube-controller-manager", "Update", "status", 9, `{"f:status":{}}`), entry("helm", "Apply", "", 1, labels)}, nil, `field manager "helm" (Apply at 2026-05-01T12:00:01Z)`},
		"no time":          {[]metav1.ManagedFieldsEntry{{Manager: "helm", Time: &metav1.Time{}}}, nil, `field manager "helm"`},
	} {
		if got := Writer(&metav1.ObjectMeta{ManagedFields: c.entries}, c.path...); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
