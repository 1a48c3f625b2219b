// Package baseline asks the stable version before the first change, and says whether
// what it answers can be compared with.
package baseline

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/probe/expect"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/stat"
)

// The number of answers of the stable version to the first path and to each further
// one that are required before the first change.
const (
	Answers        = 20
	furtherAnswers = 10
)

// Limit is the timeout for stable's answers.
const Limit = 30 * time.Second

// PathHint is what to do when stable answers, and not with success.
const PathHint = "set probe-path to a page that always works"

// A DownError says that the stable version does not serve. It has the exit
// status of a run that did not start.
type DownError struct {
	What string
	Hint string // what else may be wrong
	// single: it is one failed request, and not a version that is no baseline.
	single bool
}

func (e *DownError) Error() string { return e.What }

// Settings are how stable is asked.
type Settings struct {
	Target    func(path string) probe.Target
	Timeout   time.Duration // of one request
	Version   string        // of this tool
	ErrorRate float64       // percent of the requests that may fail
}

// Ask asks for every path and returns what the answers to each have in common, and all
// of them. The error is a *DownError, or names the expectations that stable itself does
// not meet.
func Ask(ctx context.Context, s Settings, paths []expect.Path) ([]release.Answers, []probe.Sample, error) {
	var learnt []release.Answers
	var all []probe.Sample
	var unmet []string
	for i, path := range paths {
		want := Answers
		if i > 0 {
			want = furtherAnswers
		}
		samples, err := s.ask(ctx, path.Path, want)
		if err != nil {
			return nil, nil, err
		}
		var answers []expect.Answer
		for _, sample := range samples {
			answers = append(answers, expect.Answer(sample))
		}
		learnt, all = append(learnt, expect.Learn(path.Path, answers)), append(all, samples...)
		unmet = append(unmet, expect.Unmet(path, answers)...)
	}
	if len(unmet) > 0 {
		return nil, nil, exit.Refuse("an expectation is for both versions: change it, or release without it", unmet...)
	}
	return learnt, all, nil
}

// ask returns so many answers to one path. Some requests may fail: a version with a
// background of failures can be released, as long as their share is not above the
// limit.
func (s Settings) ask(ctx context.Context, path string, want int) ([]probe.Sample, error) {
	var samples []probe.Sample
	for failed := 0; len(samples) < want; {
		status := 0
		if len(samples) > 0 {
			status = samples[0].Status
		}
		sample, err := s.fetch(ctx, path, status)
		if err == nil {
			samples = append(samples, sample)
			continue
		}
		failed++
		if total := failed + len(samples); !err.single || TooMany(int64(failed), int64(total), s.ErrorRate) || failed >= want {
			if len(samples) > 0 && err.single {
				err.What = fmt.Sprintf("%d of %d requests to the stable version failed before any change; the last: %s", failed, total, err.What)
			}
			return nil, err
		}
	}
	return samples, nil
}

// TooMany reports whether so many failed answers say that more than a limit, in
// percent, fail (at 99 %, by the interval's lower end): two in a row do at 5 %, and one
// of many does not. A version that fails now and then is what the canary is compared
// with; it is not down.
func TooMany(failed, total int64, limit float64) bool {
	low, _ := stat.ShareInterval(int(failed), int(total), .98)
	return failed > 0 && 100*low > limit
}

// Enough reports whether the answers so far decide that stable serves, or with a
// *DownError that it does not. late: the time is up.
func Enough(failed, total int64, limit float64, late bool) (bool, error) {
	few, over := total < Answers, 100*float64(failed) > limit*float64(total)
	switch {
	case TooMany(failed, total, limit) || late && over:
		return true, &DownError{Hint: PathHint, What: fmt.Sprintf("%d of %d requests to the stable version failed before any change", failed, total)}
	case late && few:
		return true, &DownError{Hint: PathHint, What: fmt.Sprintf("the stable version answered %d requests in %s, want %d", total, Limit, Answers)}
	}
	return !few && !over, nil
}

// fetch sends one request. status is that of earlier answers, 0 for none.
func (s Settings) fetch(ctx context.Context, path string, status int) (probe.Sample, *DownError) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	target := s.Target(path)
	sample, err := probe.Fetch(ctx, target, s.Version)
	switch {
	case err != nil:
		return sample, &DownError{single: true, Hint: "set probe-url to the public entry point and probe-path to a page that always works",
			What: fmt.Sprintf("the stable version does not answer at the entry point %s: %v", target.URL, err)}
	case sample.Status < http.StatusBadRequest && (status == 0 || sample.Status == status):
		return sample, nil
	}
	return sample, &DownError{Hint: PathHint, single: sample.Status >= http.StatusBadRequest,
		What: fmt.Sprintf("the stable version answered %s with status %d before any change", target.URL, sample.Status)}
}
