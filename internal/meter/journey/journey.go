// Package journey measures what users of a site do: journeys of steps, or programs of the
// user's own, in the machine's Chromium by Playwright.
//
// Each journey is one command on one device, in a browser of its own. A small script
// (journey.mjs) makes it, and reports what the browser noted of each document
// (vitals.js); what that amounts to is computed here. First comes one visit for the
// timings, without a recording. Then the journey is repeated in the same page, for what
// each repetition leaves in memory. Last, in the first round and after a failure, it is
// made once more for a trace and pictures: recording is slow, and nothing is measured
// while it lasts.
//
// A step that fails is an assertion that does not hold, and the journey's values are
// gaps. Pages are untrusted, and so is all that the script reports.
package journey

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/chromium"
)

//go:embed journey.mjs
var script []byte

//go:embed vitals.js
var vitals string

// Settings.
const (
	// SettingFile is the path of the file of journeys: relative to the side's workspace,
	// or absolute, so that both sides have head's. "" stands for one journey through all
	// pages.
	SettingFile = "journeys"
	// SettingVariables are names of environment variables, between blanks, that the
	// values of fill may have as ${NAME}. A journey can read no other.
	SettingVariables = "journey-variables"
)

// Limits of a journey.
const (
	stepLimit   = 10 * time.Second
	loadLimit   = 30 * time.Second
	settleLimit = 1500 * time.Millisecond // for pages that never stop loading something
	walkLimit   = 2 * time.Minute         // of all that is measured of a journey
	limit       = 2*walkLimit + time.Minute
	// Eleven processes of the sample website had 352 MiB, counted as package isolate counts,
	// and sites have far larger pages.
	memory = 3 << 30
)

// Meter implements meter.Program. The zero value has the limits of the gate.
type Meter struct {
	Step time.Duration // of one step that loads nothing; 0 means 10 s
	Load time.Duration // of one page; 0 means 30 s
}

// About implements meter.Meter.
func (Meter) About() meter.About {
	return meter.About{
		Name: "journey", Does: "user journeys in a browser: interactions, layout shifts, memory",
		Tools: []string{"playwright"}, Browser: true, Network: true, Memory: memory, Time: limit, ByURL: true,
	}
}

// Applies implements meter.Meter.
func (Meter) Applies(job meter.Job) (bool, string) {
	if job.URL == "" {
		return false, "no URL"
	}
	walks, err := walks(job)
	if err != nil {
		return true, "the file of journeys is wrong"
	}
	if len(walks) == 0 {
		return false, "no pages and no journeys"
	}
	if len(walks) == 1 {
		return true, "journey " + walks[0].subject()
	}
	return true, fmt.Sprintf("%d journeys, each device counted", len(walks))
}

// Problems implements meter.Meter.
func (Meter) Problems(job meter.Job) []error {
	walks, err := walks(job)
	if err != nil {
		return []error{err}
	}
	var all []error
	allowed := strings.Fields(job.Settings[SettingVariables])
	for _, name := range allowed {
		if !variable.MatchString(name) {
			all = append(all, fmt.Errorf("%s: %q is not the name of a variable", SettingVariables, cut(name)))
		}
	}
	asked := map[string]bool{}
	for _, w := range walks {
		if w.module != "" {
			if info, err := os.Stat(w.module); err != nil || !info.Mode().IsRegular() {
				all = append(all, fmt.Errorf("journey %q: its script %s is no file", w.Name, w.Script))
			}
		}
		for _, s := range w.Steps {
			for _, found := range variables.FindAllStringSubmatch(s.Value, -1) {
				if name := found[1]; s.Kind == "fill" && !asked[name] {
					asked[name] = true
					all = append(all, problem(job, w.Name, name, slices.Contains(allowed, name)))
				}
			}
		}
	}
	return slices.DeleteFunc(all, func(err error) bool { return err == nil })
}

// minSecret is the length in bytes of the shortest secret that can be kept out of a trace.
const minSecret = 4

// problem says what is wrong with a variable that a journey asks for.
func problem(job meter.Job, journey, name string, allowed bool) error {
	switch value := job.Getenv(name); {
	case !allowed:
		return fmt.Errorf("journey %q has ${%s}, which %s does not name", journey, name, SettingVariables)
	case value == "":
		return fmt.Errorf("journey %q: the variable %s is not set", journey, name)
	case len(value) < minSecret:
		return fmt.Errorf("journey %q: the value of %s is shorter than %d bytes: it cannot be told from other text, and so not be kept out of traces", journey, name, minSecret)
	}
	return nil
}

func (m Meter) step() time.Duration { return cmp.Or(m.Step, stepLimit) }

func (m Meter) load() time.Duration { return cmp.Or(m.Load, loadLimit) }

// A walk is one journey on one device.
type walk struct {
	Journey
	device meter.Device
	folder string // in the job's scratch folder, with all that it writes
	root   string // the folder of the file of journeys, absolute
	module string // the absolute path of Script
}

func (w walk) subject() string { return w.Name + " " + string(w.device) }

// walks returns all that a round does, in order.
func walks(job meter.Job) ([]walk, error) {
	journeys, folder := defaults(job.Pages), ""
	if file := job.Settings[SettingFile]; file != "" {
		path := file
		if !filepath.IsAbs(path) {
			path = filepath.Join(job.Workspace, filepath.FromSlash(file))
		}
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: there is no file %s", SettingFile, file)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", SettingFile, err)
		}
		if journeys, err = Parse(file, raw); err != nil {
			return nil, err
		}
		folder = filepath.Dir(path)
	} else if len(job.Pages) == 0 {
		return nil, nil
	}
	var all []walk
	for _, j := range journeys {
		for _, device := range j.on(job.Devices) {
			w := walk{Journey: j, device: device, folder: filepath.Join(job.Scratch, fmt.Sprintf("journey-%d", len(all)+1))}
			if j.Script != "" {
				w.root, w.module = folder, filepath.Join(folder, filepath.FromSlash(j.Script))
			}
			all = append(all, w)
		}
	}
	return all, nil
}

