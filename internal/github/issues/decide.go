package issues

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A record is the hidden part of the issue: what it is about.
type record struct {
	Depth   int      `json:"depth"`
	Content string   `json:"content"` // a digest of the visible part
	IDs     []string `json:"ids"`     // digests of the problems' IDs, sorted
	// All is a digest of all problems if there are more than IDs has.
	All string `json:"all,omitempty"`
}

// unknown is All of an issue whose problems are not known.
const unknown = "unknown"

// maxIDs bounds the record: the whole body has 65,536 characters at most.
const maxIDs = 400

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

func recordOf(w Want, depth int) record {
	r := record{Depth: depth, Content: digest(w.Body)}
	r.IDs = digests(w.Problems)
	return r.fit(w.Problems)
}

// digests are those of the problems' IDs, sorted.
func digests(all []Problem) []string {
	var ids []string
	for _, p := range all {
		ids = append(ids, digest(p.ID))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// fit bounds the IDs of a record that a scan with these problems writes.
func (r record) fit(all []Problem) record {
	slices.Sort(r.IDs)
	r.IDs = slices.Compact(r.IDs)
	if len(r.IDs) > maxIDs || r.All != "" {
		r.IDs, r.All = r.IDs[:min(len(r.IDs), maxIDs)], digest(strings.Join(digests(all), " "))
	}
	return r
}

var recordLine = regexp.MustCompile(`<!-- candlefish:record (\{[^<>\n]*\}) -->`)

// read reads the record of an issue. One that somebody broke is of a scan that saw
// everything, so that only such a scan takes something off.
func read(body string) record {
	var r record
	m := recordLine.FindStringSubmatch(body)
	if m == nil || json.Unmarshal([]byte(m[1]), &r) != nil {
		return record{Depth: MaxDepth, All: unknown}
	}
	return r
}

func (r record) line() string {
	raw, err := json.Marshal(r)
	if err != nil {
		panic(err) // texts and numbers
	}
	return fmt.Sprintf("<!-- candlefish:record %s -->", raw)
}

const maxBody = 65536 // characters

// compose is the body with its hidden parts, cut at GitHub's limit.
func compose(w Want, r record) string {
	head := w.Marker + "\n" + r.line() + "\n\n"
	room := maxBody - len([]rune(head))
	if text := []rune(w.Body); len(text) > room {
		return head + string(text[:room-1]) + "…"
	}
	return head + w.Body
}

// A decision is what to do about the issue.
type decision struct {
	act  string
	body string    // the new one
	news []Problem // that are not in the record
}

// decide is pure.
//
//   - An open issue is updated if the scan saw as much as the one before it, or found
//     all that the issue is about. Otherwise it only adds what is new.
//   - It is closed only by a whole scan that is as deep and finds nothing.
//   - One that a person closed stays closed unless something is new.
//   - One that we closed is reopened if a problem of it is back; else there is a new one.
func decide(w Want, f found) decision {
	switch {
	case f.open != nil:
		return decideOpen(w, *f.open)
	case len(w.Problems) == 0:
		return decision{act: Nothing}
	case f.closed == nil:
		return decision{act: Created}
	}
	r := read(f.closed.Body)
	news := r.missing(w.Problems)
	again := decision{act: Reopened, news: news, body: compose(w, recordOf(w, w.Depth))}
	switch {
	case f.byUs && len(news) == len(w.Problems):
		return decision{act: Created}
	case f.byUs, len(news) > 0:
		return again
	}
	return decision{act: Left}
}

func decideOpen(w Want, one issue) decision {
	r := read(one.Body)
	sees := w.Whole && w.Depth >= r.Depth
	if len(w.Problems) == 0 {
		if !sees {
			return decision{act: Kept}
		}
		return decision{act: Closed, body: compose(Want{Marker: w.Marker, Body: "A complete scan finds none of the problems that this issue was about.\n"}, r)}
	}
	news := r.missing(w.Problems)
	if !sees && !r.within(w.Problems) {
		if len(news) == 0 {
			return decision{act: Unchanged}
		}
		added := r
		added.IDs = slices.Concat(r.IDs, digests(news))
		return decision{act: Added, news: news, body: added.fit(w.Problems).into(one.Body, w.Marker)}
	}
	depth := w.Depth
	if !sees {
		depth = max(depth, r.Depth)
	}
	now := recordOf(w, depth)
	if r.Depth == now.Depth && r.Content == now.Content && r.All == now.All && slices.Equal(r.IDs, now.IDs) {
		return decision{act: Unchanged}
	}
	return decision{act: Updated, body: compose(w, now)}
}

// into replaces the record of a body, or adds it to one that has none.
func (r record) into(body, marker string) string {
	if recordLine.MatchString(body) {
		return recordLine.ReplaceAllLiteralString(body, r.line())
	}
	return strings.Replace(body, marker, marker+"\n"+r.line(), 1)
}

// missing returns the problems that the record has not. If it has not all of them,
// any other list of problems counts as new.
func (r record) missing(all []Problem) []Problem {
	if r.All != "" && r.All == digest(strings.Join(digests(all), " ")) {
		return nil
	}
	known := map[string]bool{}
	for _, id := range r.IDs {
		known[id] = true
	}
	var news []Problem
	for _, p := range all {
		if !known[digest(p.ID)] {
			news = append(news, p)
		}
	}
	return news
}

// within reports whether all that the record has is among the problems.
func (r record) within(all []Problem) bool {
	has := map[string]bool{}
	for _, p := range all {
		has[digest(p.ID)] = true
	}
	return r.All == "" && !slices.ContainsFunc(r.IDs, func(id string) bool { return !has[id] })
}

// list renders problems for a comment.
func list(all []Problem) string {
	const most = 20
	var b strings.Builder
	for _, p := range all[:min(len(all), most)] {
		b.WriteString("- " + p.Line + "\n")
	}
	if left := len(all) - most; left > 0 {
		fmt.Fprintf(&b, "- and %d more\n", left)
	}
	return b.String()
}
