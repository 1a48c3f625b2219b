package codescanning_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/codescanning"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/github/githubtest/codescanningtest"
	"github.com/candlefish/deploy-action/internal/sarif/emit"
)

const (
	repo = "acme/shop"
	ref  = "refs/heads/main"
)

var commit = strings.Repeat("a", 40)

// A world is a GitHub and an uploader with a clock that does not wait.
type world struct {
	server   *githubtest.Server
	scanning *codescanningtest.Scanning
	uploader *codescanning.Uploader
	waits    []time.Duration
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{server: githubtest.Start(t, githubtest.Options{})}
	w.server.AddBranch(repo, "main", commit)
	w.scanning = codescanningtest.New(w.server, commit)
	at := func(time.Duration) <-chan time.Time {
		c := make(chan time.Time)
		close(c)
		return c
	}
	client, err := github.New(github.Options{Token: "token-of-a-test", BaseURL: w.server.URL(), After: at})
	if err != nil {
		t.Fatal(err)
	}
	w.uploader, err = codescanning.New(codescanning.Options{Client: client, Repository: repo, After: func(d time.Duration) <-chan time.Time {
		w.waits = append(w.waits, d)
		return at(d)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func packed(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// run is one run of a file, of the category x/.
func run(tool, results string) string {
	return fmt.Sprintf(`{"tool":{"driver":{"name":%q,"rules":[{"id":"r","shortDescription":{"text":"R"},"properties":{"security-severity":"9.5"}}]}},"automationDetails":{"id":"x/"},"results":[%s]}`, tool, results)
}

func file(runs ...string) string {
	return `{"version":"2.1.0","runs":[` + strings.Join(runs, ",") + `]}`
}

func result(uri string) string {
	return fmt.Sprintf(`{"ruleId":"r","ruleIndex":0,"message":{"text":"m"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":%q},"region":{"startLine":3}}}]}`, uri)
}

func (w *world) upload(ctx context.Context, raw []byte) (codescanning.Upload, error) {
	return w.uploader.Upload(ctx, codescanning.Scan{Commit: commit, Ref: ref, Gzip: raw, Tool: "security-gate"})
}

// The alerts of a scan open, and close by the empty run of the next.
func TestAlertsOpenAndClose(t *testing.T) {
	t.Parallel()
	w := start(t)
	scan := verdict.Result{
		Tools: []verdict.Tool{{Name: "gitleaks", Health: verdict.Healthy}, {Name: "semgrep", Health: verdict.Healthy}},
		Findings: []finding.Finding{
			{ID: "one", Severity: finding.Critical, EPSS: -1, Sightings: []finding.Sighting{{Tool: "gitleaks", Rule: "aws", Class: finding.ClassSecret, Title: "AWS key", Location: finding.Location{Path: "a b.env", Line: 4}}}},
			{ID: "two", Severity: finding.Medium, EPSS: -1, Sightings: []finding.Sighting{{Tool: "semgrep", Rule: "xss", Class: finding.ClassCode, Title: "XSS", Location: finding.Location{Path: "a.js", Line: 9}}}},
		},
	}
	send := func() []codescanningtest.Alert {
		t.Helper()
		d, _ := emit.Of(scan, emit.Options{Upload: true})
		files, left, err := d.Pack(emit.GitHub)
		if err != nil || len(left) > 0 || len(files) != 1 {
			t.Fatalf("%d files, %v, %v", len(files), left, err)
		}
		up, err := w.upload(t.Context(), files[0].Gzip)
		if err != nil || up.State != codescanning.Complete || up.Analyses == "" || up.Waited != 5*time.Second {
			t.Fatalf("%+v, %v", up, err)
		}
		return w.scanning.Alerts(repo, ref)
	}
	xss := codescanningtest.Alert{Tool: "semgrep", Category: "security-gate/semgrep", Rule: "xss", Path: "a.js", Severity: "medium", Hash: "two:1", Message: "XSS", Line: 9}
	want := []codescanningtest.Alert{{Tool: "gitleaks", Category: "security-gate/gitleaks", Rule: "aws", Path: "a%20b.env", Severity: "critical", Hash: "one:1", Message: "AWS key", Line: 4}, xss}
	for range 2 { // the same again is the same alerts
		if diff := cmp.Diff(want, send()); diff != "" {
			t.Error(diff)
		}
	}
	scan.Findings, scan.Tools[1].Health = nil, verdict.Crashed
	if diff := cmp.Diff([]codescanningtest.Alert{xss}, send()); diff != "" {
		t.Errorf("the alert of a crashed tool must stay, that of a clean one close: %s", diff)
	}
	scan.Tools[1].Health = verdict.Healthy
	if got := send(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestWaits(t *testing.T) {
	t.Parallel()
	for busy, want := range map[int]struct {
		state codescanning.State
		waits []time.Duration
	}{
		0: {codescanning.Complete, []time.Duration{5 * time.Second}},
		2: {codescanning.Complete, []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second}},
		4: {codescanning.Complete, []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second}},
		5: {codescanning.Pending, []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second}},
	} {
		w := start(t)
		w.scanning.Busy(busy)
		up, err := w.upload(t.Context(), packed(t, file(run("A", ""))))
		if err != nil || up.State != want.state || (up.Analyses == "") != (want.state == codescanning.Pending) {
			t.Errorf("%d: %+v, %v", busy, up, err)
		}
		if diff := cmp.Diff(want.waits, w.waits); diff != "" {
			t.Errorf("%d: %s", busy, diff)
		}
	}
	// GitHub does not know a new upload yet.
	w := start(t)
	w.server.Inject(githubtest.Fault{Method: http.MethodGet, Path: "/code-scanning/sarifs/", Times: 2, Do: githubtest.Answer(http.StatusNotFound, `{"message":"Not Found"}`)})
	if up, err := w.upload(t.Context(), packed(t, file(run("A", "")))); err != nil || up.State != codescanning.Complete || len(w.waits) != 3 {
		t.Errorf("%+v, %v, %v", up, err, w.waits)
	}
}

// Who must do what about a failed upload.
func TestRefusals(t *testing.T) {
	t.Parallel()
	whole := file(run("A", result("a.js")))
	many := make([]string, 21)
	for i := range many {
		many[i] = run(fmt.Sprint("t", i), "")
	}
	for name, c := range map[string]struct {
		text  string
		do    func(w *world)
		kind  codescanning.Kind
		want  string
		hints string
	}{
		"not enabled": {do: func(w *world) { w.scanning.Disable(true) }, kind: codescanning.NotEnabled, want: "not enabled for this repository", hints: "enable code scanning"},
		"no licence": {do: func(w *world) {
			w.fault(githubtest.Forbidden("Advanced Security must be enabled for this repository to use code scanning."))
		}, kind: codescanning.NotEnabled, want: "Advanced Security", hints: "enable code scanning"},
		"no permission":      {do: func(w *world) { w.server.SetReadOnly(true) }, kind: codescanning.NotAllowed, want: "Resource not accessible", hints: "security-events: write; a pull request from a fork"},
		"another repository": {do: func(w *world) { w.fault(githubtest.Answer(404, `{"message":"Not Found"}`)) }, kind: codescanning.NotThere, want: "not found", hints: "pushed"},
		"too large for it":   {do: func(w *world) { w.fault(githubtest.Answer(413, `{"message":"Payload too large"}`)) }, kind: codescanning.TooLarge, want: "413"},
		"out of order":       {do: func(w *world) { w.fault(githubtest.Answer(503, `{"message":"Service unavailable"}`)) }, kind: codescanning.Transient, want: "503", hints: "again"},
		"a server's error":   {do: func(w *world) { w.fault(githubtest.Answer(500, `oops`)) }, kind: codescanning.Transient, want: "500", hints: "again"},
		"a rate limit":       {do: func(w *world) { w.fault(githubtest.SecondaryLimit(time.Hour)) }, kind: codescanning.Transient, want: "rate limit", hints: "again"},
		"not understood":     {do: func(w *world) { w.fault(githubtest.Answer(422, `{"message":"Invalid request."}`)) }, kind: codescanning.Invalid, want: "Invalid request"},
		"no JSON":            {text: `{"version":`, kind: codescanning.Invalid, want: "JSON syntax error"},
		"another version":    {text: strings.Replace(whole, "2.1.0", "2.0.0", 1), kind: codescanning.Invalid, want: "not supported"},
		"no results":         {text: `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"A"}}}]}`, kind: codescanning.Invalid, want: "Missing 'results'"},
		"21 runs":            {text: file(many...), kind: codescanning.Invalid, want: "more runs than allowed (21 > 20)"},
		"one run twice":      {text: file(run("A", ""), run("A", "")), kind: codescanning.Invalid, want: "same category"},
		"an absolute place":  {text: file(run("A", result("file:///work/a.js"))), kind: codescanning.Invalid, want: "does not match"},
		"a place outside":    {text: file(run("A", result("../a.js"))), kind: codescanning.Invalid, want: "no path in the repository"},
		"no place":           {text: file(run("A", `{"ruleId":"r","message":{"text":"m"}}`)), kind: codescanning.Invalid, want: "at least one location"},
		"25,001 results":     {text: file(run("A", result("a")+strings.Repeat(","+result("a"), 25_000))), kind: codescanning.Invalid, want: "more results per run than allowed (25001 > 25000)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			if c.do != nil {
				c.do(w)
			}
			text := c.text
			if text == "" {
				text = whole
			}
			_, err := w.upload(t.Context(), packed(t, text))
			e, ok := errors.AsType[*codescanning.Error](err)
			if !ok || e.Kind != c.kind || !strings.Contains(e.Error(), c.want) || !strings.Contains(e.Hint, c.hints) {
				t.Errorf("%v: %+v", err, e)
			}
			if got := w.scanning.Alerts(repo, ref); len(got) > 0 {
				t.Errorf("alerts of a refused file: %+v", got)
			}
			if _, err := w.upload(t.Context(), packed(t, text)); err == nil {
				t.Error("the second time it is taken")
			}
		})
	}
}

func (w *world) fault(f githubtest.Failure) {
	w.server.Inject(githubtest.Fault{Method: http.MethodPost, Path: "/code-scanning/sarifs", Do: f})
}

// What passes is repeated, and uploaded once.
func TestPassingFailure(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.server.Inject(githubtest.Fault{Method: http.MethodPost, Times: 2, Do: githubtest.Answer(502, `bad gateway`)})
	w.server.Inject(githubtest.Fault{Method: http.MethodGet, Times: 1, Do: githubtest.Answer(502, `bad gateway`)})
	up, err := w.upload(t.Context(), packed(t, file(run("A", result("a.js")))))
	if err != nil || up.State != codescanning.Complete || len(w.scanning.Uploads()) != 1 {
		t.Errorf("%+v, %v", up, err)
	}
}

func TestNothingIsSent(t *testing.T) {
	t.Parallel()
	w := start(t)
	good := codescanning.Scan{Commit: commit, Ref: ref, Gzip: []byte("x"), CheckoutURI: "file:///work/shop"}
	for name, change := range map[string]func(*codescanning.Scan){
		"commit":   func(s *codescanning.Scan) { s.Commit = "main" },
		"no ref":   func(s *codescanning.Scan) { s.Ref = "main" },
		"pull ref": func(s *codescanning.Scan) { s.Ref = "refs/pull/x/merge" },
		"file":     func(s *codescanning.Scan) { s.Gzip = nil },
		"size":     func(s *codescanning.Scan) { s.Gzip = make([]byte, codescanning.MaxBytes+1) },
		"checkout": func(s *codescanning.Scan) { s.CheckoutURI = "/work/shop" },
	} {
		s := good
		change(&s)
		if _, err := w.uploader.Upload(t.Context(), s); err == nil {
			t.Errorf("%s: it is sent", name)
		}
	}
	if got := w.server.Requests(); len(got) > 0 {
		t.Errorf("%q", got)
	}
	if _, err := codescanning.New(codescanning.Options{Repository: "shop"}); err == nil {
		t.Error("a repository without an owner")
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	w := start(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	u, err := codescanning.New(codescanning.Options{Client: client(t, w), Repository: repo, After: func(time.Duration) <-chan time.Time {
		cancel(errors.New("the job ends"))
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	up, err := u.Upload(ctx, codescanning.Scan{Commit: commit, Ref: ref, Gzip: packed(t, file(run("A", "")))})
	if err == nil || !strings.Contains(err.Error(), "the job ends") || up.State == codescanning.Complete {
		t.Errorf("%+v, %v", up, err)
	}
}

func client(t *testing.T, w *world) *github.Client {
	t.Helper()
	c, err := github.New(github.Options{Token: "token-of-a-test", BaseURL: w.server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