// A device is how a page is shown. The values are those of the seed's Lighthouse runs.
type device struct {
	Name   meter.Device `json:"name"`
	Width  int          `json:"width"`
	Height int          `json:"height"`
	Scale  float64      `json:"scale"`
	Mobile bool         `json:"mobile"`
	CPU    float64      `json:"cpu"` // how many times slower than this machine
}

var devices = map[meter.Device]device{
	meter.Desktop: {meter.Desktop, 1350, 940, 1, false, 1},
	meter.Mobile:  {meter.Mobile, 360, 640, 2.625, true, 4},
}

// flags are for a browser in a container that connects to the pages only.
var flags = []string{
	"--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
	"--disable-component-update", "--disable-sync", "--disable-breakpad", "--disable-dev-shm-usage",
}

// An order is the script's input.
type order struct {
	Playwright   string            `json:"playwright"`
	Chromium     string            `json:"chromium"`
	Flags        []string          `json:"flags"`
	URL          string            `json:"url"`
	Device       device            `json:"device"`
	Headers      map[string]string `json:"headers"`
	Steps        []orderStep       `json:"steps"`
	Module       string            `json:"module"`
	Repeat       int               `json:"repeat"`
	Trace        bool              `json:"trace"`
	Secret       bool              `json:"secret"` // there is one to be kept out of traces
	Vitals       string            `json:"vitals"`
	Out          string            `json:"out"`
	Report       string            `json:"report"`
	StepMS       int64             `json:"stepMS"`
	NavigationMS int64             `json:"navigationMS"`
	SettleMS     int64             `json:"settleMS"`
	LimitMS      int64             `json:"limitMS"`
}

type orderStep struct {
	Kind     string `json:"kind"`
	Of       string `json:"of,omitempty"`
	Selector string `json:"selector,omitempty"`
	Value    string `json:"value"`
	Secret   bool   `json:"secret"` // a picture must not show Selector
}

// Commands implements meter.Program. It writes the script and its orders to the job's
// scratch folder.
func (m Meter) Commands(job meter.Job) ([]isolate.Command, error) {
	walks, err := walks(job)
	if err != nil {
		return nil, err
	}
	tool, ok := job.Tools["playwright"]
	if !ok || len(tool.Command) != 2 {
		return nil, fmt.Errorf("playwright: want node and a script, it is %q", tool.Command)
	}
	program := filepath.Join(job.Scratch, "journey.mjs")
	if err := os.WriteFile(program, script, 0o600); err != nil {
		return nil, err
	}
	var all []isolate.Command
	for _, w := range walks {
		if err := os.MkdirAll(w.folder, 0o700); err != nil {
			return nil, err
		}
		raw, err := json.Marshal(m.order(w, job, filepath.Dir(tool.Command[1])))
		if err != nil {
			return nil, err
		}
		// It has secrets; the script removes it before a page is opened.
		file := filepath.Join(w.folder, "order.json")
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			return nil, err
		}
		command := isolate.Command{
			Program: tool.Command[0], Args: []string{program, file}, Env: tool.Env, Network: true,
			Reads: slices.Concat(tool.Reads, []string{job.Scratch}, chromium.Reads(job.Chromium)), Writes: []string{w.folder}, Report: filepath.Join(w.folder, "report.json"),
			Time: limit, Memory: memory,
		}
		if w.module != "" {
			command.Reads = append(command.Reads, w.root)
		}
		all = append(all, command)
	}
	return all, nil
}

// order is what the script is told about a walk.
func (m Meter) order(w walk, job meter.Job, playwright string) order {
	o := order{
		Playwright: playwright, Chromium: job.Chromium, Flags: flags, URL: job.URL, Device: devices[w.device], Headers: headers(job.Header),
		Module: w.module, Repeat: w.Repeat, Trace: job.Round == 0, Secret: len(secrets(job)) > 0, Vitals: vitals,
		Out: w.folder, Report: filepath.Join(w.folder, "report.json"), StepMS: m.step().Milliseconds(),
		NavigationMS: m.load().Milliseconds(), SettleMS: settleLimit.Milliseconds(), LimitMS: walkLimit.Milliseconds(),
	}
	for _, s := range w.Steps {
		step := orderStep{Kind: s.Kind, Of: s.Of, Selector: s.Selector, Value: s.Value}
		if s.Kind == "fill" && variables.MatchString(s.Value) {
			step.Secret = true
			step.Value = variables.ReplaceAllStringFunc(s.Value, func(ref string) string { return job.Getenv(ref[2 : len(ref)-1]) })
		}
		o.Steps = append(o.Steps, step)
	}
	return o
}

// headers returns the last value of each.
func headers(h http.Header) map[string]string {
	last := map[string]string{}
	for name, values := range h {
		if len(values) > 0 {
			last[name] = values[len(values)-1]
		}
	}
	return last
}

// secrets are what no file of a round may have.
func secrets(job meter.Job) []string {
	var all []string
	for _, value := range headers(job.Header) {
		all = append(all, value)
	}
	for _, name := range strings.Fields(job.Settings[SettingVariables]) {
		if value := job.Getenv(name); value != "" {
			all = append(all, value)
		}
	}
	return all
}
