// Package perflocal measures the sample website on a machine without one of its own: it
// starts the site on loopback and runs the performance gate against it. It is not part
// of the action's programs.
package perflocal

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/devtools/perfsite"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/perf"
)

// defects are what the sample website can be planted with, by the name that a person
// types.
var defects = map[string]perfsite.Options{
	"none":            {},
	"blocking-script": {BlockingScript: 300 << 10},
	"slow-api":        {APIDelay: 200 * time.Millisecond},
	"layout-shift":    {LayoutShift: true},
	"memory-leak":     {MemoryLeak: true},
	"slow-handler":    {SlowHandler: 300 * time.Millisecond},
}

// Main runs the gate, on the sample website if no URL is given. Of the arguments it
// takes --defect=NAME, which plants a defect in the version that is measured; the base
// of a comparison is the site without one. It returns the exit status.
func Main(env action.Env, args []string) int {
	defect, args := takeDefect(args)
	options, known := defects[defect]
	if !known {
		fmt.Fprintf(env.Stderr, "Error: defect: %q is none of %s\n", defect, strings.Join(slices.Sorted(maps.Keys(defects)), ", "))
		return exit.BadInput.Code()
	}
	v, err := perf.Spec().Parse(args, env.Getenv)
	if err != nil || !needsSite(v) {
		return perf.Main(env, args) // which says what is wrong, too
	}
	more, remove, err := settings(v)
	if err != nil {
		fmt.Fprintln(env.Stderr, "Error:", err)
		return exit.CouldNotRun.Code()
	}
	defer remove()
	args = append(args, more...)
	options.Version = defect
	sites := []perfsite.Options{options}
	compared := slices.Contains(args, "--compare=base")
	if compared {
		sites = append(sites, perfsite.Options{Version: "base"})
	}
	for i, o := range sites {
		site, err := perfsite.Start(o)
		if err != nil {
			fmt.Fprintln(env.Stderr, "Error:", err)
			return exit.CouldNotRun.Code()
		}
		defer func() { _ = site.Close() }()
		args = append(args, []string{"--url=", "--base-url="}[i]+site.URL)
	}
	fmt.Fprintf(env.Stdout, "no URL is given: measuring the sample website%s; name yours by -url=URL\n", planted(defect))
	return perf.Main(env, args)
}

// loadTime is that of a load of the sample website: enough to see how it goes.
const loadTime = "--duration=1m"

// given is what is known of the inputs.
type given interface {
	String(name string) string
	List(name string) []string
	IsSet(name string) bool
}

// settings are arguments for what the sample website has and others do not: journeys
// that use its button and its form, and a load that has its end soon.
func settings(v given) (more []string, remove func(), err error) {
	if !v.IsSet("duration") {
		more = append(more, loadTime)
	}
	if v.IsSet("journeys") {
		return more, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "sample-website-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a folder for the sample website's journeys: %w", err)
	}
	remove = func() { _ = os.RemoveAll(dir) }
	file := filepath.Join(dir, "journeys.yaml")
	if err := os.WriteFile(file, []byte(perfsite.Journeys), 0o600); err != nil {
		remove()
		return nil, nil, fmt.Errorf("write the sample website's journeys: %w", err)
	}
	return append(more, "--journeys="+file), remove, nil
}

func planted(defect string) string {
	if defect == "none" {
		return ""
	}
	return " with a planted " + strings.ReplaceAll(defect, "-", " ")
}

// takeDefect takes --defect out of the arguments.
func takeDefect(args []string) (defect string, others []string) {
	defect = "none"
	for _, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--defect="); ok {
			defect = value
			continue
		}
		others = append(others, arg)
	}
	return defect, others
}

// needsSite reports whether a run that measures pages has none.
func needsSite(v given) bool {
	if v.String("command") != "measure" || v.IsSet("url") {
		return false
	}
	for _, name := range []string{"go-bench", "queries"} {
		if v.IsSet(name) {
			return false
		}
	}
	return len(v.List("bundles"))+len(v.List("samples")) == 0
}
