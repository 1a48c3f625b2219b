package deploy

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/recording"
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// analysisFile is the recording of all that the judge was told and asked.
const analysisFile = "canary-deployment-analysis.jsonl"

// flushEvery is how often answers go to the judge at least; one that failed goes
// at once.
const flushEvery = 250 * time.Millisecond

// A judging is the judge of one rollout, the recording of it, and the answers of
// the probe stream that it has not been told of yet. Its user's lock guards it.
type judging struct {
	*recording.Recorder
	file    *os.File
	buffer  *bufio.Writer
	pending map[rollout.Side]*analysis.Point
	flushed time.Time
	// kept are this release's latencies by step, for the next one; previous
	// are the last one's.
	kept, previous baselines
	step           int
}

// baselines are a release's latencies by step and metric.
type baselines map[int]map[string]analysis.Blocks

// newJudging opens the recording. previous is what the last release left, nil
// when there is none.
func newJudging(c Config, start recording.Start, previous json.RawMessage) (*judging, error) {
	file, err := os.Create(filepath.Join(c.ReportDir, analysisFile))
	if err != nil {
		return nil, fmt.Errorf("record the analysis: %w", err)
	}
	j := &judging{file: file, buffer: bufio.NewWriter(file), pending: map[rollout.Side]*analysis.Point{}, kept: baselines{}, step: -1}
	if len(previous) > 0 {
		if err := json.Unmarshal(previous, &j.previous); err != nil {
			return nil, errors.Join(fmt.Errorf("read what the last release left for comparison: %w", err), file.Close())
		}
	}
	j.Recorder = recording.New(j.buffer, start)
	return j, nil
}

// close ends the recording. It returns the first error of writing it.
func (j *judging) close() error {
	return errors.Join(j.Err(), j.buffer.Flush(), j.file.Close())
}

// answer takes one answer of the probe stream.
func (j *judging) answer(a probe.Answer, now time.Time) {
	p := j.of(a.Side)
	p.Total++
	if a.Failed {
		p.Failed++
	} else {
		seconds := analysis.Number(a.Latency.Seconds())
		p.Latency = append(p.Latency, analysis.Bucket{Over: seconds, Upto: seconds, N: 1})
	}
	if a.Failed || now.Sub(j.flushed) >= flushEvery {
		j.flush(now)
	}
}

// counted takes what a gateway's counters have added.
func (j *judging) counted(v rollout.Side, total, failed uint64) {
	p := j.of(v)
	p.Total += float64(total)
	p.Failed += float64(failed)
}

func (j *judging) of(v rollout.Side) *analysis.Point {
	p := j.pending[v]
	if p == nil {
		p = &analysis.Point{Side: v}
		j.pending[v] = p
	}
	return p
}

// flush tells the judge what came since the last time.
func (j *judging) flush(now time.Time) {
	j.flushed = now
	for _, v := range []rollout.Side{rollout.SideStable, rollout.SideCanary, rollout.SideUnattributed} {
		if p := j.pending[v]; p != nil {
			p.At = now
			j.Add(config.ProbeMetric, *p)
		}
	}
	clear(j.pending)
}

// cut ends the points of the probe stream at a moment, so that none is about the
// time before and after it.
func (j *judging) cut(at time.Time) {
	for _, v := range []rollout.Side{rollout.SideStable, rollout.SideCanary, rollout.SideUnattributed} {
		j.of(v)
	}
	j.flush(at)
}

// begin begins a step. A weight of 0 begins none: nothing is judged on the way
// back.
func (j *judging) begin(step, weight int, at time.Time) {
	j.keep()
	j.step = step
	j.cut(at)
	if weight > 0 {
		j.Begin(analysis.Begin{Step: step, Weight: weight, At: at, Previous: j.previous[step]})
	}
}

// confirmed says that answers show the weight.
func (j *judging) confirmed(at time.Time) {
	j.cut(at)
	j.Confirmed(at)
}

// keep keeps the latencies of the step that ends, for the next release.
func (j *judging) keep() {
	if j.step >= 0 {
		j.kept[j.step] = j.Summaries()
	}
}
