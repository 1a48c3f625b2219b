package security

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scanners"
	"github.com/candlefish/deploy-action/internal/scanner/tree"
	"github.com/candlefish/deploy-action/internal/security/scanning"
)

// There is something here for every scanner.
var somethingForAll = map[string]string{
	"package.json":      `{"name":"a","version":"1.0.0","dependencies":{"left-pad":"1.3.0"}}`,
	"package-lock.json": `{"name":"a","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"a","version":"1.0.0","dependencies":{"left-pad":"1.3.0"}},"node_modules/left-pad":{"version":"1.3.0","integrity":"sha512-XI5MPzVNApjAyhQzphX8BkmKsKUxD4LdyK24iZeQGinBN9yTQT3bFlCBy/aVx2HrNcqQGsdot8ghrjyrvMCoEA=="}}}`,
	"index.js":          "module.exports = 1\n",
	"go.mod":            "module example.com/a\n\ngo 1.24\n",
	"main.go":           "package main\n\nfunc main() {}\n",
	"Dockerfile":        "FROM scratch\nUSER 1000\n",
	"main.tf":           "terraform {}\n",

	".github/workflows/ci.yml": "on: push\npermissions: {}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: true\n",
}

// emptyReports are what the tools print if there is nothing to report: whole, well
// formed, and a lie for the plant.
var emptyReports = map[string]string{
	"gitleaks":     "[]",
	"trufflehog":   "",
	"npm-audit":    `{"auditReportVersion":2,"vulnerabilities":{},"metadata":{"vulnerabilities":{"info":0,"low":0,"moderate":0,"high":0,"critical":0,"total":0},"dependencies":{"prod":2,"dev":0,"optional":0,"peer":0,"peerOptional":0,"total":1}}}`,
	"osv-scanner":  `{"results":[],"experimental_config":{"licenses":{"summary":false,"allowlist":null}}}`,
	"snyk":         `{"ok":true,"vulnerabilities":[],"dependencyCount":1,"packageManager":"npm"}`,
	"govulncheck":  `{"config":{"protocol_version":"v1.0.0","scanner_name":"govulncheck","scanner_version":"v1.9.0","db":"https://vuln.go.dev","db_last_modified":"2026-11-29T00:00:00Z","go_version":"go1.26.0","scan_level":"symbol","scan_mode":"source"}}` + "\n" + `{"SBOM":{"go_version":"go1.26.0","modules":[{"path":"example.com/a"}],"roots":["example.com/a"]}}`,
	"trivy-fs":     `{"SchemaVersion":2,"ArtifactName":".","ArtifactType":"filesystem","Results":[]}`,
	"trivy-config": `{"SchemaVersion":2,"ArtifactName":".","ArtifactType":"filesystem","Results":[]}`,
	"trivy-image":  `{"SchemaVersion":2,"ArtifactName":"a","ArtifactType":"container_image","Results":[]}`,
	"hadolint":     "[]",
	"semgrep":      `{"version":"1.140.0","results":[],"errors":[],"paths":{"scanned":["index.js","main.go"]}}`,
	"codeql":       `{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[{"tool":{"driver":{"name":"CodeQL","rules":[]}},"results":[]}]}`,
	"eslint":       `[{"filePath":"index.js","messages":[],"suppressedMessages":[],"errorCount":0,"fatalErrorCount":0,"warningCount":0,"usedDeprecatedRules":[]}]`,
	"actionlint":   "[]",
	"zizmor":       "[]",
}

// A runner that answers every command alike.
type always struct{ ran isolate.Ran }

func (a always) Run(context.Context, isolate.Command) isolate.Ran { return a.ran }

// An installed tool, or the error of one that is not.
type anyTool struct{ err error }

func (f anyTool) Find(context.Context, string) (scanning.Tool, error) {
	return scanning.Tool{Command: []string{"/bin/tool"}, Version: "1.0.0"}, f.err
}

