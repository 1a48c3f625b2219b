// Package inputs defines the inputs and outputs of the performance gate, and what a
// run is to do by them and by the event that started it.
package inputs

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/access"
	"github.com/candlefish/deploy-action/internal/files"
	"github.com/candlefish/deploy-action/internal/github/change"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/perf/baseline"
)

// Scenarios are the names of the loads that come with the gate, in the order in which
// "all" makes them.
var Scenarios = []string{"basic", "load", "stress", "spike", "sustained"}

// An Occasion is what a run is to measure and to compare, by its inputs and its event.
type Occasion struct {
	Change     change.Change
	Repository string // owner/name; "" if not known
	Meters     []string
	URL        string // without a slash at its end
	BaseURL    string
	Dir        string // absolute
	BaseDir    string // absolute; "" for none
	Pages      []string
	Devices    []meter.Device
	Runs       int // of each side; 0 leaves it to the statistics
	Header     http.Header
	Secrets    []string // of the headers
	Load       meter.Load
	Compare    string // CompareBase, CompareBaseline or CompareNone
	Settings   map[string]string
	Floors     map[string]measure.Floor
}

// leastRuns is how many runs there are where nothing asks for more.
const leastRuns = 5

// PullRequest reports whether the run is for a pull request.
func (o Occasion) PullRequest() bool { return o.Change.Number > 0 }

// Base reports whether there is a version to compare with in this job.
func (o Occasion) Base() bool { return o.Compare == CompareBase }

// OccasionOf decides what the inputs leave to the event. All that is wrong comes in
// one error; known are the names of the meters.
func OccasionOf(v input.Values, c change.Change, known []string) (Occasion, error) {
	r := reader{v: v}
	o := Occasion{
		Change: c, Repository: cmp.Or(v.String("repository"), c.Repo), Meters: r.names("meters", known),
		URL: r.address("url"), BaseURL: r.address("base-url"), Dir: r.folder("dir"), BaseDir: r.folder("base-dir"),
		Pages: r.pages(), Devices: r.devices(), Load: r.load(), Floors: r.floors(), Settings: r.settings(),
	}
	r.names("optional-meters", known)
	if err := baseline.CheckBranches(v.List("baseline-branches")); err != nil {
		r.problem("baseline-branches", "%v", err)
	}
	o.Header, o.Secrets = r.headers()
	o.Runs, _ = strconv.Atoi(v.String("runs")) // 0 is auto, and its form is checked
	o.Compare = r.compare(o)
	if o.Runs == 0 && !o.Base() {
		o.Runs = leastRuns
	}
	return o, r.problems.Err()
}

// A reader reads inputs and gathers what is wrong with them.
type reader struct {
	v        input.Values
	problems input.Problems
}

func (r *reader) problem(name, format string, args ...any) {
	r.problems = append(r.problems, r.v.Problem(name, fmt.Sprintf(format, args...)))
}

func (r *reader) names(name string, known []string) []string {
	for _, one := range r.v.List(name) {
		if !slices.Contains(known, one) {
			r.problem(name, "there is no meter %q; there are %s", one, strings.Join(known, ", "))
		}
	}
	return r.v.List(name)
}

// address is a URL without a slash at its end, to which paths are appended.
func (r *reader) address(name string) string {
	u := r.v.URL(name)
	if u == nil {
		return ""
	}
	if u.RawQuery != "" || u.Fragment != "" {
		r.problem(name, "it must have no query and no fragment: paths of pages are appended to it")
	}
	return strings.TrimSuffix(u.String(), "/")
}

func (r *reader) folder(name string) string {
	dir := r.v.String(name)
	if dir == "" {
		return ""
	}
	abs, err := filepath.Abs(dir)
	if err != nil || !files.Exists(abs) {
		r.problem(name, "there is no such folder")
	}
	return abs
}

func (r *reader) pages() []string {
	pages := r.v.List("pages")
	for _, page := range pages {
		if !input.FormPath.Pattern.MatchString(page) {
			r.problem("pages", "%q is no path: it must start with '/'", page)
		}
	}
	if len(pages) == 0 {
		return []string{"/"}
	}
	return slices.Compact(pages)
}

func (r *reader) devices() []meter.Device {
	var all []meter.Device
	for _, name := range r.v.List("devices") {
		d := meter.Device(name)
		switch {
		case d != meter.Desktop && d != meter.Mobile:
			r.problem("devices", "there is no device %q; there are desktop and mobile", name)
		case !slices.Contains(all, d):
			all = append(all, d)
		}
	}
	if len(all) == 0 {
		return []meter.Device{meter.Desktop, meter.Mobile}
	}
	return all
}

func (r *reader) headers() (http.Header, []string) {
	h, err := access.Parse(r.v.List("headers"))
	if err != nil {
		r.problem("headers", "%v", err)
	}
	return h.All(), h.Secrets()
}

func (r *reader) load() meter.Load {
	return meter.Load{
		Scenarios: r.scenarios(), Duration: r.v.Duration("duration"), Users: r.v.Int("users"),
		P95: r.v.Duration("p95-threshold"), P99: r.v.Duration("p99-threshold"),
		Errors: r.v.Float("error-rate-threshold") / 100, Rate: r.v.Float("throughput-threshold"),
	}
}

