package inputs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
)

const webManifest = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: app, image: "registry.example/web:IMAGE_TAG_PLACEHOLDER"}, {name: proxy, image: "proxy:1"}]}}}
`

func TestManifestsAreInputs(t *testing.T) {
	t.Parallel()
	load := func(text string, args ...string) (Config, error) {
		file := filepath.Join(t.TempDir(), "app.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		v, err := Spec().Parse(append(args, "--manifests", file), func(string) string { return "" })
		if err != nil {
			return Config{}, err
		}
		c := ConfigOf(v)
		return c, c.LoadManifests(v)
	}
	c, err := load(webManifest, "--image", "registry.example/web:2", "--images", "proxy=proxy:2")
	if err != nil {
		t.Fatal(err)
	}
	if c.Deployment != "web" || c.Container != "app" || c.Image != "" || len(c.Objects) != 1 {
		t.Errorf("deployment %s, container %s, image %q, %d objects", c.Deployment, c.Container, c.Image, len(c.Objects))
	}
	for says, c := range map[string]struct {
		text string
		args []string
	}{
		`has the unexpanded "IMAGE_TAG_PLACEHOLDER"`:         {webManifest, nil},
		"no container is named db; there are app, proxy":     {webManifest, []string{"--images", "db=x:1"}},
		"there is no Deployment api (deployment-name) in it": {webManifest, []string{"--deployment-name", "api"}},
		"there is no Deployment in it":                       {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", nil},
		"several Deployments in it: web, api":                {webManifest + "---\n" + strings.Replace(webManifest, "{name: web}", "{name: api}", 1), nil},
		"several containers: app, proxy":                     {webManifest, []string{"--image", "other.example/x:1"}},
		"the key \"kind\" is there twice":                    {"kind: a\nkind: b\n", nil},
	} {
		_, err := load(c.text, c.args...)
		var problems input.Problems
		if !errors.As(err, &problems) || problems.ExitStatus() != exit.BadInput || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want bad input that says %q", err, says)
		}
	}
	for _, args := range [][]string{{"--image", "web:1", "--prune"}, {"--image", "web:1", "--force-conflicts"}} {
		if _, err := Spec().Parse(args, func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), "only with manifests") {
			t.Errorf("%q: %v", args, err)
		}
	}
}
