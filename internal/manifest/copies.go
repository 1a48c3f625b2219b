package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// The marks of a copy.
const (
	// LabelCopy is the label of a copy: the Deployment whose releases made it.
	LabelCopy = "deploy.candlefish.ai/copy-for"
	// AnnotationCopyOf is its original's name.
	AnnotationCopyOf = "deploy.candlefish.ai/copy-of"
)

// hashLength is the number of digits that tell the content of a copy.
const hashLength = 10

// A Reference is a ConfigMap or Secret that a pod template names.
type Reference struct{ Kind, Name string }

// String returns the reference as people name it.
func (r Reference) String() string { return strings.ToLower(r.Kind) + " " + r.Name }

// References returns the ConfigMaps and Secrets that a pod template reads: by
// variables, and by volumes, also projected ones. Each is there once.
func References(template map[string]any) []Reference {
	var all []Reference
	eachReference(template, func(kind string, holder map[string]any, key string) {
		name, _ := holder[key].(string)
		if r := (Reference{kind, name}); name != "" && !slices.Contains(all, r) {
			all = append(all, r)
		}
	})
	return all
}

// Copies returns a pod template whose references lead to copies, and the copies:
// of each ConfigMap and Secret among the objects that the template reads, under a
// name that tells its content. So the configuration travels with the version: an
// older template keeps what it read. for names the Deployment that the copies
// belong to.
func Copies(template map[string]any, objects []Object, deployment string) (rewritten map[string]any, copies []Object) {
	rewritten, _ = clone(template).(map[string]any)
	originals := map[Reference]Object{}
	for _, o := range objects {
		if o.Group() == "" && (o.Kind() == "ConfigMap" || o.Kind() == "Secret") {
			originals[Reference{o.Kind(), o.Name()}] = o
		}
	}
	made := map[string]bool{}
	eachReference(rewritten, func(kind string, holder map[string]any, key string) {
		name, _ := holder[key].(string)
		original, ok := originals[Reference{kind, name}]
		if !ok {
			return
		}
		c := original.copy(deployment)
		holder[key] = c.Name()
		if !made[c.ID()] {
			made[c.ID()] = true
			copies = append(copies, c)
		}
	})
	return rewritten, copies
}

// copy returns the copy of a ConfigMap or Secret. Nobody can change its content.
func (o Object) copy(deployment string) Object {
	c := o.Clone()
	meta := map[string]any{"name": o.Name() + "-" + o.contentHash()}
	if namespace := o.Namespace(); namespace != "" {
		meta["namespace"] = namespace
	}
	labels, _ := clone(o.Value("metadata", "labels")).(map[string]any)
	if labels == nil {
		labels = map[string]any{}
	}
	labels[LabelCopy] = deployment
	meta["labels"] = labels
	meta["annotations"] = map[string]any{AnnotationCopyOf: o.Name()}
	c.Fields["metadata"] = meta
	c.Fields["immutable"] = true
	return c
}

// contentHash returns digits that tell the content of a ConfigMap or Secret.
func (o Object) contentHash() string {
	content := map[string]any{}
	for _, key := range []string{"kind", "type", "data", "binaryData", "stringData"} {
		if v := o.Fields[key]; v != nil {
			content[key] = v
		}
	}
	raw, err := json.Marshal(content) // sorts the keys
	if err != nil {
		panic("manifest: " + err.Error()) // JSON values can be encoded
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])[:hashLength]
}

// IsContentHash reports whether the end of a name tells the content of a copy.
func IsContentHash(s string) bool {
	return len(s) == hashLength && strings.Trim(s, "0123456789abcdef") == ""
}

// eachReference calls f for every place of a pod template that names a ConfigMap
// or Secret that its containers read. Secrets for pulls of images are none.
func eachReference(template map[string]any, f func(kind string, holder map[string]any, key string)) {
	at := func(m map[string]any, field, kind, key string) {
		if holder, ok := m[field].(map[string]any); ok {
			f(kind, holder, key)
		}
	}
	for _, c := range Containers(template) {
		for _, env := range listOf(c["env"]) {
			from, _ := env["valueFrom"].(map[string]any)
			at(from, "configMapKeyRef", "ConfigMap", "name")
			at(from, "secretKeyRef", "Secret", "name")
		}
		for _, from := range listOf(c["envFrom"]) {
			at(from, "configMapRef", "ConfigMap", "name")
			at(from, "secretRef", "Secret", "name")
		}
	}
	spec, _ := template["spec"].(map[string]any)
	for _, v := range listOf(spec["volumes"]) {
		at(v, "configMap", "ConfigMap", "name")
		at(v, "secret", "Secret", "secretName")
		projected, _ := v["projected"].(map[string]any)
		for _, source := range listOf(projected["sources"]) {
			at(source, "configMap", "ConfigMap", "name")
			at(source, "secret", "Secret", "name")
		}
	}
}
