// Package securitybench measures parts of the security gate beside the tools that do
// the same: each in a process of its own, alternating, several times; medians count.
package securitybench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
)

// ResultFile is the file for the results, below the repository's root.
const ResultFile = "out/bench-security.md"

// A Scenario is one thing that is measured. It returns a section of the report.
type Scenario struct {
	Name string
	run  func(context.Context, *bench) (section, error)
}

// scenarios are all, in the order of the report.
var scenarios = []Scenario{
	{"read", readOne},
	{"merge", mergeAll},
	{"quick", quickGate},
	{"repositories", others},
}

// A bench is one run.
type bench struct {
	dir             string
	out             io.Writer
	results, rounds int
	seed            uint64
	program         string // of this package, see merge
}

// A section of the report is a table with what is said above and below it.
type section struct {
	title, intro string
	rows         []row
	notes        []string
	text         string // in place of all that, if it is not a race
}

// A row is what one contestant took, as medians.
type row struct {
	name      string
	wall, cpu time.Duration
	peak      int64 // bytes, the highest of all rounds
	results   int   // in its output
	bytes     int64 // of its output
}

// Run measures and prints. The arguments are those behind the target's name.
func Run(ctx context.Context, out io.Writer, args []string) error {
	flags := flag.NewFlagSet("bench:security", flag.ContinueOnError)
	only := flags.String("only", "", "the beginning of the names of the scenarios")
	results := flags.Int("results", 100_000, "the number of results")
	rounds := flags.Int("rounds", 3, "how often everything is measured")
	seed := flags.Uint64("seed", 1, "what the results depend on")
	if err := flags.Parse(args); err != nil {
		return &exit.Error{Status: exit.BadInput, Err: err}
	}
	if flags.NArg() > 0 || *results < 1 || *rounds < 1 {
		return &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("%q: want at least one result and one round, and no other arguments", args)}
	}
	dir, err := os.MkdirTemp("", "securitybench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{dir: dir, out: out, results: *results, rounds: *rounds, seed: *seed, program: filepath.Join(dir, "merge")}
	return b.all(ctx, *only)
}

func (b *bench) all(ctx context.Context, only string) error {
	const program = "github.com/candlefish/deploy-action/internal/devtools/bench/securitybench/merge"
	if said, err := exec.CommandContext(ctx, "go", "build", "-o", b.program, program).CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", program, err, said)
	}
	report := fmt.Sprintf("# bench:security\n\n%d cores; medians of %d rounds, the highest memory of all; seed %d.\n", runtime.GOMAXPROCS(0), b.rounds, b.seed)
	ran := 0
	for _, s := range scenarios {
		if !strings.HasPrefix(s.Name, only) {
			continue
		}
		ran++
		part, err := s.run(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		text := part.markdown()
		fmt.Fprint(b.out, text)
		report += text
	}
	if ran == 0 {
		return &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("no scenario begins with %q", only)}
	}
	return errors.Join(os.MkdirAll(filepath.Dir(ResultFile), 0o755), os.WriteFile(ResultFile, []byte(report), 0o644))
}

func (s section) markdown() string {
	if s.text != "" {
		return s.text
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| | time | CPU time | peak memory | results | output |\n|---|--:|--:|--:|--:|--:|\n", s.title, s.intro)
	for _, r := range s.rows {
		fmt.Fprintf(&b, "| %s | %.2f s | %.2f s | %d MB | %d | %d MB |\n", r.name, r.wall.Seconds(), r.cpu.Seconds(), r.peak/1e6, r.results, r.bytes/1e6)
	}
	for _, n := range s.notes {
		fmt.Fprintf(&b, "\n%s\n", n)
	}
	return b.String()
}

// A contestant is a command that writes a file.
type contestant struct {
	name    string
	command func(context.Context) *exec.Cmd
	output  string // that it writes; "" for none
}

// race measures the contestants in turns.
func (b *bench) race(ctx context.Context, all ...contestant) ([]row, error) {
	samples := make([][]row, len(all))
	for round := range b.rounds {
		for i, c := range all {
			one, err := measure(c.command(ctx))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			samples[i] = append(samples[i], one)
		}
		fmt.Fprintf(b.out, "round %d of %d done\n", round+1, b.rounds)
	}
	rows := make([]row, len(all))
	for i, c := range all {
		rows[i] = medians(samples[i])
		rows[i].name = c.name
	}
	return rows, nil
}

// measure runs a process. The peak of its memory is what the kernel counted.
func measure(cmd *exec.Cmd) (row, error) {
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	begun := time.Now()
	failed := cmd.Run()
	r := row{wall: time.Since(begun)}
	if failed != nil {
		failed = fmt.Errorf("%w: %s", failed, tail(said.String()))
	}
	if cmd.ProcessState == nil {
		return r, failed // it did not start
	}
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	used, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return r, errors.New("the system does not say how much memory a process took")
	}
	r.peak = used.Maxrss << 10 // kB on Linux
	return r, failed
}

func tail(text string) string {
	text = strings.TrimSpace(text)
	return strings.ToValidUTF8(text[max(0, len(text)-1000):], "")
}

func medians(all []row) row {
	var wall, cpu []time.Duration
	var r row
	for _, one := range all {
		wall, cpu = append(wall, one.wall), append(cpu, one.cpu)
		r.peak = max(r.peak, one.peak)
	}
	slices.Sort(wall)
	slices.Sort(cpu)
	r.wall, r.cpu = wall[len(wall)/2], cpu[len(cpu)/2]
	return r
}
