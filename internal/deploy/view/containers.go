package view

import (
	"fmt"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/report"
)

// containers says what the release does to each container of a pod that has more
// than one.
func containers(r *release.Record) []string {
	if len(r.Containers) < 2 {
		return nil
	}
	var lines []string
	for _, c := range r.Containers {
		kind := "container"
		if c.Init {
			kind = "init container"
		}
		switch c.Previous {
		case c.Image:
			lines = append(lines, fmt.Sprintf("%s %s keeps %s", kind, c.Name, c.Image))
		case "":
			lines = append(lines, fmt.Sprintf("%s %s is new, with %s", kind, c.Name, c.Image))
		default:
			lines = append(lines, fmt.Sprintf("%s %s gets %s instead of %s", kind, c.Name, c.Image, c.Previous))
		}
	}
	return lines
}

// containerImages returns the images of a release for its report.
func containerImages(r *release.Record) []report.Container {
	var all []report.Container
	for _, c := range r.Containers {
		all = append(all, report.Container{Name: c.Name, Init: c.Init, Image: c.Image, PreviousImage: c.Previous})
	}
	return all
}
