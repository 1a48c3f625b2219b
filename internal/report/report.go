// Package report holds the result of one run and renders it.
//
// Report file, outputs, summary, comment and exit status all come from one
// Result, so they cannot contradict each other. A Result has only measured
// values: a time that was not observed is absent, and "0 failed" appears only
// if requests were counted. The renderers are pure functions. Strings in a
// Result are untrusted, such as a pod's log: each renderer escapes them for its
// medium. No renderer exceeds MaxSize.
package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// SchemaVersion is the version of Result's JSON format. The same version may
// get new fields; existing ones keep their name and meaning.
const SchemaVersion = 1

// MaxSize is the maximum size of rendered output in bytes: GitHub refuses a
// summary of more than 1 MiB.
const MaxSize = 900 << 10

// The values of Result.Status.
const (
	StatusSuccess = "success"
	StatusFailed  = "failed"
)

// Seconds is a duration; in JSON it is a number of seconds with milliseconds.
type Seconds time.Duration

// MarshalJSON writes a number.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Round(time.Millisecond).Seconds(), 'f', -1, 64), nil
}

// UnmarshalJSON reads a number.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("seconds: %w", err)
	}
	*s = Seconds(time.Duration(f * float64(time.Second)).Round(time.Millisecond))
	return nil
}

// String returns the duration for display: 1m4s, 250ms.
func (s Seconds) String() string { return short(time.Duration(s)) }

// A Container is a container or init container of the released pods.
type Container struct {
	Name  string `json:"name"`
	Init  bool   `json:"init,omitempty"`
	Image string `json:"image"`
	// PreviousImage is "" for a container that the release adds.
	PreviousImage string `json:"previous_image,omitempty"`
}

// A Change is what manifests change in one object. Values of Secrets are redacted.
type Change struct {
	Object string   `json:"object"`
	When   string   `json:"when"`
	Verb   string   `json:"verb"` // create, change or delete
	Lines  []string `json:"lines,omitempty"`
}

// A Result is the result of one run.
type Result struct {
	// Existing tools read these fields: never change their names or meaning.

	Status        string    `json:"status"` // StatusSuccess or StatusFailed
	Environment   string    `json:"environment"`
	Deployment    string    `json:"deployment"`
	Image         string    `json:"image"`
	Steps         int       `json:"steps"`          // of the plan
	TotalDuration int       `json:"total_duration"` // whole seconds, measured
	CompletedAt   time.Time `json:"completed_at"`
	TrafficSteps  []int     `json:"traffic_steps"` // the plan's weights in percent

	SchemaVersion int    `json:"schema_version"` // set by the renderers
	RunID         string `json:"run_id"`
	RunURL        string `json:"run_url"`
	Namespace     string `json:"namespace"`
	Service       string `json:"service"`
	Route         string `json:"route"`    // kind/name of the route that splits the traffic
	Strategy      string `json:"strategy"` // canary, blue-green, rolling
	PreviousImage string `json:"previous_image"`
	// Containers are all containers of the released pods with their images.
	Containers []Container `json:"containers,omitempty"`
	// Changes is what the manifests of the release change.
	Changes []Change `json:"changes,omitempty"`
	// Weight is the last weight that the rollout decided on, in percent, also in an
	// earlier process.
	Weight int `json:"weight"`
	// ServingImage is the image of the Deployment at the end, if another writer gave
	// it one that is neither of the two.
	ServingImage string `json:"serving_image,omitempty"`
	// Unserved: the rollout was aborted, and the last requests failed.
	Unserved bool `json:"unserved,omitempty"`
	// ImageDigests are the distinct digests in the pods of the serving revision.
	ImageDigests []string `json:"image_digests"`

	Outcome  rollout.Phase `json:"outcome"` // the phase that the rollout ended in
	ExitCode int           `json:"exit_code"`
	Reason   string        `json:"reason"` // one sentence
	Hint     string        `json:"hint,omitempty"`
	// GitOpsStatus is what became of the image in the GitOps repository, GitOpsURL the
	// page of the commit or pull request; "" for nothing.
	GitOpsStatus string `json:"gitops_status,omitempty"`
	GitOpsURL    string `json:"gitops_url,omitempty"`
	// GitHubDeployment is the ID of the release's deployment, 0 for none.
	GitHubDeployment int64 `json:"github_deployment_id,omitempty"`

	StepRecords []Step     `json:"step_records"` // the steps that started
	Weights     []WeightAt `json:"weights"`      // every weight that was written
	Pods        []Pod      `json:"pods"`
	// FailedRequests of TotalRequests, over the whole run.
	FailedRequests int64 `json:"failed_requests"`
	TotalRequests  int64 `json:"total_requests"`
	// UnsentRequests are probes that could not be sent in time; the counts above
	// do not include them.
	UnsentRequests int64 `json:"unsent_requests"`
	// TestRequests are nil if there was no way to send any; the counts above do not
	// include them.
	TestRequests *Tests   `json:"test_requests,omitempty"`
	Prewarm      *Prewarm `json:"prewarm,omitempty"`

	DurationSeconds Seconds `json:"duration_seconds"`
	DwellSeconds    Seconds `json:"dwell_seconds"`         // the dwell of the plan that was held
	DrainSeconds    Seconds `json:"drain_seconds"`         // spent waiting for the last requests of pods before their stop
	HoldSeconds     Seconds `json:"hold_seconds,omitzero"` // spent waiting for the other members of a group
	OverheadSeconds Seconds `json:"overhead_seconds"`      // the rest

	RolledBack bool        `json:"rolled_back"` // this run shifted traffic back to stable
	Paused     bool        `json:"paused"`      // paused at its weight until a user decides
	Warnings   []string    `json:"warnings"`
	Events     []Event     `json:"events"`
	PodFailure *PodFailure `json:"pod_failure,omitempty"`
	// Command is the argv that repeats this run locally; derived from strategy and
	// image if empty.
	Command []string `json:"command,omitempty"`
}

