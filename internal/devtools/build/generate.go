package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/candlefish/deploy-action/internal/deploy"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/perf"
	"github.com/candlefish/deploy-action/internal/preview"
	"github.com/candlefish/deploy-action/internal/security"
)

// A section is a part of a file that is made from the code. It stands between a
// line with "generated:NAME" and the next one with "end:NAME"; without a name it
// is the whole file.
type section struct {
	file string // below the repository's root
	name string
	text string
}

func sections() []section {
	spec, previews, gate, speed := deploy.Spec(), preview.Spec(), security.Spec(), perf.Spec()
	return []section{
		{"action.yml", "action", spec.ActionYAML()},
		{"README.md", "inputs", spec.InputTable()},
		{"README.md", "outputs", spec.OutputTable()},
		{"README.md", "permissions", spec.PermissionTable()},
		{"README.md", "exit", exitTable()},
		{"docs/releases.md", "commands", commandTable()},
		{"examples/service-account.yaml", "", serviceAccount()},
		{"actions/deploy/action.yml", "action", spec.ActionYAML()},
		{"actions/deploy/README.md", "inputs", spec.InputTable()},
		{"actions/deploy/README.md", "outputs", spec.OutputTable()},
		{"actions/pr-preview/action.yml", "action", previews.ActionYAML()},
		{"actions/pr-preview/README.md", "inputs", previews.InputTable()},
		{"actions/pr-preview/README.md", "outputs", previews.OutputTable()},
		{"actions/pr-preview/README.md", "permissions", previews.PermissionTable()},
		{"actions/pr-preview-browser/action.yml", "action", previews.ActionYAML()},
		{"actions/security-gate/action.yml", "action", gate.ActionYAML()},
		{"actions/security-gate/README.md", "inputs", gate.InputTable()},
		{"actions/security-gate/README.md", "outputs", gate.OutputTable()},
		{"actions/security-gate/README.md", "permissions", gate.PermissionTable()},
		{"actions/perf-gate/action.yml", "action", speed.ActionYAML()},
		{"actions/perf-gate/README.md", "inputs", speed.InputTable()},
		{"actions/perf-gate/README.md", "outputs", speed.OutputTable()},
		{"actions/perf-gate/README.md", "permissions", speed.PermissionTable()},
		{schemaFile, "", schemaJSON()},
	}
}

// Specs returns the Spec of every use case.
func Specs() []input.Spec {
	return []input.Spec{deploy.Spec(), perf.Spec(), preview.Spec(), security.Spec()}
}

// serviceAccount is the manifest of the account that a detached release runs as,
// with the names that the inputs have by default.
func serviceAccount() string {
	spec := deploy.Spec()
	byDefault := func(name string) string {
		d, ok := spec.Def(name)
		if !ok {
			panic("build: no input " + name)
		}
		return d.Default
	}
	return "# Generated. The account of a release with run-in: cluster, see docs/releases.md.\n" +
		deploy.RBAC(byDefault("namespace"), byDefault("service-account"))
}

func exitTable() string {
	var b strings.Builder
	b.WriteString("| Exit status | `status` when nothing says more | Meaning |\n|---|---|---|\n")
	for _, o := range exit.Statuses() {
		fmt.Fprintf(&b, "| %d | `%s` | %s |\n", o.Code(), o, o.Meaning())
	}
	return b.String()
}

// Generate writes the generated sections of the files below root, and the files
// that are generated as a whole.
func Generate(root string) error {
	return eachFile(root, func(path, old, fresh string) error {
		if old == fresh {
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(fresh), 0o644)
	})
}

// Stale returns the files below root whose generated sections are not what
// Generate would write.
func Stale(root string) (stale []string, err error) {
	err = eachFile(root, func(path, old, fresh string) error {
		if old != fresh {
			stale = append(stale, path)
		}
		return nil
	})
	return stale, err
}

func eachFile(root string, f func(path, old, fresh string) error) error {
	var errs []error
	byFile := map[string][]section{}
	var files []string
	for _, s := range sections() {
		if byFile[s.file] == nil {
			files = append(files, s.file)
		}
		byFile[s.file] = append(byFile[s.file], s)
	}
	for _, file := range files {
		path := filepath.Join(root, filepath.FromSlash(file))
		old, err := os.ReadFile(path)
		if whole := byFile[file][0].name == ""; err != nil && (!whole || !errors.Is(err, fs.ErrNotExist)) {
			errs = append(errs, err)
			continue
		}
		fresh := string(old)
		for _, s := range byFile[file] {
			fresh, err = s.replace(fresh)
			errs = append(errs, err)
		}
		errs = append(errs, f(path, string(old), fresh))
	}
	return errors.Join(errs...)
}

// replace puts the section's text between its marks, or in place of all.
func (s section) replace(text string) (string, error) {
	if s.name == "" {
		return s.text, nil
	}
	var b strings.Builder
	inside, found := false, false
	for line := range strings.Lines(text) {
		switch {
		case inside && strings.Contains(line, "end:"+s.name):
			inside = false
		case !inside && strings.Contains(line, "generated:"+s.name):
			b.WriteString(line + s.text)
			inside, found = true, true
			continue
		}
		if !inside {
			b.WriteString(line)
		}
	}
	if !found || inside {
		return text, fmt.Errorf("%s: the marks generated:%s and end:%s are not there", s.file, s.name, s.name)
	}
	return b.String(), nil
}
