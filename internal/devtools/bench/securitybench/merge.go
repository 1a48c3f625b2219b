package securitybench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/candlefish/deploy-action/internal/devtools/bench/securitybench/repositories"
	"github.com/candlefish/deploy-action/internal/devtools/multitool"
	"github.com/candlefish/deploy-action/internal/sarif"
)

// peerDir is where sarif-multitool is installed, below the repository's root.
const peerDir = "out/bench-security-peer"

// files is how many files are merged.
const files = 20

// readOne reads one file with all results.
func readOne(ctx context.Context, b *bench) (section, error) {
	all, size, err := b.files("one", 1)
	if err != nil {
		return section{}, err
	}
	rows, err := b.race(ctx, contestant{name: "ours", command: func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, b.program, append([]string{"read", strconv.Itoa(b.results)}, all...)...)
	}})
	if err != nil {
		return section{}, err
	}
	rows[0].results = b.results // the program fails if it reads another number
	return section{title: "Reading one file", intro: fmt.Sprintf("A SARIF file of %d MB with %d results.", size/1e6, b.results), rows: rows}, nil
}

// mergeAll merges files of several tools, beside sarif-multitool, which then validates
// our output.
func mergeAll(ctx context.Context, b *bench) (section, error) {
	all, size, err := b.files("many", files)
	if err != nil {
		return section{}, err
	}
	dir, err := filepath.Abs(peerDir)
	if err != nil {
		return section{}, err
	}
	fmt.Fprintln(b.out, "installing sarif-multitool, if it is not there yet")
	tool, err := multitool.Install(ctx, dir)
	if err != nil {
		return section{}, err
	}
	ours, theirs := filepath.Join(b.dir, "ours.sarif"), filepath.Join(b.dir, "theirs.sarif")
	contestants := []contestant{
		{"ours", func(ctx context.Context) *exec.Cmd {
			return exec.CommandContext(ctx, b.program, append([]string{"merge", ours}, all...)...)
		}, ours},
		{"sarif-multitool " + tool.Version, func(ctx context.Context) *exec.Cmd {
			return tool.Command(ctx, append(append([]string{"merge"}, all...), "--output-directory", b.dir, "--output-file", filepath.Base(theirs), "--log", "ForceOverwrite;Minify", "--merge-empty-logs")...)
		}, theirs},
	}
	rows, err := b.race(ctx, contestants...)
	if err != nil {
		return section{}, err
	}
	s := section{title: "Merging", intro: fmt.Sprintf("%d SARIF files of five tools, %d MB with %d results together, merged into one file.", files, size/1e6, b.results), rows: rows}
	for i, c := range contestants {
		runs, err := look(c, &s.rows[i])
		if err != nil {
			return section{}, fmt.Errorf("the output of %s: %w", c.name, err)
		}
		s.notes = append(s.notes, fmt.Sprintf("The output of %s has %d runs.", c.name, runs))
	}
	if s.rows[0].results != b.results {
		return section{}, fmt.Errorf("ours has %d results of %d", s.rows[0].results, b.results)
	}
	fmt.Fprintln(b.out, "validating the output of ours")
	faults, err := tool.Validate(ctx, ours)
	if err != nil {
		return section{}, err
	}
	if len(faults) > 0 {
		return section{}, fmt.Errorf("ours is not valid, %d errors: %s", len(faults), faults[0])
	}
	s.notes = append(s.notes, "sarif-multitool validate finds no error in ours.")
	return s, nil
}

// look counts what a contestant has written. It returns the number of runs.
func look(c contestant, r *row) (int, error) {
	f, err := os.Open(c.output)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	about, err := f.Stat()
	if err != nil {
		return 0, err
	}
	l, err := sarif.Read(f, sarif.Options{MaxBytes: 1 << 30})
	if err != nil {
		return 0, err
	}
	r.bytes, r.results = about.Size(), len(l.Sightings())
	return len(l.Runs), nil
}

// others runs the whole gate on repositories of others, beside each scanner alone.
func others(ctx context.Context, b *bench) (section, error) {
	text, err := repositories.Run(ctx, b.out, b.dir)
	if err != nil {
		fmt.Fprint(b.out, text) // what is wrong is easier to see with it
	}
	return section{text: text}, err
}
