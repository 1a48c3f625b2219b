// Package gobench runs Go benchmarks. Each package's test program is built once for a
// side, and a round runs the program: no round compiles.
//
// It reads the benchmark format by the rules of benchstat: base units, units of the
// benchmark's own, what "Unit" lines say of them. A result that is not whole is an
// error.
package gobench

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/meter"
)

// The settings.
const (
	Pattern    = "go-bench"     // as go test -bench takes it; "" for no benchmarks
	Packages   = "go-packages"  // folders, one per line, "./..." if empty
	GoRoot     = "go-root"      // the Go toolchain; "" for that of the command go
	GoModCache = "go-mod-cache" // the user's module cache; "" for the one in the home folder
	Time       = "go-benchtime" // as go test -benchtime takes it; "" for its default
)

// buildTime is how long the build of one package may take, with all that it imports.
const buildTime = 10 * time.Minute

// GoBench is the meter.
type GoBench struct{}

var _ meter.Program = GoBench{}

// About describes it.
func (GoBench) About() meter.About {
	return meter.About{Name: "gobench", Does: "Go benchmarks", Memory: 8 << 30}
}

// Applies reports whether benchmarks are asked for.
func (GoBench) Applies(job meter.Job) (bool, string) {
	if job.Settings[Pattern] == "" {
		return false, "no Go benchmarks are asked for"
	}
	return true, fmt.Sprintf("benchmarks that match %s", job.Settings[Pattern])
}

