package workflows

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rhysd/actionlint"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/place"
)

// Rules are a few rules of our own for workflows, of the kind that has led to real
// theft: code of a pull request run with the repository's secrets, actions that
// somebody else can change, tokens that may do everything, secrets for code that was
// not reviewed. Untrusted text in scripts is left to actionlint and zizmor, which know
// all of it. Their source is GitHub's hardening guide,
// https://docs.github.com/en/actions/reference/security/secure-use.
type Rules struct{}

// About implements scanner.Scanner.
func (Rules) About() scanner.About {
	return scanner.About{
		Name: "workflow-rules", Class: finding.ClassWorkflow,
		Does: "dangerous triggers, permissions and actions in GitHub workflows", Time: time.Minute,
	}
}

// Applies implements scanner.Scanner.
func (Rules) Applies(job scanner.Job) (bool, string) { return Actionlint{}.Applies(job) }

// Plant implements scanner.Scanner.
func (Rules) Plant() scanner.Plant {
	return scanner.Plant{
		Files: map[string]string{plantedPath: planted},
		Found: func(s finding.Sighting) bool {
			return s.Rule == "pull-request-code" && s.Location.Path == plantedPath
		},
	}
}

// largest is the size of a workflow that is read. GitHub's own limit is 1 MB.
const largest = 1 << 20

// Scan implements scanner.Check.
func (Rules) Scan(ctx context.Context, job scanner.Job) (scanner.Report, error) {
	root, err := os.OpenRoot(job.Workspace)
	if err != nil {
		return scanner.Report{}, err
	}
	defer func() { _ = root.Close() }()
	names := files(job.Tree)
	report := scanner.Report{Coverage: verdict.Unknown()}
	report.Coverage.FilesExpected, report.Coverage.Files = len(names), 0
	var broken []string
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return scanner.Report{}, err
		}
		text, err := root.ReadFile(filepath.FromSlash(name))
		if err != nil || len(text) > largest {
			broken = append(broken, name)
			continue
		}
		found, err := check(name, text)
		if err != nil {
			broken = append(broken, fmt.Sprintf("%s (%v)", name, err))
			continue
		}
		report.Coverage.Files++
		report.Sightings = append(report.Sightings, found...)
	}
	place.Lines(job.Workspace, report.Sightings)
	if text := output.Some("%d workflows could not be read", broken); text != "" {
		report.Doubts = []string{text}
	}
	return report, nil
}

// check returns what is dangerous in a workflow. The error is of one that GitHub
// could not run either.
func check(name string, text []byte) ([]finding.Sighting, error) {
	workflow, problems := actionlint.Parse(text)
	if workflow == nil {
		if len(problems) > 0 {
			return nil, fmt.Errorf("line %d: %s", problems[0].Line, output.Cut(problems[0].Message, 80))
		}
		return nil, errors.New("it is empty")
	}
	c := checker{path: name, events: map[string]bool{}}
	for _, e := range workflow.On {
		c.events[strings.ToLower(e.EventName())] = true
	}
	c.permissions(workflow.Permissions)
	ids := make([]string, 0, len(workflow.Jobs))
	for id := range workflow.Jobs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		c.job(workflow.Jobs[id])
	}
	return c.found, nil
}

type checker struct {
	path   string
	events map[string]bool
	found  []finding.Sighting
}

// privileged reports whether others start the workflow with their own code or text
// while it has the repository's secrets.
func (c *checker) privileged() bool {
	return c.events["pull_request_target"] || c.events["workflow_run"]
}

func (c *checker) job(j *actionlint.Job) {
	if j == nil {
		return
	}
	c.permissions(j.Permissions)
	c.selfHosted(j)
	if call := j.WorkflowCall; call != nil && call.Uses != nil {
		c.pinned(call.Uses)
		if call.InheritSecrets && !strings.HasPrefix(call.Uses.Value, "./") {
			c.add("inherited-secrets", call.Uses.Pos, "All secrets are given to another repository's workflow "+call.Uses.Value+".")
		}
	}
	for _, s := range j.Steps {
		if s == nil {
			continue
		}
		if e, ok := s.Exec.(*actionlint.ExecAction); ok {
			c.action(e)
		}
	}
}

