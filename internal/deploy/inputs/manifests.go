package inputs

import (
	"fmt"
	"maps"
	"strings"

	"github.com/candlefish/deploy-action/internal/deploy/inputs/members"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/manifest"
	"github.com/candlefish/deploy-action/internal/manifest/load"
	"github.com/candlefish/deploy-action/internal/release"
)

// manifestInputs configure what a release applies besides an image.
func manifestInputs() []input.Def {
	return []input.Def{
		{
			Name: "manifests", Kind: input.List, Discovered: "only the images change",
			Help:    "What the release is made of: files, folders, patterns or kustomizations, one a line; see docs/manifests.md",
			Example: "deploy/production",
		},
		{
			Name: "prune", Kind: input.Bool, Default: "false",
			Help: "Delete what an earlier release applied and the manifests no longer have",
		},
		{
			Name: "force-conflicts", Kind: input.Bool, Default: "false",
			Help: "Take the fields of the manifests that another field manager owns with other values",
		},
	}
}

// needManifests returns a problem for each input that has no effect without
// manifests, and for manifests that several Deployments would share.
func needManifests(v input.Values) (problems input.Problems) {
	if v.IsSet("manifests") && v.IsSet(members.Deployments) && v.Source("manifests").Kind != recorded {
		problems = append(problems, v.Problem("manifests", "with deployments, each of them has manifests of its own: set it there"))
	}
	for _, name := range []string{"prune", "force-conflicts"} {
		if v.Bool(name) && !v.IsSet("manifests") && v.Source(name).Kind != recorded {
			problems = append(problems, v.Problem(name, "has an effect only with manifests"))
		}
	}
	return problems
}

// LoadManifests reads the manifests of a release and checks them. The Deployment
// among them that is released gets the images, and c its name and container.
func (c *Config) LoadManifests(v input.Values) error {
	if !v.IsSet("manifests") || c.Command != CommandDeploy || c.Attach {
		return nil
	}
	objects, wrong := load.Load(v.List("manifests"))
	var problems input.Problems
	say := func(at, reason string) {
		problems = append(problems, input.Problem{Name: "manifests", Source: v.Source("manifests"), Value: at, Reason: reason})
	}
	if len(wrong) == 0 {
		if at, err := c.workload(objects); err != nil {
			say(at, err.Error())
		}
		wrong = manifest.Check(objects, c.Namespace)
	}
	for _, p := range wrong {
		reason := p.Reason
		if p.Object != "" {
			reason = p.Object + ": " + reason
		}
		say(p.At.String(), reason)
	}
	c.Objects = objects
	return problems.Err()
}

// workload finds the released Deployment and gives it the images. The error is
// about the position.
func (c *Config) workload(objects []manifest.Object) (at string, err error) {
	var names []string
	var picked *manifest.Object
	for i, o := range objects {
		if !o.Is("apps", "Deployment") {
			continue
		}
		names = append(names, o.Name())
		if c.Deployment == "" || c.Deployment == o.Name() {
			picked = &objects[i]
		}
	}
	switch {
	case len(names) == 0:
		return "", fmt.Errorf("there is no Deployment in it, and a release has one")
	case picked == nil:
		return "", fmt.Errorf("there is no Deployment %s (deployment-name) in it, but %s", c.Deployment, strings.Join(names, ", "))
	case c.Deployment == "" && len(names) > 1:
		return "", fmt.Errorf("there are several Deployments in it: %s; name the one to release with deployment-name", strings.Join(names, ", "))
	}
	c.Deployment = picked.Name()
	images := maps.Clone(c.Images)
	if images == nil {
		images = map[string]string{}
	}
	main, err := manifest.Main(picked.Template(), c.Container, c.Image, release.Repository)
	if err != nil {
		return picked.At.String(), fmt.Errorf("%s: %w", picked, err)
	}
	if c.Image != "" {
		images[main] = c.Image
	}
	if err := manifest.SetImages(picked.Template(), images); err != nil {
		return picked.At.String(), fmt.Errorf("%s: %w", picked, err)
	}
	// The images are in the manifests now; the survey takes them from there.
	c.Container, c.Image, c.Images = main, "", nil
	return "", nil
}
