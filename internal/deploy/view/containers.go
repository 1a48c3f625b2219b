package view

import (
	"fmt"

	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/kube/apply"
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

// maxLines bounds the lines of one object in the plan; the report has them all.
const maxLines = 40

// ShowChanges shows what manifests change, in the order in which it is applied.
func ShowChanges(c *console.Console, r *release.Record, all []apply.Difference) {
	for _, d := range all {
		c.Logf("%s %s, %s", d.Verb, d.Object, d.When)
		for i, line := range d.Lines {
			if i == maxLines {
				c.Logf("    ... and %d more lines, in the report", len(d.Lines)-i)
				break
			}
			c.Logf("    %s", line)
		}
	}
	if len(all) > 0 && !r.ChangesPods() {
		c.Logf("the pods stay as they are: no traffic moves")
	}
}

// changes returns what manifests change for the report.
func changes(d *Delivery) []report.Change {
	var all []report.Change
	for _, c := range d.Changes {
		all = append(all, report.Change{Object: c.Object, When: c.When, Verb: c.Verb, Lines: c.Lines})
	}
	return all
}