// permissions refuses write-all. GitHub's guide: grant the least that is required.
func (c *checker) permissions(p *actionlint.Permissions) {
	if p != nil && p.All != nil && p.All.Value == "write-all" {
		c.add("write-all", p.All.Pos, "The token of this workflow may write everything in the repository: name the permissions that it needs.")
	}
}

func (c *checker) selfHosted(j *actionlint.Job) {
	if j.RunsOn == nil || !c.events["pull_request_target"] && !c.events["pull_request"] {
		return
	}
	for _, l := range j.RunsOn.Labels {
		if l != nil && strings.EqualFold(l.Value, "self-hosted") {
			c.add("self-hosted-pull-request", l.Pos, "Code of pull requests runs on a machine of your own, and what it leaves there stays.")
		}
	}
}

func (c *checker) action(e *actionlint.ExecAction) {
	if e.Uses == nil {
		return
	}
	c.pinned(e.Uses)
	if name, _, _ := strings.Cut(strings.ToLower(e.Uses.Value), "@"); name != "actions/checkout" || !c.privileged() {
		return
	}
	for _, input := range []string{"ref", "repository"} {
		if v := e.Inputs[input]; v != nil && v.Value != nil && foreign.MatchString(v.Value.Value) {
			c.add("pull-request-code", v.Value.Pos, "The code of a pull request is checked out where the workflow has the repository's secrets and a token that can write. Whatever runs of it, a test or an install script, can take them.")
			return
		}
	}
}

// foreign are expressions for the code of a pull request.
var foreign = regexp.MustCompile(`(?i)github\.head_ref|github\.event\.(pull_request\.(head\.|merge_commit_sha|number)|workflow_run\.(head_|pull_requests)|number)|refs/pull/`)

var hash = regexp.MustCompile(`^[0-9a-f]{40}$|^[0-9a-f]{64}$`)

// pinned refuses actions of others that are named by a tag or a branch: whoever can
// move it runs code in this workflow. Actions of GitHub itself are low, as GitHub
// runs the workflow anyway.
func (c *checker) pinned(uses *actionlint.String) {
	name, ref, _ := strings.Cut(uses.Value, "@")
	switch {
	case strings.HasPrefix(name, "./"), strings.Contains(uses.Value, "${{"), hash.MatchString(ref):
	case strings.HasPrefix(name, "docker://"):
		if !strings.HasPrefix(ref, "sha256:") {
			c.add("unpinned-action", uses.Pos, "The image "+uses.Value+" is named by a tag, and can become another one: name its digest.")
		}
	case strings.HasPrefix(name, "actions/"), strings.HasPrefix(name, "github/"):
		c.add("unpinned-github-action", uses.Pos, "The action "+uses.Value+" of GitHub is named by a tag or a branch: name its commit.")
	default:
		c.add("unpinned-action", uses.Pos, "The action "+uses.Value+" is named by a tag or a branch, and whoever can move that runs code in this workflow: name its commit.")
	}
}

func (c *checker) add(rule string, at *actionlint.Pos, message string) {
	r := ruleTable[rule]
	s := finding.Sighting{
		Tool: "workflow-rules", Rule: rule, Class: finding.ClassWorkflow, Title: r.title, Message: message,
		Help: "https://docs.github.com/en/actions/reference/security/secure-use", CWE: []string{r.cwe},
		Rating: finding.Rating{Word: r.severity}, Location: finding.Location{Path: c.path},
	}
	if at != nil {
		s.Location.Line, s.Location.Column = at.Line, at.Col
	}
	c.found = append(c.found, s)
}

// ruleTable has the severity of each rule. Critical is what anyone on the internet
// can use against the repository with one pull request. Medium needs a mistake or a
// theft somewhere else first. Low is a habit that helps against few.
var ruleTable = map[string]struct{ severity, cwe, title string }{
	"pull-request-code":        {"critical", "CWE-829", "Code of a pull request runs with the repository's secrets"},
	"unpinned-action":          {"medium", "CWE-1357", "An action of others can change without a commit here"},
	"unpinned-github-action":   {"low", "CWE-1357", "An action of GitHub is not pinned to a commit"},
	"write-all":                {"medium", "CWE-732", "A workflow's token may write everything"},
	"inherited-secrets":        {"medium", "CWE-668", "All secrets are given to another workflow"},
	"self-hosted-pull-request": {"medium", "CWE-829", "Pull requests run on a machine of your own"},
}
