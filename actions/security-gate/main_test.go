package main

import (
	"fmt"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/candlefish/deploy-action/internal/devtools/gatetest"
	"github.com/candlefish/deploy-action/internal/github/githubtest/codescanningtest"
	"github.com/candlefish/deploy-action/internal/github/githubtest/issuestest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"security-gate": main})
}

// Whole runs of the program in a repository of the script, against a GitHub and a
// Slack in this process. No tool is installed: what the level needs of them is missing
// or called optional. The scripts have these commands beside testscript's own and
// those of gatetest, which counts issues, open issues, uploads and alerts too:
//
//	plant KIND FILE               adds a credential to a file, that nobody ever gave out
//	mark FILE                     adds a comment to the last line that accepts its secret
//	today DAYS FILE               replaces DATE in a file by a day from today
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "../../testdata/script/security-gate", RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error { return setup(t, env) },
		Cmds:  gatetest.Commands(map[string]gatetest.Command{"plant": plant, "mark": mark, "today": today}),
	})
}

func setup(t *testing.T, env *testscript.Env) error {
	w, err := gatetest.New(t, env, "security-gate")
	if err != nil {
		return err
	}
	env.Setenv("TOOLS", "gitleaks\ntrufflehog\nactionlint\nzizmor")
	issues, alerts := issuestest.New(w.GitHub), codescanningtest.New(w.GitHub)
	w.Committed = alerts.AddCommit
	w.Texts["issues"] = func() []string { return issuesOf(w, issues) }
	w.Texts["open"] = func() []string { return openOf(issues) }
	w.Texts["uploads"] = func() []string { return uploads(alerts) }
	w.Texts["alerts"] = func() []string { return alertsOf(alerts) }
	return nil
}

// issuesOf are all issues with their comments.
func issuesOf(w *gatetest.World, issues *issuestest.Issues) []string {
	var all []string
	for _, i := range issues.All(gatetest.Repository) {
		text := i.Title + "\n" + i.Body
		for _, c := range w.GitHub.Comments(gatetest.Repository, i.Number) {
			text += "\n" + c.Body
		}
		all = append(all, text)
	}
	return all
}

func openOf(issues *issuestest.Issues) []string {
	var all []string
	for _, i := range issues.All(gatetest.Repository) {
		if i.State == "open" {
			all = append(all, i.Title+"\n"+i.Body)
		}
	}
	return all
}

func uploads(alerts *codescanningtest.Scanning) []string {
	var all []string
	for _, u := range alerts.Uploads() {
		all = append(all, fmt.Sprintf("%+v", u))
	}
	return all
}

// alertsOf are the alerts of all refs that have an upload.
func alertsOf(alerts *codescanningtest.Scanning) []string {
	var all []string
	refs := map[string]bool{}
	for _, u := range alerts.Uploads() {
		if refs[u.Ref] {
			continue
		}
		refs[u.Ref] = true
		for _, a := range alerts.Alerts(gatetest.Repository, u.Ref) {
			all = append(all, fmt.Sprintf("%s %+v", u.Ref, a))
		}
	}
	return all
}
