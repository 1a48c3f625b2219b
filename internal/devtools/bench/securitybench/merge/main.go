// Merge reads or merges SARIF files, in a process of its own whose memory can be
// measured:
//
//	merge read COUNT FILE...
//	merge merge OUTPUT FILE...
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/candlefish/deploy-action/internal/sarif"
	"github.com/candlefish/deploy-action/internal/sarif/emit"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) > 2 && args[0] == "read":
		l, err := read(args[2:])
		if got := strconv.Itoa(len(l.Sightings())); err == nil && got != args[1] {
			err = fmt.Errorf("%s results were read, want %s", got, args[1])
		}
		return err
	case len(args) > 2 && args[0] == "merge":
		l, err := read(args[2:])
		if err != nil {
			return err
		}
		f, err := os.Create(args[1])
		if err != nil {
			return err
		}
		return errors.Join(emit.OfLog(l, emit.Options{}).Write(f), f.Close())
	}
	return fmt.Errorf("want read COUNT FILE... or merge OUTPUT FILE..., not %q", args)
}

func read(files []string) (sarif.Log, error) {
	logs := make([]sarif.Log, len(files))
	for i, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return sarif.Log{}, err
		}
		logs[i], err = sarif.Read(f, sarif.Options{})
		if err = errors.Join(err, f.Close()); err != nil {
			return sarif.Log{}, fmt.Errorf("%s: %w", file, err)
		}
	}
	return sarif.Merge(logs...), nil
}
