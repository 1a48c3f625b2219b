package repotest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
)

// examples returns the example workflows as blocks.
func examples(t *testing.T) []block {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "examples/*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	return readAll(t, files)
}

// Every workflow that the documents show, every example and every one of this
// repository passes actionlint, which also compares the inputs given to this action and the
// outputs taken from it with action.yml.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	project := t.TempDir()
	workflows := filepath.Join(project, ".github", "workflows")
	for _, dir := range []string{filepath.Join(project, ".git"), workflows} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	copyActions(t, project)
	var files []string
	for _, b := range append(blocks(t), examples(t)...) {
		if b.lang == "yaml" && strings.Contains(b.text, "uses:") {
			file := filepath.Join(workflows, fmt.Sprintf("shown-%d.yml", len(files)))
			if err := os.WriteFile(file, []byte(ofThisCommit(whole(b.text))), 0o666); err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	for _, w := range ownWorkflows(t) {
		copied := filepath.Join(workflows, filepath.Base(w.file))
		if err := os.WriteFile(copied, []byte(ofThisCommit(w.text)), 0o666); err != nil {
			t.Fatal(err)
		}
		files = append(files, copied)
	}
	if len(files) < 2 {
		t.Fatalf("%d workflows, want the README's and CI's at least", len(files))
	}
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{WorkingDir: project})
	if err != nil {
		t.Fatal(err)
	}
	found, err := linter.LintFiles(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("%v", f)
	}
}

// copyActions copies what actionlint reads of the actions into a project.
func copyActions(t *testing.T, project string) {
	t.Helper()
	copyFile(t, filepath.Join(root, "action.yml"), filepath.Join(project, "action.yml"))
	copyFile(t, filepath.Join(root, "Dockerfile"), filepath.Join(project, "Dockerfile"))
	for _, name := range []string{"actions/pr-preview", "actions/pr-preview-browser", "actions/perf-gate", "actions/security-gate"} {
		dir := filepath.Join(project, name)
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(root, name, "action.yml"))
		if err != nil {
			t.Fatal(err)
		}
		// The runner takes a Dockerfile.NAME too (IsDockerfile in its DockerUtil.cs),
		// actionlint does not.
		text = regexp.MustCompile(`Dockerfile\.[a-z]+`).ReplaceAll(text, []byte("Dockerfile"))
		if err := os.WriteFile(filepath.Join(dir, "action.yml"), text, 0o666); err != nil {
			t.Fatal(err)
		}
		// Its entrypoint is in the image; actionlint looks for it beside the file.
		for _, program := range []string{"pr-preview", "perf-gate", "security-gate"} {
			if err := os.WriteFile(filepath.Join(dir, program), nil, 0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// whole completes a workflow of which only steps are shown.
func whole(text string) string {
	if strings.Contains(text, "jobs:") {
		return text
	}
	return "on: workflow_dispatch\npermissions: {}\njobs:\n  shown:\n    runs-on: ubuntu-latest\n    steps:\n" + text
}

// ofThisCommit puts the actions and workflows of this commit in place of the released ones.
func ofThisCommit(text string) string {
	return released.ReplaceAllString(text, "uses: ./$1")
}

// released matches the use of a released action or workflow of this repository.
var released = regexp.MustCompile(`uses: candlefish/deploy-action/?(\S*)@v1\b`)

// ownWorkflows returns the workflows of this repository as blocks.
func ownWorkflows(t *testing.T) []block {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d workflows, %v", len(files), err)
	}
	return readAll(t, files)
}

func readAll(t *testing.T, files []string) (found []block) {
	t.Helper()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, block{file, "yaml", string(text)})
	}
	return found
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o666); err != nil {
		t.Fatal(err)
	}
}

var (
	usesLine = regexp.MustCompile(`(?m)^\s*(?:- )?uses: (\S+)`)
	pinned   = regexp.MustCompile(`@[0-9a-f]{40}$`)
	baseLine = regexp.MustCompile(`(?m)^ARG \w+=(\S+)`)
)

// What the project itself runs is named by its content: actions by commit, the
// base image by digest.
func TestActionsAndImagesArePinned(t *testing.T) {
	t.Parallel()
	for _, w := range ownWorkflows(t) {
		for _, m := range usesLine.FindAllStringSubmatch(w.text, -1) {
			// A shared workflow cannot know its own commit: the caller's tag stands for both.
			if !strings.HasPrefix(m[1], "./") && !pinned.MatchString(m[1]) && !released.MatchString("uses: "+m[1]) {
				t.Errorf("%s uses %s, which is no commit", w.file, m[1])
			}
		}
	}
	images := map[string]string{} // by repository
	for _, name := range []string{"Dockerfile", "Dockerfile.browser", "Dockerfile.security"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range baseLine.FindAllStringSubmatch(string(text), -1) {
			repository, digest, _ := strings.Cut(m[1], "@sha256:")
			if other, seen := images[repository]; len(digest) != 64 || seen && other != digest {
				t.Errorf("%s: the base image is %q, want one digest everywhere", name, m[1])
			}
			images[repository] = digest
		}
	}
	if len(images) != 2 {
		t.Errorf("base images: %q, want one with Go and one with Node.js", images)
	}
}