// A Step has the measurements and the verdict of one weight.
type Step struct {
	// Name replaces the weight as the step's name: "promotion".
	Name      string    `json:"name,omitempty"`
	Weight    int       `json:"weight"`
	StartedAt time.Time `json:"started_at"`
	// AcceptedAfter and ObservedAfter are the times from the write of the weight
	// to the gateway's acceptance and to the answers that show it. Absent means
	// not observed.
	AcceptedAfter Seconds       `json:"accepted_after,omitzero"`
	ObservedAfter Seconds       `json:"observed_after,omitzero"`
	Dwell         Seconds       `json:"dwell"` // measured, not planned
	Requests      VersionCounts `json:"requests"`
	TestRequests  *Tests        `json:"test_requests,omitempty"` // see Result
	WrongAnswers  WrongAnswers  `json:"wrong_answers,omitempty"` // test requests excluded
	Latency       Latencies     `json:"latency"`
	// ObservedShare is the canary's share of the answers, Interval its expected
	// range, both 0..1. A nil share was not measured.
	ObservedShare *float64        `json:"observed_share"`
	Interval      *[2]float64     `json:"interval"`
	Verdict       rollout.Verdict `json:"verdict"`
	Reason        string          `json:"reason"`
	// Confirmation is Confirmed if answers showed the weight, else Unconfirmed.
	// ConfirmedBy is the evidence: "612 answers by header:X-Version".
	Confirmation string `json:"confirmation"`
	ConfirmedBy  string `json:"confirmed_by"`
	// Findings are the results of the judge's checks, Measured the numbers behind
	// them, by metric.
	Findings []analysis.Finding  `json:"findings,omitempty"`
	Measured []analysis.Measured `json:"measured,omitempty"`
	Score    *float64            `json:"score,omitempty"`
}

// The values of Step.Confirmation.
const (
	Confirmed   = "confirmed"
	Unconfirmed = "inconclusive"
)

// Counts are the numbers of requests and of failed requests.
type Counts struct {
	Total  int64 `json:"total"`
	Failed int64 `json:"failed"`
}

// VersionCounts are counts in total and by version.
type VersionCounts struct {
	Counts
	Stable       Counts `json:"stable"`
	Canary       Counts `json:"canary"`
	Unattributed Counts `json:"unknown"` // without a version, or without an answer
}

// Latency has percentiles of the successful answers, in milliseconds.
type Latency struct {
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
	P99 float64 `json:"p99_ms"`
}

// Latencies are latencies by version; nil if not measured.
type Latencies struct {
	Stable *Latency `json:"stable"`
	Canary *Latency `json:"canary"`
}

// A WeightAt is a weight and the time of its write.
type WeightAt struct {
	At     time.Time `json:"at"`
	Weight int       `json:"weight"`
}

// A Pod is one pod of the revision that serves at the end.
type Pod struct {
	Name           string `json:"name"`
	UID            string `json:"uid"`
	RestartsBefore int    `json:"restarts_before"` // the promotion
	RestartsAfter  int    `json:"restarts_after"`
}

// An Event is one line of the run's log.
type Event struct {
	At      time.Time `json:"at"`
	Message string    `json:"message"`
}

// A PodFailure is the reason why a pod could not serve.
type PodFailure struct {
	Pod          string   `json:"pod"`
	Reason       string   `json:"reason"`
	Message      string   `json:"message"`
	LastLogLines []string `json:"last_log_lines"`
}

// JSON renders r for the report file, indented, lists never null. If r is too
// large, it omits entries from the middle of long lists and adds a warning.
func JSON(r Result) ([]byte, error) {
	r.SchemaVersion = SchemaVersion
	for keep := r.longest(); ; keep /= 2 {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r.fit(keep)); err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		if b.Len() <= MaxSize || keep == 0 {
			return b.Bytes(), nil
		}
	}
}

