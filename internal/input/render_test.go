package input

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func renderSpec() Spec {
	return Spec{
		Name: "demo", Description: "Shows how.",
		Inputs: []Def{
			{Name: "namespace", Env: "NAMESPACE", Default: "production", Help: "Where it's at"},
			{Name: "steps", Kind: Steps, Default: "5,100", Help: "The weights"},
			{Name: "image", Required: true, Help: "What | which"},
		},
		Outputs:     []Output{{Name: "status", Help: "Final status"}},
		Permissions: []Permission{{Where: "Kubernetes", What: "get pods", Why: "Look"}},
	}
}

// An input with an environment variable has no default in action.yml: see
// ActionYAML.
func TestActionYAML(t *testing.T) {
	t.Parallel()
	want := `inputs:
  namespace:
    description: 'Where it''s at. Values: any text on one line. Environment: NAMESPACE. Default: production.'
  steps:
    description: 'The weights. Values: rising whole percents from 1 to 100 that end at 100, such as 5,25,50,100; a pause may follow one: 25:pause or 25:pause=1h.'
    default: '5,100'
  image:
    description: 'What | which. Values: any text on one line.'
    required: true
outputs:
  status:
    description: 'Final status.'
`
	if diff := cmp.Diff(want, renderSpec().ActionYAML()); diff != "" {
		t.Errorf("ActionYAML (-want +got):\n%s", diff)
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	want := "| Input | Values | Default | Environment | Description |\n|---|---|---|---|---|\n" +
		"| `namespace` | any text on one line | `production` | `NAMESPACE` | Where it's at |\n" +
		"| `steps` | rising whole percents from 1 to 100 that end at 100, such as 5,25,50,100; a pause may follow one: 25:pause or 25:pause=1h | `5,100` |  | The weights |\n" +
		"| `image` | any text on one line |  |  | What \\| which |\n"
	if diff := cmp.Diff(want, renderSpec().InputTable()); diff != "" {
		t.Errorf("InputTable (-want +got):\n%s", diff)
	}
	grouped := renderSpec()
	grouped.First = []string{"image"}
	grouped.Inputs[0].Group, grouped.Inputs[1].Group, grouped.Inputs[2].Group = "Where", "How", "How"
	head := "| Input | Values | Default | Environment | Description |\n|---|---|---|---|---|\n"
	lines := strings.SplitAfter(strings.TrimPrefix(want, head), "\n")
	want = "| Most used | Default | Description |\n|---|---|---|\n| `image` |  | What \\| which |\n" +
		"\n### Where\n\n" + head + lines[0] + "\n### How\n\n" + head + lines[1] + lines[2]
	if diff := cmp.Diff(want, grouped.InputTable()); diff != "" {
		t.Errorf("InputTable of groups (-want +got):\n%s", diff)
	}
	if got := renderSpec().OutputTable(); !strings.Contains(got, "| `status` | Final status |") {
		t.Errorf("OutputTable = %s", got)
	}
	if got := renderSpec().PermissionTable(); !strings.Contains(got, "| Kubernetes | `get pods` | Look |") {
		t.Errorf("PermissionTable = %s", got)
	}
}

func TestHelpShowsEveryFlag(t *testing.T) {
	t.Parallel()
	help := testSpec().Help()
	for _, d := range testSpec().Inputs {
		for _, flag := range []string{d.Name, d.Alias, d.Off} {
			if flag != "" && !strings.Contains(help, "--"+flag) {
				t.Errorf("--%s is not in the help", flag)
			}
		}
	}
	if !strings.Contains(help, "Planned: rolling") {
		t.Error("the help does not say what is planned")
	}
}
