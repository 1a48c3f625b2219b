package toolbox

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// FindOutside is Find for a tool that judges what is in a folder: a program that lies
// there is denied, whatever links lead to it, since a change could bring its own judge.
func (b *Box) FindOutside(ctx context.Context, folder, name string) (Tool, error) {
	t, err := b.Find(ctx, name)
	if err == nil && inside(folder, t.Program) {
		why := fmt.Sprintf("%s is in the folder that it looks at: a change could bring the program that judges it", t.Program)
		return Tool{}, &ToolError{Name: name, Err: ErrDenied, Why: why}
	}
	return t, err
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

// State is the word for why a tool cannot be used: denied, wrong checksum or missing.
func State(err error) string {
	switch {
	case errors.Is(err, ErrDenied):
		return "denied"
	case errors.Is(err, ErrChecksum):
		return "wrong checksum"
	}
	return "missing"
}

// Hint says what to type about a tool that cannot be used; "" for nothing.
func Hint(err error) string {
	var e *ToolError
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}
