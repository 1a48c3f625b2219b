package imagetest

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"unicode"
)

const builder = "builder:local"

// builderEnv is the environment of the stand-in. The modules are served from a
// folder as a proxy serves them, so the build checks them against go.sum.
var builderEnv = []string{
	"PATH=/usr/local/go/bin", "HOME=/root", "GOCACHE=/cache", "GOTOOLCHAIN=local", "GOPROXY=file:///proxy", "GONOSUMDB=*", "GOFLAGS=-buildvcs=false",
}

// makeBuilder makes an image that has what the Dockerfile takes from its
// builder: Go, the modules, CA roots. It has no shell and no network.
func (d *daemon) makeBuilder(root string) error {
	args := []string{"import"}
	for _, env := range builderEnv {
		args = append(args, "--change", "ENV "+env)
	}
	cmd := d.command(d.tb.Context(), append(args, "-", builder)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return err
	}
	err = errors.Join(writeBuilder(d.tb.Context(), stdin, root), stdin.Close())
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return fmt.Errorf("import the builder: %w\n%s", err, tail(log.String()))
	}
	return nil
}

func writeBuilder(ctx context.Context, w io.Writer, root string) error {
	goroot, err := goOutput(ctx, root, "env", "GOROOT")
	if err != nil {
		return err
	}
	cache, err := goOutput(ctx, root, "env", "GOMODCACHE")
	if err != nil {
		return err
	}
	files, err := moduleFiles(ctx, root, cache)
	if err != nil {
		return err
	}
	compiled, err := compile(ctx, root)
	if err != nil {
		return err
	}
	t := tree{tar.NewWriter(w)}
	err = errors.Join(
		t.dir("tmp", 0o1777), t.dir("root", 0o700),
		t.folder(goroot, "usr/local/go", skipGo),
		t.folder(compiled, "cache", func(string, bool) bool { return false }),
		t.file("/etc/ssl/certs/ca-certificates.crt", "etc/ssl/certs/ca-certificates.crt"),
	)
	for _, file := range files {
		err = errors.Join(err, t.file(filepath.Join(cache, "cache", "download", filepath.FromSlash(file)), path.Join("proxy", file)))
	}
	return errors.Join(err, t.w.Close())
}

// compile builds the actions here, as the Dockerfile does, and returns the build
// cache that this fills. With it, the build in the image compiles only what it
// sees otherwise; without it, the second image would take as long as the first.
// A build cache is keyed by content, so it cannot make a build succeed that fails.
func compile(ctx context.Context, root string) (cache string, err error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(dir, "candlefish-image")
	out, err := os.MkdirTemp("", "image-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(out)) }()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out+"/", "./actions/...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOCACHE="+cache)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the actions: %w\n%s", err, tail(string(text)))
	}
	return cache, nil
}

func goOutput(ctx context.Context, root string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// moduleFiles returns the files of the module cache that the build of the
// actions needs, relative to its download folder: the go.mod of every module
// that go.sum names, and the content of those that packages come from.
func moduleFiles(ctx context.Context, root, cache string) ([]string, error) {
	used, err := goOutput(ctx, root, "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}", "./actions/...")
	if err != nil {
		return nil, err
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		return nil, err
	}
	var files []string
	seen := map[string]bool{}
	for line := range strings.Lines(string(sums) + used + "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue // the main module has no version
		}
		base := escape(fields[0]) + "/@v/" + escape(strings.TrimSuffix(fields[1], "/go.mod"))
		wanted := []string{base + ".mod", base + ".info"}
		if len(fields) == 2 {
			wanted = append(wanted, base+".zip")
		}
		for _, file := range wanted {
			if _, err := os.Stat(filepath.Join(cache, "cache", "download", filepath.FromSlash(file))); err == nil && !seen[file] {
				seen[file] = true
				files = append(files, file)
			}
		}
	}
	return files, nil
}

// escape spells a module path or version as the cache does: an upper-case letter
// is its lower-case one after '!'.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsUpper(r) {
			b.WriteByte('!')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// skipGo leaves out what a build does not need of Go's folder.
func skipGo(rel string, dir bool) bool {
	if dir {
		return rel == "test" || rel == "doc" || rel == "api" || rel == "misc" || path.Base(rel) == "testdata"
	}
	return strings.HasSuffix(rel, "_test.go")
}

// A tree writes files into a tar stream.
type tree struct{ w *tar.Writer }

func (t tree) dir(name string, mode int64) error {
	return t.w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode})
}

func (t tree) file(from, name string) (err error) {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size()}
	if err := t.w.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(t.w, f)
	return err
}

func (t tree) folder(from, name string, skip func(rel string, dir bool) bool) error {
	return filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		switch {
		case skip(filepath.ToSlash(rel), entry.IsDir()):
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case !entry.Type().IsRegular():
			return nil
		}
		return t.file(file, path.Join(name, filepath.ToSlash(rel)))
	})
}
