package toolbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

// An ownTool is a tool in a lock file of the user.
type ownTool struct {
	Path    string `yaml:"path"`   // of the program, absolute
	Folder  string `yaml:"folder"` // that the program lies in, if it is more than one file
	Version string `yaml:"version"`
	SHA256  string `yaml:"sha256"` // of the program, or of the folder as mage tools:sum prints it
}

var sha256s = regexp.MustCompile(`^[0-9a-f]{64}$`)

// addOwn adds the tools of a lock file of the user. It may replace any tool.
func (b *Box) addOwn(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the lock file of tools: %w", err)
	}
	var lock struct {
		Version int                `yaml:"version"`
		Tools   map[string]ownTool `yaml:"tools"`
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&lock); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the lock file %s: %w", path, err)
	}
	if lock.Version != 1 {
		return fmt.Errorf("read the lock file %s: its version is %d, want 1", path, lock.Version)
	}
	var wrong []error
	for name, tool := range lock.Tools {
		i := slices.IndexFunc(b.entries, func(e Entry) bool { return e.Name == name })
		if i < 0 {
			wrong = append(wrong, fmt.Errorf("%s: no gate runs such a tool", name))
			continue
		}
		if err := tool.check(filepath.Dir(path)); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", name, err))
		}
		b.entries[i].own, b.entries[i].Version, b.entries[i].Kind = &tool, tool.Version, Own
	}
	if err := errors.Join(wrong...); err != nil {
		return fmt.Errorf("read the lock file %s: %w", path, err)
	}
	return nil
}

// check says what is wrong with a tool of the lock file in the folder beside. Who
// changes a repository must not bring the scanner along.
func (t ownTool) check(beside string) error {
	var wrong []error
	if dir, err := filepath.Abs(beside); err == nil && filepath.IsAbs(t.Path) {
		if rel, err := filepath.Rel(dir, t.Path); err == nil && filepath.IsLocal(rel) {
			wrong = append(wrong, fmt.Errorf("path %q lies beside the lock file: a tool must not come with what it scans", t.Path))
		}
	}
	if !filepath.IsAbs(t.Path) {
		wrong = append(wrong, fmt.Errorf("path %q is not absolute", t.Path))
	}
	if t.Version == "" {
		wrong = append(wrong, errors.New("version is missing"))
	}
	if !sha256s.MatchString(t.SHA256) {
		wrong = append(wrong, fmt.Errorf("sha256 %q is not 64 hexadecimal digits", t.SHA256))
	}
	if t.Folder != "" {
		rel, err := filepath.Rel(t.Folder, t.Path)
		if err != nil || !filepath.IsAbs(t.Folder) || !filepath.IsLocal(rel) {
			wrong = append(wrong, fmt.Errorf("folder %q does not contain path %q", t.Folder, t.Path))
		}
	}
	return errors.Join(wrong...)
}

// findOwn verifies a tool of the user's lock file.
func (b *Box) findOwn(e Entry) (Tool, error) {
	t := Tool{Name: e.Name, Version: e.own.Version, Kind: Own, Program: e.own.Path}
	verified := e.own.Path
	if e.own.Folder != "" {
		verified, t.Reads = e.own.Folder, []string{e.own.Folder}
	}
	sum, err := SumOf(verified)
	if err != nil {
		return Tool{}, &ToolError{Name: e.Name, Err: ErrMissing, Why: err.Error(), Hint: ownHint(e.Name)}
	}
	if sum != e.own.SHA256 {
		return Tool{}, &ToolError{Name: e.Name, Err: ErrChecksum, Why: fmt.Sprintf("the sha256 of %s is %s, the lock file has %s", verified, sum, e.own.SHA256),
			Hint: "find out who changed it; if it was you, write the new sha256 into the lock file"}
	}
	t.SHA256 = sum
	if filepath.Ext(e.own.Path) == ".js" {
		withNode, err := b.withNode(Entry{Name: e.Name, Script: filepath.Base(e.own.Path)}, t, filepath.Dir(e.own.Path))
		withNode.Reads = append(withNode.Reads, t.Reads...)
		return withNode, err
	}
	return t, nil
}
