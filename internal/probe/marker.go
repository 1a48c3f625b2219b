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

// maxValue bounds a marker value: it is kept per answer and shown to people.
const maxValue = 128

// A Marker says where an answer carries the identity of the version that wrote
// it. The zero Marker finds nothing, and every answer is unattributed.
type Marker struct {
	Header string         // response header; its first value is the marker
	Body   *regexp.Regexp // or: capture group 1 of the first match in the body
	Pod    bool           // the value is a pod's name, so values come and go within a version
}

// ParseMarker reads "header:NAME", "pod:NAME" (a header holding the pod's name)
// or "body:REGEXP" with one capture group. A bare name is a header.
func ParseMarker(s string) (Marker, error) {
	kind, arg, ok := strings.Cut(s, ":")
	if !ok {
		kind, arg = "header", s
	}
	switch kind {
	case "header", "pod":
		if !validHeader(arg) {
			return Marker{}, fmt.Errorf("marker %q: %q is no header name", s, arg)
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

// HeaderMarker is the marker in a response header.
func HeaderMarker(name string) Marker { return Marker{Header: textproto.CanonicalMIMEHeaderKey(name)} }

func validHeader(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// String is the form that ParseMarker reads; empty for the zero Marker.
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

// Value finds the marker in one answer; empty when there is none.
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

// A Book knows which marker values belong to which side. Values are learnt:
// before the change from stable's answers, later from the canary's pods. The
// zero Book knows nothing. It is safe for concurrent use.
type Book struct {
	mu       sync.RWMutex
	strict   bool
	values   [sides]map[string]bool
	prefixes [sides][]string
}

// Learn adds values that belong to a side. A value learnt for both sides tells
// nothing and is unattributed from then on.
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

// LearnPrefix adds a beginning shared by a side's values, as a ReplicaSet's name
// is by its pods' names: "web-7d9f8c6b5-".
func (b *Book) LearnPrefix(side rollout.Side, prefixes ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range prefixes {
		if p != "" && !slices.Contains(b.prefixes[index(side)], p) {
			b.prefixes[index(side)] = append(b.prefixes[index(side)], p)
		}
	}
}

// Strict makes values that were never learnt unattributed. Without it, while only
// stable's values are known, every other value is Canary. Pod names need it: a
// new name may be a new pod of either version.
func (b *Book) Strict() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.strict = true
}

// Side says whose value v is.
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
	if b.knows(rollout.SideStable) && !b.knows(rollout.SideCanary) && !b.strict {
		return rollout.SideCanary
	}
	return rollout.SideUnattributed
}

func (b *Book) has(s rollout.Side, v string) bool {
	return b.values[index(s)][v] || slices.ContainsFunc(b.prefixes[index(s)], func(p string) bool { return strings.HasPrefix(v, p) })
}

func (b *Book) knows(s rollout.Side) bool {
	return len(b.values[index(s)])+len(b.prefixes[index(s)]) > 0
}

// Values lists what was learnt for a side, sorted.
func (b *Book) Values(side rollout.Side) []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.Sorted(maps.Keys(b.values[index(side)]))
}

// candidates are the headers that Discover tries, in this order.
var candidates = []string{"X-Version", "X-App-Version", "X-Release", "X-Revision", "X-Image-Tag",
	"X-Build", "X-Commit", "X-Pod", "X-Pod-Name", "X-Hostname"}

// ErrNoMarker is returned by Discover when no header tells the versions apart.
var ErrNoMarker = errors.New("no response header tells the versions apart")

// Discover finds the header that tells stable's answers from the canary's. stable
// holds the headers of answers through the entry point before the change; canary
// those of answers taken from its pods directly, or nothing. extra names are
// tried before the usual ones.
//
// A header is usable when every answer carries it and the two sets of values have
// nothing in common. While nothing is known of the canary, it must have had one
// single value on stable, since a value that changes from answer to answer is a
// request's, not a version's. Headers holding a pod's name are usable then too,
// but the book is strict: it has to be taught the canary's pods.
func Discover(stable, canary []http.Header, extra ...string) (Marker, *Book, error) {
	if len(stable) == 0 {
		return Marker{}, nil, fmt.Errorf("%w: stable gave no answer", ErrNoMarker)
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
		why = []string{"none of the usual ones is there"}
	}
	return Marker{}, nil, fmt.Errorf("%w: %s", ErrNoMarker, strings.Join(why, "; "))
}

func isPodHeader(name string) bool {
	n := strings.ToLower(name)
	return strings.Contains(n, "pod") || strings.Contains(n, "hostname")
}

// try returns the book for m, or why m cannot be used; both are empty when no
// answer carries m.
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
		return nil, fmt.Sprintf("is missing from %d of %d of the canary's answers", missing, len(canary))
	}
	for _, v := range cv {
		if slices.Contains(sv, v) {
			return nil, fmt.Sprintf("is %q on both", v)
		}
	}
	if !m.Pod && len(sv) > 1 && len(sv) >= min(len(stable), 10) {
		return nil, "changes with every answer"
	}
	if !m.Pod && len(cv) == 0 && len(sv) > 1 {
		return nil, fmt.Sprintf("has %d values on stable", len(sv))
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
