package inventory

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"github.com/candlefish/deploy-action/internal/scanner"
)

// greatest is the size of a lock file that is still read. The greatest in public
// repositories have a few MiB.
const greatest = 64 << 20

// A workspace reads files, never outside of its folder.
type workspace struct {
	root   *os.Root
	doubts []string // of parts of files
}

func open(job scanner.Job) (*workspace, error) {
	root, err := os.OpenRoot(job.Workspace)
	if err != nil {
		return nil, err
	}
	return &workspace{root: root}, nil
}

// read reads a whole file.
func (w *workspace) read(file string) ([]byte, error) {
	f, err := w.root.Open(filepath.FromSlash(file))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, reason(err))
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: it is no file", file)
	}
	data, err := io.ReadAll(io.LimitReader(f, greatest+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", file, reason(err))
	case len(data) > greatest:
		return nil, fmt.Errorf("read %s: it has more than %d MiB", file, greatest>>20)
	}
	return data, nil
}

// reason is an error without the path that the caller says anyway.
func reason(err error) error {
	var inPath *os.PathError
	if errors.As(err, &inPath) {
		return inPath.Err
	}
	return err
}

// beside returns the content of a file beside another one, nil if there is none.
func (w *workspace) beside(file, name string) ([]byte, error) {
	data, err := w.read(path.Join(path.Dir(file), name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// scp matches the short form of an address of git: git@host:owner/repository.
var scp = regexp.MustCompile(`^(?:git\+)?(?:[\w.+-]+)@([\w.-]+):([^/].*)$`)

// commit matches what pins a source of git.
var commit = regexp.MustCompile(`^[0-9a-f]{40}$`)

// address reports whether a text is where something is, and no version or name.
func address(text string) bool {
	return strings.Contains(text, "://") || scp.MatchString(text) ||
		strings.HasPrefix(text, "file:") || strings.HasPrefix(text, "link:") || strings.HasPrefix(text, "github:")
}

// clean returns an address without user, password, query, and without a fragment
// that is no commit: a token can be in each of them.
func clean(source string) string {
	if m := scp.FindStringSubmatch(source); m != nil && !strings.Contains(source, "://") {
		source = "ssh://" + m[1] + "/" + m[2]
	}
	if !strings.Contains(source, "://") {
		source, _, _ = strings.Cut(source, "?")
		return source
	}
	u, err := url.Parse(source)
	if err != nil {
		return "an address that cannot be read"
	}
	u.User, u.RawQuery, u.ForceQuery = nil, "", false
	if !commit.MatchString(u.Fragment) {
		u.Fragment, u.RawFragment = "", ""
	}
	if p, ref, ok := strings.Cut(u.Path, "@"); ok && strings.HasPrefix(u.Scheme, "git") { // of pip: repository@commit
		u.Path, u.RawPath = p, ""
		if commit.MatchString(ref) {
			u.Fragment = ref
		}
	}
	return u.String()
}

// plain is text for one field of a line.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
