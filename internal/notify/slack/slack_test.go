package slack

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/notify/slack/slacktest"
)

func hook(t *testing.T) (*slacktest.Server, *Webhook, *[]time.Duration) {
	t.Helper()
	server := slacktest.Start()
	t.Cleanup(server.Close)
	waits := &[]time.Duration{}
	w, err := New(server.URL(), Options{After: func(d time.Duration) <-chan time.Time {
		*waits = append(*waits, d)
		c := make(chan time.Time)
		close(c)
		return c
	}})
	if err != nil {
		t.Fatal(err)
	}
	return server, w, waits
}

func message() Message {
	return Message{
		Title: "🔥 Security Scan Complete", Link: "https://github.com/acme/shop/actions/runs/7", Colour: "danger", Text: "The gate refused.",
		Fields: []Field{{"Repository", "acme/shop"}, {"Security Score", "40/100"}, {"Status", "critical"}, {"Scan Level", "deep"}},
		Lists:  []List{{"New critical findings", []string{"AWS access key in config/prod.env:3"}}, {"Unhealthy tools", nil}},
		Footer: "Candlefish Security Pipeline", At: time.Unix(1_790_000_000, 0),
	}
}

func TestPost(t *testing.T) {
	t.Parallel()
	server, w, _ := hook(t)
	if err := w.Post(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	all := server.Messages()
	if len(all) != 1 || len(all[0].Attachments) != 1 {
		t.Fatalf("%+v", all)
	}
	a := all[0].Attachments[0]
	if a.Title != "🔥 Security Scan Complete" || a.TitleLink != message().Link || a.Color != "danger" || string(a.Ts) != "1790000000" || a.Footer != "Candlefish Security Pipeline" ||
		a.Text != "The gate refused.\n\nNew critical findings:\n• AWS access key in config/prod.env:3" || len(a.Fields) != 4 || a.Fields[1].Value != "40/100" || all[0].Parse != "none" || len(a.MrkdwnIn) > 0 {
		t.Errorf("%+v", a)
	}
}

// Texts of findings can be anything, and any length.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	for _, h := range []string{
		"<!channel> <@U1> <https://evil.example|click> & &lt; <b>", "a\x1b[31m\x00\r\n\u202eb", strings.Repeat("<", 100_000), strings.Repeat("ü", 100_000), "\xff", "",
	} {
		server, w, _ := hook(t)
		m := message()
		m.Title, m.Text, m.Footer, m.Link = "t"+h, "x"+h, h, h
		for range 50 {
			m.Fields = append(m.Fields, Field{"n" + h, h})
			m.Lists = append(m.Lists, List{"l" + h, []string{h, h, h}})
		}
		if err := w.Post(t.Context(), m); err != nil {
			t.Errorf("%.20q: %v", h, err)
		}
		for _, a := range server.Messages()[0].Attachments {
			if strings.ContainsAny(a.Text+a.Title, "\x1b\r\x00\u202e") || a.TitleLink != "" {
				t.Errorf("%.20q: %q", h, a.Text)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		faults   []http.HandlerFunc
		fails    string
		requests int
		waits    int
	}{
		"limited once":        {[]http.HandlerFunc{slacktest.Limit(2 * time.Second)}, "", 2, 1},
		"limited twice":       {[]http.HandlerFunc{slacktest.Limit(time.Second), slacktest.Limit(time.Second)}, "rate limit holds", 2, 1},
		"limited for an hour": {[]http.HandlerFunc{slacktest.Limit(time.Hour)}, "asks to wait 1h", 1, 0},
		"no such channel":     {[]http.HandlerFunc{slacktest.Say(404, "channel_not_found")}, "404 Not Found: channel_not_found", 1, 0},
		"a page of a proxy":   {[]http.HandlerFunc{slacktest.Say(502, "<html>http://x/services/T0/secret</html>")}, "502 Bad Gateway: no reason given", 1, 0},
		"limited, then a 500": {[]http.HandlerFunc{slacktest.Limit(time.Second), slacktest.Say(500, "rollup_error")}, "rollup_error", 2, 1},
		"a redirect elsewhere": {[]http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:9/", http.StatusTemporaryRedirect)
		}}, "307", 1, 0},
		"it hangs up": {[]http.HandlerFunc{func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }}, "post to Slack", 1, 0},
	} {
		server, w, waits := hook(t)
		for _, f := range test.faults {
			server.Fail(f)
		}
		err := w.Post(t.Context(), message())
		if (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("%s: %v, want %q", name, err, test.fails)
		}
		if err != nil && strings.Contains(err.Error(), "/services/") {
			t.Errorf("%s: the error has the URL: %v", name, err)
		}
		if server.Requests() != test.requests || len(*waits) != test.waits {
			t.Errorf("%s: %d requests, %d waits", name, server.Requests(), len(*waits))
		}
	}
}

func TestWrongToken(t *testing.T) {
	t.Parallel()
	server, _, _ := hook(t)
	w, err := New(server.URL()+"x", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Post(t.Context(), message()); err == nil || !strings.Contains(err.Error(), "403 Forbidden: invalid_token") || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Post(ctx, message()); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{
		"https://hooks.slack.com/services/T0/B0/x": true, "https://hooks.slack-gov.com/services/T0/B0/x": true, "http://127.0.0.1:8080/services/x": true,
		"http://hooks.slack.com/services/T0/B0/x": false, "https://hooks.slack.com:444/x": false, "https://hooks.slack.com.evil.example/x": false,
		"https://user:secret@hooks.slack.com/x": false, "https://evil.example/services/secret": false, "http://localhost/secret": false, "": false, "hooks.slack.com/secret": false, "https://hooks.slack.com": false, "%zz-secret": false,
	} {
		_, err := New(address, Options{})
		if (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error has the URL: %v", err)
		}
	}
}

// The server refuses what Slack refuses, or the tests above say nothing.
func TestServerIsStrict(t *testing.T) {
	t.Parallel()
	server, _, _ := hook(t)
	many := `{"attachments":[` + strings.TrimSuffix(strings.Repeat(`{"text":"a"},`, 101), ",") + `]}`
	blocks := `{"blocks":[` + strings.TrimSuffix(strings.Repeat(`{"text":{"text":"a"}},`, 51), ",") + `]}`
	for body, want := range map[string]string{
		`{`: "invalid_payload", `{}`: "no_text", `{"attachments":[{}]}`: "no_text", many: "too_many_attachments", blocks: "invalid_blocks",
		`{"attachments":[{"text":"a","ts":""}]}`: "invalid_payload", `{"attachments":[{"text":"a","ts":"2026-01-01"}]}`: "invalid_payload", `{"attachments":[{"text":"a <b>"}]}`: "invalid_payload",
		`{"attachments":[{"text":"` + strings.Repeat("a", 3001) + `"}]}`: "invalid_payload", `{"blocks":[{"text":{"text":"` + strings.Repeat("a", 3001) + `"}}]}`: "invalid_blocks",
		`{"text":"a"}`: "ok",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL(), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		_, _ = got.ReadFrom(resp.Body)
		_ = resp.Body.Close()
		if got.String() != want || (resp.StatusCode == 200) != (want == "ok") {
			t.Errorf("%.60s: %d %s, want %s", body, resp.StatusCode, &got, want)
		}
	}
}
