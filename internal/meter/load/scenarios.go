package load

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/meter"
)

//go:embed scripts/*.js
var scripts embed.FS

// A Shape is how many users a shipped scenario has, and when.
type Shape struct {
	Name  string
	Users int // at the peak
	// Rate is how many visits begin in a second at least, whatever the answers; 0 for
	// users who wait for an answer and then pause.
	Rate   float64
	Stages []Stage
}

// A Stage is a part of a scenario.
type Stage struct {
	Took  time.Duration
	Users int // at its end
}

// Took is how long the scenario takes.
func (s Shape) Took() time.Duration {
	var sum time.Duration
	for _, stage := range s.Stages {
		sum += stage.Took
	}
	return sum
}

// Names returns the shipped scenarios.
func Names() []string { return []string{"basic", "load", "stress", "spike", "sustained"} }

var shapeLine = regexp.MustCompile(`(?m)^const shape = (\{.*\});$`)

// ShapeOf reads the shape of a shipped scenario out of its script.
func ShapeOf(name string) (Shape, error) {
	raw, err := scripts.ReadFile("scripts/" + name + ".js")
	if err != nil {
		return Shape{}, err
	}
	found := shapeLine.FindSubmatch(raw)
	if found == nil {
		return Shape{}, fmt.Errorf("the script %s.js has no shape", name)
	}
	var read struct {
		Name   string
		Users  int
		Rate   float64
		Stages [][2]int
	}
	if err := json.Unmarshal(found[1], &read); err != nil {
		return Shape{}, fmt.Errorf("the shape in %s.js: %w", name, err)
	}
	s := Shape{Name: read.Name, Users: read.Users, Rate: read.Rate}
	for _, stage := range read.Stages {
		s.Stages = append(s.Stages, Stage{time.Duration(stage[0]) * time.Second, stage[1]})
	}
	return s, nil
}

// writeScripts puts the shipped scripts into a folder.
func writeScripts(dir string) error {
	files, err := fs.Glob(scripts, "scripts/*.js")
	if err != nil {
		return err
	}
	for _, name := range files {
		raw, err := scripts.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), raw, 0o600); err != nil {
			return fmt.Errorf("write the script of a scenario: %w", err)
		}
	}
	return nil
}

// A task is one scenario of a job.
type task struct {
	subject string
	shipped bool
	script  string        // absolute, of a script of the user
	dir     string        // its folder below Job.Scratch
	took    time.Duration // that it should take; 0 if only the user's script knows
	asked   time.Duration // that k6 is told; 0 leaves it to the script
	rate    float64
}

// tasks are the scenarios of a job, in their order.
func tasks(job meter.Job) ([]task, []error) {
	var all []task
	var wrong []error
	for i, name := range job.Load.Scenarios {
		t := task{subject: name, asked: job.Load.Duration, dir: filepath.Join(job.Scratch, fmt.Sprintf("load-%d", i))}
		if slices.Contains(job.Load.Scenarios[:i], name) {
			wrong = append(wrong, fmt.Errorf("the scenario %s is there twice", name))
			continue
		}
		if slices.Contains(Names(), name) {
			shape, err := ShapeOf(name)
			if err != nil {
				wrong = append(wrong, err)
				continue
			}
			t.shipped, t.took, t.rate = true, shape.Took(), shape.Rate
			switch {
			case t.asked > 0:
				t.took = t.asked
			case job.Load.Parts > 1:
				t.asked = max(t.took/time.Duration(job.Load.Parts), few)
				t.took = t.asked
			}
			if t.rate > 0 && job.Load.Rate > 0 {
				t.rate = job.Load.Rate
			}
			all = append(all, t)
			continue
		}
		script, err := ownScript(job.Workspace, name)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		t.script, t.subject = script, filepath.ToSlash(filepath.Clean(name))
		all = append(all, t)
	}
	return all, wrong
}

// ownScript finds a script of the user, which must be in the workspace.
func ownScript(workspace, name string) (string, error) {
	if !strings.HasSuffix(name, ".js") && !strings.HasSuffix(name, ".ts") {
		return "", fmt.Errorf("there is no scenario %q: want one of %q, or the path of a k6 script, .js or .ts", name, Names())
	}
	if !filepath.IsLocal(name) || workspace == "" {
		return "", fmt.Errorf("the k6 script %s: want a path in the workspace", name)
	}
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return "", fmt.Errorf("the k6 script %s: %w", name, err)
	}
	defer func() { _ = root.Close() }()
	info, err := root.Stat(name) // a link out of the workspace is an error
	if err != nil {
		return "", fmt.Errorf("the k6 script %s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("the k6 script %s: it is no file", name)
	}
	return filepath.Join(workspace, name), nil
}
