package repotest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/candlefish/deploy-action/"

type pkg struct {
	ImportPath string
	Name       string
	Doc        string
	GoFiles    []string
	Imports    []string
	Standard   bool
	Module     *struct{ Path string }
}

// path is the package's path below the module.
func (p pkg) path() string { return strings.TrimPrefix(p.ImportPath, module) }

// packages lists the module's own packages and all they depend on.
var packages = sync.OnceValues(func() (map[string]pkg, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Name,Doc,GoFiles,Imports,Standard,Module", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	pkgs := map[string]pkg{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return pkgs, nil
		}
		if err != nil {
			return nil, err
		}
		pkgs[p.ImportPath] = p
	}
})

func own(t *testing.T) []pkg {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var mine []pkg
	for _, p := range all {
		if strings.HasPrefix(p.ImportPath, module) {
			mine = append(mine, p)
		}
	}
	slices.SortFunc(mine, func(a, b pkg) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	if len(mine) == 0 {
		t.Fatal("go list names no package of the module")
	}
	return mine
}

// The layers of the module. A package that is in none fails the test: whoever
// adds one says here where it belongs.
var (
	domain   = []string{"internal/rollout", "internal/release", "internal/analysis", "internal/stat", "internal/report", "internal/exit", "internal/jsonpatch", "internal/finding", "internal/measure"}
	adapters = []string{"internal/aws", "internal/browser", "internal/check", "internal/console", "internal/github", "internal/kube", "internal/meter", "internal/netlify", "internal/probe", "internal/registry", "internal/notify", "internal/router", "internal/sarif", "internal/scanner", "internal/smoke", "internal/source", "internal/traffic"}
	support  = []string{"internal/access", "internal/files", "internal/gitops", "internal/isolate", "internal/jsonkeys", "internal/jsonrecord", "internal/manifest", "internal/redact", "internal/sitemap", "internal/tail", "internal/toolbox"}
	loaders  = []string{"internal/judgefile"} // what joins a family of adapters for the use cases
	useCases = []string{"internal/deploy", "internal/perf", "internal/preview", "internal/replay", "internal/security"}
	edge     = []string{"internal/action", "internal/input"}
	devtools = []string{"internal/devtools"}

	// parts are what a use case joins.
	parts = slices.Concat(domain, adapters, support, loaders, edge)
	// deployParts are the packages of a deploy, from the lowest to the highest:
	// each may import those before it.
	deployParts = []string{"internal/deploy/judging", "internal/deploy/inputs", "internal/deploy/view", "internal/deploy/applying", "internal/deploy/engine"}
)

// rules say what a layer may import of this module. A package may always import
// what is below its own folder. The first rule that names a package counts.
var rules = []struct {
	who []string
	may []string
}{
	{[]string{"internal/analysis/recording"}, slices.Concat(domain, []string{"internal/redact"})},
	{[]string{"internal/finding/baseline", "internal/finding/waiver", "internal/measure/history"}, slices.Concat(domain, []string{"internal/jsonkeys"})}, // they read what others wrote
	{domain, domain},
	{loaders, []string{"internal/analysis", "internal/check", "internal/source"}},
	{[]string{"internal/isolate", "internal/toolbox"}, support},
	{support, nil},
	{[]string{"internal/kube"}, slices.Concat(domain, support, []string{"internal/router", "internal/source"})},
	{[]string{"internal/source/cloudwatch"}, slices.Concat(domain, support, []string{"internal/aws", "internal/source"})},
	{[]string{"internal/traffic"}, slices.Concat(domain, support, []string{"internal/probe", "internal/source"})},
	{[]string{"internal/smoke"}, slices.Concat(domain, support, []string{"internal/probe/expect"})}, // one language for what is expected
	{[]string{"internal/scanner"}, slices.Concat(domain, support, []string{"internal/sarif"})},      // many tools report in SARIF
	{[]string{"internal/meter/servertime"}, slices.Concat(domain, support, []string{"internal/meter", "internal/source/prometheus/client"})},
	{adapters, slices.Concat(domain, support)},
	{[]string{"internal/input"}, slices.Concat(support, []string{"internal/exit"})},
	{[]string{"internal/action"}, slices.Concat(support, []string{"internal/exit", "internal/input"})},
	{[]string{"internal/deploy/connecting"}, parts},
	{deployParts[:1], parts},
	{deployParts[1:2], slices.Concat(parts, deployParts[:1])},
	{deployParts[2:3], slices.Concat(parts, deployParts[:2])},
	{deployParts[3:4], slices.Concat(parts, deployParts[:3])},
	{deployParts[4:5], slices.Concat(parts, deployParts[:4])},
	{[]string{"internal/deploy/steering", "internal/deploy/detaching", "internal/deploy/forge"}, slices.Concat(parts, deployParts)},
	{[]string{"internal/deploy/fleet"}, slices.Concat(parts, deployParts, []string{"internal/deploy/connecting", "internal/deploy/forge", "internal/deploy/steering"})},
	{useCases, parts},
	{[]string{"internal/devtools/build/targets", "internal/devtools/perflocal", "internal/devtools/previewlocal"}, slices.Concat(devtools, useCases, domain, adapters, support, loaders, edge)},
	{[]string{"internal/devtools/localdeploy"}, slices.Concat(domain, useCases, adapters, support, edge, []string{"internal/devtools/sandbox"})},
	{[]string{"internal/devtools/gobuild"}, []string{"internal/tail"}},
	{[]string{"internal/devtools/sandbox"}, []string{"internal/devtools/gobuild", "internal/tail"}},
	{[]string{"internal/devtools/build"}, slices.Concat(domain, useCases, support, loaders, edge, []string{"internal/check", "internal/devtools/sandbox", "internal/devtools/gobuild"})},
	{[]string{"internal/devtools/bench/perfbench"}, slices.Concat(domain, adapters, support, edge, devtools, []string{"internal/perf/record"})},
	{[]string{"internal/devtools/bench/securitybench/repositories"}, slices.Concat(domain, adapters, []string{"internal/isolate", "internal/toolbox", "internal/security/record"})},
	{[]string{"internal/devtools/bench/perfbench"}, slices.Concat(domain, adapters, support, []string{"internal/devtools/perfsite"})},
	{[]string{"internal/devtools/bench"}, slices.Concat(domain, adapters, []string{"internal/devtools/multitool", "internal/devtools/sandbox"})},
	{[]string{"internal/devtools/multitool", "internal/devtools/perfsite"}, nil},
	{[]string{"internal/devtools/gatetest"}, []string{"internal/action/actiontest", "internal/github/githubtest", "internal/notify/slack/slacktest"}},
	{[]string{"internal/devtools/figures"}, slices.Concat(support, []string{"internal/exit"})},
	{[]string{"internal/devtools/repotest"}, []string{"internal/devtools/build", "internal/devtools/figures"}},
	{[]string{"actions"}, slices.Concat(useCases, edge)},
}

func TestImportDirection(t *testing.T) {
	t.Parallel()
	for _, p := range own(t) {
		i := slices.IndexFunc(rules, func(r struct{ who, may []string }) bool { return within(p.path(), r.who) })
		if i < 0 {
			t.Errorf("%s is in no layer", p.path())
			continue
		}
		for _, imp := range p.Imports {
			imp, ours := strings.CutPrefix(imp, module)
			if ours && !within(imp, rules[i].may) && !sameFolder(p.path(), imp, rules[i].who) {
				t.Errorf("%s imports %s", p.path(), imp)
			}
		}
	}
}

// within reports whether path is one of the folders or below one.
func within(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
}

// sameFolder reports whether both are in the same one of the folders.
func sameFolder(a, b string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool {
		return within(a, []string{f}) && within(b, []string{f})
	})
}

