package waiver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/candlefish/deploy-action/internal/exit"
)

// Limits of a file: people review it.
const (
	maxFile    = 1 << 20
	maxWaivers = 5000
	maxText    = 2000
)

// Parse reads a file of waivers; name is what messages call it. If anything in it
// is wrong, the whole file is bad input: no waiver disappears without a word. The
// error has a line for each problem, with its line in the file.
func Parse(name string, raw []byte) ([]Waiver, error) {
	p := &parser{file: name}
	if doc := p.document(raw); doc != nil {
		p.root(doc)
	}
	if len(p.wrong) > 0 {
		return nil, &exit.Error{Status: exit.BadInput, Err: errors.Join(p.wrong...)}
	}
	return p.waivers, nil
}

// A parser collects the waivers of a file and its errors.
type parser struct {
	file    string
	waivers []Waiver
	wrong   []error
}

func (p *parser) refuse(line int, format string, args ...any) {
	p.wrong = append(p.wrong, fmt.Errorf("%s:%d: %s", p.file, line, fmt.Sprintf(format, args...)))
}

// document returns the root of the only document of a file.
func (p *parser) document(raw []byte) *yaml.Node {
	if len(raw) > maxFile {
		p.refuse(1, "the file has %d bytes: want at most %d", len(raw), maxFile)
		return nil
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	var doc yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		p.refuse(1, "the file is empty: want version: 1 and waivers:")
		return nil
	} else if err != nil {
		p.wrong = append(p.wrong, fmt.Errorf("%s: %w", p.file, err))
		return nil
	}
	var second yaml.Node
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		p.refuse(max(second.Line, 1), "there is more behind the first document: want one document")
		return nil
	}
	return doc.Content[0]
}

func (p *parser) root(n *yaml.Node) {
	keys := p.mapping(n, "the file", "version", "waivers")
	if keys == nil {
		return
	}
	if v := keys["version"]; v == nil {
		p.refuse(n.Line, "version is missing: want version: 1")
	} else if v.Value != "1" {
		p.refuse(v.Line, "version %q: want 1", v.Value)
	}
	list := keys["waivers"]
	switch {
	case list == nil:
		p.refuse(n.Line, "waivers is missing: want a list")
	case list.Kind != yaml.SequenceNode:
		p.refuse(list.Line, "waivers: want a list")
	case len(list.Content) > maxWaivers:
		p.refuse(list.Line, "%d waivers: want at most %d", len(list.Content), maxWaivers)
	default:
		for _, entry := range list.Content {
			p.entry(entry)
		}
	}
}

// mapping returns the values of a mapping by their keys, which must be among known.
func (p *parser) mapping(n *yaml.Node, what string, known ...string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		p.refuse(n.Line, "%s: want keys and values: %s", what, strings.Join(known, ", "))
		return nil
	}
	values := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, key.Value):
			p.refuse(key.Line, "unknown key %q: want one of %s", key.Value, strings.Join(known, ", "))
		case values[key.Value] != nil:
			p.refuse(key.Line, "%s is set twice", key.Value)
		case value.Kind == yaml.AliasNode || value.Anchor != "":
			p.refuse(value.Line, "%s: anchors and aliases are not read; write the value", key.Value)
			values[key.Value] = value // not missing
		default:
			values[key.Value] = value
		}
	}
	return values
}

var keys = []string{"id", "fingerprint", "commits", "scope", "reason", "owner", "kind", "created", "expires"}

// entry reads one waiver.
func (p *parser) entry(n *yaml.Node) {
	problems := len(p.wrong)
	values := p.mapping(n, "a waiver", keys...)
	if values == nil {
		return
	}
	w := Waiver{Name: fmt.Sprintf("%s:%d", p.file, n.Line)}
	w.ID, w.Fingerprint = p.text(values, "id"), p.text(values, "fingerprint")
	w.Reason, w.Owner, w.Kind = p.text(values, "reason"), p.text(values, "owner"), p.text(values, "kind")
	w.Created, w.Expires = p.date(values, "created"), p.date(values, "expires")
	w.Scope = p.list(values["scope"], "scope", checkGlob)
	w.Commits = p.list(values["commits"], "commits", checkFingerprint)
	if w.Kind == "" {
		w.Kind = Kinds()[0]
	}
	at := func(key string) int {
		if v := values[key]; v != nil {
			return v.Line
		}
		return n.Line
	}
	for key, problem := range check(w, values["expires"] != nil) {
		p.refuse(at(key), "%s", problem)
	}
	for _, other := range p.waivers {
		if w.same(other) {
			p.refuse(n.Line, "%s is waived already by %s", w.what(), other.Name)
			break
		}
	}
	if len(p.wrong) == problems {
		p.waivers = append(p.waivers, w)
	}
}

// text returns the value of a key, "" if it is not set.
func (p *parser) text(values map[string]*yaml.Node, key string) string {
	v := values[key]
	if v == nil || v.Kind == yaml.AliasNode {
		return ""
	}
	if v.Kind != yaml.ScalarNode || v.Tag == "!!null" {
		p.refuse(v.Line, "%s: want text", key)
		return ""
	}
	if len(v.Value) > maxText {
		p.refuse(v.Line, "%s has %d bytes: want at most %d", key, len(v.Value), maxText)
		return ""
	}
	return strings.TrimSpace(v.Value)
}

