package security

import (
	"context"
	"errors"
	"slices"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/security/scanning"
	"github.com/candlefish/deploy-action/internal/toolbox"
)

// toolFinder is the toolbox as what finds the tools of scanners.
type toolFinder struct{ box *toolbox.Box }

// openToolbox opens the tools of this machine; own is a lock file of the user, "" for
// none.
func openToolbox(own string, environ []string) (scanning.Finder, error) {
	box, err := toolbox.Open("", own, environ)
	if err != nil {
		return nil, &exit.Error{Status: exit.BadInput, Err: err}
	}
	return toolFinder{box}, nil
}

// Find implements scanning.Finder.
func (f toolFinder) Find(ctx context.Context, name string) (scanning.Tool, error) {
	t, err := f.box.Find(ctx, name)
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
func (a absentTool) Health() verdict.Health {
	switch {
	case errors.Is(a, toolbox.ErrDenied):
		return verdict.Denied
	case errors.Is(a, toolbox.ErrChecksum):
		return verdict.WrongChecksum
	}
	return verdict.Missing
}

// Hint says what to type.
func (a absentTool) Hint() string {
	var e *toolbox.ToolError
	if errors.As(a.error, &e) {
		return e.Hint
	}
	return ""
}
