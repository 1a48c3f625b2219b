package plain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"

	"github.com/candlefish/deploy-action/internal/report"
)

// The sizes of views on GitHub: a comment in characters, a summary in bytes. MaxSummary
// stays far below GitHub's limit of 1 MiB, since other steps have one too.
const (
	MaxComment = 65536
	MaxSummary = 256 << 10
)

// Markdown returns s as Markdown that shows it literally, cut to n characters.
func Markdown(s string, n int) string { return report.Escape(Text(s, n)) }

// Cell returns s as code in a table, cut to n characters; "–" for nothing.
func Cell(s string, n int) string {
	if s = Text(s, n); s == "" {
		return "–"
	}
	return report.Cell(s)
}

// RunLink is a link to the workflow run in Markdown; "" for none.
func RunLink(run string) string {
	if run == "" {
		return ""
	}
	return report.Link("the workflow run", run)
}

// Fitted renders with fewer and fewer rows, from 50, until the text fits.
func Fitted(most int, size func(string) int, render func(rows int) string) string {
	for rows := 50; ; rows /= 2 {
		if s := render(rows); rows == 0 || size(s) <= most {
			return s
		}
	}
}

var digestLine = regexp.MustCompile(`<!-- candlefish:says [0-9a-f]{32} -->`)

// Digest is a hidden line by which two comments that say the same are known.
func Digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return fmt.Sprintf("<!-- candlefish:says %s -->", hex.EncodeToString(sum[:16]))
}

// Undigested returns a comment without such lines.
func Undigested(text string) string { return digestLine.ReplaceAllString(text, "") }

// Same reports whether two comments say the same but for what is beside their digests,
// the link to their runs: then there is nothing to write.
func Same(a, b string) bool {
	of := digestLine.FindString(a)
	return of != "" && of == digestLine.FindString(b)
}

// Sticky is the text of a pull request's one comment: its marker, a digest of text, the
// text, and a link to the run, which is in no digest.
func Sticky(marker, text, run string) string {
	text = marker + "\n" + Digest(text) + "\n\n" + text
	if link := RunLink(run); link != "" {
		text += "\nDetails: " + link + ".\n"
	}
	return text
}