// date returns the value of a key as a day.
func (p *parser) date(values map[string]*yaml.Node, key string) time.Time {
	text := p.text(values, key)
	if values[key] == nil || text == "" {
		return time.Time{}
	}
	t, err := time.Parse(dateForm, text)
	if err != nil || t.IsZero() {
		p.refuse(values[key].Line, "%s %q: want a day such as 2026-06-30", key, text)
		return time.Time{}
	}
	return t
}

// list returns the values of a list, or the only one.
func (p *parser) list(n *yaml.Node, key string, check func(string) error) []string {
	if n == nil || n.Kind == yaml.AliasNode {
		return nil
	}
	values := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		values = n.Content
	}
	if len(values) == 0 {
		p.refuse(n.Line, "%s is empty: leave it out", key)
	}
	var list []string
	for _, v := range values {
		if v.Kind != yaml.ScalarNode || v.Tag == "!!null" {
			p.refuse(v.Line, "%s: want a text or a list of texts", key)
			continue
		}
		if err := check(v.Value); err != nil {
			p.refuse(v.Line, "%s %q: %v", key, v.Value, err)
			continue
		}
		list = append(list, v.Value)
	}
	return list
}

// checkFingerprint refuses what cannot be a fingerprint.
func checkFingerprint(text string) error {
	if !fingerprintForm.MatchString(text) {
		return errors.New("want a fingerprint of a finding, from the report")
	}
	return nil
}

var (
	idForm          = regexp.MustCompile(`^[A-Za-z][^\s\x00-\x1f]*$`)
	fingerprintForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:._/@+-]{7,}$`)
)

// check says what is wrong with a waiver, by the key that it is about.
func check(w Waiver, hasEnd bool) func(yield func(string, string) bool) {
	problems := map[string]string{}
	switch {
	case w.ID == "" && w.Fingerprint == "":
		problems["id"] = "what is waived is missing: want id or fingerprint"
	case w.ID != "" && w.Fingerprint != "":
		problems["fingerprint"] = "both id and fingerprint are set: want one of them"
	case w.ID != "" && (!idForm.MatchString(w.ID) || strings.ContainsAny(w.ID, "*?")):
		problems["id"] = fmt.Sprintf("id %q: want an identifier such as CVE-2021-23337, or a rule as tool/rule", w.ID)
	case w.Fingerprint != "" && checkFingerprint(w.Fingerprint) != nil:
		problems["fingerprint"] = fmt.Sprintf("fingerprint %q: %v", w.Fingerprint, checkFingerprint(w.Fingerprint))
	case w.Fingerprint == "" && len(w.Commits) > 0:
		problems["commits"] = "commits narrow a fingerprint: an id has none"
	case w.Fingerprint != "" && len(w.Scope) > 0:
		problems["scope"] = "a fingerprint is one finding and has no scope: want id for a scope"
	}
	if trivial(w.Reason) {
		problems["reason"] = fmt.Sprintf("reason %q: say in a sentence why the finding may stay until the waiver expires", w.Reason)
	}
	if w.Owner == "" || strings.ContainsFunc(w.Owner, unicode.IsControl) {
		problems["owner"] = fmt.Sprintf("owner %q: want who answers for the waiver, such as @team", w.Owner)
	}
	if !slices.Contains(Kinds(), w.Kind) {
		problems["kind"] = fmt.Sprintf("kind %q: want one of %s", w.Kind, strings.Join(Kinds(), ", "))
	}
	if !hasEnd {
		problems["expires"] = "expires is missing: every waiver ends"
	} else if !w.Expires.IsZero() && w.Expires.Before(w.Created) {
		problems["expires"] = fmt.Sprintf("expires %s is before created %s", w.Expires.Format(dateForm), w.Created.Format(dateForm))
	}
	return func(yield func(string, string) bool) {
		for _, key := range keys {
			if problem := problems[key]; problem != "" && !yield(key, problem) {
				return
			}
		}
	}
}

// noReason are reasons that say nothing, without punctuation.
var noReason = []string{"false positive", "falsepositive", "not applicable", "not relevant", "risk accepted", "accepted risk", "will fix later", "to be fixed later", "wont fix", "known issue", "temporary waiver", "temporary exception"}

// trivial reports whether a reason says nothing: too short, of few different
// letters, or one of the usual excuses.
func trivial(reason string) bool {
	if strings.ContainsFunc(reason, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		return true
	}
	letters := map[rune]bool{}
	plain := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			r = unicode.ToLower(r)
			letters[r] = true
			return r
		}
		if unicode.IsSpace(r) || r == '-' || r == '_' {
			return ' '
		}
		return -1
	}, reason)
	plain = strings.Join(strings.Fields(plain), " ")
	return len([]rune(plain)) < 12 || len(letters) < 6 || slices.Contains(noReason, plain)
}
