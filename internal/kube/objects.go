package kube

import (
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The options of our writes, with our field manager.
var (
	Creating = metav1.CreateOptions{FieldManager: FieldManager}
	Patching = metav1.PatchOptions{FieldManager: FieldManager}
)

// With returns a copy of m with one more key.
func With(m map[string]string, key, value string) map[string]string {
	c := maps.Clone(m)
	if c == nil {
		c = map[string]string{}
	}
	c[key] = value
	return c
}
