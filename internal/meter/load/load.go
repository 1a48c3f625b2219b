// Package load measures a site under load, by k6: five scenarios that are shipped here,
// and scripts of the user.
//
// k6 is run as a program and never linked. Load goes only where the package hosts allows
// it. What k6 itself was the limit of, dropped or broken off, is a doubt: such numbers
// say nothing about the site.
package load

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/load/hosts"
)

// Name is the meter's.
const Name = "load"

// HostsSetting is the name in Job.Settings of the hosts that load may be sent to beside
// private ones, with blanks or commas between.
const HostsSetting = "load-hosts"

const (
	shortest  = time.Second      // of a scenario
	few       = 10 * time.Second // under which a round has few requests
	beyond    = 2 * time.Minute  // for the start of k6, its warm-up and its last answers
	ownLimit  = time.Hour        // for a script of the user, whose duration only k6 knows
	memory    = 4 << 30
	trendStat = "avg,min,med,max,p(90),p(95),p(99),count"
)

// Load is the meter.
type Load struct {
	// Lookup returns the addresses of a host, as that of [hosts.System] does. Without
	// it load goes to addresses, localhost and names of a cluster alone.
	Lookup func(host string) ([]netip.Addr, error)
	// Cores is how many processors k6 may use; 0 for those of this process.
	Cores int
}

// About implements meter.Meter.
func (Load) About() meter.About {
	return meter.About{Name: Name, Does: "load by k6", Tools: []string{"k6"}, Network: true, Memory: memory, Time: beyond, Once: true, ByURL: true}
}

// Applies implements meter.Meter.
func (Load) Applies(job meter.Job) (bool, string) {
	switch {
	case len(job.Load.Scenarios) == 0:
		return false, "no scenario of load"
	case job.URL == "":
		return false, "no URL to send load to"
	}
	return true, "scenarios " + strings.Join(job.Load.Scenarios, ", ")
}

// Problems implements meter.Meter.
func (l Load) Problems(job meter.Job) []error {
	if applies, _ := l.Applies(job); !applies {
		return nil
	}
	_, wrong := tasks(job)
	if err := l.guard(job).Allowed(job.URL); err != nil {
		wrong = append(wrong, err)
	}
	if d := job.Load.Duration; d != 0 && d < shortest {
		wrong = append(wrong, fmt.Errorf("the load's duration %v: want at least %v", d, shortest))
	}
	if job.Load.Users < 0 || job.Load.Users > 100_000 {
		wrong = append(wrong, fmt.Errorf("%d users: want 1 to 100000, or 0 for the scenario's own", job.Load.Users))
	}
	if l := job.Load; l.P95 < 0 || l.P99 < 0 || l.Errors < 0 || l.Errors > 1 || l.Rate < 0 {
		wrong = append(wrong, errors.New("the load's limits must not be negative, and the share of errors not over 1"))
	}
	for _, page := range job.Pages {
		if !strings.HasPrefix(page, "/") {
			wrong = append(wrong, fmt.Errorf("the page %q: want a path that begins with /", page))
		}
	}
	return wrong
}

func (l Load) guard(job meter.Job) hosts.Guard {
	named := strings.FieldsFunc(job.Settings[HostsSetting], func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
	return hosts.Guard{Named: named, Lookup: l.Lookup}
}

func (l Load) cores() int { return cmp.Or(l.Cores, runtime.GOMAXPROCS(0)) }

// Commands implements meter.Program: one run of k6 for each scenario.
func (l Load) Commands(job meter.Job) ([]isolate.Command, error) {
	all, wrong := tasks(job)
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	// Looked up for each round: addresses change.
	forbidden, err := l.guard(job).Forbidden(job.URL)
	if err != nil {
		return nil, err
	}
	k6, ok := job.Tools["k6"]
	if !ok || len(k6.Command) == 0 {
		return nil, errors.New("run k6: it is not among the job's tools")
	}
	var commands []isolate.Command
	for _, t := range all {
		if err := os.MkdirAll(t.dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the folder of a scenario: %w", err)
		}
		if err := writeScripts(t.dir); err != nil {
			return nil, err
		}
		env, err := environment(job, t)
		if err != nil {
			return nil, err
		}
		commands = append(commands, isolate.Command{
			Program: k6.Command[0], Args: append(k6.Command[1:len(k6.Command):len(k6.Command)], arguments(t, forbidden)...),
			Dir: t.dir, Env: append(k6.Env[:len(k6.Env):len(k6.Env)], env...), Network: true, Reads: k6.Reads, Writes: []string{t.dir},
			Time: t.limit(), Memory: memory,
		})
	}
	return commands, nil
}

func (t task) limit() time.Duration {
	if t.took == 0 {
		return ownLimit
	}
	return t.took + beyond
}

// arguments are those of k6. None is secret: others on the machine can read them.
func arguments(t task, forbidden []netip.Prefix) []string {
	var refused []string
	for _, p := range forbidden {
		refused = append(refused, p.String())
	}
	script := t.script
	if t.shipped {
		script = filepath.Join(t.dir, t.subject+".js")
	}
	return []string{
		"run", "--no-color", "--no-usage-report", "--summary-trend-stats=" + trendStat, "--summary-export=" + filepath.Join(t.dir, summaryFile),
		"--log-format=json", "--log-output=file=" + filepath.Join(t.dir, logFile), "--blacklist-ip=" + strings.Join(refused, ","), script,
	}
}

// environment has what a script may know.
func environment(job meter.Job, t task) ([]string, error) {
	pages := job.Pages
	if len(pages) == 0 {
		pages = []string{"/"}
	}
	list, err := json.Marshal(pages)
	if err != nil {
		return nil, err
	}
	headers := map[string]string{}
	for name, values := range job.Header {
		headers[name] = strings.Join(values, ", ")
	}
	header, err := json.Marshal(headers)
	if err != nil {
		return nil, err
	}
	env := []string{
		"BASE_URL=" + strings.TrimSuffix(job.URL, "/"), "PAGES=" + string(list), "HEADERS=" + string(header),
		// A proxy would be what is measured, and would go where k6 must not.
		"NO_PROXY=*", "no_proxy=*",
		// k6 would download and run another k6 for the imports of a script.
		"K6_AUTO_EXTENSION_RESOLUTION=false", "K6_BROWSER_EXECUTABLE_PATH=/dev/null",
		"K6_WEB_DASHBOARD=true", "K6_WEB_DASHBOARD_PORT=-1", "K6_WEB_DASHBOARD_EXPORT=" + filepath.Join(t.dir, dashboardFile),
		"K6_WEB_DASHBOARD_PERIOD=" + min(10*time.Second, max(time.Second, (t.took/60).Truncate(time.Second))).String(),
	}
	for _, v := range []struct {
		name  string
		value float64
		zero  bool // 0 is a value: no limit, no error
	}{
		{"DURATION", t.asked.Seconds(), false}, {"USERS", float64(job.Load.Users), false}, {"RATE", job.Load.Rate, false},
		{"P95", milliseconds(job.Load.P95), true}, {"P99", milliseconds(job.Load.P99), true}, {"ERRORS", job.Load.Errors, true},
	} {
		if v.value > 0 || v.zero {
			env = append(env, v.name+"="+strconv.FormatFloat(v.value, 'f', -1, 64))
		}
	}
	return env, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
