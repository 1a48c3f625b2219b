package toolbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Limits of an installation. The largest, Trivy, takes six minutes on two idle cores.
const (
	buildLimit = time.Hour
	npmLimit   = 10 * time.Minute
	lockLimit  = time.Hour
	interval   = 4 * time.Second // of progress
)

// Default are the tools that a gate needs unless it is told otherwise, such as those
// of the level standard, and that can be had from the registries.
func (b *Box) Default(gate Gate) []string {
	var names []string
	for _, e := range b.entries {
		if e.Default && slices.Contains(e.Gates, gate) {
			names = append(names, e.Name)
		}
	}
	return names
}

// Install installs the tools that are not there or are not what was locked. What is
// there and right costs no request. say gets a line when something begins or ends, and
// every few seconds between.
func (b *Box) Install(ctx context.Context, names []string, say func(string)) error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of the tools: %w", err)
	}
	if err := private(b.dir); err != nil {
		return err
	}
	var failed []error
	for _, name := range names {
		if err := b.installOne(ctx, name, say); err != nil {
			failed = append(failed, fmt.Errorf("install %s: %w", name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

func (b *Box) installOne(ctx context.Context, name string, say func(string)) error {
	e, err := b.entry(name)
	if err != nil {
		return err
	}
	found, err := b.Find(ctx, name)
	if err == nil {
		say(fmt.Sprintf("%s %s: there, verified", name, found.Version))
		return nil
	}
	if errors.Is(err, ErrDenied) || e.Kind != Go && e.Kind != NPM {
		return err // no installation mends it
	}
	if denied, ok := b.denial(e.Name, e.Version, ""); ok {
		return denied
	}
	unlock, err := b.lock(ctx, e, say)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := b.Find(ctx, name); err == nil {
		say(fmt.Sprintf("%s %s: another process installed it", name, e.Version))
		return nil
	}
	return b.replace(ctx, e, say)
}

// replace installs a tool beside its place, verifies it, and puts it there.
func (b *Box) replace(ctx context.Context, e Entry, say func(string)) error {
	began := time.Now()
	say(fmt.Sprintf("%s %s: installing", e.Name, e.Version))
	place := b.place(e)
	if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
		return err
	}
	partial, err := os.MkdirTemp(filepath.Dir(place), "partial-")
	if err != nil {
		return err
	}
	defer func() { _ = removeAll(partial) }()
	out := filepath.Join(partial, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		return err
	}
	p := &progress{name: e.Name + " " + e.Version, began: began}
	stop := p.every(interval, say)
	if e.Kind == Go {
		err = b.buildGo(ctx, e, partial, out, p)
	} else {
		err = b.installNPM(ctx, e, out, p)
	}
	stop()
	if err != nil {
		return err
	}
	// Whoever is killed between these lines leaves a tool without a receipt, which is
	// none, or a receipt without a tool.
	if err := errors.Join(os.RemoveAll(b.receiptFile(e)), removeAll(place), os.Rename(out, place), b.writeReceipt(e)); err != nil {
		return err
	}
	if _, err := b.Find(ctx, e.Name); err != nil {
		return err
	}
	say(fmt.Sprintf("%s %s: installed in %s", e.Name, e.Version, time.Since(began).Round(time.Second)))
	return nil
}

// lock waits until no other process installs the tool.
func (b *Box) lock(ctx context.Context, e Entry, say func(string)) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockLimit)
	defer cancel()
	dir := filepath.Join(b.dir, "locks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, e.Name)
	p := &progress{name: e.Name + " " + e.Version, began: time.Now(), doing: "waiting for another process that installs it"}
	defer p.every(interval, say)()
	unlock, err = lockFile(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("wait for the lock %s: %w", path, err)
	}
	return unlock, nil
}

// A Status is what is known of one tool.
type Status struct {
	Entry
	Tool Tool
	Err  error // of Find
}

// List looks up all tools.
func (b *Box) List(ctx context.Context) []Status {
	var all []Status
	for _, e := range b.Entries() {
		t, err := b.Find(ctx, e.Name)
		all = append(all, Status{Entry: e, Tool: t, Err: err})
	}
	slices.SortStableFunc(all, func(x, y Status) int { return strings.Compare(string(x.Kind), string(y.Kind)) })
	return all
}
