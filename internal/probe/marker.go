package probe

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// maxValue bounds a marker value, in bytes: every answer keeps one.
const maxValue = 128

// A Marker is the place in an answer that identifies its version. With the zero
// Marker every answer is unattributed.
type Marker struct {
	Header string         // response header; its first value is the marker
	Body   *regexp.Regexp // or: capture group 1 of the first match in the body
	Pod    bool           // the value is a pod's name, so a version has several, and they change
}

// ParseMarker parses "header:NAME", "pod:NAME" (a header with the pod's name)
// or "body:REGEXP" with one capture group. A bare name is a header.
func ParseMarker(s string) (Marker, error) {
	kind, arg, ok := strings.Cut(s, ":")
	if !ok {
		kind, arg = "header", s
	}
	switch kind {
	case "header", "pod":
		if !validHeader(arg) {
			return Marker{}, fmt.Errorf("marker %q: %q is not a header name", s, arg)
		}
		return Marker{Header: textproto.CanonicalMIMEHeaderKey(arg), Pod: kind == "pod"}, nil
	case "body":
		re, err := regexp.Compile(arg)
		if err != nil {
			return Marker{}, fmt.Errorf("marker %q: %w", s, err)
		}
		if re.NumSubexp() != 1 {
			return Marker{}, fmt.Errorf("marker %q: want exactly one capture group, have %d", s, re.NumSubexp())
		}
		return Marker{Body: re}, nil
	}
	return Marker{}, fmt.Errorf("marker %q: want header:NAME, pod:NAME or body:REGEXP", s)
}

// MarkerIn is the marker in a response header, or in the first group of a pattern in the
// body, which takes precedence.
func MarkerIn(header string, body *regexp.Regexp) Marker {
	if body != nil {
		return Marker{Body: body}
	}
	return Marker{Header: textproto.CanonicalMIMEHeaderKey(header)}
}

func validHeader(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// String returns the format that ParseMarker parses; "" for the zero Marker.
func (m Marker) String() string {
	switch {
	case m.Body != nil:
		return "body:" + m.Body.String()
	case m.Header == "":
		return ""
	case m.Pod:
		return "pod:" + m.Header
	}
	return "header:" + m.Header
}

// Value returns the marker's value in one answer, "" if there is none.
func (m Marker) Value(h http.Header, body []byte) string {
	var v string
	switch {
	case m.Body != nil:
		if g := m.Body.FindSubmatch(body); len(g) > 1 {
			v = string(g[1])
		}
	case m.Header != "":
		v = h.Get(m.Header)
	}
	v = strings.TrimSpace(v)
	if len(v) > maxValue {
		v = strings.ToValidUTF8(v[:maxValue], "")
	}
	return v
}

// A Book maps marker values to sides. It learns them from stable's answers
// before the change, later from the canary's pods. The zero Book is empty. A
// Book is safe for concurrent use.
type Book struct {
	mu       sync.RWMutex
	strict   bool
	values   [sides]map[string]bool
	prefixes [sides][]string
}

// Learn adds values of a side. A value of both sides is unattributed from then
// on.
func (b *Book) Learn(side rollout.Side, values ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.values[index(side)] == nil {
		b.values[index(side)] = map[string]bool{}
	}
	for _, v := range values {
		if v != "" {
			b.values[index(side)][v] = true
		}
	}
}

// Forget removes values of a side.
func (b *Book) Forget(side rollout.Side, values ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range values {
		delete(b.values[index(side)], v)
	}
}

// LearnPrefix adds a common prefix of a side's values, such as "web-7d9f8c6b5-"
// for the pods of a ReplicaSet.
func (b *Book) LearnPrefix(side rollout.Side, prefixes ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range prefixes {
		if p != "" && !slices.Contains(b.prefixes[index(side)], p) {
			b.prefixes[index(side)] = append(b.prefixes[index(side)], p)
		}
	}
}

// Strict makes unknown values unattributed. Without it, while only one side's
// values are known, every other value belongs to the other side. Pod names need it:
// a new name may be a new pod of either version.
func (b *Book) Strict() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.strict = true
}

