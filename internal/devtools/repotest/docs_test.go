package repotest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/deploy"
	"github.com/candlefish/deploy-action/internal/devtools/build"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/preview"
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
			text := regexp.MustCompile("(?m)^"+m[1]).ReplaceAllString(m[3], "")
			found = append(found, block{file, m[2], text})
		}
	}
	if len(found) == 0 {
		t.Fatal("the documents show no code")
	}
	return found
}

// fenced matches a code block, in an item of a list too: its indentation, language and text.
var fenced = regexp.MustCompile("(?ms)^( *)```([a-z]*)\n(.*?)^ *```$")

var mageLine = regexp.MustCompile(`(?m)^(?:[A-Z_]+=\S+ )*go tool mage (?:-h )?([a-zA-Z:]+)(.*)$`)

// optionWord matches an option of a target, outside the quotes of another one.
var optionWord = regexp.MustCompile(` -([a-zA-Z]+)=(?:"[^"]*"|\S+)`)

// Every mage target that the documents show exists and takes the options shown.
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
	options := targetOptions(t)
	for _, b := range blocks(t) {
		if b.lang != "sh" {
			continue
		}
		for _, m := range mageLine.FindAllStringSubmatch(b.text, -1) {
			shown++
			if !slices.Contains(targets, strings.ToLower(m[1])) {
				t.Errorf("%s shows the target %s; there are %q", b.file, m[1], targets)
			}
			for _, option := range optionWord.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(options[strings.ToLower(m[1])], option[1]) {
					t.Errorf("%s shows %q; the target takes %q", b.file, m[0], options[strings.ToLower(m[1])])
				}
			}
		}
	}
	if shown == 0 {
		t.Error("the documents show no target")
	}
}

var programLine = regexp.MustCompile(`(?m)^go run \./actions/(deploy|pr-preview) (.+)$`)

// Every command line of a program that the documents show is valid.
func TestShownCommandsParse(t *testing.T) {
	t.Parallel()
	shown := 0
	for _, b := range blocks(t) {
		if b.lang != "sh" {
			continue
		}
		for _, m := range programLine.FindAllStringSubmatch(b.text, -1) {
			shown++
			spec := deploy.Spec()
			if m[1] == "pr-preview" {
				spec = preview.Spec()
			}
			_, err := spec.Parse(strings.Fields(m[2]), func(string) string { return "" })
			if err != nil && !errors.Is(err, input.ErrHelp) {
				t.Errorf("%s shows %s: %v", b.file, m[0], err)
			}
		}
	}
	if shown == 0 {
		t.Error("the documents show no command")
	}
}

// Every shell command that the documents show is valid to a shell.
func TestShownCommandsAreShell(t *testing.T) {
	t.Parallel()
	for _, b := range blocks(t) {
		if b.lang != "sh" {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-n")
		cmd.Stdin = strings.NewReader(b.text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s\n%s", b.file, err, out, b.text)
		}
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
