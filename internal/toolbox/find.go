package toolbox

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Find returns a tool that is there and is what was locked. It reads every file of
// the tool. Its errors are [*ToolError].
func (b *Box) Find(ctx context.Context, name string) (Tool, error) {
	e, err := b.entry(name)
	if err != nil {
		return Tool{}, err
	}
	var t Tool
	switch {
	case e.own != nil:
		t, err = b.findOwn(e)
	case e.Kind == Go || e.Kind == NPM:
		t, err = b.findInstalled(e)
	case e.Kind == System:
		t, err = b.findSystem(ctx, e)
	default:
		err = &ToolError{Name: name, Err: ErrMissing, Why: "it can only be had from elsewhere", Hint: ownHint(name)}
	}
	if err != nil {
		return Tool{}, err
	}
	if d, ok := b.denial(t.Name, t.Version, t.SHA256); ok {
		return Tool{}, d
	}
	return t, nil
}

func ownHint(name string) string {
	return fmt.Sprintf("install %s, and name it with its sha256 in a lock file: --tools-lock=security-tools.yaml, see docs/security-tools.md", name)
}

func installHint(name string) string { return "go tool mage tools:install -names=" + name }

// denial returns the error about a denied version.
func (b *Box) denial(name, version, sum string) (error, bool) {
	i := slices.IndexFunc(b.denied, func(d Denial) bool {
		return d.Tool == name && (d.Version == "" || d.Version == strings.TrimPrefix(version, "v")) &&
			(d.SHA256 == "" || d.SHA256 == sum)
	})
	if i < 0 {
		return nil, false
	}
	d := b.denied[i]
	return &ToolError{Name: name, Err: ErrDenied, Why: fmt.Sprintf("version %s: %s (%s)", version, d.Why, d.Source),
		Hint: "install another version of " + name + ", and change what this one could read: its tokens and keys"}, true
}

// findInstalled verifies what Install put there.
func (b *Box) findInstalled(e Entry) (Tool, error) {
	t := Tool{Name: e.Name, Version: e.Version, Kind: e.Kind}
	place := b.place(e)
	wrong := func(err error, format string, args ...any) (Tool, error) {
		return Tool{}, &ToolError{Name: e.Name, Err: err, Why: fmt.Sprintf(format, args...), Hint: installHint(e.Name)}
	}
	r, err := b.receipt(e)
	if errors.Is(err, fs.ErrNotExist) {
		return wrong(ErrMissing, "nothing is in %s", place)
	}
	if err != nil {
		return wrong(ErrChecksum, "%v", err)
	}
	if err := private(b.dir); err != nil {
		return wrong(ErrChecksum, "%v", err)
	}
	if t.SHA256, err = SumOf(place); err != nil {
		return wrong(ErrChecksum, "%v", err)
	}
	if t.SHA256 != r.SHA256 {
		return wrong(ErrChecksum, "the sha256 of %s is %s, at its installation it was %s", place, t.SHA256, r.SHA256)
	}
	if e.Kind == NPM {
		if denied, ok := b.deniedPackage(e, place); ok {
			return Tool{}, denied
		}
		return b.withNode(e, t, place)
	}
	t.Program = filepath.Join(place, e.Name)
	if err := e.verifyBuild(t.Program); err != nil {
		return wrong(ErrChecksum, "%v", err)
	}
	return t, nil
}

// withNode makes a tool of a script and a node: its own or the machine's.
func (b *Box) withNode(e Entry, t Tool, place string) (Tool, error) {
	node, own := e.ownNode(place)
	if !own {
		var err error
		if node, err = b.environ.look("node"); err != nil {
			return Tool{}, &ToolError{Name: e.Name, Err: ErrMissing, Why: "it needs node", Hint: "install Node.js 22 or later"}
		}
	}
	t.Program, t.Args, t.Reads = node, []string{filepath.Join(place, e.Script)}, []string{place}
	return t, nil
}