// longest returns the length of the longest list in r.
func (r Result) longest() int {
	n := max(len(r.Events), len(r.Warnings), len(r.StepRecords), len(r.Weights), len(r.Pods), len(r.ImageDigests), len(r.Containers), len(r.Changes), len(r.TrafficSteps), len(r.Command))
	if r.PodFailure != nil {
		n = max(n, len(r.PodFailure.LastLogLines))
	}
	return n
}

// fit returns r with lists of at most keep entries, and a warning if it omits
// any.
func (r Result) fit(keep int) Result {
	r, lost := r.cut(keep)
	if lost > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the report was too large: %d entries were omitted", lost))
	}
	return r
}

// cut returns a copy of r with lists of at most keep entries, none of them nil,
// and strings of at most 4 KiB; and the number of omitted entries.
func (r Result) cut(keep int) (_ Result, lost int) {
	r.Events = cutList(r.Events, keep, &lost, func(e *Event) []*string { return []*string{&e.Message} })
	r.Warnings = cutList(r.Warnings, keep, &lost, itself)
	r.StepRecords = cutList(r.StepRecords, max(keep, 1), &lost, func(s *Step) []*string {
		return []*string{&s.Name, (*string)(&s.Verdict), &s.Reason, &s.Confirmation, &s.ConfirmedBy}
	})
	for i := range r.StepRecords {
		r.StepRecords[i].cut(keep, &lost)
	}
	r.Weights = cutList(r.Weights, max(keep, 2), &lost, func(*WeightAt) []*string { return nil })
	r.Pods = cutList(r.Pods, keep, &lost, func(p *Pod) []*string { return []*string{&p.Name, &p.UID} })
	r.ImageDigests = cutList(r.ImageDigests, keep, &lost, itself)
	if r.Containers != nil {
		r.Containers = cutList(r.Containers, keep, &lost, func(c *Container) []*string { return []*string{&c.Name, &c.Image, &c.PreviousImage} })
	}
	if r.Changes != nil {
		r.Changes = cutList(r.Changes, keep, &lost, func(c *Change) []*string {
			c.Lines = cutList(c.Lines, keep, &lost, itself)
			return []*string{&c.Object, &c.When, &c.Verb}
		})
	}
	r.TrafficSteps = cutList(r.TrafficSteps, max(keep, 1), &lost, func(*int) []*string { return nil })
	if r.Command != nil {
		r.Command = cutList(r.Command, max(keep, 1), &lost, itself)
	}
	if f := r.PodFailure; f != nil {
		c := *f
		logs, left := tail(c.LastLogLines, keep)
		c.LastLogLines = cutList(logs, keep, &lost, itself)
		lost += left
		clipAll(&c.Pod, &c.Reason, &c.Message)
		r.PodFailure = &c
	}
	clipAll(&r.Status, &r.Environment, &r.Deployment, &r.Image, &r.RunID, &r.RunURL, &r.Namespace, &r.Service, &r.Route,
		&r.Strategy, &r.PreviousImage, &r.ServingImage, (*string)(&r.Outcome), &r.Reason, &r.Hint, &r.GitOpsStatus, &r.GitOpsURL)
	return r, lost
}

func itself(s *string) []*string { return []*string{s} }

func clipAll(ss ...*string) {
	for _, s := range ss {
		*s = clip(*s, 4<<10)
	}
}

// cutList returns a copy of at most n entries of s with clipped strings, and
// adds the number of omitted ones to lost.
func cutList[T any](s []T, n int, lost *int, stringsOf func(*T) []*string) []T {
	out, left := middle(s, n)
	*lost += left
	for i := range out {
		clipAll(stringsOf(&out[i])...)
	}
	return out
}

// middle returns a copy of at most n entries, the first and the last ones, and
// the number of omitted ones.
func middle[T any](s []T, n int) ([]T, int) {
	out := make([]T, 0, min(len(s), n)+1)
	if len(s) <= n {
		return append(out, s...), 0
	}
	out = append(out, s[:n-n/2]...)
	return append(out, s[len(s)-n/2:]...), len(s) - n
}

// tail returns a copy of the last n entries and the number of omitted ones.
func tail[T any](s []T, n int) ([]T, int) {
	from := max(0, len(s)-n)
	return append(make([]T, 0, len(s)-from), s[from:]...), from
}

// cut bounds the lists of a step.
func (s *Step) cut(keep int, lost *int) {
	if s.Findings != nil {
		s.Findings = cutList(s.Findings, keep, lost, func(f *analysis.Finding) []*string {
			return []*string{&f.Metric, (*string)(&f.Check), (*string)(&f.Verdict), &f.Sentence, (*string)(&f.Policy)}
		})
	}
	for i := range s.Findings {
		if f := &s.Findings[i]; f.Output != nil {
			f.Output = cutList(f.Output, keep, lost, itself)
		}
	}
	if s.Measured != nil {
		s.Measured = cutList(s.Measured, keep, lost, func(m *analysis.Measured) []*string { return []*string{&m.Metric} })
	}
}