// Whatever a tool does instead of its work, its part of the scan is not green, and
// the verdict of a level that needs it is no pass.
func TestNoToolIsGreenByAccident(t *testing.T) {
	t.Parallel()
	exited := func(stdout string) isolate.Ran {
		return isolate.Ran{Ending: isolate.Exited, Stdout: []byte(stdout), Enforced: []string{"environment"}}
	}
	cases := map[string]func(name string) (always, anyTool){
		"crash": func(string) (always, anyTool) {
			return always{isolate.Ran{Ending: isolate.Signalled, Why: "segmentation fault"}}, anyTool{}
		},
		"exit status 137": func(string) (always, anyTool) {
			return always{isolate.Ran{Ending: isolate.Exited, Status: 137}}, anyTool{}
		},
		"hang":            func(string) (always, anyTool) { return always{isolate.Ran{Ending: isolate.TimedOut}}, anyTool{} },
		"nothing printed": func(string) (always, anyTool) { return always{exited("")}, anyTool{} },
		"a blank line":    func(string) (always, anyTool) { return always{exited("\n")}, anyTool{} },
		"not a report":    func(string) (always, anyTool) { return always{exited("OK, nothing found\n")}, anyTool{} },
		"null":            func(string) (always, anyTool) { return always{exited("null")}, anyTool{} },
		"an empty object": func(string) (always, anyTool) { return always{exited("{}")}, anyTool{} },
		"a cut report": func(name string) (always, anyTool) {
			whole := emptyReports[name]
			return always{exited(whole[:len(whole)/2])}, anyTool{}
		},
		"a lie":         func(name string) (always, anyTool) { return always{exited(emptyReports[name])}, anyTool{} },
		"not installed": func(string) (always, anyTool) { return always{}, anyTool{errors.New("it is not installed")} },
		"wrong checksum": func(string) (always, anyTool) {
			return always{}, anyTool{absentTool{errors.New("it is not what was locked")}}
		},
	}
	for _, one := range scanners.All() {
		p, ok := one.(scanner.Program)
		if !ok {
			continue
		}
		name := p.About().Name
		if _, ok := emptyReports[name]; !ok {
			t.Errorf("%s: there is no empty report to lie with", name)
			continue
		}
		for what, bad := range cases {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				runner, finder := bad(name)
				seen := scanWith(t, p, runner, finder)
				if h := seen.Tool.Health; h == verdict.Healthy || h == verdict.NotApplicable || h == verdict.LeftOut {
					t.Errorf("health %q (%s), found %d", h, seen.Tool.Why, seen.Tool.Found)
				}
				if v := verdictWith(seen); v != verdict.Inconclusive {
					t.Errorf("verdict %q", v)
				}
			})
		}
	}
}

// scanWith runs one scanner over a workspace in which there is something for it.
func scanWith(t *testing.T, one scanner.Scanner, runner always, finder anyTool) scanning.Seen {
	t.Helper()
	scratch := t.TempDir()
	workspace := filepath.Join(scratch, "workspace")
	git := tree.Local("git")
	files, span, err := tree.Lay(t.Context(), git, somethingForAll, true, workspace, filepath.Join(scratch, "history"))
	if err != nil {
		t.Fatal(err)
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		t.Fatal(err)
	}
	job := scanner.Job{
		Workspace: workspace, Scratch: scratch, Cache: t.TempDir(), Tree: files, Range: span, Images: []string{"registry.example/a:1"},
		Deep: true, Hash: finding.NewHasher(key), Now: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), Settings: map[string]string{}, Rules: workspace,
	}
	s := scanning.Scan{
		Scanners: []scanner.Scanner{one}, Excluded: func(string) string { return "" }, Finder: finder, Job: job,
		Sandbox: func(string) scanning.Runner { return runner }, Plant: scanning.Planter(git),
		Getenv: func(string) string { return "a-token" }, Timeout: time.Minute, Now: func() time.Time { return job.Now },
		Progress: func(verdict.Tool) {}, After: time.After, Waiting: func([]scanning.Running) {}, Clean: strings.TrimSpace,
	}
	return s.Run(t.Context())[0]
}

// verdictWith is the verdict of a deep scan in which all else is well, and nothing
// but this tool can meet its needs.
func verdictWith(seen scanning.Seen) verdict.Verdict {
	needs := []verdict.Need{{What: "what this tool sees", Tools: []string{seen.Tool.Name}}}
	var tools []verdict.Tool
	for _, n := range verdict.NeedsOf(verdict.Deep) {
		for _, name := range n.Tools {
			if name != seen.Tool.Name && !slices.ContainsFunc(tools, func(t verdict.Tool) bool { return t.Name == name }) {
				tools = append(tools, verdict.Tool{Name: name, Health: verdict.Healthy})
			}
		}
	}
	policy, err := verdict.NewPolicy("", nil)
	if err != nil {
		panic(err)
	}
	r := verdict.Judge(verdict.Input{
		Level: verdict.Deep, Policy: policy, Findings: finding.Merge(seen.Sightings), Tools: append(tools, seen.Tool),
		Needs: append(needs, verdict.NeedsOf(verdict.Deep)...), Place: verdict.Place{Files: 8, Commits: 1},
	})
	return r.Verdict
}
