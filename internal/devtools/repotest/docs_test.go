package repotest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"

	"github.com/candlefish/deploy-action/internal/deploy"
	"github.com/candlefish/deploy-action/internal/devtools/build"
	"github.com/candlefish/deploy-action/internal/input"
)

const root = "../../.."

func TestGeneratedFilesAreFresh(t *testing.T) {
	t.Parallel()
	stale, err := build.Stale(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(stale) > 0 {
		t.Errorf("stale: %q; run go tool mage generate", stale)
	}
}

// A block is a fenced code block of a document.
type block struct {
	file, lang, text string
}

// documents returns the paths of the documents.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "actions/*/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, files...)
	}
	return all
}

func blocks(t *testing.T) []block {
	t.Helper()
	var found []block
	for _, file := range documents(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fenced.FindAllStringSubmatch(string(text), -1) {
			found = append(found, block{file, m[1], m[2]})
		}
	}
	if len(found) == 0 {
		t.Fatal("the documents show no code")
	}
	return found
}

// examples returns the example workflows as blocks.
func examples(t *testing.T) []block {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "examples/*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	var found []block
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, block{file, "yaml", string(text)})
	}
	return found
}

var fenced = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

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
	copyFile(t, filepath.Join(root, "action.yml"), filepath.Join(project, "action.yml"))
	copyFile(t, filepath.Join(root, "Dockerfile"), filepath.Join(project, "Dockerfile"))
	if err := os.MkdirAll(filepath.Join(project, "actions", "pr-preview"), 0o777); err != nil {
		t.Fatal(err)
	}
	copyFile(t, filepath.Join(root, "actions/pr-preview/action.yml"), filepath.Join(project, "actions/pr-preview/action.yml"))
	// Its entrypoint is in the image; actionlint looks for it beside the file.
	if err := os.WriteFile(filepath.Join(project, "actions/pr-preview/pr-preview"), nil, 0o777); err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, b := range append(blocks(t), examples(t)...) {
		if b.lang == "yaml" && strings.Contains(b.text, "uses:") {
			// The action of this commit stands in for the released one.
			text := strings.NewReplacer("candlefish/deploy-action@v1", "./", "candlefish/deploy-action/actions/pr-preview@v1", "./actions/pr-preview").Replace(b.text)
			file := filepath.Join(workflows, fmt.Sprintf("shown-%d.yml", len(files)))
			if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	own, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range own {
		copied := filepath.Join(workflows, filepath.Base(file))
		copyFile(t, file, copied)
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

var mageLine = regexp.MustCompile(`(?m)^(?:[A-Z_]+=\S+ )*go tool mage (?:-h )?([a-zA-Z:]+)`)

// Every mage target that the documents show exists.
func TestShownTargetsExist(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "mage", "-l")
	cmd.Dir = root
	list, err := cmd.Output()
	if err != nil {
		t.Fatalf("go tool mage -l: %v", err)
	}
	var targets []string
	for line := range strings.Lines(string(list)) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "  ") && len(fields) > 0 {
			targets = append(targets, strings.TrimSuffix(fields[0], "*"))
		}
	}
	shown := 0
	for _, b := range blocks(t) {
		if b.lang != "sh" {
			continue
		}
		for _, m := range mageLine.FindAllStringSubmatch(b.text, -1) {
			shown++
			if !slices.Contains(targets, strings.ToLower(m[1])) {
				t.Errorf("%s shows the target %s; there are %q", b.file, m[1], targets)
			}
		}
	}
	if shown == 0 {
		t.Error("the documents show no target")
	}
}

var deployLine = regexp.MustCompile(`(?m)^go run \./actions/deploy (.+)$`)

// Every command line of the deploy that the documents show is valid.
func TestShownCommandsParse(t *testing.T) {
	t.Parallel()
	shown := 0
	for _, b := range blocks(t) {
		if b.lang != "sh" {
			continue
		}
		for _, m := range deployLine.FindAllStringSubmatch(b.text, -1) {
			shown++
			_, err := deploy.Spec().Parse(strings.Fields(m[1]), func(string) string { return "" })
			if err != nil && !errors.Is(err, input.ErrHelp) {
				t.Errorf("%s shows %s: %v", b.file, m[0], err)
			}
		}
	}
	if shown == 0 {
		t.Error("the documents show no command")
	}
}

var relativeLink = regexp.MustCompile(`\]\(([^):#]*)(?:#([^)]*))?\)`)

// Every link of a document to a file of the repository, and to a heading of it,
// leads somewhere.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, file := range documents(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range relativeLink.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
			to := file
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(file), m[1])
			}
			linked, err := os.ReadFile(to)
			if err != nil {
				t.Errorf("%s links to %s: %v", file, m[1], err)
				continue
			}
			if m[2] != "" && !slices.Contains(anchors(string(linked)), m[2]) {
				t.Errorf("%s links to %s#%s, which is no heading", file, m[1], m[2])
			}
		}
	}
}

var (
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notASlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns the anchors of a document's headings, as GitHub makes them.
func anchors(text string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		all = append(all, strings.ReplaceAll(notASlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}

var (
	usesLine = regexp.MustCompile(`(?m)^\s*(?:- )?uses: (\S+)`)
	pinned   = regexp.MustCompile(`@[0-9a-f]{40}$`)
	baseLine = regexp.MustCompile(`(?m)^ARG BUILDER=(\S+)`)
)

// What the project itself runs is named by its content: actions by commit, the
// base image by digest.
func TestActionsAndImagesArePinned(t *testing.T) {
	t.Parallel()
	workflows, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil || len(workflows) == 0 {
		t.Fatalf("%d workflows, %v", len(workflows), err)
	}
	for _, file := range workflows {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range usesLine.FindAllStringSubmatch(string(text), -1) {
			if !strings.HasPrefix(m[1], "./") && !pinned.MatchString(m[1]) {
				t.Errorf("%s uses %s, which is no commit", file, m[1])
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	if m := baseLine.FindStringSubmatch(string(text)); m == nil || !strings.Contains(m[1], "@sha256:") {
		t.Errorf("the Dockerfile's base image is %q, want a digest", m)
	}
}
