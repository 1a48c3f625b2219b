package expect

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/release"
)

// An Answer is a complete answer to one probe.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // its start
	Size   int64  // of the whole body, in bytes
}

// cut reports whether Body is not all of the body.
func (a Answer) cut() bool { return a.Size > int64(len(a.Body)) }

// MediaType returns the content type without its parameters, in lower case.
func (a Answer) MediaType() string {
	kind, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// Learn returns what answers of stable to one path have in common. A content type
// that differs among them is none.
func Learn(path string, answers []Answer) release.Answers {
	l := release.Answers{Path: path}
	for i, a := range answers {
		if i == 0 {
			l.Status, l.Type, l.Smallest, l.Largest = a.Status, a.MediaType(), a.Size, a.Size
			continue
		}
		if a.MediaType() != l.Type {
			l.Type = ""
		}
		l.Smallest, l.Largest = min(l.Smallest, a.Size), max(l.Largest, a.Size)
	}
	return l
}

// muchSmaller is how many times a body has to be smaller than the smallest before.
const muchSmaller = 4

// Wrong returns the ways in which an answer that did not fail is not what stable
// answered before and what the user expects. Body and content type are those of the
// same status alone: a redirect has its own.
func Wrong(before release.Answers, path Path, a Answer) []evidence.Wrong {
	var wrong []evidence.Wrong
	switch {
	case before.Status == 0: // not known
	case a.Status != before.Status && isRedirect(a.Status) && !isRedirect(before.Status):
		wrong = append(wrong, evidence.WrongRedirect)
	case a.Status != before.Status:
		wrong = append(wrong, evidence.WrongStatus)
	default:
		wrong = otherBody(before, a)
	}
	for _, e := range path.Expectations {
		if e.Miss(a) != "" {
			return append(wrong, evidence.WrongExpect)
		}
	}
	return wrong
}

// otherBody compares an answer that has the status of those before.
func otherBody(before release.Answers, a Answer) []evidence.Wrong {
	switch {
	case a.Size == 0 && before.Smallest > 0:
		return []evidence.Wrong{evidence.WrongEmpty}
	case a.Size == 0:
		return nil
	}
	var wrong []evidence.Wrong
	if a.Size*muchSmaller < before.Smallest {
		wrong = append(wrong, evidence.WrongSmaller)
	}
	if before.Type != "" && a.MediaType() != before.Type {
		wrong = append(wrong, evidence.WrongType)
	}
	return wrong
}

// isRedirect reports whether a status leads elsewhere; 304 does not.
func isRedirect(status int) bool {
	return status >= 300 && status < 400 && status != http.StatusNotModified
}

// Unmet lists the expectations that answers of stable itself do not meet, with what
// one of them has instead.
func Unmet(path Path, answers []Answer) []string {
	var unmet []string
	for _, e := range path.Expectations {
		for i, a := range answers {
			why := e.Miss(a)
			if e.whole && a.cut() {
				why = fmt.Sprintf("its body of %d bytes is too long: %d are read", a.Size, len(a.Body))
			}
			if why != "" {
				unmet = append(unmet, fmt.Sprintf("probe-expect %q: stable itself misses it, in answer %d of %d: %s", e, i+1, len(answers), why))
				break
			}
		}
	}
	return unmet
}
