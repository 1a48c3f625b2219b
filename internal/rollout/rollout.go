// Package rollout decides what a release does next.
//
// A rollout moves traffic from a stable revision to a canary by a Plan: an
// ordered list of weights, each held for a dwell while it is judged. The
// package is the decision and the loop, nothing else: it knows no Kubernetes,
// no HTTP and no clock of its own.
//
// Next is a pure function from (Plan, State, Observation) to the next State
// and one Action. Run is the only loop: observe, Next, record, act, wait for a
// change. Two rules hold on every path and are tested as properties:
//
//   - after a failed verdict the weight never rises again;
//   - every path ends promoted, aborted, paused (only where the plan asks for
//     it or somebody else took the route), or with the failure of its own
//     abort or promotion spelled out.
//
// The order inside a step is fixed: scale, ready, weight, accepted, observed,
// dwell. The weight of a step is written only when its pods are ready, the
// first one only when the gateway was seen to reach them; the next change
// happens only after the data plane was seen to follow the last. The pods of a
// step are asked for towards the end of the dwell before it.
package rollout

import "time"

// A Phase says where a rollout is, for people and for the next run.
type Phase string

// The phases of a rollout.
const (
	PhasePending     Phase = "Pending"     // admitted, nothing changed yet
	PhaseProgressing Phase = "Progressing" // the canary takes or awaits traffic
	PhasePromoting   Phase = "Promoting"   // all traffic is on the canary, it is being made stable
	PhasePromoted    Phase = "Promoted"    // the canary is the stable revision
	PhaseAborting    Phase = "Aborting"    // traffic is going back to stable
	PhaseAborted     Phase = "Aborted"     // stable serves everything
	PhasePaused      Phase = "Paused"      // stopped at its weight, waiting for a person
	PhaseFailed      Phase = "Failed"      // the abort or the promotion did not finish: the state is unknown
)

// Terminal reports whether a run that reached p is over.
func (p Phase) Terminal() bool {
	switch p {
	case PhasePromoted, PhaseAborted, PhasePaused, PhaseFailed:
		return true
	default:
		return false
	}
}

// A Stage is one thing a rollout does or waits for inside its phase.
type Stage string

// The stages in the order a successful rollout goes through them; scale to
// dwell repeat with every step, without reach after the first one and without
// scale where the step was sized ahead.
const (
	StagePrepare   Stage = "prepare"   // record what is live, adopt it, create the canary Service
	StageScale     Stage = "scale"     // size the canary for the step
	StageReady     Stage = "ready"     // wait for its pods
	StagePreflight Stage = "preflight" // wait until test requests reach them through the gateway
	StageWeight    Stage = "weight"    // write the weight
	StageAccepted  Stage = "accepted"  // wait until the gateway accepted the route
	StageObserved  Stage = "observed"  // wait until answers show the split
	StageDwell     Stage = "dwell"     // hold and judge

	StageDrain    Stage = "drain"    // let the last requests to the old pods end
	StageHandOver Stage = "handover" // swap the ReplicaSets between the two Deployments
	StageReturn   Stage = "return"   // route back through the user's Service
	StageReturned Stage = "returned" // wait until the gateway follows
	StageWarm     Stage = "warm"     // aim the canary Service at the old revision
	StageSettle   Stage = "settle"   // see that no answer comes from the old revision

	StageAbortWeight   Stage = "abort-weight"
	StageAbortAccepted Stage = "abort-accepted"
	StageAbortObserved Stage = "abort-observed"
	StageAbortDrain    Stage = "abort-drain"
	StageAbortRemove   Stage = "abort-remove" // put everything back as recorded

	StageEnd Stage = "end"
)

// A Step is one weight and how long it is held.
type Step struct {
	Weight int           `json:"weight"` // whole percent of traffic to the canary, 1..100
	Dwell  time.Duration `json:"dwell"`
}

// A Plan is everything a rollout was asked to do. It does not change while
// the rollout runs.
type Plan struct {
	Steps []Step `json:"steps"` // rising, the last one 100
	// Rollback false means: on a failed verdict stop where it is and hold.
	Rollback         bool          `json:"rollback"`
	Inconclusive     Policy        `json:"inconclusive"`
	MaxExtensions    int           `json:"max_extensions"`
	Then             Policy        `json:"then,omitempty"`    // abort where it is empty
	ProgressDeadline time.Duration `json:"progress_deadline"` // for pods to become ready
	Propagation      time.Duration `json:"propagation"`       // for a route to be accepted and then observed
	Drain            time.Duration `json:"drain"`             // least time between the last request and a selector change
	KeepWarm         time.Duration `json:"keep_warm"`         // how long the old revision keeps its pods
	// QuickAbort bounds an abort that was asked for by a signal, counted
	// from the signal: what is not seen by then is recorded as not seen.
	QuickAbort time.Duration `json:"quick_abort"`
	// Finish bounds the acting stages of a promotion or an abort.
	Finish time.Duration `json:"finish"`
}