// Side returns the side of value v.
func (b *Book) Side(v string) rollout.Side {
	if b == nil || v == "" {
		return rollout.SideUnattributed
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	switch s, c := b.has(rollout.SideStable, v), b.has(rollout.SideCanary, v); {
	case s && c:
		return rollout.SideUnattributed
	case s:
		return rollout.SideStable
	case c:
		return rollout.SideCanary
	}
	switch knowsStable, knowsCanary := b.knows(rollout.SideStable), b.knows(rollout.SideCanary); {
	case b.strict || knowsStable == knowsCanary:
		return rollout.SideUnattributed
	case knowsStable:
		return rollout.SideCanary
	}
	return rollout.SideStable
}

// Swap exchanges what is known of stable and of the canary.
func (b *Book) Swap() {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, c := index(rollout.SideStable), index(rollout.SideCanary)
	b.values[s], b.values[c] = b.values[c], b.values[s]
	b.prefixes[s], b.prefixes[c] = b.prefixes[c], b.prefixes[s]
}

func (b *Book) has(s rollout.Side, v string) bool {
	return b.values[index(s)][v] || slices.ContainsFunc(b.prefixes[index(s)], func(p string) bool { return strings.HasPrefix(v, p) })
}

func (b *Book) knows(s rollout.Side) bool {
	return len(b.values[index(s)])+len(b.prefixes[index(s)]) > 0
}

// Values lists the known values of a side, sorted.
func (b *Book) Values(side rollout.Side) []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.Sorted(maps.Keys(b.values[index(side)]))
}

// candidates lists the headers that Discover tries, in this order.
var candidates = []string{"X-Version", "X-App-Version", "X-Release", "X-Revision", "X-Image-Tag",
	"X-Build", "X-Commit", "X-Pod", "X-Pod-Name", "X-Hostname"}

// ErrNoMarker is Discover's error if no header distinguishes the versions.
var ErrNoMarker = errors.New("no response header distinguishes the versions")

// Discover finds the header that distinguishes stable's answers from the
// canary's. stable has the headers of answers through the entry point before
// the change; canary those of answers directly from its pods, or nothing.
// Discover tries the extra names before the usual ones.
//
// A header is usable if every answer carries it and the two sets of values are
// disjoint. Without canary answers, stable must have a single value: one that
// changes with every answer belongs to the request, not to the version. A
// header with a pod's name is usable then too, but the Book is strict: the
// caller must teach it the canary's pods.
func Discover(stable, canary []http.Header, extra ...string) (Marker, *Book, error) {
	if len(stable) == 0 {
		return Marker{}, nil, fmt.Errorf("%w: the stable version did not answer", ErrNoMarker)
	}
	var why []string
	for _, name := range append(slices.Clone(extra), candidates...) {
		m := Marker{Header: textproto.CanonicalMIMEHeaderKey(name), Pod: isPodHeader(name)}
		book, reason := m.try(stable, canary)
		if book != nil {
			return m, book, nil
		}
		if reason != "" {
			why = append(why, name+" "+reason)
		}
	}
	if len(why) == 0 {
		why = []string{"none of the usual headers is present"}
	}
	return Marker{}, nil, fmt.Errorf("%w: %s", ErrNoMarker, strings.Join(why, "; "))
}

func isPodHeader(name string) bool {
	n := strings.ToLower(name)
	return strings.Contains(n, "pod") || strings.Contains(n, "hostname")
}

// try returns the Book for m, or the reason why m is not usable; both are empty
// if no answer carries m.
func (m Marker) try(stable, canary []http.Header) (*Book, string) {
	sv, missing := m.values(stable)
	if len(sv) == 0 {
		return nil, ""
	}
	if missing > 0 {
		return nil, fmt.Sprintf("is missing from %d of %d answers", missing, len(stable))
	}
	cv, missing := m.values(canary)
	if missing > 0 {
		return nil, fmt.Sprintf("is missing from %d of %d canary answers", missing, len(canary))
	}
	for _, v := range cv {
		if slices.Contains(sv, v) {
			return nil, fmt.Sprintf("is %q in both versions", v)
		}
	}
	if !m.Pod && len(sv) > 1 && len(sv) >= min(len(stable), 10) {
		return nil, "changes with every answer"
	}
	if !m.Pod && len(cv) == 0 && len(sv) > 1 {
		return nil, fmt.Sprintf("has %d values in the stable version", len(sv))
	}
	b := &Book{strict: m.Pod}
	b.Learn(rollout.SideStable, sv...)
	b.Learn(rollout.SideCanary, cv...)
	return b, ""
}

// values returns the distinct values of m in hs, sorted, and how many lack it.
func (m Marker) values(hs []http.Header) (vs []string, missing int) {
	set := map[string]bool{}
	for _, h := range hs {
		if v := m.Value(h, nil); v != "" {
			set[v] = true
		} else {
			missing++
		}
	}
	return slices.Sorted(maps.Keys(set)), missing
}