// Problems are a wrong pattern, packages that are not there, and benchmarks that
// nothing declares.
func (g GoBench) Problems(job meter.Job) []error {
	if job.Settings[Pattern] == "" {
		return nil
	}
	dirs, err := find(job)
	if err == nil && len(dirs) == 0 {
		err = fmt.Errorf("input go-bench: no benchmark of %s matches %s", strings.Join(packageLines(job.Settings[Packages]), ", "), job.Settings[Pattern])
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

func find(job meter.Job) ([]string, error) {
	return discover(job.Workspace, job.Settings[Packages], job.Settings[Pattern])
}

// Commands are, in the first round, the version of Go and the builds; and in each round
// the test programs.
func (g GoBench) Commands(job meter.Job) ([]isolate.Command, error) {
	dirs, err := find(job)
	if err != nil {
		return nil, err
	}
	var builds, runs []isolate.Command
	programs := filepath.Join(job.Cache, "gobench", string(job.Side))
	if job.Round == 0 {
		if builds, err = prepare(job, programs); err != nil {
			return nil, err
		}
	}
	for _, dir := range dirs {
		program := filepath.Join(programs, programName(dir))
		in := filepath.Join(job.Workspace, filepath.FromSlash(dir))
		if job.Round == 0 {
			build := builds[0]
			build.Args, build.Dir = []string{"test", "-c", "-o", program, "."}, in
			build.Network, build.Time = true, buildTime
			builds = append(builds, build)
		}
		// -test.v: without it a benchmark that skips itself says nothing.
		args := []string{"-test.v", "-test.run=^$", "-test.bench=" + job.Settings[Pattern], "-test.benchmem", "-test.count=1"}
		if t := job.Settings[Time]; t != "" {
			args = append(args, "-test.benchtime="+t)
		}
		runs = append(runs, isolate.Command{Program: program, Args: args, Dir: in, Reads: []string{programs}})
	}
	return slices.Concat(builds, runs), nil
}

// programName is that of a package's test program: the folder's name, and what tells it
// from another folder of the same name.
func programName(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return fmt.Sprintf("%s-%s.test", filepath.Base(filepath.FromSlash(dir)), hex.EncodeToString(sum[:4]))
}

// prepare makes the folders of a build, and returns the command "go version" with all
// that the builds need too.
func prepare(job meter.Job, programs string) ([]isolate.Command, error) {
	root := job.Settings[GoRoot]
	if root == "" {
		command, err := exec.LookPath("go")
		if err == nil {
			command, err = filepath.EvalSymlinks(command)
		}
		if err != nil {
			return nil, fmt.Errorf("benchmarks need the Go toolchain: %w", err)
		}
		root = filepath.Dir(filepath.Dir(command))
	}
	users := job.Settings[GoModCache]
	if home, err := os.UserHomeDir(); users == "" && err == nil {
		users = filepath.Join(home, "go", "pkg", "mod")
	}
	modules, builds := filepath.Join(job.Cache, "go-mod"), filepath.Join(job.Cache, "go-build")
	// What an earlier job built is of another commit.
	if err := os.RemoveAll(programs); err != nil {
		return nil, err
	}
	for _, dir := range []string{programs, modules, builds} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	reads := []string{root}
	proxy := "https://proxy.golang.org,direct"
	if info, err := os.Stat(users); err == nil && info.IsDir() {
		reads = append(reads, users)
		proxy = "file://" + filepath.ToSlash(filepath.Join(users, "cache", "download")) + "," + proxy
	}
	return []isolate.Command{{
		Program: filepath.Join(root, "bin", "go"), Args: []string{"version"},
		Env: []string{
			"PATH=" + filepath.Join(root, "bin") + ":/usr/local/bin:/usr/bin:/bin", "GOROOT=" + root, "GOTOOLCHAIN=local", "GOTELEMETRY=off",
			"GOENV=off", "GOFLAGS=-buildvcs=false -modcacherw", "GOMODCACHE=" + modules, "GOCACHE=" + builds, "GOPROXY=" + proxy,
		},
		Reads: reads, Writes: []string{programs, modules, builds},
	}}, nil
}

// Read reads what one of the commands printed.
func (GoBench) Read(job meter.Job, command isolate.Command, ran isolate.Ran) (meter.Reading, error) {
	switch command.Args[0] {
	case "version":
		fields := strings.Fields(string(ran.Stdout))
		if err := output.Whole(ran, 0); err != nil {
			return meter.Reading{}, fmt.Errorf("go version: %w", err)
		}
		if len(fields) < 3 || !strings.HasPrefix(fields[2], "go1") && fields[2] != "devel" {
			return meter.Reading{}, fmt.Errorf("go version says %.100q", ran.Stdout)
		}
		return meter.Reading{Versions: map[string]string{"go": strings.TrimPrefix(fields[2], "go")}}, nil
	case "test":
		if ran.Ending != isolate.Exited || ran.Status != 0 {
			return meter.Reading{}, fmt.Errorf("the tests in %s do not build: %s", filepath.Base(command.Dir), first(ran.Stderr, func(line string) bool { return line != "" && line[0] != '#' }))
		}
		return meter.Reading{}, nil
	}
	return readResults(job.Settings[Pattern], command, ran)
}

// readResults reads what a test program printed about the benchmarks of a pattern.
func readResults(pattern string, command isolate.Command, ran isolate.Ran) (meter.Reading, error) {
	if ran.Ending == isolate.Exited && ran.Status != 0 {
		interesting := func(line string) bool {
			return strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") || strings.Contains(line, "--- FAIL:")
		}
		why := first(append(slices.Clone(ran.Stdout), ran.Stderr...), interesting)
		return meter.Reading{}, fmt.Errorf("the benchmarks in %s ended with status %d: %s", filepath.Base(command.Dir), ran.Status, why)
	}
	if err := output.Whole(ran, 0); err != nil {
		return meter.Reading{}, err
	}
	r, err := parse(ran.Stdout)
	if err != nil {
		return meter.Reading{}, fmt.Errorf("the benchmarks in %s: %w", filepath.Base(command.Dir), err)
	}
	if err := r.asked(pattern); err != nil {
		return meter.Reading{}, fmt.Errorf("the benchmarks in %s: %w", filepath.Base(command.Dir), err)
	}
	return r.reading()
}

// asked says that there are results of a benchmark that the pattern does not match. The
// testing package runs none: something else printed them.
func (r report) asked(pattern string) error {
	matches, err := firstElement(pattern)
	if err != nil {
		return err
	}
	for _, one := range r.results {
		name, _, _ := strings.Cut(one.name, "/")
		if name = "Benchmark" + processors.ReplaceAllString(name, ""); !matches.MatchString(name) {
			return fmt.Errorf("it has results of %.100s, which was not asked for", name)
		}
	}
	return nil
}

// processors is what the testing package adds to a name.
var processors = regexp.MustCompile(`-[0-9]+$`)

// reading is the report in the words of a meter.
func (r report) reading() (meter.Reading, error) {
	var all meter.Reading
	for _, one := range r.results {
		subject := r.pkg + "." + one.name
		if one.n == 0 {
			all.Gaps = append(all.Gaps, meter.Gap{Subject: subject, Metric: "sec/op", Why: "it ran 0 times"})
			continue
		}
		for _, v := range one.values {
			if !finite(v.value) {
				all.Gaps = append(all.Gaps, meter.Gap{Subject: subject, Metric: v.unit, Why: fmt.Sprintf("its value is %v", v.value)})
				continue
			}
			all.Values = append(all.Values, meter.Value{Subject: subject, Metric: r.metric(v.unit), Value: v.value})
		}
	}
	for _, name := range r.skipped {
		all.Gaps = append(all.Gaps, meter.Gap{Subject: r.pkg + "." + name, Metric: "sec/op", Why: "the benchmark skipped itself"})
	}
	if len(r.results)+len(r.skipped) == 0 {
		return all, errors.New(r.pkg + ": no benchmark ran, although one is declared that matches")
	}
	return all, nil
}

// first returns the first line that is interesting, or else the first one.
func first(text []byte, interesting func(string) bool) string {
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(text), "")), "\n")
	i := max(0, slices.IndexFunc(lines, interesting))
	return output.Cut(strings.TrimSpace(lines[i]), 300)
}
