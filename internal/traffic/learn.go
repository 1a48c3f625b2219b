package traffic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// baselineAnswers is how many answers of the stable version are looked at
// before anything is changed.
const baselineAnswers = 20

// baselineLimit is how long they may take.
const baselineLimit = 30 * time.Second

const probePathHint = "set probe-path to a page that always works"

// An Identity is what tells the answers of the versions apart.
type Identity struct {
	Marker probe.Marker
	Book   *probe.Book // which values of the marker are whose
	Status int         // what the stable version answers
	Why    string      // why the versions cannot be told apart, "" when they can
}

// Learn asks the entry point a few times before the change and finds what tells
// stable's answers from others.
func Learn(ctx context.Context, cfg Config) (Identity, error) {
	var headers []http.Header
	var bodies [][]byte
	id := Identity{Marker: cfg.marker(), Book: &probe.Book{}}
	for range baselineAnswers {
		sample, err := fetchStable(ctx, cfg, id.Status)
		if err != nil {
			return id, err
		}
		id.Status = sample.Status
		headers, bodies = append(headers, sample.Header), append(bodies, sample.Body)
	}
	if id.Marker.String() == "" {
		marker, book, err := probe.Discover(headers, nil)
		switch {
		case errors.Is(err, probe.ErrNoMarker):
			id.Why = err.Error()
		case err != nil:
			return id, err
		default:
			id.Marker, id.Book = marker, book
		}
		return id, nil
	}
	for i := range headers {
		value := id.Marker.Value(headers[i], bodies[i])
		if value == "" {
			return id, exit.Refuse("", fmt.Sprintf("the stable version's answers do not carry %s", id.Marker))
		}
		id.Book.Learn(rollout.SideStable, value)
	}
	return id, nil
}

// fetchStable asks once. status is what was answered before, 0 for nothing.
func fetchStable(ctx context.Context, cfg Config, status int) (probe.Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	sample, err := probe.Fetch(ctx, cfg.target(), cfg.Version)
	if err != nil {
		return sample, exit.Refuse("set probe-url to where users' requests come in, probe-path to a page that always works",
			fmt.Sprintf("the stable version does not answer at the entry point %s: %v", cfg.URL, err))
	}
	if sample.Status >= 400 || status != 0 && sample.Status != status {
		return sample, exit.Refuse(probePathHint,
			fmt.Sprintf("the stable version answers %s with status %d before any change", cfg.URL, sample.Status))
	}
	return sample, nil
}

// Recall is the identity that an earlier run recorded: what stable says of
// itself cannot be learnt while two versions answer.
func Recall(record *release.Record) (Identity, error) {
	id := Identity{Book: &probe.Book{}}
	m := record.Markers
	if m == nil || m.Marker == "" {
		id.Why = "the earlier run could not tell the versions apart"
		return id, nil
	}
	var err error
	if id.Marker, err = probe.ParseMarker(m.Marker); err != nil {
		return id, fmt.Errorf("read the version marker of run %s: %w", record.Run, err)
	}
	id.Book.Learn(rollout.SideStable, m.Stable...)
	id.Book.Learn(rollout.SideCanary, m.Canary...)
	id.Status = m.Status
	return id, nil
}

// Markers is what is recorded for a process that has to go on.
func (id Identity) Markers() *release.Markers {
	return &release.Markers{
		Marker: id.Marker.String(), Status: id.Status,
		Stable: id.Book.Values(rollout.SideStable), Canary: id.Book.Values(rollout.SideCanary),
	}
}

// AwaitBaseline waits until the stream has shown that stable answers without a
// failure. await is told what it waits for and until when.
func (m *Monitor) AwaitBaseline(ctx context.Context, await func(what string, until time.Time)) error {
	until := time.Now().Add(baselineLimit)
	await(fmt.Sprintf("%d answers of the stable version", baselineAnswers), until)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		c := m.steps.tally.Step(probe.Before)
		switch {
		case c.Failed() > 0:
			return exit.Refuse("", fmt.Sprintf("%d of %d requests to the stable version failed before any change", c.Failed(), c.Total()))
		case c.Total() >= baselineAnswers:
			return nil
		case time.Now().After(until):
			return exit.Refuse("", fmt.Sprintf("the stable version gave %d answers in %s, want %d", c.Total(), baselineLimit, baselineAnswers))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
