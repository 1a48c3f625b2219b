package load

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/meter"
)

// made is a job without the real k6.
func made(t *testing.T, scenarios ...string) meter.Job {
	t.Helper()
	return meter.Job{
		URL: "http://127.0.0.1:9", Workspace: t.TempDir(), Scratch: t.TempDir(), Load: meter.Load{Scenarios: scenarios},
		Tools: map[string]meter.Tool{"k6": {Command: []string{"/usr/bin/k6"}, Version: "2.2.0"}}, Settings: map[string]string{},
	}
}

func TestShapes(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		s, err := ShapeOf(name)
		if err != nil || s.Name != name || s.Took() < time.Minute {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		peak := 0
		for _, stage := range s.Stages {
			peak = max(peak, stage.Users)
		}
		if peak != s.Users {
			t.Errorf("%s has %d users at its peak, and says %d", name, peak, s.Users)
		}
	}
	// A spike is one: ten times the users within seconds, from a load, and back to it.
	s, err := ShapeOf("spike")
	if err != nil {
		t.Fatal(err)
	}
	up := slices.IndexFunc(s.Stages, func(stage Stage) bool { return stage.Users == s.Users })
	if up < 1 || s.Stages[up].Took > 10*time.Second || s.Stages[up-1].Users*5 > s.Users || s.Stages[up-1].Users == 0 || s.Stages[up+2].Users != s.Stages[up-1].Users || s.Stages[up+3].Took < time.Minute {
		t.Errorf("the spike is none: %+v", s)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside.js")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*meter.Job){
		"":                             func(*meter.Job) {},
		"there is no scenario":         func(j *meter.Job) { j.Load.Scenarios = []string{"surge"} },
		"is there twice":               func(j *meter.Job) { j.Load.Scenarios = []string{"basic", "basic"} },
		"want a path in the workspace": func(j *meter.Job) { j.Load.Scenarios = []string{"../a.js"} },
		"no such file":                 func(j *meter.Job) { j.Load.Scenarios = []string{"a.js"} },
		"path escapes": func(j *meter.Job) {
			if err := os.Symlink(outside, filepath.Join(j.Workspace, "link.js")); err != nil {
				t.Error(err)
			}
			j.Load.Scenarios = []string{"link.js"}
		},
		"is an address of the Internet": func(j *meter.Job) { j.URL = "https://93.184.216.34" },
		"load-hosts: shop.example.com":  func(j *meter.Job) { j.URL = "https://shop.example.com" },
		"want at least 1s":              func(j *meter.Job) { j.Load.Duration = time.Millisecond },
		"users: want":                   func(j *meter.Job) { j.Load.Users = -1 },
		"must not be negative":          func(j *meter.Job) { j.Load.Errors = 2 },
		"begins with /":                 func(j *meter.Job) { j.Pages = []string{"http://evil.example.com"} },
	} {
		j := made(t, "basic")
		change(&j)
		l := Load{Lookup: func(string) ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil }}
		err := errors.Join(l.Problems(j)...)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
		// What is a problem is not run either, by whoever did not ask for problems.
		if want == "is an address of the Internet" || want == "load-hosts: shop.example.com" {
			if commands, err := l.Commands(j); err == nil {
				t.Errorf("%q: %v", want, commands)
			}
			j.Settings[HostsSetting] = "shop.example.com, 93.184.216.34"
			if err := errors.Join(l.Problems(j)...); err != nil {
				t.Errorf("named: %v", err)
			}
		}
	}
}

