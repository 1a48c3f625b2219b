package kube

import (
	"fmt"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The options of our writes, with our field manager.
var (
	Creating = metav1.CreateOptions{FieldManager: FieldManager}
	Patching = metav1.PatchOptions{FieldManager: FieldManager}
)

// LastWriter returns the field manager of the newest change to obj that is not
// ours and not to the status.
func LastWriter(obj metav1.Object) string {
	var newest time.Time
	name := "another writer"
	for _, f := range obj.GetManagedFields() {
		if f.Manager == FieldManager || f.Subresource != "" || f.Time == nil || f.Time.Time.Before(newest) {
			continue
		}
		newest, name = f.Time.Time, fmt.Sprintf("field manager %q", f.Manager)
	}
	return name
}

// With returns a copy of m with one more key.
func With(m map[string]string, key, value string) map[string]string {
	c := maps.Clone(m)
	if c == nil {
		c = map[string]string{}
	}
	c[key] = value
	return c
}
