package secrets

import (
	"slices"
	"testing"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest"
	"github.com/candlefish/deploy-action/internal/scanner/tree"
)

// words are what stands in recordings for credentials and folders.
func words(workspace, copied string) []string {
	c := scannertest.NewCredentials(scannertest.Seed)
	return []string{
		c.GitHub, "@GitHub@", c.GitLab, "@GitLab@", c.NPM, "@NPM@", c.SendGrid, "@SendGrid@", c.Slack, "@Slack@", c.Stripe, "@Stripe@",
		workspace, "@workspace@", copied, "@commits@",
	}
}

// mode is what a command scans.
func mode(c isolate.Command) string {
	if slices.Contains(c.Args, "git") {
		return "commits"
	}
	return "files"
}

// filesOf lists the files of a workspace.
func filesOf(t *testing.T, dir string) scanner.Tree {
	t.Helper()
	r, err := tree.Open(t.Context(), tree.Local("git"), dir)
	if err != nil {
		t.Fatal(err)
	}
	files, err := r.Tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return files
}
