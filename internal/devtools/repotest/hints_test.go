package repotest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/magefile/mage/parse"

	"github.com/candlefish/deploy-action/internal/deploy"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/input"
)

// Every mage target that a hint of a deploy names is in the magefile, and takes
// the options as the hint writes them.
func TestHintedTargetsExist(t *testing.T) {
	t.Parallel()
	options := targetOptions(t)
	hinted := hintedCommands()
	for _, name := range hinted {
		line := view.Command(func(string) string { return "1" }, "", name, "shop", "web")
		words := strings.Fields(strings.TrimPrefix(line, "go tool mage "))
		taken, ok := options[words[0]]
		if !ok {
			t.Errorf("hint %q: the magefile has no target %s", line, words[0])
		}
		for _, word := range words[1:] {
			option, _, _ := strings.Cut(strings.TrimPrefix(word, "-"), "=")
			if !slices.Contains(taken, option) {
				t.Errorf("hint %q: the target takes %q, not %s", line, taken, option)
			}
		}
	}
	for _, name := range commandsInCode(t) {
		if !slices.Contains(hinted, name) {
			t.Errorf("the deploy hints at the command %q, which is none of %q", name, hinted)
		}
	}
}

// targetOptions returns the options of each mage target, whose name is in lower case.
func targetOptions(t *testing.T) map[string][]string {
	t.Helper()
	magefile, err := parse.PrimaryPackage("go", root, []string{"magefile.go"}, false)
	if err != nil {
		t.Fatal(err)
	}
	options := map[string][]string{} // by target
	for _, f := range magefile.Funcs {
		name := strings.ToLower(f.TargetName())
		options[name] = []string{}
		for _, arg := range f.OptionalArgs() {
			options[name] = append(options[name], arg.Name)
		}
	}
	return options
}

// hintedCommands returns the commands that a hint may name.
func hintedCommands() []string {
	spec := deploy.Spec()
	i := slices.IndexFunc(spec.Inputs, func(d input.Def) bool { return d.Name == "command" })
	return append(slices.DeleteFunc(slices.Clone(spec.Inputs[i].Allowed), func(name string) bool { return name == "deploy" }), view.Attach)
}

var hintInCode = regexp.MustCompile(`\b(?:Command|kind)\("([a-z-]+)"`)

// commandsInCode returns the commands that the code of the deploy makes hints of.
func commandsInCode(t *testing.T) (names []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, "internal/deploy"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range hintInCode.FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
		return err
	})
	if err != nil || len(names) == 0 {
		t.Fatalf("%d hints in the code, %v", len(names), err)
	}
	return names
}