// DwellFor is how long the step of s is held, its extensions included.
func (p Plan) DwellFor(s State) time.Duration {
	return p.Steps[s.Step].Dwell * time.Duration(1+s.Extensions)
}

// A Leftover is a part of a rollout that its run could not finish or remove.
type Leftover string

// The leftovers. The zero value is none.
const (
	LeftoverCanary    Leftover = "canary"    // the canary Deployment and what belongs to it
	LeftoverAbort     Leftover = "abort"     // the way back to stable
	LeftoverPromotion Leftover = "promotion" // the way from the hand-over on
)

// State is where a rollout is. It is small, is recorded in the cluster before
// every action, and is enough for another process to go on from.
type State struct {
	Phase Phase `json:"phase"`
	Stage Stage `json:"stage"`
	Step  int   `json:"step"` // index into Plan.Steps
	// Weight is the last weight this rollout decided on; Written says that
	// a weight above 0 was ever sent to the cluster.
	Weight  int  `json:"weight"`
	Written bool `json:"written"`
	// Since is when the stage began.
	Since time.Time `json:"since"`
	// Sized is the step that the canary was last sized for.
	Sized int `json:"sized"`
	// PodsTook is how long the newest pods took from being asked for to
	// being ready.
	PodsTook time.Duration `json:"pods_took"`
	// ObservedAt is when the last weight was seen in answers; the drain
	// window counts from here.
	ObservedAt time.Time `json:"observed_at,omitzero"`
	// Extensions is how often the dwell of this step was repeated.
	Extensions int `json:"extensions,omitempty"`
	// Settles is how often the gateway was found to still use the canary
	// Service after the promotion.
	Settles int `json:"settles,omitempty"`
	// Lag is the longest time a weight took from being written to being
	// observed in this rollout.
	Lag time.Duration `json:"lag"`
	// QuickBy is set by a signal: the abort ends by then, and what it
	// leaves behind is for the next run to clean up.
	QuickBy time.Time `json:"quick_by,omitzero"`
	// Leftover is what the next run still has to finish or remove.
	Leftover Leftover `json:"leftover,omitempty"`
	// Reason is the sentence that explains a terminal phase or an abort.
	Reason string `json:"reason,omitempty"`
	// Unconfirmed lists changes that were accepted but never observed.
	Unconfirmed []string `json:"unconfirmed,omitempty"`
}

// A Split is what the answers say about the weight that was written last.
type Split string

// The states of a split.
const (
	SplitPending   Split = "Pending"   // not enough answers, or not the share yet
	SplitConfirmed Split = "Confirmed" // the share lies in its binomial interval
	SplitBlind     Split = "Blind"     // versions cannot be told apart
)

// An Observation is what was seen at one moment.
type Observation struct {
	Now time.Time
	// Done is the stage whose action has completed.
	Done Stage
	// Err is set when the action of the current stage could not be
	// carried out; the loop has already retried what may heal.
	Err error

	CanaryReady  int // ready pods of the canary
	CanaryWanted int // pods asked for
	// Trouble says why the canary's pods cannot serve: a crash, an image
	// that cannot be pulled. Empty while all is well.
	Trouble string
	// Accepted: every gateway has accepted the newest generation of every
	// route.
	Accepted bool
	// Preflight says whether test requests reach the canary through the
	// gateway. Blind: they cannot be recognised.
	Preflight Split
	Split     Split
	// Followed is when, by the answers, the gateway likely began to follow
	// the weight; zero when nothing tells. Confirming it took longer.
	Followed time.Time
	// OldAnswers counts answers by the old revision since StageWarm acted.
	OldAnswers int
	// NewAnswers counts answers by the new revision since StageWarm acted.
	NewAnswers int
	Verdict    Verdict
	Reason     string // the judge's sentence
	// Policy is what an inconclusive verdict leads to, where the judge has
	// an opinion of its own; else the plan's counts.
	Policy Policy

	Interrupted string // the signal, when one arrived
	Drift       string // who else wrote the route or the Deployment, and what
	Fenced      string // who took the lease
}

// An Action is the one thing to do now.
type Action struct {
	Stage  Stage
	Kind   Kind
	Weight int // for KindWeight
	// Await and Until say, for KindWait, what is awaited and its deadline.
	// Wake, when set, is an earlier moment at which to decide again.
	Await string
	Until time.Time
	Wake  time.Time
}

// A Kind is the kind of an Action.
type Kind int

// The kinds of action. Everything but KindWait changes the cluster.
const (
	KindWait     Kind = iota
	KindPrepare       // record, adopt, create the canary Service
	KindScale         // size the canary for the step State.Sized
	KindWeight        // write Weight
	KindHandOver      // swap the ReplicaSets
	KindReturn        // route to the user's Service, which now is the new revision
	KindWarm          // aim the canary Service at the old revision
	KindUnwarm        // aim it back: answers of the old revision were seen
	KindRestore       // put everything back as recorded
	KindStop          // nothing more: the state is terminal
)
