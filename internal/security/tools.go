package security

import (
	"context"
	"slices"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/security/scanning"
	"github.com/candlefish/deploy-action/internal/toolbox"
)

// toolFinder is the toolbox as what finds the tools of scanners.
type toolFinder struct {
	box     *toolbox.Box
	scanned string // the folder that is scanned
}

// openToolbox opens the tools of this machine for a scan of a folder; own is a lock
// file of the user, "" for none.
func openToolbox(own, scanned string, environ []string) (scanning.Finder, error) {
	box, err := toolbox.Open("", own, environ)
	switch {
	case err != nil && own != "":
		return nil, &exit.Error{Status: exit.BadInput, Err: err}
	case err != nil:
		return nil, err
	}
	return toolFinder{box, scanned}, nil
}

// Find implements scanning.Finder.
func (f toolFinder) Find(ctx context.Context, name string) (scanning.Tool, error) {
	t, err := f.box.FindOutside(ctx, f.scanned, name)
	if err != nil {
		return scanning.Tool{}, absentTool{err}
	}
	return scanning.Tool{Command: append([]string{t.Program}, t.Args...), Version: t.Version, Reads: slices.Clone(t.Reads)}, nil
}

// absentTool is the toolbox's error with the health that follows from it.
type absentTool struct{ error }

// Unwrap gives the toolbox's error.
func (a absentTool) Unwrap() error { return a.error }

// Health says what the tool's is.
func (a absentTool) Health() verdict.Health { return verdict.Health(toolbox.State(a.error)) }

// Hint says what to type.
func (a absentTool) Hint() string { return toolbox.Hint(a.error) }
