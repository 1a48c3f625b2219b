package members_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/inputs/members"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/rollout/fleet"
)

// files are those that the inputs of these tests name.
var files = map[string]string{
	"deployments.yaml": `
- name: web
  image: registry.example/web:2
  after: [api, worker]
  probe-paths:
    - /
    - /login 3
- name: api
  image: registry.example/api:2
  min-samples: 50
- worker
`,
	"clusters.yml": `
- staging
- - name: eu-1
    kubeconfig: eu.conf
    namespace: shop-eu
  - name: us-1
    eks-cluster: production
    aws-region: us-east-1
- [us-2]
`,
	"broken.yaml": "web: 1\n",
	"two.yaml":    "- web\n---\n- api\n",
	"torn.yml":    "- web\n---\n- {\n",
}

func readFile(path string) ([]byte, error) {
	text, ok := files[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

// parse parses inputs as a run does, without the files of this machine.
func parse(t *testing.T, args ...string) (*members.Group, error) {
	t.Helper()
	spec := inputs.Spec()
	spec.Together = nil
	v, err := spec.Parse(args, func(string) string { return "" })
	if err != nil {
		return nil, err
	}
	g, problems := members.Parse(v, readFile)
	return g, problems.Err()
}

// lines describes a group, one member a line.
func lines(g *members.Group) string {
	var b strings.Builder
	for _, m := range g.Members {
		b.WriteString(m.Name)
		for _, name := range []string{"deployment-name", "image", "namespace", "kubeconfig", "kube-context", "eks-cluster"} {
			if m.Values.IsSet(name) {
				b.WriteString(" " + name + "=" + m.Values.String(name))
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestLinesMakeAGroup(t *testing.T) {
	t.Parallel()
	g, err := parse(t, "--deployments", "# the order counts\nweb registry.example/web:2 after=api\napi probe-path=/api/health\n", "--image", "registry.example/all:2",
		"--clusters", "[staging]\n[eu-1 namespace=eu, us-1]\nap-1", "--wave-bake-time", "5m", "--on-wave-failure", "stop", "--order", "in-order")
	if err != nil {
		t.Fatal(err)
	}
	want := `staging/api deployment-name=api image=registry.example/all:2 kube-context=staging
staging/web deployment-name=web image=registry.example/web:2 kube-context=staging
eu-1/api deployment-name=api image=registry.example/all:2 namespace=eu kube-context=eu-1
eu-1/web deployment-name=web image=registry.example/web:2 namespace=eu kube-context=eu-1
us-1/api deployment-name=api image=registry.example/all:2 kube-context=us-1
us-1/web deployment-name=web image=registry.example/web:2 kube-context=us-1
ap-1/api deployment-name=api image=registry.example/all:2 kube-context=ap-1
ap-1/web deployment-name=web image=registry.example/web:2 kube-context=ap-1
`
	if diff := cmp.Diff(want, lines(g)); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	var waves []int
	var over [][]int
	for _, m := range g.Members {
		waves, over = append(waves, m.Wave), append(over, m.Over)
	}
	if diff := cmp.Diff([]int{0, 0, 1, 1, 1, 1, 2, 2}, waves); diff != "" {
		t.Errorf("waves (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]int{nil, {0}, nil, {2}, nil, {4}, nil, {6}}, over); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if g.Together || g.Bake != 5*time.Minute || g.OnFailure != fleet.Stop {
		t.Errorf("group %+v", g)
	}
	if got := g.Members[2].Values.String("probe-path"); got != "/api/health" {
		t.Errorf("probe-path of api is %q", got)
	}
}

func TestFilesMakeAGroup(t *testing.T) {
	t.Parallel()
	g, err := parse(t, "--deployments", "deployments.yaml", "--clusters", "clusters.yml", "--image", "registry.example/worker:2", "--namespace", "shop")
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Members) != 12 {
		t.Fatalf("%d members:\n%s", len(g.Members), lines(g))
	}
	want := `staging/api deployment-name=api image=registry.example/api:2 namespace=shop kube-context=staging
staging/worker deployment-name=worker image=registry.example/worker:2 namespace=shop kube-context=staging
staging/web deployment-name=web image=registry.example/web:2 namespace=shop kube-context=staging
eu-1/api deployment-name=api image=registry.example/api:2 namespace=shop-eu kubeconfig=eu.conf
`
	if got := strings.Join(strings.SplitAfter(lines(g), "\n")[:4], ""); got != want {
		t.Errorf("members (-want +got):\n%s", cmp.Diff(want, got))
	}
	web := g.Members[2].Values
	if diff := cmp.Diff([]string{"/", "/login 3"}, web.List("probe-paths")); diff != "" {
		t.Errorf("probe-paths (-want +got):\n%s", diff)
	}
	if g.Members[0].Values.Int("min-samples") != 50 || g.Members[6].Values.String("eks-cluster") != "production" || g.Members[9].Wave != 2 {
		t.Errorf("members:\n%s", lines(g))
	}
	// One Deployment on several clusters has their names.
	if g, err := parse(t, "--image", "web:2", "--clusters", "eu-1, us-1"); err != nil || g.Members[1].Name != "us-1" || g.Members[1].Wave != 0 {
		t.Errorf("%+v, %v", g, err)
	}
	if g, err := parse(t, "--image", "web:2"); g != nil || err != nil {
		t.Errorf("without either input: %+v, %v", g, err)
	}
}

// One mistake is one problem: what only follows from it is not said.
func TestOneMistakeIsOneProblem(t *testing.T) {
	t.Parallel()
	for _, test := range [][2]string{
		{"--deployments|nope.yaml", `deployments (flag --deployments): "nope.yaml": open nope.yaml: file does not exist`},
		{"--image|web:2|--clusters|nope.yml", `clusters (flag --clusters): "nope.yml": open nope.yml: file does not exist`},
		{"--deployments|broken.yaml", `deployments (flag --deployments): "broken.yaml": the file is not a list`},
		{"--image|web:2|--clusters|two.yaml", `clusters (flag --clusters): "two.yaml": the file has a second document behind ---: want one list`},
		{"--deployments|api api:2 after=api", `deployments (flag --deployments, line 1): "after=api": waits for itself; allowed: NAME [IMAGE] [after=NAME] [INPUT=VALUE ...], one a line, or a YAML file`},
	} {
		if _, err := parse(t, strings.Split(test[0], "|")...); err == nil || err.Error() != test[1] {
			t.Errorf("%s: %v\nwant %s", test[0], err, test[1])
		}
	}
}

func TestEveryMistakeIsNamed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args string // with "|" between
		want []string
	}{
		{"--deployments|web web:2 extra\nweb\nApi api:2 after=db steps=9,5,100", []string{
			`deployments (flag --deployments, line 1): "extra": is not INPUT=VALUE`, `line 2): "web": is named twice`, `line 3): "Api": is not a name`, `line 3): "after=db": is not one of them`}},
		{"--deployments|web\napi api:2 steps=9,5,100\nold old:2 colour=blue", []string{
			`deployments (member web): has no image`, `steps (member api): "9,5,100"`, `colour (member old): is not an input of deploy`}},
		{"--deployments|web web:2 after=api\napi api:2 after=web", []string{`"web, api": wait for each other`}},
		{"--deployments|web web:2 kube-context=a\napi api:2 dry-run=true", []string{`"kube-context": is an input of a cluster`, `"dry-run": is an input of the whole release`}},
		{"--image|web:2|--clusters|[eu-1\nus-1,,us-2", []string{`line 1): "[eu-1": has one bracket`, `line 2): "us-1,,us-2": has a cluster without a name`}},
		{"--image|web:2|--clusters|eu-1\neu-1", []string{`line 2): "eu-1": is named twice`}},
		{"--image|web:2|--clusters|eu-1, us-1 kube-context=eu-1", []string{`"us-1": is the same deployment as eu-1`}},
		{"--deployments|web web:2|--deployment-name|web|--kube-context|a|--clusters|eu-1", []string{"deployment-name (flag --deployment-name)", "kube-context (flag --kube-context)"}},
		{"--deployments|web web:2|--steps|25:pause,100", []string{"cannot pause without an end"}},
		{"--deployments|web web:2|--strategy|blue-green|--manual-promotion", []string{"auto-promote (flag --manual-promotion)"}},
		{"--deployments|web web:2|--keep-warm|1h", []string{"keep-warm (flag --keep-warm)"}},
		{"--deployments|web|--command|history", []string{"takes one deployment"}},
		{"--deployments|none.yaml", []string{"open none.yaml"}},
		{"--image|web:2|--deployments|two.yaml", []string{`deployments (flag --deployments): "two.yaml": the file has a second document`}},
		{"--image|web:2|--clusters|two.yaml", []string{`clusters (flag --clusters): "two.yaml": the file has a second document`}},
		{"--image|web:2|--clusters|torn.yml", []string{"the file has a second document"}},
		{"--deployments|broken.yaml", []string{"the file is not a list"}},
	} {
		_, err := parse(t, strings.Split(test.args, "|")...)
		var problems input.Problems
		if !errors.As(err, &problems) {
			t.Errorf("%s: %v", test.args, err)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the errors lack %q:\n%v", test.args, want, err)
			}
		}
	}
}