// scenarios are names of ours, and paths of scripts in the repository.
func (r *reader) scenarios() []string {
	var all []string
	for _, name := range r.v.List("scenarios") {
		switch {
		case name == "all":
			all = append(all, Scenarios...)
		case slices.Contains(Scenarios, name):
			all = append(all, name)
		case strings.HasSuffix(name, ".js") || strings.HasSuffix(name, ".ts"):
			all = append(all, r.script(name))
		default:
			r.problem("scenarios", "%q is neither one of %s nor a script that ends with .js or .ts", name, strings.Join(append(Scenarios, "all"), ", "))
		}
	}
	if len(all) == 0 {
		return []string{Scenarios[0]}
	}
	return slices.Compact(all)
}

// script is the path of a script from the repository's folder on: load and baselines
// know the scenario by it.
func (r *reader) script(name string) string {
	path := r.within(name)
	local, err := filepath.Rel(r.within("."), path)
	switch {
	case !files.Exists(path):
		r.problem("scenarios", "there is no script %s", name)
	case err != nil || !filepath.IsLocal(local):
		r.problem("scenarios", "the script %s is not in the repository's folder, which the input dir names", name)
	}
	return filepath.ToSlash(local)
}

// Within returns the path of a file that is relative to the repository.
func (o Occasion) Within(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(o.Dir, name)
}

// within returns the path of a file that is relative to the repository.
func (r *reader) within(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	abs, err := filepath.Abs(filepath.Join(r.v.String("dir"), name))
	if err != nil {
		r.problem("dir", "%v", err)
	}
	return abs
}

// settings are those of single meters. The files of them must exist.
func (r *reader) settings() map[string]string {
	all := map[string]string{
		"go-bench": r.v.String("go-bench"), "go-benchtime": r.v.String("go-benchtime"), "go-packages": strings.Join(r.v.List("go-packages"), "\n"),
		"bundles": strings.Join(r.v.List("bundles"), "\n"), "prometheus-url": r.v.String("prometheus-url"),
		"load-hosts":        strings.Join(r.v.List("load-hosts"), "\n"),
		"journey-variables": strings.Join(r.v.List("journey-variables"), "\n"),
	}
	for _, name := range []string{"journeys", "queries"} {
		if file := r.v.String(name); file != "" {
			all[name] = r.file(name, file)
		}
	}
	all["samples"] = strings.Join(r.v.List("samples"), "\n")
	if abs, err := filepath.Abs(r.v.String("dir")); err == nil {
		all["samples-dir"] = abs
	}
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return all
}

func (r *reader) file(name, file string) string {
	path := r.within(file)
	if !files.Exists(path) {
		r.problem(name, "there is no file %s", file)
	}
	return path
}

// floors parses METRIC=ABSOLUTE,PERCENT.
func (r *reader) floors() map[string]measure.Floor {
	all := map[string]measure.Floor{}
	for _, line := range r.v.List("floors") {
		name, value, ok := strings.Cut(line, "=")
		floor, err := parseFloor(value)
		if !ok || name == "" || err != nil {
			r.problem("floors", "%q is not METRIC=ABSOLUTE,PERCENT, such as largest-contentful-paint=100,5%%", line)
			continue
		}
		all[strings.TrimSpace(name)] = floor
	}
	return all
}

func parseFloor(text string) (measure.Floor, error) {
	absolute, percent, ok := strings.Cut(text, ",")
	percent, isPercent := strings.CutSuffix(strings.TrimSpace(percent), "%")
	if !ok || !isPercent {
		return measure.Floor{}, errors.New("want two numbers, the second in percent")
	}
	a, err := strconv.ParseFloat(strings.TrimSpace(absolute), 64)
	if err != nil {
		return measure.Floor{}, err
	}
	p, err := strconv.ParseFloat(strings.TrimSpace(percent), 64)
	if err != nil || !(a >= 0 && a < 1e15) || !(p >= 0 && p < 1e9) {
		return measure.Floor{}, errors.New("want numbers from 0")
	}
	return measure.Floor{Absolute: a, Relative: p / 100}, nil
}

// compare decides what head is compared with.
func (r *reader) compare(o Occasion) string {
	base := o.BaseURL != "" || o.BaseDir != "" || len(r.v.List("samples")) > 0
	switch given := r.v.String("compare"); {
	case given == CompareBase && !base:
		r.problem("compare", "there is no base: set base-url or base-dir")
	case given == CompareBaseline && r.v.String("baseline") == "":
		r.problem("compare", "there is no baseline: set the input baseline")
	case given != Auto:
		return given
	case o.BaseURL != "" || o.BaseDir != "":
		return CompareBase
	case r.v.String("baseline") != "":
		return CompareBaseline
	case base:
		return CompareBase
	}
	return CompareNone
}

// RoundLoad is the load of one round: a comparison divides the duration into its
// rounds, that of the scenario itself too, so that it does not take ten times as long.
// It is never shorter than ten seconds.
func RoundLoad(l meter.Load, rounds int) meter.Load {
	switch {
	case l.Duration == 0:
		l.Parts = rounds
	case rounds > 1:
		l.Duration = max(l.Duration/time.Duration(rounds), 10*time.Second)
	}
	return l
}
