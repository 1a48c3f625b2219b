package security

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
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
	t, err := f.box.Find(ctx, name)
	if err != nil {
		return scanning.Tool{}, absentTool{err}
	}
	if inside(f.scanned, t.Program) {
		why := fmt.Sprintf("%s is in the folder that is scanned: a change could bring the scanner that judges it", t.Program)
		return scanning.Tool{}, absentTool{&toolbox.ToolError{Name: name, Err: toolbox.ErrDenied, Why: why}}
	}
	return scanning.Tool{Command: append([]string{t.Program}, t.Args...), Version: t.Version, Reads: slices.Clone(t.Reads)}, nil
}

// inside reports whether a file is in a folder, whatever links lead to either.
func inside(folder, file string) bool {
	real := func(path string) string {
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			path = resolved
		}
		return path
	}
	rel, err := filepath.Rel(real(folder), real(file))
	return err == nil && filepath.IsLocal(rel)
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