func TestApplies(t *testing.T) {
	t.Parallel()
	for want, j := range map[string]meter.Job{
		"no scenario of load":    {URL: "http://localhost"},
		"no URL to send load to": {Load: meter.Load{Scenarios: []string{"basic"}}},
		"":                       {URL: "http://localhost", Load: meter.Load{Scenarios: []string{"basic"}}},
	} {
		if applies, why := (Load{}).Applies(j); applies != (want == "") || want != "" && why != want {
			t.Errorf("%t, %q, want %q", applies, why, want)
		}
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	j := made(t, "basic", "sustained")
	j.Header = http.Header{"X-Secret": {"abc"}}
	j.Load.Duration, j.Load.Users, j.Load.P95 = 10*time.Second, 7, 1500*time.Millisecond
	for range 2 { // each round of each side has a folder of its own, and may be made again
		commands, err := Load{}.Commands(j)
		if err != nil || len(commands) != 2 {
			t.Fatalf("%v, %v", commands, err)
		}
		c := commands[1]
		env, args := strings.Join(c.Env, "\n"), strings.Join(c.Args, "\n")
		for _, want := range []string{"BASE_URL=http://127.0.0.1:9\n", `HEADERS={"X-Secret":"abc"}`, "DURATION=10\n", "USERS=7\n", "P95=1500\n", "ERRORS=0", "NO_PROXY=*"} {
			if !strings.Contains(env, want) {
				t.Errorf("%q is not in\n%s", want, env)
			}
		}
		if strings.Contains(args, "abc") || !strings.Contains(args, "--blacklist-ip=0.0.0.0/") || !strings.HasSuffix(args, "sustained.js") || !c.Network || c.Time != 10*time.Second+beyond {
			t.Errorf("%+v", c)
		}
	}
}

// ended is what a run of k6 left in the folder of the first scenario.
func ended(t *testing.T, j meter.Job, summary, log string) isolate.Command {
	t.Helper()
	commands, err := Load{}.Commands(j)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{summaryFile: summary, logFile: log} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(commands[0].Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return commands[0]
}

func read(t *testing.T, j meter.Job, ran isolate.Ran, summary, log string) (meter.Reading, error) {
	t.Helper()
	return Load{Cores: 2}.Read(j, ended(t, j, summary, log), ran)
}

// passing is a summary of the scenario basic: 10 requests, none failed.
func passing(with string) string {
	trend := `{"avg":2,"min":1,"med":2,"max":9,"p(90)":3,"p(95)":4,"p(99)":5,"count":10}`
	return fmt.Sprintf(`{"root_group":{},"metrics":{%s
"http_req_duration{scenario:basic}":%s,"generator_lag{scenario:basic}":%s,
"http_req_failed{scenario:basic}":{"passes":0,"fails":10,"value":0},"checks{scenario:basic}":{"passes":10,"fails":0,"value":1},
"http_reqs{scenario:basic}":{"count":10,"rate":1},"iterations{scenario:basic}":{"count":10,"rate":1}}}`, with, trend, trend)
}

var exited = isolate.Ran{Ending: isolate.Exited, Took: time.Minute, CPU: time.Second}

func TestEndings(t *testing.T) {
	t.Parallel()
	j := made(t, "basic")
	if r, err := read(t, j, exited, passing(""), ""); err != nil || len(r.Doubts) > 0 || len(r.Values) != len(metrics) || len(r.Gaps) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
	for want, ran := range map[string]isolate.Ran{
		"signal 9: killed":                        {Ending: isolate.Signalled, Why: "signal 9: killed"},
		"more memory than allowed":                {Ending: isolate.OutOfMemory},
		"did not end within":                      {Ending: isolate.TimedOut},
		"a threshold that does not hold: false":   {Ending: isolate.Exited, Status: crossed},
		"status 137: k6 has no such status":       {Ending: isolate.Exited, Status: 137},
		"status 255: it could not begin":          {Ending: isolate.Exited, Status: 255},
		"status 107: the script has an error":     {Ending: isolate.Exited, Status: 107},
		"status 105: a signal from outside":       {Ending: isolate.Exited, Status: 105},
		"status 109: k6 itself panicked":          {Ending: isolate.Exited, Status: 109},
		"status 100: setup did not end in its":    {Ending: isolate.Exited, Status: 100},
		"status 97: its cloud says that the test": {Ending: isolate.Exited, Status: 97},
	} {
		// The summary is whole: the ending counts.
		with := `"dropped_iterations{scenario:basic}":{"count":0,"rate":0,"thresholds":{"count<1":false}},`
		if r, err := read(t, j, ran, passing(with), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v, %v, want %q", r, err, want)
		}
	}
	var exit *ExitError
	if _, err := read(t, j, isolate.Ran{Ending: isolate.Exited, Status: 100}, "", ""); !errors.As(err, &exit) || exit.Health() != verdict.TimedOut {
		t.Errorf("%v", err)
	}
	if _, err := read(t, made(t, "basic"), exited, "", ""); err == nil || !strings.Contains(err.Error(), "k6 wrote no summary") {
		t.Errorf("without a summary: %v", err)
	}
}

func TestDoubts(t *testing.T) {
	t.Parallel()
	j := made(t, "basic")
	exception := `{"level":"error","source":"stacktrace","msg":"Error: boom\n at x"}` + "\n"
	for want, c := range map[string]struct {
		summary, log string
		ran          isolate.Ran
	}{
		"dropped 132 iterations":  {summary: passing(`"dropped_iterations":{"count":132,"rate":1},`)},
		"used 95 % of 2 process":  {ran: isolate.Ran{Ending: isolate.Exited, Took: 10 * time.Second, CPU: 19 * time.Second}},
		"150ms too late":          {summary: strings.Replace(passing(""), `"generator_lag{scenario:basic}":{"avg":2,"min":1,"med":2,"max":9,"p(90)":3,"p(95)":4,"p(99)":5`, `"generator_lag{scenario:basic}":{"avg":2,"min":1,"med":2,"max":900,"p(90)":3,"p(95)":150,"p(99)":500`, 1)},
		"broke off 3 iterations":  {ran: isolate.Ran{Ending: isolate.Exited, Stdout: []byte("1 complete and 0 interrupted iterations\n7 complete and 3 interrupted iterations\n")}},
		"ended 2 iterations: Err": {log: exception + exception},
		"wrote 1 errors: failed":  {log: `{"level":"error","msg":"failed to handle the end-of-test summary"}`},
		"refused 1 connections":   {log: `{"level":"warning","msg":"Request Failed","error":"Get \"http://x/\": IP (93.184.216.34) is in a blacklisted range (64.0.0.0/3)"}`},
		"lead to another host":    {summary: passing(`"redirects_elsewhere{scenario:basic}":{"count":2,"rate":1},`)},
		"k6 made no request":      {summary: strings.Replace(passing(""), `"http_reqs{scenario:basic}":{"count":10`, `"http_reqs{scenario:basic}":{"count":0`, 1)},
		"no iteration of the":     {summary: strings.Replace(passing(""), `"iterations{scenario:basic}":{"count":10`, `"iterations{scenario:basic}":{"count":0`, 1)},
	} {
		if c.summary == "" {
			c.summary = passing("")
		}
		if c.ran.Ending == "" {
			c.ran = exited
		}
		j.Scratch = t.TempDir()
		r, err := read(t, j, c.ran, c.summary, c.log)
		if err != nil || len(r.Doubts) != 1 || !strings.Contains(r.Doubts[0], want) {
			t.Errorf("%q, %v, want %q", r.Doubts, err, want)
		}
	}
	// What is no trouble of k6.
	log := `{"level":"error","source":"console","msg":"x"}` + "\n" + `{"level":"error","msg":"thresholds on metrics 'http_req_duration' have been crossed"}` + "\nno JSON\n"
	j.Scratch = t.TempDir()
	if r, err := read(t, j, exited, passing(""), log); err != nil || len(r.Doubts) > 0 {
		t.Errorf("%q, %v", r.Doubts, err)
	}
}

// A missing percentile is a gap, not 0.
func TestGaps(t *testing.T) {
	t.Parallel()
	j := made(t, "basic")
	r, err := read(t, j, exited, strings.Replace(passing(""), `"p(99)":5,`, "", 1), "")
	if err != nil || len(r.Gaps) != 1 || r.Gaps[0].Metric != "http_req_duration.p99" || r.Gaps[0].Subject != "basic" {
		t.Errorf("%+v, %v", r.Gaps, err)
	}
	j.Scratch = t.TempDir()
	r, err = read(t, j, exited, strings.Replace(passing(""), "http_req_failed{", "other{", 1), "")
	if err != nil || len(r.Gaps) != 1 || r.Gaps[0].Metric != "http_req_failed" {
		t.Errorf("%+v, %v", r.Gaps, err)
	}
}

// What k6 wrote may be a link to a file of others: its scripts can make one.
func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte(passing("")), 0o600); err != nil {
		t.Fatal(err)
	}
	j := made(t, "basic")
	c := ended(t, j, "", "")
	for _, name := range []string{summaryFile, logFile, dashboardFile} {
		if err := os.Symlink(other, filepath.Join(c.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := (Load{}).Read(j, c, exited); err == nil {
		t.Errorf("%+v", r)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(passing(""), "", 0)
	f.Add(passing(`"dropped_iterations":{"count":1,"rate":1},`), `{"level":"error"}`, 99)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, summary, log string, status int) {
		j := meter.Job{URL: "http://127.0.0.1", Scratch: dir, Load: meter.Load{Scenarios: []string{"basic"}}, Tools: map[string]meter.Tool{"k6": {Command: []string{"/k6"}}}}
		r, err := read(t, j, isolate.Ran{Ending: isolate.Exited, Status: status}, summary+" ", log)
		if err == nil && len(r.Values) == 0 && len(r.Doubts)+len(r.Gaps) == 0 {
			t.Errorf("nothing was measured, and nothing is said: %+v", r)
		}
	})
}
