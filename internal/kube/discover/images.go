package discover

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/release"
)

// annotationDefaultContainer names the container that kubectl takes if it is not
// told one, https://kubernetes.io/docs/reference/labels-annotations-taints/.
const annotationDefaultContainer = "kubectl.kubernetes.io/default-container"

// pickImages returns the main container, and all containers of a Deployment with
// the images that the query gives them. A name that no container has is bad input.
func pickImages(ns string, d *appsv1.Deployment, q Query) (main string, all []release.Container, err error) {
	spec := d.Spec.Template.Spec
	refuse := func(format string, args ...any) error {
		return &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("deployment %s/%s %s", ns, d.Name, fmt.Sprintf(format, args...))}
	}
	images := maps.Clone(q.Images)
	for _, name := range slices.Sorted(maps.Keys(images)) {
		if !slices.Contains(containerNames(spec), name) {
			return "", nil, refuse("has no container %q (images); it has %s", name, strings.Join(containerNames(spec), ", "))
		}
	}
	if main, err = pickContainer(ns, d, q); err != nil {
		return "", nil, err
	}
	if q.Image != "" {
		if other := images[main]; other != "" && other != q.Image {
			return "", nil, refuse("would get two images for container %s: %s (image) and %s (images)", main, q.Image, other)
		}
		images = withImage(images, main, q.Image)
	}
	add := func(c corev1.Container, init bool) {
		next := release.Container{Name: c.Name, Init: init, Image: c.Image, Previous: c.Image}
		if image := images[c.Name]; image != "" {
			next.Image = image
		}
		all = append(all, next)
	}
	for _, c := range spec.InitContainers {
		add(c, true)
	}
	for _, c := range spec.Containers {
		add(c, false)
	}
	return main, all, nil
}

func withImage(images map[string]string, name, image string) map[string]string {
	if images == nil {
		images = map[string]string{}
	}
	images[name] = image
	return images
}

// containerNames lists the containers of a pod, then its init containers.
func containerNames(spec corev1.PodSpec) []string {
	var all []string
	for _, c := range spec.Containers {
		all = append(all, c.Name)
	}
	for _, c := range spec.InitContainers {
		all = append(all, c.Name)
	}
	return all
}

// pickContainer returns the container that the report is about: the named one, the
// only one, or the only one with an image of the same repository. Without an image
// it is the only one of the named images, that of kubectl, or the first.
func pickContainer(ns string, d *appsv1.Deployment, q Query) (string, error) {
	spec := d.Spec.Template.Spec
	var all, same, given []string
	for _, c := range spec.Containers {
		all = append(all, c.Name)
		if release.Repository(c.Image) == release.Repository(q.Image) {
			same = append(same, c.Name)
		}
		if q.Images[c.Name] != "" {
			given = append(given, c.Name)
		}
	}
	preferred := d.Spec.Template.Annotations[annotationDefaultContainer]
	switch {
	case slices.Contains(all, q.Container):
		return q.Container, nil
	case q.Container != "":
		return "", &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("deployment %s/%s has no container %q; it has %s", ns, d.Name, q.Container, strings.Join(all, ", "))}
	case len(all) == 1:
		return all[0], nil
	case len(same) == 1:
		return same[0], nil
	case q.Image != "":
		return "", fmt.Errorf("deployment %s/%s has several containers: %s; %d of them run an image of repository %s; name one with container-name, or name all of them with images",
			ns, d.Name, strings.Join(all, ", "), len(same), release.Repository(q.Image))
	case len(given) == 1:
		return given[0], nil
	case slices.Contains(all, preferred):
		return preferred, nil
	}
	return all[0], nil
}