// fences say which packages may import an outside module. A module that is not
// here belongs to nobody yet.
var fences = map[string][]string{
	"github.com/HdrHistogram/hdrhistogram-go":             {"internal/probe"},
	"github.com/aws/aws-sdk-go-v2":                        {"internal/aws", "internal/source/cloudwatch"},
	"github.com/aws/aws-sdk-go-v2/config":                 {"internal/aws"},
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch":     {"internal/source/cloudwatch"},
	"github.com/aws/aws-sdk-go-v2/service/apigateway":     {"internal/aws"},
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2":   {"internal/aws"},
	"github.com/aws/aws-sdk-go-v2/service/cloudformation": {"internal/aws"},
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs": {"internal/aws"},
	"github.com/aws/aws-sdk-go-v2/service/dynamodb":       {"internal/aws"},
	"github.com/aws/aws-sdk-go-v2/service/eks":            {"internal/aws"},
	"github.com/aws/aws-sdk-go-v2/service/iam":            {"internal/aws"},
	"github.com/aws/aws-sdk-go-v2/service/lambda":         {"internal/aws"},
	"github.com/aws/aws-sdk-go-v2/service/s3":             {"internal/aws"},
	"github.com/aws/aws-sdk-go-v2/service/sts":            {"internal/aws"},
	"github.com/aws/smithy-go":                            {"internal/aws"},
	"go.yaml.in/yaml/v3":                                  {"internal/aws", "internal/finding/waiver", "internal/gitops", "internal/judgefile", "internal/manifest", "internal/measure/budget/budgetfile", "internal/smoke", "internal/deploy/inputs/members", "internal/toolbox", "internal/scanner/dependencies/inventory", "internal/meter/journey", "internal/meter/servertime"}, // a format: of templates, whose tags sigs.k8s.io/yaml loses; of files whose nodes have lines
	"github.com/bmatcuk/doublestar/v4":                    {"internal/finding/waiver", "internal/meter/bundle"},                                                                                                                                                                                                                                                                      // a format: globs
	"github.com/package-url/packageurl-go":                {"internal/finding/waiver"},                                                                                                                                                                                                                                                                                               // a format: package URLs
	"github.com/andybalholm/brotli":                       {"internal/meter/bundle"},
	"github.com/BurntSushi/toml":                          {"internal/netlify"}, // a format
	"github.com/go-openapi/runtime":                       {"internal/netlify"},
	"github.com/go-openapi/strfmt":                        {"internal/netlify"},
	"github.com/netlify/open-api/v2":                      {"internal/netlify"},
	"github.com/aclements/go-moremath":                    {"internal/stat"},
	"charm.land/bubbletea/v2":                             {"internal/console"},
	"charm.land/lipgloss/v2":                              {"internal/console"},
	"github.com/google/go-github/v62":                     {"internal/github"},
	"github.com/google/go-containerregistry":              {"internal/registry", "internal/devtools/sandbox/image", "internal/devtools/sandbox/supervisor"},
	"github.com/invopop/jsonschema":                       {"internal/devtools/build"},
	"github.com/prometheus/client_model":                  {"internal/source/gateway"},
	"github.com/prometheus/common":                        {"internal/source/gateway", "internal/source/prometheus", "internal/meter/servertime"},
	"github.com/sethvargo/go-githubactions":               {"internal/action"},
	"github.com/theory/jsonpath":                          {"internal/source/httpjson", "internal/probe/expect"}, // a format
	"github.com/tsenart/vegeta/v12":                       {"internal/probe", "internal/devtools/bench/deploybench", "internal/devtools/bench/soakbench"},
	"golang.org/x/perf":                                   {"internal/devtools/bench/perfbench"},
	"golang.org/x/sync":                                   {"internal/kube"},
	"github.com/rhysd/actionlint":                         {"internal/scanner/workflows"}, // parses workflows
	"github.com/pandatix/go-cvss":                         {"internal/scanner/advisory"},
	"go.etcd.io/bbolt":                                    {"internal/scanner/scannertest/trivydb"}, // a format, for tests
	"github.com/owenrumney/go-sarif/v3":                   {"internal/sarif"},
	"github.com/slack-go/slack":                           {"internal/notify/slack"},
	"github.com/rogpeppe/go-internal":                     {"internal/devtools/gatetest"}, // scripts of whole programs
	"golang.org/x/sys":                                    {"internal/devtools/sandbox", "internal/isolate"},
	"golang.org/x/term":                                   {"internal/console"},
	"k8s.io/api":                                          {"internal/kube", "internal/perf/distributed"},
	"k8s.io/apimachinery":                                 {"internal/kube", "internal/perf/distributed"},
	"k8s.io/client-go":                                    {"internal/kube", "internal/perf/distributed"},
	"k8s.io/klog/v2":                                      {"internal/deploy/connecting"}, // to silence it
	"k8s.io/utils":                                        {"internal/kube"},
	"sigs.k8s.io/gateway-api":                             {"internal/kube"},
	"sigs.k8s.io/yaml":                                    {"internal/devtools/sandbox", "internal/kube/kubetest"}, // a format, no outside system
	"gopkg.in/evanphx/json-patch.v4":                      {"internal/kube/kubetest"},                              // a format
	"sigs.k8s.io/cli-utils":                               {"internal/kube"},
	"sigs.k8s.io/kustomize/api":                           {"internal/manifest"},
	"sigs.k8s.io/kustomize/kyaml":                         {"internal/manifest"},
	"sigs.k8s.io/structured-merge-diff/v6":                {"internal/kube"},

	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi": {"internal/aws"},
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2":   {"internal/aws"},
}

// Each outside module is imported by one package, so that its next version
// touches one folder. The load of the benches is the exception: it must not be
// the stream that it checks.
func TestVendorFences(t *testing.T) {
	t.Parallel()
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range own(t) {
		for _, imp := range p.Imports {
			dep, ok := all[imp]
			if !ok || dep.Standard || dep.Module == nil || strings.HasPrefix(imp+"/", module) {
				continue
			}
			if owners := fences[dep.Module.Path]; !within(p.path(), owners) {
				t.Errorf("%s imports %s; the module belongs to %q", p.path(), imp, owners)
			}
		}
	}
}

func TestPackageComments(t *testing.T) {
	t.Parallel()
	for _, p := range own(t) {
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "" // any comment will do
		}
		if len(p.GoFiles) > 0 && (p.Doc == "" || !strings.HasPrefix(p.Doc, want)) {
			t.Errorf("%s: the package comment is %q, want it to begin with %q", p.path(), p.Doc, want)
		}
	}
}
