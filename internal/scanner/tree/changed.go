package tree

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/scanner"
)

// Lines are the first and the last of some lines, from 1.
type Lines struct{ First, Last int }

// Has reports whether a line is one of them.
func (l Lines) Has(line int) bool { return l.First <= line && line <= l.Last }

// Changed returns the lines that the head of a range has added or changed since it
// left the base, by file: what a pull request shows as changed. A whole history has
// none to compare with, and gives nil.
func Changed(ctx context.Context, git Git, r scanner.Range) (map[string][]Lines, error) {
	if r.Base == "" || r.Copy == "" {
		return nil, nil
	}
	c := &bare{git: git, dir: r.Copy}
	out, err := c.run(ctx, "diff", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames",
		"--diff-filter=d", "--submodule=short", "--src-prefix=a/", "--dst-prefix=b/", r.Base+"..."+r.Head)
	if err != nil {
		return nil, err
	}
	return changed(string(out))
}

var hunk = regexp.MustCompile(`^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@`)

// changed reads a patch without context lines. It counts the lines of each hunk, so
// that no line of a file is taken for one of the patch's own.
func changed(patch string) (map[string][]Lines, error) {
	files := map[string][]Lines{}
	name, body := "", 0
	for line := range strings.Lines(patch) {
		line = strings.TrimSuffix(line, "\n")
		switch m := hunk.FindStringSubmatch(line); {
		case body > 0:
			if !strings.HasPrefix(line, `\`) { // "\ No newline at end of file"
				body--
			}
		case m != nil:
			first, added := number(m[2], 0), number(m[3], 1)
			body = number(m[1], 1) + added
			if added > 0 {
				files[name] = append(files[name], Lines{first, first + added - 1})
			}
		case strings.HasPrefix(line, "+++ "):
			var err error
			if name, err = unquote(line[len("+++ "):]); err != nil {
				return nil, fmt.Errorf("read the changed lines: %w", err)
			}
		}
	}
	return files, nil
}

func number(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return otherwise
}

// unquote reads a file's name of a patch. A name with a space ends with a tab; one
// with a control character, a quote or a backslash is quoted as in C.
func unquote(s string) (string, error) {
	s = strings.TrimSuffix(s, "\t")
	if strings.HasPrefix(s, `"`) {
		text, err := strconv.Unquote(s)
		if err != nil {
			return "", fmt.Errorf("the name %s: %w", s, err)
		}
		s = text
	}
	return strings.TrimPrefix(s, "b/"), nil
}
