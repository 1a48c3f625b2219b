package sarif

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"

	gosarif "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
)

// A message is a text, or the name of one with arguments (section 3.11).
type message struct {
	Text      string   `json:"text"`
	Markdown  string   `json:"markdown"`
	ID        string   `json:"id"`
	Arguments []string `json:"arguments"`
}

func (m message) empty() bool { return m.Text == "" && m.Markdown == "" && m.ID == "" }

// text is the message in plain text, with its arguments.
func (m message) text(rule *gosarif.ReportingDescriptor, driver *gosarif.ToolComponent) string {
	text := m.Text
	if text == "" && m.ID != "" {
		text = named(m.ID, rule, driver)
	}
	if text == "" {
		text = m.Markdown
	}
	return unlinked(fill(text, m.Arguments))
}

func named(id string, rule *gosarif.ReportingDescriptor, driver *gosarif.ToolComponent) string {
	if rule != nil {
		if s, ok := rule.MessageStrings[id]; ok {
			return value(s.Text)
		}
	}
	if driver != nil {
		if s, ok := driver.GlobalMessageStrings[id]; ok {
			return value(s.Text)
		}
	}
	return id
}

var placeholder = regexp.MustCompile(`\{\{|\}\}|\{(\d{1,3})\}`)

// fill replaces {0} by the first argument; {{ and }} are braces (section 3.11.5).
// Without arguments the text stays: many tools write braces as they are.
func fill(text string, args []string) string {
	if len(args) == 0 || !strings.ContainsAny(text, "{}") {
		return text
	}
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		switch p {
		case "{{":
			return "{"
		case "}}":
			return "}"
		}
		if i, err := strconv.Atoi(p[1 : len(p)-1]); err == nil && i < len(args) {
			return args[i]
		}
		return p
	})
}

var embedded = regexp.MustCompile(`\[((?:[^\[\]\\]|\\.)+)\]\((\d+)\)`)

// unlinked replaces links to related locations by their text (section 3.11.6).
func unlinked(text string) string {
	if !strings.Contains(text, "](") {
		return text
	}
	return embedded.ReplaceAllString(text, "$1")
}

// line is a text in one line, at most limit bytes.
func line(text string, limit int) string {
	if strings.ContainsAny(text, "\r\n\t\v\f") || strings.Contains(text, "  ") {
		text = strings.Join(strings.Fields(text), " ")
	}
	return cut(strings.TrimSpace(text), limit)
}

// cut is the beginning of a text, at most limit bytes.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len("…")], "") + "…"
}

// link returns an address of the web without a user name and a query's secrets; ""
// for any other.
func link(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || len(address) > 2*maxTitle {
		return ""
	}
	return address
}

// triggers are parts of what looks like a credential, without which the slow search
// is not worth it. All in lower case.
var triggers = []string{"://", "authorization", "bearer", "basic ", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "akia", "asia", "eyj", "hooks.slack"}

// clean removes what looks like a credential.
func (c *context) clean(text string) string {
	lower := strings.ToLower(text)
	for _, t := range triggers {
		if strings.Contains(lower, t) {
			return c.redactor.String(text)
		}
	}
	return text
}
