// Package slacktest is an incoming webhook of Slack in this process. It refuses what
// Slack refuses, with Slack's words:
// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
package slacktest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Path is that of the webhook; others are refused.
const Path = "/services/T00000000/B00000000/secret-of-the-webhook"

// A Message is a message that was accepted.
type Message struct {
	Text        string
	Attachments []Attachment
	Parse       string
	Blocks      []struct {
		Text struct{ Text string }
	}
}

// An Attachment is a part of a message.
type Attachment struct {
	Color, Fallback, Title, Text, Footer string
	TitleLink                            string          `json:"title_link"`
	MrkdwnIn                             []string        `json:"mrkdwn_in"`
	Ts                                   json.RawMessage `json:"ts"`
	Fields                               []struct{ Title, Value string }
}

// A Server is the webhook's server.
type Server struct {
	http *httptest.Server

	mu       sync.Mutex
	messages []Message
	requests int
	faults   []http.HandlerFunc
}

// Start starts a server. The caller closes it.
func Start() *Server {
	s := &Server{}
	s.http = httptest.NewServer(s)
	return s
}

// URL is the webhook's.
func (s *Server) URL() string { return s.http.URL + Path }

// Close stops the server.
func (s *Server) Close() { s.http.Close() }

// Messages returns what is in the channel.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Requests returns the number of requests so far.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Fail makes the next request be answered by f.
func (s *Server) Fail(f http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
}

// Limit answers that the rate is too high.
func Limit(after time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())))
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, "rate_limited")
	}
}

// Say answers with a status and a text.
func Say(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	var fault http.HandlerFunc
	if len(s.faults) > 0 {
		fault, s.faults = s.faults[0], s.faults[1:]
	}
	s.mu.Unlock()
	if fault != nil {
		fault(w, r)
		return
	}
	status, word := s.take(r)
	Say(status, word)(w, r)
}

func (s *Server) take(r *http.Request) (status int, word string) {
	switch {
	case r.Method != http.MethodPost:
		return http.StatusBadRequest, "invalid_payload"
	case r.URL.Path != Path:
		return http.StatusForbidden, "invalid_token"
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var m Message
	if err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") || json.Unmarshal(raw, &m) != nil {
		return http.StatusBadRequest, "invalid_payload"
	}
	if word := m.wrong(); word != "" {
		return http.StatusBadRequest, word
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	return http.StatusOK, "ok"
}

// The limits of Slack.
const (
	maxAttachments = 100
	maxBlocks      = 50
	maxSection     = 3000
	maxMessage     = 40000
)

// bare is a character that must be an entity in Slack's texts.
var bare = regexp.MustCompile(`[<>]|&(?:[^alg]|a[^m]|l[^t]|g[^t]|$)`)

// wrong returns Slack's word for what is wrong with a message. Unescaped characters
// are refused here, where Slack would make links and mentions of them.
func (m Message) wrong() string {
	switch {
	case m.Text == "" && len(m.Attachments) == 0 && len(m.Blocks) == 0:
		return "no_text"
	case len(m.Attachments) > maxAttachments:
		return "too_many_attachments"
	case len(m.Blocks) > maxBlocks:
		return "invalid_blocks"
	case utf8.RuneCountInString(m.Text) > maxMessage:
		return "msg_too_long"
	}
	for _, b := range m.Blocks {
		if utf8.RuneCountInString(b.Text.Text) > maxSection {
			return "invalid_blocks"
		}
	}
	for _, a := range m.Attachments {
		if word := a.wrong(); word != "" {
			return word
		}
	}
	return ""
}

func (a Attachment) wrong() string {
	if a.Title == "" && a.Text == "" && a.Fallback == "" && len(a.Fields) == 0 {
		return "no_text"
	}
	texts := []string{a.Title, a.Text, a.Fallback, a.Footer}
	for _, f := range a.Fields {
		if f.Title == "" && f.Value == "" {
			return "invalid_payload"
		}
		texts = append(texts, f.Title, f.Value)
	}
	for _, t := range texts {
		if utf8.RuneCountInString(t) > maxSection || bare.MatchString(t) {
			return "invalid_payload"
		}
	}
	if len(a.Ts) > 0 {
		if ts, err := strconv.ParseInt(string(a.Ts), 10, 64); err != nil || ts < 1_000_000_000 {
			return "invalid_payload"
		}
	}
	return ""
}
