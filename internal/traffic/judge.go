package traffic

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/analysis/recording"
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// flushEvery is the interval at which answers go to the judge; a failed one
// goes immediately.
const flushEvery = 250 * time.Millisecond

// A judge has the judge of one rollout, its recording, and the probe answers
// not yet passed on. The Monitor's lock guards it. The methods of a nil judge
// do nothing.
type judge struct {
	*recording.Recorder
	file     *os.File
	buffer   *bufio.Writer
	pending  map[series]*analysis.Point
	flushed  time.Time
	previous analysis.Rises // of the last releases
}

// A series is the points of one version's requests: of those that users' requests are
// like, or of those that were sent to it alone.
type series struct {
	side   rollout.Side
	pinned bool
}

// Judge starts the judge of the rollout, which records its input in a file.
func (m *Monitor) Judge(path string, start recording.Start) error {
	if m.counters != nil {
		// A gateway's request counters have no latencies.
		start.Config.Metrics = slices.Clone(start.Config.Metrics)
		for i := range start.Config.Metrics {
			if metric := &start.Config.Metrics[i]; metric.Name == config.ProbeMetric {
				metric.Latency = nil
			}
		}
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("record the analysis: %w", err)
	}
	j := &judge{
		file: file, buffer: bufio.NewWriter(file), pending: map[series]*analysis.Point{},
		previous: m.record.Rises,
	}
	j.Recorder = recording.New(j.buffer, start)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.judge = j
	return nil
}

// EndJudge ends the recording. It returns the first write error.
func (m *Monitor) EndJudge() error {
	m.mu.Lock()
	j := m.judge
	m.judge = nil
	m.mu.Unlock()
	return errors.Join(j.Err(), j.buffer.Flush(), j.file.Close())
}

// Measured passes the measurements of a source, or its error, to the judge.
func (m *Monitor) Measured(metric string, points []analysis.Point, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.judge == nil || m.reverted {
		return
	}
	if m.handedOver {
		// Sources know the versions by Service and label. Since the hand-over both are
		// those of the new version; nothing else has had traffic since 100 %.
		points = slices.Clone(points)
		for i := range points {
			if points[i].Side == rollout.SideStable {
				points[i].Side = rollout.SideCanary
			}
		}
	}
	m.judge.Add(metric, points...)
	if err != nil {
		m.judge.Problem(metric, err.Error(), time.Now())
	}
	m.notify()
}

// answer adds one answer of the probe stream. One to a request for a version alone is
// that version's; it is lost if nothing in it says so.
func (j *judge) answer(a probe.Answer, now time.Time) {
	if j == nil {
		return
	}
	p := j.of(series{cmp.Or(a.Pinned, a.Side), a.Pinned != ""})
	p.Total++
	if a.Pinned != "" && a.Failed && a.Side != a.Pinned {
		p.Lost++
	}
	if a.Failed {
		p.Failed++
	} else {
		seconds := analysis.Number(a.Latency.Seconds())
		p.Latency = append(p.Latency, analysis.Bucket{Over: seconds, Upto: seconds, N: 1})
	}
	for _, kind := range a.Wrong {
		if p.Wrong == nil {
			p.Wrong = map[evidence.Wrong]float64{}
		}
		p.Wrong[kind]++
	}
	if a.Failed || now.Sub(j.flushed) >= flushEvery {
		j.flush(now)
	}
}

// counted adds the increase of a gateway's counters.
func (j *judge) counted(side rollout.Side, total, failed uint64) {
	if j == nil {
		return
	}
	p := j.of(series{side: side})
	p.Total += float64(total)
	p.Failed += float64(failed)
}

func (j *judge) of(key series) *analysis.Point {
	if key.side == "" {
		key.side = rollout.SideUnattributed
	}
	p := j.pending[key]
	if p == nil {
		p = &analysis.Point{Side: key.side, Pinned: key.pinned}
		j.pending[key] = p
	}
	return p
}

// all lists the series that the judge gets, in order.
var all = []series{
	{side: rollout.SideStable}, {side: rollout.SideCanary}, {side: rollout.SideUnattributed},
	{side: rollout.SideStable, pinned: true}, {side: rollout.SideCanary, pinned: true},
}

// flush passes the answers since the last flush to the judge.
func (j *judge) flush(now time.Time) {
	if j == nil {
		return
	}
	j.flushed = now
	for _, key := range all {
		if p := j.pending[key]; p != nil {
			p.At = now
			j.Add(config.ProbeMetric, *p)
		}
	}
	clear(j.pending)
}

// cut ends the points of the probe stream at a time, so that no point spans it.
func (j *judge) cut(at time.Time) {
	for _, key := range all {
		if !key.pinned || j.pending[key] != nil {
			j.of(key)
		}
	}
	j.flush(at)
}

// begin starts a step. A weight of 0 starts none: nothing is judged on the way
// back.
func (j *judge) begin(step, weight int, at time.Time) {
	if j == nil {
		return
	}
	j.cut(at)
	if weight > 0 {
		j.Begin(analysis.Begin{Step: step, Weight: weight, At: at, Rises: j.previous})
	}
}

// confirmed tells the judge that the answers show the weight.
func (j *judge) confirmed(at time.Time) {
	j.cut(at)
	j.Confirmed(at)
}

// keepRises stores what latencies did from step to step, the running step's included,
// for the next release.
func (j *judge) keepRises(record *release.Record) {
	if j != nil {
		record.Rises = j.Rises()
	}
}
