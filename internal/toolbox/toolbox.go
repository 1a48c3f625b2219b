// Package toolbox knows the programs of others that the gates run: which version, where
// it comes from, and whether what is there is what was locked.
//
// The lock file of this package names those that can be built or installed from the
// registries, with their checksums; a lock file of the user adds others. A program
// is verified each time it is looked up, and versions that are known to be bad are
// refused whatever a lock file says.
package toolbox

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed tools.lock.json eslint lighthouse playwright
var files embed.FS

// A Kind is where a tool comes from.
type Kind string

// Kinds.
const (
	Go     Kind = "go"     // a program of a Go module, built here
	NPM    Kind = "npm"    // npm packages by their lock file
	System Kind = "system" // what the machine has
	Own    Kind = "own"    // only by a lock file of the user
)

// A Gate runs tools.
type Gate string

// Gates.
const (
	Security    Gate = "security"
	Performance Gate = "performance"
)

// Gates returns all gates.
func Gates() []Gate { return []Gate{Security, Performance} }

// An Entry is one tool of the lock file.
type Entry struct {
	Name    string `json:"name"`
	Version string `json:"version"` // "" for any
	Gates   []Gate `json:"gates"`   // that run it
	Default bool   `json:"default"` // the gate needs it unless it is told otherwise
	Kind    Kind   `json:"kind"`
	// Module, Package below it, and the checksum that the Go checksum database has.
	Module  string `json:"module"`
	Package string `json:"package"`
	Sum     string `json:"sum"`
	// Copied modules are built from a copy of their files. "go install" refuses those
	// with replace directives, and needs the list of a module's versions, which not
	// every proxy has.
	Copied     bool   `json:"copied"`
	Experiment string `json:"experiment"` // GOEXPERIMENT
	LDFlags    string `json:"ldflags"`
	Folder     string `json:"folder"` // with package.json and package-lock.json
	Script     string `json:"script"` // what Node runs
	// Node is a folder with a node of its own below the installed one, for tools that
	// need a newer one than machines have; where it is not, on other systems, the
	// machine's runs the script. {arch} stands for the architecture as npm names it.
	Node    string   `json:"node"`
	Print   []string `json:"print"` // arguments that print the version
	Licence string   `json:"licence"`
	Home    string   `json:"home"`

	own *ownTool
}

// A Denial is a version that must not run.
type Denial struct {
	Tool    string `json:"tool"`
	Version string `json:"version"` // without a leading v; "" for all
	SHA256  string `json:"sha256"`  // of the file; "" for any
	Why     string `json:"why"`
	Source  string `json:"source"`
}

// A Tool is a verified program.
type Tool struct {
	Name    string
	Version string
	Program string   // absolute
	Args    []string // before all others: the script, if Program is Node
	Reads   []string // folders that it needs beside Program
	SHA256  string   // of the file or the folder; "" for tools of the system
	Kind    Kind
}

// What is wrong with a tool. Errors of Find wrap one of these and are a *ToolError.
var (
	ErrMissing  = errors.New("it is not installed")
	ErrChecksum = errors.New("it is not what was locked")
	ErrDenied   = errors.New("its version is denied")
	ErrUnknown  = errors.New("no lock file has such a tool")
)

// A ToolError says which tool cannot be used and what to do about it.
type ToolError struct {
	Name string
	Err  error  // one of those above
	Why  string // what was observed
	Hint string // what to type
}

// Error implements error.
func (e *ToolError) Error() string {
	text := e.Name + ": " + e.Err.Error()
	if e.Why != "" {
		text += ": " + e.Why
	}
	return text
}

// Unwrap returns which kind of error it is.
func (e *ToolError) Unwrap() error { return e.Err }

// A Box is a folder of tools.
type Box struct {
	dir     string
	environ environment
	entries []Entry
	denied  []Denial
}

// Dir is the folder of the tools unless another one is named: in the user's cache.
func Dir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the folder of the tools: %w", err)
	}
	return filepath.Join(cache, "candlefish-deploy-action", "tools"), nil
}

// Open returns the tools in dir, "" for [Dir]. own is the path of a lock file of the
// user, "" for none. environ is the environment of this process: its PATH finds the
// tools of the system, and installations use its proxies and caches.
func Open(dir, own string, environ []string) (*Box, error) {
	b := &Box{dir: dir, environ: environ}
	if dir == "" {
		var err error
		if b.dir, err = Dir(); err != nil {
			return nil, err
		}
	}
	var err error
	if b.dir, err = filepath.Abs(b.dir); err != nil {
		return nil, err
	}
	if b.entries, b.denied, err = readLock(); err != nil {
		return nil, err
	}
	if own != "" {
		return b, b.addOwn(own)
	}
	return b, nil
}

// readLock reads the embedded lock file.
func readLock() ([]Entry, []Denial, error) {
	raw, err := files.ReadFile("tools.lock.json")
	if err != nil {
		return nil, nil, err
	}
	var lock struct {
		Tools  []Entry  `json:"tools"`
		Denied []Denial `json:"denied"`
	}
	if err := json.Unmarshal(raw, &lock); err != nil {
		return nil, nil, fmt.Errorf("read tools.lock.json: %w", err)
	}
	return lock.Tools, lock.Denied, nil
}

// Entries are the tools of the lock files, by name.
func (b *Box) Entries() []Entry {
	all := slices.Clone(b.entries)
	slices.SortFunc(all, func(x, y Entry) int { return strings.Compare(x.Name, y.Name) })
	return all
}

// Denied are the versions that must not run.
func (b *Box) Denied() []Denial { return slices.Clone(b.denied) }

func (b *Box) entry(name string) (Entry, error) {
	i := slices.IndexFunc(b.entries, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, &ToolError{Name: name, Err: ErrUnknown}
	}
	return b.entries[i], nil
}

// An environment is as of os.Environ.
type environment []string

func (e environment) get(name string) string {
	for _, kv := range slices.Backward(e) {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}
