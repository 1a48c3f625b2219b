package load

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/perfsite"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/toolbox/toolboxtest"
)

// job is a short one of a scenario, with files in its workspace.
func job(t *testing.T, url, scenario string, files map[string]string) meter.Job {
	t.Helper()
	k6 := toolboxtest.Need(t, "k6")["k6"]
	j := meter.Job{
		URL: url, Pages: []string{"/", "/health"}, Workspace: t.TempDir(), Scratch: t.TempDir(),
		Tools:    map[string]meter.Tool{"k6": {Command: append([]string{k6.Program}, k6.Args...), Version: k6.Version, Reads: k6.Reads}},
		Load:     meter.Load{Scenarios: []string{scenario}, Duration: 2 * time.Second, Users: 10, P95: time.Second, P99: 2 * time.Second, Errors: 0.01, Rate: 20},
		Settings: map[string]string{},
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(j.Workspace, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// run runs a job's scenario as a round does.
func run(t *testing.T, j meter.Job, change func(*isolate.Command)) (meter.Reading, isolate.Command, error) {
	t.Helper()
	l := Load{}
	if problems := l.Problems(j); len(problems) > 0 {
		t.Fatal(problems)
	}
	commands, err := l.Commands(j)
	if err != nil || len(commands) != 1 {
		t.Fatalf("%d commands, %v", len(commands), err)
	}
	sandbox, err := isolate.Open(j.Workspace, []string{"GITHUB_TOKEN=secret"})
	if err != nil {
		t.Fatal(err)
	}
	c := commands[0]
	if change != nil {
		change(&c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	reading, err := l.Read(j, c, sandbox.Run(ctx, c))
	// These doubts come and go with what else the machine does.
	reading.Doubts = slices.DeleteFunc(reading.Doubts, func(d string) bool {
		return strings.Contains(d, "too late") || strings.Contains(d, "processors")
	})
	return reading, c, err
}

func start(t *testing.T, o perfsite.Options) string {
	t.Helper()
	site, err := perfsite.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	return site.URL
}

// value returns a value of the reading; a missing one is -1.
func value(r meter.Reading, subject, metric string) float64 {
	for _, v := range r.Values {
		if v.Subject == subject && v.Metric.Name == metric {
			return v.Value
		}
	}
	return -1
}

func TestAHealthySite(t *testing.T) {
	t.Parallel()
	url := start(t, perfsite.Options{})
	// Nobody pauses for longer than the spike's recovery takes.
	for scenario, took := range map[string]time.Duration{"sustained": 3 * time.Second, "spike": 10 * time.Second} {
		j := job(t, url, scenario, nil)
		j.Load.Duration = took
		j.Load.Users = 40
		r, _, err := run(t, j, nil)
		if err != nil || len(r.Doubts)+len(r.Gaps)+len(r.Assertions) > 0 {
			t.Errorf("%s: %+v, %v", scenario, r, err)
		}
		for _, m := range metrics {
			if v := value(r, scenario, m.Name); v < 0 || v == 0 && m.stat == "rate" && m.Name != "http_req_failed" {
				t.Errorf("%s: %s is %v", scenario, m.Name, v)
			}
		}
		if len(r.Files) < 2 || r.Versions["k6"] == "" {
			t.Errorf("%s: %+v, %v", scenario, r.Files, r.Versions)
		}
		if rate := value(r, scenario, "http_reqs"); scenario == "sustained" && (rate <= 20 || rate > 24) {
			t.Errorf("%v requests a second, want over 20", rate)
		}
		if p95 := value(r, "spike recovery", "http_req_duration.p95"); scenario == "spike" && p95 < 0 {
			t.Error("nothing of the recovery")
		}
	}
}

// What is wrong with the site is in the values; k6's status 99 is no failure of k6. A
// site that answers nothing well has no times to believe.
func TestSickSites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		site   perfsite.Options
		metric string
		want   func(float64) bool
		doubt  string // "" for none
	}{
		"slow": {perfsite.Options{Delay: 150 * time.Millisecond}, "http_req_duration.p95", func(v float64) bool { return v >= 150 }, ""},
		"500":  {perfsite.Options{Status: 500}, "http_req_failed", func(v float64) bool { return v == 1 }, "all requests failed"},
		"down": {perfsite.Options{Down: true}, "http_req_failed", func(v float64) bool { return v == 1 }, "connection refused"},
		"loop": {perfsite.Options{RedirectLoop: true}, "checks", func(v float64) bool { return v == 0 }, "no page was answered with a status of 2xx"},
		"tls":  {perfsite.Options{TLS: true}, "http_req_failed", func(v float64) bool { return v == 1 }, "failed to verify certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := job(t, start(t, c.site), "sustained", nil)
			j.Load.P95 = 100 * time.Millisecond
			j.Load.Duration = time.Second
			r, _, err := run(t, j, nil)
			if v := value(r, "sustained", c.metric); err != nil || !c.want(v) || (len(r.Doubts) > 0) != (c.doubt != "") || !strings.Contains(strings.Join(r.Doubts, "\n"), c.doubt) {
				t.Errorf("%s is %v, %v, %v", c.metric, v, r.Doubts, err)
			}
		})
	}
}

// The generator is the limit: the rate is not reached.
func TestDroppedIterations(t *testing.T) {
	t.Parallel()
	j := job(t, start(t, perfsite.Options{Delay: 300 * time.Millisecond}), "sustained", nil)
	j.Load.Users = 1
	r, _, err := run(t, j, nil)
	if err != nil || len(r.Doubts) != 1 || !strings.Contains(r.Doubts[0], "dropped") || value(r, "sustained", "dropped_iterations") < 10 {
		t.Errorf("%v, %v", r.Doubts, err)
	}
}

const ownHead = "import http from 'k6/http'; import { sleep } from 'k6'; import exec from 'k6/execution'; export const options = { iterations: 4, vus: 2, thresholds: { http_req_duration: ['p(95)<1500'], http_req_failed: ['rate<0.01'] } };\n"

func TestOwnScripts(t *testing.T) {
	t.Parallel()
	url := start(t, perfsite.Options{})
	get := "export default function () { http.get(`${__ENV.BASE_URL}/health`); "
	for name, c := range map[string]struct {
		script   string
		fails    string // the error
		doubt    string
		broken   int // assertions that do not hold
		held     int
		requests bool
	}{
		"good":          {script: ownHead + get + "}", held: 2, requests: true},
		"over a limit":  {script: strings.Replace(ownHead, "p(95)<1500", "p(95)<0.001", 1) + get + "}", held: 1, broken: 1, requests: true},
		"syntax":        {script: "export default function () {", fails: "the script has an error"},
		"options":       {script: "export const options = { scenarios: { a: { executor: 'none' } } }; export default function () {}", fails: "status 104"},
		"threshold":     {script: strings.Replace(ownHead, "p(95)<1500", "p(96)is", 1) + get + "}", fails: "the options of the script are wrong"},
		"exception":     {script: ownHead + get + "throw new Error('boom'); }", doubt: "boom", held: 2, requests: true},
		"abort":         {script: ownHead + get + "exec.test.abort('enough'); }", fails: "test.abort()"},
		"fail":          {script: ownHead + get + "exec.test.fail('not good'); }", broken: 1, held: 2, requests: true},
		"setup throws":  {script: ownHead + "export function setup() { throw new Error('no login'); }\n" + get + "}", fails: "no login"},
		"no request":    {script: "export const options = { iterations: 1 }; export default function () {}", doubt: "k6 made no request"},
		"no samples":    {script: strings.Replace(ownHead, "http_req_failed", "'http_req_failed{a:b}'", 1) + get + "}", doubt: "no samples", held: 1, requests: true},
		"another host":  {script: ownHead + get + "http.get('http://192.0.2.7/'); }", doubt: "to 192.0.2.7", broken: 1, held: 1, requests: true},
		"metadata":      {script: ownHead + get + "http.get('http://169.254.169.254/'); }", doubt: "to 169.254.169.254", broken: 1, held: 1, requests: true},
		"own blacklist": {script: strings.Replace(ownHead, "{ iterations", "{ blacklistIPs: ['10.0.0.0/8'], iterations", 1) + get + "http.get('http://192.0.2.7/'); }", doubt: "to 192.0.2.7", broken: 1, held: 1, requests: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _, err := run(t, job(t, url, "own.js", map[string]string{"own.js": c.script}), nil)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("%+v, %v, want %q", r, err, c.fails)
				}
				return
			}
			if doubts := strings.Join(r.Doubts, "\n"); err != nil || (doubts != "") != (c.doubt != "") || !strings.Contains(doubts, c.doubt) {
				t.Errorf("doubts %q, %v, want %q", doubts, err, c.doubt)
			}
			held := 0
			for _, a := range r.Assertions {
				if a.Holds {
					held++
				}
			}
			if broken := len(r.Assertions) - held; broken != c.broken || held != c.held {
				t.Errorf("%+v, want %d that hold and %d that do not", r.Assertions, c.held, c.broken)
			}
			if v := value(r, "own.js", "http_reqs"); v > 0 != c.requests {
				t.Errorf("%v requests a second", v)
			}
		})
	}
}

