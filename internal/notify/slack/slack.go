// Package slack posts messages to a Slack channel by an incoming webhook.
//
// The webhook's URL is a secret: it is sent to Slack's host only and is in no error.
package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	api "github.com/slack-go/slack"
)

// A Message is what to post, in plain text: Slack's markup in it is shown, not followed.
type Message struct {
	Title  string
	Link   string // of the title; https, or "" for none
	Colour string // good, warning or danger
	Text   string
	Fields []Field // at most 10
	Lists  []List
	Footer string
	At     time.Time
}

// A Field is a name with a short value.
type Field struct{ Name, Value string }

// A List is a heading with lines.
type List struct {
	Name  string
	Items []string
}

// Options configure a Webhook; the zero value is valid.
type Options struct {
	Client *http.Client
	After  func(time.Duration) <-chan time.Time
}

// A Webhook is an incoming webhook.
type Webhook struct {
	url   string
	web   *http.Client
	after func(time.Duration) <-chan time.Time
}

const (
	timeout = 30 * time.Second // of a post, with its retry
	maxWait = 15 * time.Second // that Slack may ask for
	maxText = 3000             // characters of a text, the least of Slack's limits
	maxLine = 300
	maxName = 100
	kept    = 200 // bytes of a refusal
)

// hosts are those of incoming webhooks.
var hosts = []string{"hooks.slack.com", "hooks.slack-gov.com"}

// New returns the webhook of a URL, which must be https on Slack's host; another
// scheme or port is for a server on this machine only.
func New(address string, o Options) (*Webhook, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.User != nil || u.Fragment != "" || u.Host == "" || !strings.HasPrefix(u.Path, "/") {
		return nil, errors.New("the Slack webhook is no URL of an incoming webhook: want https://hooks.slack.com/services/T/B/X")
	}
	ours := false
	for _, h := range hosts {
		ours = ours || u.Scheme == "https" && u.Host == h
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsLoopback() && (u.Scheme == "http" || u.Scheme == "https") {
		ours = true
	}
	if !ours {
		return nil, errors.New("the Slack webhook must be https and on hooks.slack.com")
	}
	w := &Webhook{url: u.String(), web: &http.Client{}, after: o.After}
	if o.Client != nil {
		*w.web = *o.Client
	}
	w.web.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if w.after == nil {
		w.after = time.After
	}
	return w, nil
}

// Post posts a message. When Slack limits the rate it waits once as long as Slack
// asks for. An error says that the message may not be in the channel.
func (w *Webhook) Post(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	payload := m.payload()
	err := w.send(ctx, payload)
	limit, ok := errors.AsType[*api.RateLimitedError](err)
	if !ok {
		return err
	}
	if limit.RetryAfter > maxWait {
		return fmt.Errorf("post to Slack: its rate limit asks to wait %v", limit.RetryAfter)
	}
	select {
	case <-w.after(limit.RetryAfter):
	case <-ctx.Done():
		return fmt.Errorf("post to Slack: waiting for its rate limit: %w", ctx.Err())
	}
	if err = w.send(ctx, payload); err == nil {
		return nil
	}
	if _, ok := errors.AsType[*api.RateLimitedError](err); ok {
		return errors.New("post to Slack: its rate limit holds after the wait that it asked for")
	}
	return err
}

// send posts once. Errors of the network name the URL, so only their cause is kept.
func (w *Webhook) send(ctx context.Context, payload *api.WebhookMessage) error {
	refusal := &refusals{base: w.web.Transport}
	web := *w.web
	web.Transport = refusal
	err := api.PostWebhookCustomHTTPContext(ctx, w.url, &web, payload)
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*api.RateLimitedError](err); ok {
		return err
	}
	if status, ok := errors.AsType[api.StatusCodeError](err); ok {
		return fmt.Errorf("post to Slack: %d %s: %s", status.Code, http.StatusText(status.Code), refusal.said)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("post to Slack: %w", e.Err)
	}
	return errors.New("post to Slack: the message could not be sent")
}

// refusals keeps what Slack says when it refuses.
type refusals struct {
	base http.RoundTripper
	said string
}

// RoundTrip implements http.RoundTripper.
func (r *refusals) RoundTrip(req *http.Request) (*http.Response, error) {
	base := r.base
	if base == nil {
		base = http.DefaultTransport
	}
	resp, err := base.RoundTrip(req)
	if err != nil || resp.StatusCode == http.StatusOK {
		return resp, err
	}
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, kept)) // the status is what counts
	_ = resp.Body.Close()
	r.said = word(string(raw))
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	return resp, nil
}

// word returns Slack's reason, such as invalid_payload. Anything else, such as a page
// of a proxy, is not repeated.
func word(said string) string {
	said = strings.TrimSpace(said)
	if said == "" || strings.Trim(said, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "no reason given"
	}
	return said
}

func (m Message) payload() *api.WebhookMessage {
	no := false
	a := api.Attachment{
		Color: m.Colour, Fallback: text(m.Title+": "+m.Text, maxLine), Title: text(m.Title, maxLine), Text: m.body(),
		Footer: text(m.Footer, maxName), Ts: json.Number(strconv.FormatInt(m.At.Unix(), 10)),
	}
	if strings.HasPrefix(m.Link, "https://") && !strings.ContainsAny(m.Link, " <>|\n") {
		a.TitleLink = m.Link
	}
	const most = 10
	for _, f := range m.Fields[:min(len(m.Fields), most)] {
		a.Fields = append(a.Fields, api.AttachmentField{Title: text(f.Name, maxName), Value: text(f.Value, maxLine), Short: true})
	}
	return &api.WebhookMessage{Attachments: []api.Attachment{a}, Parse: "none", UnfurlLinks: &no, UnfurlMedia: &no}
}

// body is the text with its lists, as many lines as fit.
func (m Message) body() string {
	lines := []string{text(m.Text, maxLine)}
	for _, l := range m.Lists {
		if len(l.Items) == 0 {
			continue
		}
		lines = append(lines, "", text(l.Name, maxName)+":")
		for _, item := range l.Items {
			lines = append(lines, "• "+text(item, maxLine))
		}
	}
	const rest = "… and more"
	used := 0
	for i, line := range lines {
		used += len([]rune(line)) + 1
		if used > maxText-len(rest) {
			return strings.Join(append(lines[:i:i], rest), "\n")
		}
	}
	return strings.Join(lines, "\n")
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// text returns s on one line of about n characters, escaped for Slack.
func text(s string, n int) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case r < ' ', r >= 0x7f && r < 0xa0:
			return ' '
		case r >= 0x200b && r <= 0x200f && r != 0x200d, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x2069, r == 0xfeff:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))), " ")
	out := []rune{}
	for _, r := range s {
		one := []rune(escape.Replace(string(r)))
		if len(out)+len(one) > n {
			return string(out) + "…"
		}
		out = append(out, one...)
	}
	return string(out)
}
