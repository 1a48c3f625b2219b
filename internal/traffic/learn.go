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
	"github.com/candlefish/deploy-action/internal/traffic/baseline"
)

// An Identity distinguishes the answers of the versions.
type Identity struct {
	Marker   probe.Marker
	Book     *probe.Book       // the marker's values of each version
	Status   int               // the status of the stable version's answers, to the first path
	Answers  []release.Answers // more about them, by path; none if they are not known
	Size     int               // the largest body of these answers, in bytes
	Why      string            // why the versions cannot be distinguished, "" if they can
	Late     bool              // the canary's values are learnt from test requests
	Before   bool              // stable's values are learnt from all answers before the first weight
	Recalled bool              // an earlier process has begun the rollout
}

// Learn sends a few requests to the entry point before the first change and
// finds the marker that identifies stable's answers.
func Learn(ctx context.Context, cfg Config) (Identity, error) {
	id := Identity{Marker: cfg.Marker, Book: &probe.Book{}, Before: true}
	settings := baseline.Settings{Target: cfg.target, Timeout: cfg.Timeout, Version: cfg.Version, ErrorRate: cfg.ErrorRate}
	answers, samples, err := baseline.Ask(ctx, settings, cfg.paths())
	if err != nil {
		return id, err
	}
	id.Answers, id.Status = answers, answers[0].Status
	for _, a := range answers {
		id.Size = max(id.Size, int(a.Largest))
	}
	headers := make([]http.Header, len(samples))
	for i, s := range samples {
		headers[i] = s.Header
	}
	if id.Marker.String() == "" {
		marker, book, err := cfg.discover(headers, cfg.ReplicaSet)
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
	for _, s := range samples {
		value := id.Marker.Value(s.Header, s.Body)
		if value == "" {
			return id, exit.Refuse("", fmt.Sprintf("the stable version's answers have no %s", id.Marker))
		}
		id.Book.Learn(rollout.SideStable, value)
	}
	return id, nil
}

// discover finds the marker in the answers of one version, whose pods are of a
// ReplicaSet.
func (c Config) discover(answers []http.Header, replicaSet string) (probe.Marker, *probe.Book, error) {
	if c.ReplicaSet != "" {
		return probe.DiscoverPod(answers, replicaSet)
	}
	return probe.Discover(answers, nil)
}

// A DownError says that the stable version does not serve.
type DownError = baseline.DownError

// Unknown returns the identity for a stable version that does not serve: its
// values cannot be learnt, so the canary's are learnt from the answers to test
// requests, before it gets traffic.
func Unknown(cfg Config) Identity {
	return Identity{Marker: cfg.Marker, Book: &probe.Book{}, Status: http.StatusOK, Late: true}
}

// Recall returns the identity that an earlier run recorded. While two versions
// answer, stable's values cannot be learnt again.
func Recall(record *release.Record) (Identity, error) {
	id := Identity{Book: &probe.Book{}, Recalled: true}
	m := record.Markers
	if m == nil || m.Marker == "" {
		id.Why = "the record does not say how to distinguish the versions"
		return id, nil
	}
	var err error
	if id.Marker, err = probe.ParseMarker(m.Marker); err != nil {
		return id, fmt.Errorf("read the version marker of run %s: %w", record.Run, err)
	}
	if id.Marker.Pod {
		id.Book.Strict()
	}
	id.Book.Learn(rollout.SideStable, m.Stable...)
	id.Book.Learn(rollout.SideCanary, m.Canary...)
	id.Status, id.Answers = m.Status, m.Answers
	return id, nil
}

// Markers returns the part of the identity that the record keeps for another
// process.
func (id Identity) Markers() *release.Markers {
	return &release.Markers{
		Marker: id.Marker.String(), Status: id.Status, Answers: id.Answers,
		Stable: id.Book.Values(rollout.SideStable), Canary: id.Book.Values(rollout.SideCanary),
	}
}

// teach adds the pods of both versions to the Book, if the marker is a pod's
// name.
func (id Identity) teach(record *release.Record) {
	if !id.Marker.Pod {
		return
	}
	id.TeachStable([]string{record.Stable.ReplicaSet})
	if record.Canary.ReplicaSet != "" {
		id.Book.LearnPrefix(rollout.SideCanary, record.Canary.ReplicaSet+"-")
	}
}

// TeachStable adds the pods of more ReplicaSets to stable's values, if the marker is
// a pod's name.
func (id Identity) TeachStable(replicaSets []string) {
	if !id.Marker.Pod {
		return
	}
	for _, name := range replicaSets {
		id.Book.LearnPrefix(rollout.SideStable, name+"-")
	}
}

// relearn follows stable's values by an answer to a request before the first weight.
func relearn(m *Monitor, value string, side rollout.Side) {
	if id := m.identity; id.Before && id.Why == "" && !id.Marker.Pod {
		m.relearning.Answer(id.Book, value, side)
	}
}

// AwaitBaseline waits until stable has answered a number of probes with no more
// failures than the maximum error rate, or returns a *DownError: at once if there are
// certainly more, else when the time is up. It calls await with the condition and the
// deadline.
func (m *Monitor) AwaitBaseline(ctx context.Context, await func(what string, until time.Time)) error {
	until := time.Now().Add(baseline.Limit)
	await(fmt.Sprintf("%d answers by the stable version", baseline.Answers), until)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		c := m.steps.tally.Step(probe.Before)
		if done, err := baseline.Enough(c.Failed(), c.Total(), m.cfg.ErrorRate, time.Now().After(until)); done {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
