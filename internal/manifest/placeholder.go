package manifest

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// AllowPlaceholders is the annotation that keeps an object's texts from being
// taken for placeholders, with the value "true".
const AllowPlaceholders = "deploy.candlefish.ai/allow-placeholders"

// The forms of a variable that something should have replaced.
var (
	variable = regexp.MustCompile(`\$\{[^}]*\}|\{\{[^}]*\}\}|\{\{|<no value>`)
	// reference is also Kubernetes' own form, in command, args and env.
	reference = regexp.MustCompile(`\$\([A-Za-z_][A-Za-z0-9_.]*\)`)
	// bare is envsubst's other form.
	bare = regexp.MustCompile(`\$[A-Z_][A-Z0-9_]*\b`)
	// marker is a word that stands for a value. Names and images have none of them.
	marker = regexp.MustCompile(`(?i)[A-Z0-9_-]*PLACEHOLDER|IMAGE_TAG|CHANGE_?ME|REPLACE_?ME|\bTODO\b|<[a-z][a-z0-9 _-]*>`)
	// whole are texts that are nothing but a variable or a marker.
	whole = regexp.MustCompile(`^\s*(\$\{[^}]*\}|\$\([A-Z_][A-Z0-9_]*\)|\{\{[^}]*\}\}|<no value>|[A-Z0-9_]*PLACEHOLDER|CHANGE_?ME|REPLACE_?ME)\s*$`)
)

// builtin are the groups whose fields are known: texts with variables are legal
// in few of them. In other groups only names, labels and images are checked.
var builtin = []string{"", "apps", "batch", "autoscaling", "policy", "networking.k8s.io", "rbac.authorization.k8s.io", "discovery.k8s.io", "coordination.k8s.io", "storage.k8s.io", "scheduling.k8s.io", "node.k8s.io", "gateway.networking.k8s.io"}

// placeholders returns the unexpanded variables and placeholders of an object.
// Values of Secrets are never part of a problem.
func placeholders(o Object) (problems Problems) {
	if o.Annotation(AllowPlaceholders) == "true" {
		return nil
	}
	eachText(o.Fields, "", nil, func(path string, keys []string, text string) {
		if found := o.placeholder(keys, text); found != "" {
			problems = append(problems, o.problem(path, "%s has the unexpanded %q; expand it before the release, or if it is meant so, annotate the object with %s: \"true\"", path, found, AllowPlaceholders))
		}
	})
	return problems
}

// eachText calls f for each text below v, with its path and its keys.
func eachText(v any, path string, keys []string, f func(path string, keys []string, text string)) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range sorted(v) {
			eachText(v[key], join(path, key), append(slices.Clip(keys), key), f)
		}
	case []any:
		for i, item := range v {
			eachText(item, path+"["+strconv.Itoa(i)+"]", keys, f)
		}
	case string:
		f(path, keys, v)
	}
}

// placeholder returns what in a text is a placeholder, "" for nothing.
func (o Object) placeholder(keys []string, text string) string {
	last := keys[len(keys)-1]
	switch {
	case isData(o, keys):
		return wholly(decoded(o, keys, text))
	case isName(keys) || last == "image":
		return first(text, variable, reference, bare, marker)
	case within(keys, "annotations") || !slices.Contains(builtin, o.Group()):
		return wholly(text)
	case within(keys, "command") || within(keys, "args"):
		return first(text, regexp.MustCompile(`\{\{|<no value>`))
	case within(keys, "env") && last == "value":
		return first(text, variable)
	}
	return first(text, variable, reference)
}

// isData reports whether keys lead to the content of a ConfigMap or Secret.
func isData(o Object, keys []string) bool {
	return (o.Is("", "ConfigMap") || o.Is("", "Secret")) && slices.Contains([]string{"data", "stringData", "binaryData"}, keys[0])
}

// decoded returns the text of a Secret's value.
func decoded(o Object, keys []string, text string) string {
	if o.Kind() == "Secret" && keys[0] == "data" {
		if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
			return string(raw)
		}
	}
	return text
}

// wholly returns a text that is nothing but a placeholder, else "".
func wholly(text string) string {
	if whole.MatchString(text) {
		return strings.TrimSpace(text)
	}
	return ""
}

func first(text string, patterns ...*regexp.Regexp) string {
	for _, p := range patterns {
		if found := p.FindString(text); found != "" {
			return found
		}
	}
	return ""
}

// isName reports whether keys lead to what names something: the object, a label,
// a selector, another object, a host.
func isName(keys []string) bool {
	last := keys[len(keys)-1]
	if slices.Contains([]string{"name", "namespace", "secretName", "serviceAccountName", "serviceName", "host", "hostname", "claimName", "kind", "apiVersion"}, last) {
		return true
	}
	return within(keys, "labels") || within(keys, "matchLabels") || within(keys, "hostnames") || within(keys, "hosts") || len(keys) > 1 && keys[0] == "spec" && keys[1] == "selector"
}

func within(keys []string, key string) bool { return slices.Contains(keys, key) }
