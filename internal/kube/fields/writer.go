package fields

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
)

// Writer names who wrote a field of an object last, other than this tool: the field
// manager, how it wrote and when. path leads to the field, "spec", "selector". Of
// managers that own nothing of it, the one that wrote the object last is named: who
// removes a field of a map that several own is not among its owners.
func Writer(obj metav1.Object, path ...string) string {
	owner, any := newest(obj, path), newest(obj, nil)
	switch {
	case owner == nil && any == nil:
		return "another writer"
	case owner == nil || any != nil && written(any).After(written(owner)) && any.Subresource == "" && removes(any):
		owner = any
	}
	how := string(owner.Operation)
	if owner.Subresource != "" {
		how += " of " + owner.Subresource
	}
	if at := written(owner).UTC(); !at.IsZero() {
		how = strings.TrimSpace(how + " at " + at.Format(time.RFC3339))
	}
	if how == "" {
		return fmt.Sprintf("field manager %q", owner.Manager)
	}
	return fmt.Sprintf("field manager %q (%s)", owner.Manager, how)
}

// removes reports whether an entry owns no field: its manager only removed some.
func removes(entry *metav1.ManagedFieldsEntry) bool {
	return entry.FieldsV1 == nil || entry.FieldsV1.GetRawString() == "{}"
}

// written returns when an entry was written, zero if it does not say: the API server
// gives entries of the scale subresource no time.
func written(entry *metav1.ManagedFieldsEntry) time.Time {
	if entry.Time == nil {
		return time.Time{}
	}
	return entry.Time.Time
}

// newest returns the newest entry of another manager that owns something at path; nil
// for none. Of the status it returns none, of other subresources only owners.
func newest(obj metav1.Object, path []string) *metav1.ManagedFieldsEntry {
	var found *metav1.ManagedFieldsEntry
	entries := obj.GetManagedFields()
	for i := range entries {
		f := &entries[i]
		switch {
		case f.Manager == kube.FieldManager || f.Subresource == "status" || f.Subresource != "" && len(path) == 0:
		case !owns(f.FieldsV1, path):
		case found == nil || !written(f).Before(written(found)):
			found = f
		}
	}
	return found
}

// owns reports whether a set of fields has something at path,
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/.
func owns(set *metav1.FieldsV1, path []string) bool {
	if len(path) == 0 {
		return true
	}
	if set == nil {
		return false
	}
	raw := set.GetRawBytes()
	for _, key := range path {
		var fields map[string]json.RawMessage
		if json.Unmarshal(raw, &fields) != nil {
			return false
		}
		next, ok := fields["f:"+key]
		if !ok {
			return false
		}
		raw = next
	}
	return true
}
