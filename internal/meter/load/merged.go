package load

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/load/raw"
)

// Merged reads the samples of several k6 that made the load of one scenario together,
// each as "--out json" writes them. took is how long the scenario takes by its shape.
// Percentiles are those of all samples. An error says that the samples of one of them
// are not whole.
//
// What the processes themselves knew, their statuses and logs, is the caller's to read.
func Merged(scenario string, took time.Duration, generators ...io.Reader) (meter.Reading, error) {
	t := task{subject: scenario, shipped: slices.Contains(Names(), scenario), took: took}
	set, err := readAll(t, generators)
	if err != nil {
		return meter.Reading{}, fmt.Errorf("merge the samples of %s: %w", scenario, err)
	}
	s, err := set.Summary()
	if err != nil {
		return meter.Reading{}, fmt.Errorf("merge the samples of %s: %w", scenario, err)
	}
	r := &reader{task: t, summary: s}
	if _, ok := s.Metrics[r.part("dropped_iterations", scenario)]; ok && t.shipped {
		// The whole run's and the scenario's are the same: setup drops none.
		s.Metrics["dropped_iterations"] = s.Metrics[r.part("dropped_iterations", scenario)]
	}
	for _, m := range metrics {
		r.value(scenario, m.Metric, m.metric, m.stat, m.optional)
	}
	r.merged(len(generators), set.Hosts())
	return r.reading, nil
}

func readAll(t task, generators []io.Reader) (*raw.Set, error) {
	part := ""
	if t.shipped {
		part = t.subject
	}
	set := raw.New(part)
	for i, g := range generators {
		if err := set.Read(g); err != nil {
			return nil, fmt.Errorf("generator %d of %d: %w", i+1, len(generators), err)
		}
	}
	return set, nil
}

// merged says what samples show of the generators.
func (r *reader) merged(generators int, hosts []string) {
	if n := r.summary.Metrics["dropped_iterations"].Stats["count"]; n > 0 {
		r.doubt("k6 dropped %.0f iterations: all of its users still waited for answers, so the rate was not reached", n)
	}
	if lag := r.stat("generator_lag", "p95"); lag > late {
		r.doubt("k6 noticed answers and ends of pauses %.0f ms too late (95th percentile): its machines have too much to do", lag)
	}
	if len(hosts) > 1 {
		r.note("%s: requests were for %d hosts: %s", r.subject, len(hosts), hosts)
	}
	r.note("%s: of the samples of %d generators", r.subject, generators)
}
