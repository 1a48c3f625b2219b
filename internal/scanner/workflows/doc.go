// Package workflows has the scanners of GitHub workflows: actionlint, zizmor, and a
// few rules of our own, so that the most dangerous ones are found wherever neither
// tool knows them or is installed.
package workflows

import (
	"path"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/scanner"
)

// files are the workflows of a repository.
func files(tree scanner.Tree) []string {
	var found []string
	for _, f := range tree.Files {
		if path.Dir(f) == ".github/workflows" && yaml(f) {
			found = append(found, f)
		}
	}
	return found
}

// actions are the definitions of actions of a repository.
func actions(tree scanner.Tree) []string {
	var found []string
	for _, f := range tree.Files {
		if slices.Contains([]string{"action.yml", "action.yaml"}, path.Base(f)) && !strings.Contains(f, "node_modules/") {
			found = append(found, f)
		}
	}
	return found
}

func yaml(name string) bool {
	return strings.HasSuffix(name, ".yml") || strings.HasSuffix(name, ".yaml")
}

// plantedPath is where the planted workflow is.
const plantedPath = ".github/workflows/planted.yml"

// planted is a workflow with problems that each scanner here must find: the title
// of a pull request in a script, and the code of a pull request with the
// repository's secrets.
const planted = `on: pull_request_target
permissions: write-all
jobs:
  planted:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          ref: ${{ github.event.pull_request.head.sha }}
      - run: echo "${{ github.event.pull_request.title }}"
`
