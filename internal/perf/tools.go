package perf

import (
	"context"
	"slices"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/perf/measuring"
	"github.com/candlefish/deploy-action/internal/toolbox"
)

// toolFinder is the toolbox as what finds the tools of meters.
type toolFinder struct {
	box    *toolbox.Box
	judged string // the folder of the repository
}

// openToolbox opens the tools of this machine for a run over a folder; own is a lock
// file of the user, "" for none.
func openToolbox(own, judged string, environ []string) (measuring.Finder, error) {
	box, err := toolbox.Open("", own, environ)
	switch {
	case err != nil && own != "":
		return nil, &exit.Error{Status: exit.BadInput, Err: err}
	case err != nil:
		return nil, err
	}
	return toolFinder{box, judged}, nil
}

// Find implements measuring.Finder.
func (f toolFinder) Find(ctx context.Context, name string) (meter.Tool, error) {
	t, err := f.box.FindOutside(ctx, f.judged, name)
	if err != nil {
		return meter.Tool{}, err
	}
	return meter.Tool{Command: append([]string{t.Program}, t.Args...), Version: t.Version, Reads: slices.Clone(t.Reads)}, nil
}
