package manifest

import (
	"fmt"
	"regexp"
	"strings"
)

// helmHook marks what helm runs beside a release, and kubectl would keep.
const helmHook = "helm.sh/hook"

// Check returns everything in the objects of a release to namespace that must
// not reach a cluster: duplicates, other namespaces, unexpanded variables and
// placeholders, images without a tag's text, empty TLS Secrets, Helm's hooks.
func Check(objects []Object, namespace string) (problems Problems) {
	first := map[string]Object{}
	for _, o := range objects {
		id := o.in(namespace).ID()
		if other, twice := first[id]; twice {
			problems = append(problems, o.problem("", "it is there twice: %s has it too", other.At))
		}
		first[id] = o
		if n := o.Namespace(); n != "" && n != namespace {
			problems = append(problems, o.problem("metadata.namespace", "it is in namespace %s, and the release is in %s: release it there, or set the input namespace", n, namespace))
		}
		if o.Is("", "Namespace") && o.Name() != namespace {
			problems = append(problems, o.problem("metadata.name", "the release is in namespace %s alone", namespace))
		}
		if hook := o.Annotation(helmHook); hook != "" {
			problems = append(problems, o.problem("metadata.annotations."+helmHook, "it is Helm's %s hook, which only helm runs: render with helm template --no-hooks", hook))
		}
		problems = append(problems, placeholders(o)...)
		problems = append(problems, images(o)...)
		problems = append(problems, emptyTLS(o)...)
	}
	return problems
}

// in returns the object with the namespace that it gets if it names none.
func (o Object) in(namespace string) Object {
	if o.Namespace() == "" {
		o = o.Clone()
		set(o.Fields, namespace, "metadata", "namespace")
	}
	return o
}

// image is a reference as the kubelet takes it.
var image = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.:_/@-]*[A-Za-z0-9_]$`)

// images returns the images of a pod template that no variable can have left so.
func images(o Object) (problems Problems) {
	eachText(o.Fields, "", nil, func(path string, keys []string, text string) {
		if keys[len(keys)-1] != "image" || !within(keys, "containers") && !within(keys, "initContainers") || first(text, variable, reference, bare, marker) != "" {
			return
		}
		if !image.MatchString(text) || strings.Contains(text, "//") || strings.Contains(text, ":@") {
			problems = append(problems, o.problem(path, "%s: %q is no image", path, text))
		}
	})
	return problems
}

// emptyTLS returns an error for a TLS Secret that has no certificate or key.
func emptyTLS(o Object) (problems Problems) {
	if !o.Is("", "Secret") || o.text("type") != "kubernetes.io/tls" {
		return nil
	}
	for _, key := range []string{"tls.crt", "tls.key"} {
		if o.text("data", key) == "" && o.text("stringData", key) == "" {
			problems = append(problems, o.problem("data."+key, "the certificate's Secret has an empty %s", key))
		}
	}
	return problems
}

// SetImages gives containers and init containers of a pod template images by
// name. It returns an error for a name that no container has, which lists those
// there are.
func SetImages(template map[string]any, images map[string]string) error {
	var names []string
	left := map[string]bool{}
	for name := range images {
		left[name] = true
	}
	for _, c := range Containers(template) {
		name, _ := c["name"].(string)
		names = append(names, name)
		if images[name] != "" {
			c["image"] = images[name]
			delete(left, name)
		}
	}
	if unknown := sorted(left); len(unknown) > 0 {
		return fmt.Errorf("no container is named %s; there are %s", strings.Join(unknown, ", "), strings.Join(names, ", "))
	}
	return nil
}

// Containers returns the containers of a pod template, then its init containers.
func Containers(template map[string]any) []map[string]any {
	spec, _ := template["spec"].(map[string]any)
	return append(listOf(spec["containers"]), listOf(spec["initContainers"])...)
}

// Main returns the container of a pod template that gets the image of a release:
// the named one, the only one, or the only one with an image of the same
// repository. repository cuts an image's tag and digest.
func Main(template map[string]any, name, image string, repository func(string) string) (string, error) {
	spec, _ := template["spec"].(map[string]any)
	var all, same []string
	for _, c := range listOf(spec["containers"]) {
		container, _ := c["name"].(string)
		all = append(all, container)
		if has, _ := c["image"].(string); image != "" && repository(has) == repository(image) {
			same = append(same, container)
		}
	}
	switch {
	case name != "" || image == "":
		return name, nil
	case len(all) == 1:
		return all[0], nil
	case len(same) == 1:
		return same[0], nil
	}
	return "", fmt.Errorf("its pods have several containers: %s; name the one that gets image with container-name, or use images", strings.Join(all, ", "))
}
