// Package baseline keeps the file of earlier runs: in a folder, for artifacts and
// caches; on a branch of the repository; or in a bucket of S3.
//
// A file is read, changed and written only if it is still the one that was read, so that
// no job undoes another's run, and whole or not at all. No file is an empty baseline.
// One that cannot be read is an error and stays as it is: an empty baseline never takes
// its place.
package baseline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/measure/history"
)

// A Store keeps one file.
type Store interface {
	// Load reads the file; an empty one if there is none.
	Load(context.Context) (history.File, error)
	// Save reads the file, changes it by the function, and writes it. It does that again,
	// with the file as it is then, if somebody else wrote meanwhile. An error of the
	// function ends it, and nothing is written; nor is it if nothing changed.
	Save(context.Context, func(history.File) (history.File, error)) error
	// Where is where the file is, for people.
	Where() string
}

// A medium has the bytes of one file.
type medium interface {
	// read returns the content, nil for no file, and a token that says which it is.
	read(context.Context) (content []byte, token string, err error)
	// write replaces the content that had the token. It returns errConflict if another
	// has taken its place.
	write(ctx context.Context, content []byte, token string) error
	where() string
	// reset is the command that starts the baseline anew, for people.
	reset() string
}

var errConflict = errors.New("somebody else wrote the baseline meanwhile")

// attempts bounds how often a write is tried: with each that fails another job's has
// gone well.
const attempts = 25

type store struct {
	medium medium
	after  func(time.Duration) <-chan time.Time
}

var _ Store = store{}

func (s store) Where() string { return s.medium.where() }

func (s store) Load(ctx context.Context) (history.File, error) {
	f, _, _, err := s.load(ctx)
	return f, err
}

func (s store) load(ctx context.Context) (f history.File, raw []byte, token string, err error) {
	raw, token, err = s.medium.read(ctx)
	if err != nil {
		return history.File{}, nil, "", fmt.Errorf("read the baseline in %s: %w", s.Where(), err)
	}
	if raw == nil {
		return history.File{Version: history.Version, Environments: []history.Environment{}}, nil, token, nil
	}
	f, err = history.Parse(raw)
	if err != nil {
		return history.File{}, nil, "", unreadable(s.Where(), s.medium.reset(), err)
	}
	return f, raw, token, nil
}

func (s store) Save(ctx context.Context, change func(history.File) (history.File, error)) error {
	for n := 1; ; n++ {
		if ctx.Err() != nil {
			return fmt.Errorf("write the baseline in %s: %w", s.Where(), context.Cause(ctx))
		}
		before, raw, token, err := s.load(ctx)
		if err != nil {
			return err
		}
		after, err := change(before)
		if err != nil {
			return err
		}
		text, err := history.Render(after)
		if err != nil {
			return err
		}
		if bytes.Equal(text, raw) {
			return nil
		}
		err = s.medium.write(ctx, text, token)
		if err == nil {
			return nil
		}
		err = fmt.Errorf("write the baseline in %s: %w", s.Where(), err)
		if !errors.Is(err, errConflict) || n == attempts {
			return err
		}
		select {
		case <-s.after(pause(n)):
		case <-ctx.Done():
			return fmt.Errorf("write the baseline in %s: wait for other jobs that write it: %w", s.Where(), context.Cause(ctx))
		}
	}
}

// pause is how long to wait before the next attempt: up to a second at first and four
// at last, and another time for each job.
func pause(n int) time.Duration {
	return time.Duration(rand.Int64N(int64(min(n, 4)) * int64(time.Second)))
}

// unreadable is the error for a file in which there is no baseline. It stays as it is.
func unreadable(where, reset string, err error) error {
	return &exit.Error{Status: exit.CouldNotRun, Err: fmt.Errorf("%s: %w", where, err), Hint: "restore an earlier version of the file, or start a new baseline: " + reset}
}