func TestK6IsEnded(t *testing.T) {
	t.Parallel()
	url := start(t, perfsite.Options{})
	for want, change := range map[string]func(*isolate.Command){
		"more memory than allowed": func(c *isolate.Command) { c.Memory = 4 << 20 },
		"did not end within":       func(c *isolate.Command) { c.Time = time.Second },
	} {
		if r, _, err := run(t, job(t, url, "load", nil), change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v, %v, want %q", r, err, want)
		}
	}
}

// The secret header reaches the site, no other host, no argument and no file.
func TestTheHeaderIsForTheSiteAlone(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t-of-the-preview"
	var seen, astray atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { astray.Add(1) }))
	defer other.Close()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Protection-Bypass") != secret {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		seen.Add(1)
		switch r.URL.Path {
		case "/near":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/far":
			http.Redirect(w, r, other.URL, http.StatusFound)
		}
	}))
	defer site.Close()
	j := job(t, site.URL, "sustained", nil)
	j.Header = http.Header{"X-Protection-Bypass": {secret}}
	j.Pages = []string{"/near", "/far"}
	r, c, err := run(t, j, nil)
	if err != nil || seen.Load() == 0 || astray.Load() > 0 || value(r, "sustained", "http_req_failed") != 0 {
		t.Errorf("%d requests with the header, %d to the other host, %v", seen.Load(), astray.Load(), err)
	}
	if len(r.Doubts) != 1 || !strings.Contains(r.Doubts[0], "another host") {
		t.Errorf("doubts %q", r.Doubts)
	}
	if strings.Contains(strings.Join(c.Args, " "), secret) {
		t.Error("the header is among the arguments")
	}
	for _, f := range r.Files {
		if raw, err := os.ReadFile(f.Path); err != nil || strings.Contains(string(raw), secret) {
			t.Errorf("%s has the header, %v", f.What, err)
		}
	}
}

func TestTheScriptOfTheDocument(t *testing.T) {
	t.Parallel()
	j := job(t, start(t, perfsite.Options{}), "shown.js", map[string]string{"shown.js": shown(t)})
	r, _, err := run(t, j, nil)
	if err != nil || len(r.Doubts) > 0 || len(r.Assertions) != 2 || value(r, "shown.js", "http_reqs") <= 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