// ownNode returns the node that came with a tool, if one for this machine did.
func (e Entry) ownNode(place string) (path string, ok bool) {
	if e.Node == "" || runtime.GOOS != "linux" {
		return "", false
	}
	arch := strings.NewReplacer("amd64", "x64").Replace(runtime.GOARCH)
	path = filepath.Join(place, strings.ReplaceAll(e.Node, "{arch}", arch), "node")
	info, err := os.Stat(path)
	return path, err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// verifyBuild compares what the Go linker wrote into a program with the lock.
func (e Entry) verifyBuild(path string) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read how it was built: %w", err)
	}
	want := strings.TrimSuffix(e.Module+"/"+e.Package, "/.")
	if info.Path != want || info.Main.Path != e.Module {
		return fmt.Errorf("it is the program %s of %s, want %s", info.Path, info.Main.Path, want)
	}
	// A copied module has no version; its sum was compared before it was built.
	if !e.Copied && (info.Main.Version != "v"+e.Version || info.Main.Sum != e.Sum) {
		return fmt.Errorf("it was built from %s %s, want v%s %s", info.Main.Version, info.Main.Sum, e.Version, e.Sum)
	}
	return nil
}

// findSystem finds a program in the PATH. It is trusted as the machine is.
func (b *Box) findSystem(ctx context.Context, e Entry) (Tool, error) {
	path, err := b.environ.look(e.Name)
	if err != nil {
		return Tool{}, &ToolError{Name: e.Name, Err: ErrMissing, Why: "it is not in the PATH", Hint: "install " + e.Name + ", see " + e.Home}
	}
	t := Tool{Name: e.Name, Program: path, Kind: System}
	if real, err := filepath.EvalSymlinks(path); err == nil && filepath.Ext(real) == ".js" {
		// npm is a script for Node in the folder of its modules.
		if t, err = b.withNode(Entry{Name: e.Name, Script: filepath.Base(real)}, t, filepath.Dir(real)); err != nil {
			return Tool{}, err
		}
		t.Reads = []string{filepath.Dir(filepath.Dir(real))}
	}
	if e.Name == "go" {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			t.Reads = []string{filepath.Dir(filepath.Dir(real))} // GOROOT
		}
	}
	t.Version = b.versionOf(ctx, t, e.Print)
	return t, nil
}

var versions = regexp.MustCompile(`\d+\.\d+(\.\d+)?[-+.\w]*`)

// versionOf asks a tool of the system for its version; "" if it does not say.
func (b *Box) versionOf(ctx context.Context, t Tool, args []string) string {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.Program, slices.Concat(t.Args, args)...)
	cmd.Env = []string{"PATH=" + b.environ.get("PATH"), "HOME=" + os.TempDir(), "GOTOOLCHAIN=local", "NO_UPDATE_NOTIFIER=1"}
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout = &out
	if cmd.Run() != nil {
		return ""
	}
	return versions.FindString(out.String())
}

// look finds a program in the PATH of the environment.
func (e environment) look(name string) (string, error) {
	for _, dir := range filepath.SplitList(e.get("PATH")) {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if filepath.IsAbs(dir) && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fs.ErrNotExist
}

// deniedPackage returns the first denied package in a folder of npm packages.
func (b *Box) deniedPackage(e Entry, place string) (error, bool) {
	raw, err := os.ReadFile(filepath.Join(place, "package-lock.json"))
	var lock struct {
		Packages map[string]struct {
			Version string `json:"version"`
		} `json:"packages"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &lock)
	}
	if err != nil {
		return &ToolError{Name: e.Name, Err: ErrChecksum, Why: err.Error(), Hint: installHint(e.Name)}, true
	}
	for path, p := range lock.Packages {
		_, name, _ := cutLast(path, "node_modules/")
		if err, ok := b.denial("npm:"+name, p.Version, ""); ok {
			return &ToolError{Name: e.Name, Err: ErrDenied, Why: err.Error(), Hint: installHint(e.Name)}, true
		}
	}
	return nil, false
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}
