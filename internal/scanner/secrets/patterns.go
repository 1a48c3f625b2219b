package secrets

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// Patterns is our own scanner of the files: credentials of known formats, values
// that are assigned to names that say secret, and files of environment variables.
// It does not read commits.
type Patterns struct{}

// About describes it.
func (Patterns) About() scanner.About {
	return scanner.About{Name: "patterns", Class: finding.ClassSecret, Does: "secret patterns and .env files", Time: 5 * time.Minute}
}

// Applies reports whether there are files.
func (Patterns) Applies(job scanner.Job) (bool, string) {
	return len(job.Tree.Files) > 0, count(len(job.Tree.Files), "file", "files")
}

// Plant returns a file with the same token as that of the other scanners, and a file
// of environment variables. Both must be found.
func (Patterns) Plant() scanner.Plant {
	p := plant()
	p.Commit = false
	p.Files[".env"] = "STAGE=production\n"
	var token, env bool
	p.Found = func(s finding.Sighting) bool {
		token = token || s.Location.Path == planted && s.Rule == "github-token"
		env = env || s.Location.Path == ".env" && s.Rule == "env-file"
		return token && env
	}
	return p
}

// readable is the size of a file that is still read; a bigger one of text is a doubt.
const readable = 20 << 20

// Scan reads all files of the tree.
func (Patterns) Scan(ctx context.Context, job scanner.Job) (scanner.Report, error) {
	root, err := os.OpenRoot(job.Workspace)
	if err != nil {
		return scanner.Report{}, err
	}
	defer func() { _ = root.Close() }()
	report := scanner.Report{Coverage: verdict.Unknown()}
	report.Coverage.Files, report.Coverage.FilesExpected = 0, len(job.Tree.Files)
	allowed, binary := 0, 0
	for _, file := range job.Tree.Files {
		if ctx.Err() != nil {
			return scanner.Report{}, context.Cause(ctx)
		}
		data, all := readFile(root, file, readable)
		if !all {
			doubts := unreadFile(root, file)
			report.Doubts = append(report.Doubts, doubts...)
			if doubts == nil {
				report.Coverage.Files, binary = report.Coverage.Files+1, binary+1
			}
			continue
		}
		report.Coverage.Files++
		if isBinary(data) {
			binary++
			continue
		}
		found, marked := inFile(job, file, data)
		report.Sightings = append(report.Sightings, found...)
		allowed += marked
	}
	if allowed > 0 {
		report.Notes = append(report.Notes, count(allowed, "line is", "lines are")+" marked gitleaks:allow or trufflehog:ignore, which hides secrets from these tools")
	}
	if binary > 0 {
		report.Notes = append(report.Notes, count(binary, "file is", "files are")+" binary")
	}
	return report, nil
}

// unreadFile says why a file was not read. What is binary is no doubt at any size,
// and neither is a file that has gone.
func unreadFile(root *os.Root, file string) []string {
	f, err := root.Open(file)
	if err != nil {
		return []string{fmt.Sprintf("%q could not be opened", file)}
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, sniffed)
	n, _ := f.Read(head)
	if isBinary(head[:n]) {
		return nil
	}
	return []string{fmt.Sprintf("%q is text of more than %d MiB, or could not be read", file, readable>>20)}
}

const sniffed = 8000

// isBinary is git's own rule: a NUL within the first 8,000 bytes. Text in UTF-16 is
// binary by it, as it is for git.
func isBinary(data []byte) bool {
	return bytes.IndexByte(data[:min(len(data), sniffed)], 0) >= 0
}

// allows are comments by which people accept a line.
var allows = []string{"gitleaks:allow", "trufflehog:ignore"}

// inFile returns the sightings in a file, and how many lines people accepted.
func inFile(job scanner.Job, file string, data []byte) (found []finding.Sighting, marked int) {
	for _, a := range allows {
		marked += bytes.Count(data, []byte(a))
	}
	spans := distinct(append(recognize(data), assigned(file, data)...))
	if len(spans) == 0 {
		if env, ok := envFile(file, data); ok {
			found = append(found, env)
		}
		return found, marked
	}
	hide := make([]string, 0, len(spans)) // a line can have two
	for _, s := range spans {
		hide = append(hide, parts(string(data[s.from:s.to]))...)
	}
	for _, s := range spans {
		found = append(found, s.sighting(job, file, data, hide))
	}
	return found, marked
}

// distinct sorts spans and leaves out those within another one, as a token that is
// assigned to a name.
func distinct(all []span) []span {
	slices.SortStableFunc(all, func(a, b span) int { return cmp.Or(a.from-b.from, b.to-a.to) })
	var kept []span
	for _, s := range all {
		if n := len(kept); n > 0 && s.from < kept[n-1].to {
			if kept[n-1].rule == "assigned-secret" && s.rule != "assigned-secret" {
				kept[n-1] = s // the one that is known by its format says more
			}
			continue
		}
		kept = append(kept, s)
	}
	return kept
}

func (s span) sighting(job scanner.Job, file string, data []byte, hide []string) finding.Sighting {
	secret := string(data[s.from:s.to])
	begin := bytes.LastIndexByte(data[:s.from], '\n') + 1
	text, _, _ := bytes.Cut(data[begin:], []byte("\n"))
	line := bytes.Count(data[:s.from], []byte("\n")) + 1
	out := finding.Sighting{
		Rule: s.rule, Class: finding.ClassSecret, Title: s.title, Message: "A " + strings.TrimPrefix(s.title, "Secret: ") + ".",
		Rating:   finding.Rating{Word: "high"},
		Location: finding.Location{Path: without(file, hide), Line: line, Column: s.from - begin + 1, End: line + strings.Count(secret, "\n"), Context: lineContext(string(text), hide)},
		Secret:   finding.Secret{Hash: job.Hash.Hash(canonical(secret))},
	}
	if s.rule == "assigned-secret" {
		out.Rating.Word = "medium"
	}
	for _, a := range allows {
		if bytes.Contains(text, []byte(a)) {
			out.Suppressed = "the line has the comment " + a
		}
	}
	return out
}

// lineContext cuts a line of a packed file before anything is searched in it.
func lineContext(line string, hide []string) string {
	if len(line) > 1<<16 {
		return ""
	}
	return hidden(line, hide)
}

// templates are ends of names of environment files without real values.
var templates = []string{"example", "sample", "template", "tmpl", "dist", "defaults", "test", "schema"}

// envFile reports a tracked file of environment variables that has values. One with
// a credential is reported by that.
func envFile(file string, data []byte) (finding.Sighting, bool) {
	base := strings.ToLower(path.Base(file))
	if base != ".env" && !strings.HasPrefix(base, ".env.") && !strings.HasSuffix(base, ".env") {
		return finding.Sighting{}, false
	}
	if slices.ContainsFunc(templates, func(t string) bool {
		return slices.Contains(strings.FieldsFunc(base, func(r rune) bool { return r == '.' || r == '-' || r == '_' }), t)
	}) {
		return finding.Sighting{}, false
	}
	for i, line := range strings.Split(string(data), "\n") {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(key, "#") && strings.TrimSpace(value) != "" {
			return finding.Sighting{
				Rule: "env-file", Class: finding.ClassSecret, Title: "File of environment variables in the repository",
				Message: "Such files are where credentials are put. Keep a template without values in the repository, and this file out of it.",
				Rating:  finding.Rating{Word: "medium"}, Location: finding.Location{Path: file, Line: i + 1, End: i + 1, Context: strings.TrimSpace(key) + "="},
			}, true
		}
	}
	return finding.Sighting{}, false
}
