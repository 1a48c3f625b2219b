package inputs

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
)

func TestImagesOfSeveralContainers(t *testing.T) {
	t.Parallel()
	parse := func(args ...string) (Config, error) {
		v, err := Spec().Parse(args, func(string) string { return "" })
		if err != nil {
			return Config{}, err
		}
		return ConfigOf(v), nil
	}
	c, err := parse("--images", "web=registry.example/web:2\n migrate = registry.example/web@sha256:"+strings.Repeat("a", 64)+"\nweb=registry.example/web:2\n")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"web": "registry.example/web:2", "migrate": "registry.example/web@sha256:" + strings.Repeat("a", 64)}
	if diff := cmp.Diff(want, c.Images); diff != "" || c.Image != "" {
		t.Errorf("image %q, images (-want +got)\n%s", c.Image, diff)
	}
	_, err = parse("--images", "web\nWeb=x:1\nweb=untagged\nweb=x:1\nweb=x:2")
	var problems input.Problems
	if !errors.As(err, &problems) || len(problems) != 4 || problems.ExitStatus() != exit.BadInput {
		t.Fatalf("%v, want four problems", err)
	}
	for i, line := range []string{"web", "Web=x:1", "web=untagged", "web=x:2"} {
		if problems[i].Value != line {
			t.Errorf("problem %d is about %q, want %q: %v", i, problems[i].Value, line, problems[i])
		}
	}
	if _, err := parse(); err == nil || !strings.Contains(err.Error(), "image: is required") {
		t.Errorf("without an image: %v", err)
	}
}
