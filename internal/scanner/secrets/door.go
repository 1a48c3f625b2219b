// Package secrets has the scanners of credentials: gitleaks and TruffleHog on
// files and commits, and patterns of our own on files.
//
// A credential ends here. What a tool reports in clear is hashed with the run's
// key, and the rest of the sighting is written without it: no message, no context
// and no path has it, nor what looks like another one beside it. Names and
// addresses of authors are left where they are.
package secrets

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/redact"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/place"
)

// A door is where results come in: it knows the job, and the files whose lines
// were asked for.
type door struct {
	job   scanner.Job
	files map[string][][]byte // lines, by path; nil for one that is not read
	known map[string]bool     // the files of the tree
	// Left counts results in files that are not of the tree.
	left int
}

func newDoor(job scanner.Job) *door {
	d := &door{job: job, files: map[string][][]byte{}, known: make(map[string]bool, len(job.Tree.Files))}
	for _, f := range job.Tree.Files {
		d.known[f] = true
	}
	return d
}

// A hit is a result as a tool has it, with the credential in clear.
type hit struct {
	rule, title, message string
	path                 string
	line, end            int
	commit               string
	secret               string   // by which it is known
	more                 []string // further parts to hide: the match, a second half
	match                string   // text around the secret, for commits
	live                 finding.Liveness
	rating               string
	help                 string
}

// sighting makes a sighting that has no credential. It reports false for a file
// that git neither tracks nor would track.
func (d *door) sighting(h hit) (finding.Sighting, bool) {
	if h.commit == "" && !d.known[h.path] {
		d.left++
		return finding.Sighting{}, false
	}
	hide := append(parts(h.secret), h.more...)
	s := finding.Sighting{
		Rule: h.rule, Class: finding.ClassSecret, Title: without(h.title, hide), Message: without(h.message, hide), Help: h.help,
		Rating: finding.Rating{Word: h.rating},
		Location: finding.Location{
			Path: without(h.path, hide), Line: max(0, h.line), End: max(h.end, h.line, 0), Commit: h.commit,
		},
		Secret: finding.Secret{Hash: d.job.Hash.Hash(canonical(h.secret)), Live: h.live},
	}
	if h.commit == "" {
		s.Location.Context = hidden(d.line(h.path, h.line), hide)
	} else {
		first, _, _ := strings.Cut(h.match, "\n")
		s.Location.Context = hidden(first, hide)
	}
	return s, true
}

// parts are a secret and its lines, the longest first: a key has many lines, and
// each of them is one to hide.
func parts(secret string) []string {
	all := append([]string{secret}, redact.Lines(secret)...)
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(all)
}

// without removes the texts. Shorter ones than four bytes are no secrets, and
// removing them would leave no text.
func without(text string, hide []string) string {
	for _, h := range hide {
		if len(h) >= 4 {
			text = strings.ReplaceAll(text, h, redact.Stars)
		}
	}
	return text
}

// canonical is the form in which all tools know a secret: of a private key tools
// report lines, or one line with \n in it.
func canonical(secret string) string {
	if !strings.Contains(secret, "-----BEGIN") {
		return secret
	}
	return strings.Join(strings.Fields(strings.NewReplacer(`\n`, " ", `\r`, " ").Replace(secret)), "")
}

// longest is how much of a line is kept.
const longest = 200

// tokens are words that could be credentials that no tool recognized.
var tokens = regexp.MustCompile(`[A-Za-z0-9_+/=.~-]{16,}`)

// hidden is a line without the secret and without all that looks like one.
func hidden(line string, hide []string) string {
	line = (&redact.Redactor{}).String(without(line, hide))
	line = tokens.ReplaceAllStringFunc(line, func(word string) string {
		if strings.ContainsAny(word, digits) && strings.ContainsAny(strings.ToLower(word), letters) {
			return redact.Stars
		}
		return word
	})
	line = strings.ToValidUTF8(strings.TrimSpace(line), "")
	if runes := []rune(line); len(runes) > longest {
		line = string(runes[:longest])
	}
	return strings.TrimSpace(line)
}

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyz"
)

// biggest is the size of a file of which lines are read.
const biggest = 5 << 20

// line returns a line of a file of the workspace, "" if there is none.
func (d *door) line(path string, n int) string {
	lines, read := d.files[path]
	if !read {
		if root, err := os.OpenRoot(d.job.Workspace); err == nil {
			data, _ := readFile(root, path, biggest)
			lines = bytes.Split(data, []byte("\n"))
			_ = root.Close()
		}
		d.files[path] = lines
	}
	if n < 1 || n > len(lines) {
		return ""
	}
	return string(lines[n-1])
}

// readFile reads a regular file of at most limit bytes, and no link that leaves the
// root. It reports whether it read all.
func readFile(root *os.Root, path string, limit int64) ([]byte, bool) {
	info, err := root.Lstat(filepath.FromSlash(path))
	if err != nil || !info.Mode().IsRegular() || info.Size() > limit {
		return nil, false
	}
	f, err := root.Open(filepath.FromSlash(path))
	if err != nil {
		return nil, false
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	return data, err == nil && int64(len(data)) <= limit
}

// relative makes a path of a tool one of the workspace, "" for one outside.
func (d *door) relative(path string) string { return place.Path(d.job.Workspace, path) }

// notes say what of the results was left out, and what of the tree no tool reads.
func (d *door) notes() []string {
	var notes []string
	if d.left > 0 {
		notes = append(notes, count(d.left, "result", "results")+" in files that git ignores are left out")
	}
	if n := len(d.job.Tree.Submodules); n > 0 {
		notes = append(notes, count(n, "submodule", "submodules")+" are other repositories and are not scanned")
	}
	return notes
}
