// Package rollout has the words of a release: its plan, state, phases, stages and
// observations.
//
// A rollout moves traffic from a stable revision to a canary by a Plan: an
// ordered list of weights, each held for a dwell while the judge evaluates it.
// Package decide has the decisions; neither knows Kubernetes, HTTP or a clock.
package rollout

import "time"

// A Strategy is the way in which a new revision gets its traffic.
type Strategy string

// The strategies. The zero value is StrategyCanary, for older records.
const (
	StrategyCanary    Strategy = "canary"     // by weights, step by step, each judged
	StrategyBlueGreen Strategy = "blue-green" // at once, after tests of a full-size set of pods
	StrategyRolling   Strategy = "rolling"    // by the Deployment's own rolling update, pod by pod
)

// A Phase is the status of a rollout, for users and for the next run.
type Phase string

// The phases of a rollout.
const (
	PhasePending     Phase = "Pending"     // admitted, nothing changed yet
	PhaseProgressing Phase = "Progressing" // the canary takes or awaits traffic
	PhasePromoting   Phase = "Promoting"   // the canary has all traffic and becomes stable
	PhaseBaking      Phase = "Baking"      // the canary is the stable revision, still judged; the old one is warm
	PhaseReverting   Phase = "Reverting"   // the warm revision has all traffic again and becomes stable
	PhaseCleaning    Phase = "Cleaning"    // the revision without traffic drains and is removed
	PhasePromoted    Phase = "Promoted"    // the canary is the stable revision
	PhaseAborting    Phase = "Aborting"    // traffic is going back to stable
	PhaseAborted     Phase = "Aborted"     // stable serves everything
	PhasePaused      Phase = "Paused"      // stopped at its weight, waiting for a person
	PhaseFailed      Phase = "Failed"      // the abort or the promotion failed: the state is unknown
)

// Terminal reports whether p ends the run.
func (p Phase) Terminal() bool {
	switch p {
	case PhasePromoted, PhaseAborted, PhasePaused, PhaseFailed:
		return true
	default:
		return false
	}
}

// A Stage is one action or wait of a rollout inside its phase.
type Stage string

// The stages in the order of a successful rollout; scale to dwell repeat with
// every step, without preflight after the first one and without scale if the
// step was sized ahead. A pause by the plan is after the dwell, in blue-green
// before the weight.
const (
	StagePrepare   Stage = "prepare"   // record what is live, adopt it, create the canary Service
	StageScale     Stage = "scale"     // size the canary for the step
	StageReady     Stage = "ready"     // wait for its pods
	StagePreflight Stage = "preflight" // wait until test requests reach them through the gateway, and have warmed them
	StageWarmUp    Stage = "warm-up"   // blue-green: let the new pods warm up
	StageSmoke     Stage = "smoke"     // blue-green: start the smoke tests
	StageVerify    Stage = "verify"    // blue-green: wait until all of them passed and all pods are ready
	StageWeight    Stage = "weight"    // write the weight
	StageAccepted  Stage = "accepted"  // wait until the gateway accepted the route
	StageObserved  Stage = "observed"  // wait until answers show the split
	StageDwell     Stage = "dwell"     // hold and judge
	StagePause     Stage = "pause"     // hold because the plan says so
	StageHold      Stage = "hold"      // after the last step, judged on: wait for the other members of a group

	StageRevert   Stage = "revert"   // route to the warm revision
	StageHandOver Stage = "handover" // swap the ReplicaSets between the two Deployments
	StageReturn   Stage = "return"   // route back through the user's Service
	StageReturned Stage = "returned" // wait until the gateway follows
	StageWarm     Stage = "warm"     // point the canary Service at the old revision
	StageSettle   Stage = "settle"   // wait until no answer comes from the old revision
	StageBake     Stage = "bake"     // judge the new revision while the old one is warm
	StageKept     Stage = "kept"     // after the bake, judged on: wait for the other members of a group

	StageUnroute Stage = "unroute" // write the route as the user wrote it
	StageUnused  Stage = "unused"  // wait until the gateway accepted it
	StageDrain   Stage = "drain"   // wait for the last requests to the pods that will be stopped
	StageClean   Stage = "clean"   // stop them; leave everything as the user wrote it

	StageRoll      Stage = "roll"      // strategy rolling: let the controller replace the next pods
	StageRolled    Stage = "rolled"    // wait until they are ready
	StageComplete  Stage = "complete"  // replace the last old pods and put the settings of the update back
	StageCompleted Stage = "completed" // wait until only new pods are left
	StageUndo      Stage = "undo"      // put the recorded revision back
	StageUndone    Stage = "undone"    // wait until only its pods are left

	StageAbortWeight   Stage = "abort-weight"
	StageAbortAccepted Stage = "abort-accepted"
	StageAbortObserved Stage = "abort-observed"
	StageAbortDrain    Stage = "abort-drain"
	StageAbortRemove   Stage = "abort-remove" // put everything back as recorded

	StageEnd Stage = "end"
)

// A Step is one weight and its dwell.
type Step struct {
	Weight int           `json:"weight"` // whole percent of traffic to the canary, 1..100
	Dwell  time.Duration `json:"dwell"`
	// Pause is an additional wait after the dwell; UntilPromoted waits for a
	// person instead, and ends the run.
	Pause         time.Duration `json:"pause,omitempty"`
	UntilPromoted bool          `json:"until_promoted,omitempty"`
	// Asked is the weight that was asked for, where Pods pods of the canary give
	// another one; 0 where the weight is as asked.
	Asked int `json:"asked,omitempty"`
	Pods  int `json:"pods,omitempty"`
}

// A Plan is the configuration of a rollout. It does not change while the
// rollout runs.
type Plan struct {
	// Strategy is the way up; "" is StrategyCanary.
	Strategy Strategy `json:"strategy,omitempty"`
	Steps    []Step   `json:"steps"` // rising, the last one 100
	// If Rollback is false, a failed verdict pauses the rollout at its weight.
	Rollback         bool          `json:"rollback"`
	Inconclusive     Policy        `json:"inconclusive"`
	MaxExtensions    int           `json:"max_extensions"`
	Then             Policy        `json:"then,omitempty"`    // empty means abort
	ProgressDeadline time.Duration `json:"progress_deadline"` // timeout for pods to become ready
	Propagation      time.Duration `json:"propagation"`       // timeout for a route to be accepted and then observed
	Drain            time.Duration `json:"drain"`             // minimum time between the last request to a pod and its stop
	Bake             time.Duration `json:"bake"`              // how long the promoted revision is judged while the old one is warm
	KeepWarm         time.Duration `json:"keep_warm"`         // how long the old revision keeps its pods, if longer than Bake
	// Prewarm bounds the time in which test requests warm the canary before its first
	// weight; 0 for none.
	Prewarm time.Duration `json:"prewarm,omitempty"`
	// WarmUp is how long the new pods of a blue-green release warm up before their
	// tests, Smoke the timeout of these tests, 0 for none.
	WarmUp time.Duration `json:"warm_up,omitempty"`
	Smoke  time.Duration `json:"smoke,omitempty"`
	// Manual: a blue-green release waits for a person before it switches.
	Manual bool `json:"manual,omitempty"`
	// Exact: the pods are the share, so those of a step start when it begins, and not
	// ahead.
	Exact bool `json:"exact,omitempty"`
	// Replace: stable cannot serve, so the canary is compared with nothing.
	Replace bool `json:"replace,omitempty"`
	// Surge is how many pods more than its size a rolling update may have; 0 stops an
	// old pod before a new one starts.
	Surge int `json:"surge,omitempty"`
	// Linger: a signal leaves the rollout as it is, for the next process of the
	// same run.
	Linger bool `json:"linger,omitempty"`
	// Hold bounds how long a member of a group waits for the others: after its bake,
	// and with HoldPromotion also before its promotion. A request to promote ends
	// the wait. 0: it belongs to no group.
	Hold          time.Duration `json:"hold,omitempty"`
	HoldPromotion bool          `json:"hold_promotion,omitempty"`
	// QuickAbort bounds an abort caused by a signal, counted from the signal.
	// State.Unconfirmed records what the answers did not show by then.
	QuickAbort time.Duration `json:"quick_abort"`
	// Finish bounds the acting stages of a promotion or an abort.
	Finish time.Duration `json:"finish"`
}

// Replacing returns the plan for a stable version that is down: one step to all
// traffic.
func (p Plan) Replacing() Plan {
	p.Replace, p.Prewarm, p.WarmUp = true, 0, 0
	if n := len(p.Steps); n > 0 {
		p.Steps = p.Steps[n-1:]
	}
	return p
}

// DwellFor returns the dwell of the current step, or of the bake, extensions
// included.
func (p Plan) DwellFor(s State) time.Duration {
	if s.Phase == PhaseBaking {
		return p.Bake * time.Duration(1+s.Extensions)
	}
	return p.Steps[s.Step].Dwell * time.Duration(1+s.Extensions)
}

// A Check is the state of tests that run in the background.
type Check string

// The states of a check.
const (
	CheckPending Check = "Pending"
	CheckPassed  Check = "Passed"
	CheckFailed  Check = "Failed"
)

// A Leftover is what a run could not finish or remove.
type Leftover string

// The leftovers. The zero value is none.
const (
	LeftoverCanary    Leftover = "canary"    // the canary Deployment and what belongs to it
	LeftoverAbort     Leftover = "abort"     // the rest of an abort
	LeftoverPromotion Leftover = "promotion" // the rest of a promotion, from the hand-over on
	LeftoverPrevious  Leftover = "previous"  // the old revision, warm or draining
	LeftoverRolling   Leftover = "rolling"   // a rolling update with pods of both revisions, or one that a person has to accept
)

// State is the state of a rollout. It is small, is recorded in the cluster
// before every action, and has everything that another process needs to
// continue.
type State struct {
	Phase Phase `json:"phase"`
	Stage Stage `json:"stage"`
	Step  int   `json:"step"` // index into Plan.Steps
	// Weight is the last weight decided on; Written says whether this rollout ever
	// sent a weight above 0 to the cluster.
	Weight  int  `json:"weight"`
	Written bool `json:"written"`
	// Since is the start of the stage.
	Since time.Time `json:"since"`
	// Skip: a person promoted the canary without the end of this step; Full:
	// without the remaining steps.
	Skip bool `json:"skip,omitempty"`
	Full bool `json:"full,omitempty"`
	// Reverted: the sides are exchanged. The canary is now the revision from before
	// the release.
	Reverted bool `json:"reverted,omitempty"`
	// Back: a person or the judge asked for the old revision while the hand-over
	// was going on; it follows. Hold: the judge did, and the plan pauses then.
	Back string `json:"back,omitempty"`
	Hold string `json:"hold,omitempty"`
	// Asked: the plan or a person asked for the pause. Left is the stage in which
	// a terminal state was entered.
	Asked bool `json:"asked,omitempty"`
	// Conflict: another writer changed what the rollout writes, so it paused.
	Conflict bool `json:"conflict,omitempty"`
	// Interrupted: a signal ended the run after its hand-over.
	Interrupted bool  `json:"interrupted,omitempty"`
	Left        Stage `json:"left,omitempty"`
	// Pods is how many new pods a rolling update was last asked for; Extra of them
	// are in addition to the workload's size.
	Pods  int `json:"pods,omitempty"`
	Extra int `json:"extra,omitempty"`
	// Undone: all pods were new, and a rolling update takes the release back.
	Undone bool `json:"undone,omitempty"`
	// Sized is the step for which the canary was last sized.
	Sized int `json:"sized"`
	// PodsTook is the time that the newest pods took to become ready.
	PodsTook time.Duration `json:"pods_took"`
	// ObservedAt is when the answers showed the last weight; the drain window
	// counts from here.
	ObservedAt time.Time `json:"observed_at,omitzero"`
	// Extensions counts the repetitions of this step's dwell.
	Extensions int `json:"extensions,omitempty"`
	// Settles counts how often the gateway still used the canary Service after the
	// promotion.
	Settles int `json:"settles,omitempty"`
	// Lag is the longest time from the write of a weight until the answers
	// followed it.
	Lag time.Duration `json:"lag"`
	// QuickBy is the deadline of an abort after a signal; the next run removes
	// what is left then.
	QuickBy time.Time `json:"quick_by,omitzero"`
	// Leftover is what the next run has to finish or remove.
	Leftover Leftover `json:"leftover,omitempty"`
	// Reason is the sentence that explains a terminal phase or an abort.
	Reason string `json:"reason,omitempty"`
	// Unconfirmed lists changes that the answers never showed.
	Unconfirmed []string `json:"unconfirmed,omitempty"`
}

// Switched reports whether the new revision was seen to have all traffic, and still
// has it. An action of the way back, once it may have begun, ends that.
func (s State) Switched() bool {
	stage := s.Stage
	if stage == StageEnd && s.Left != "" {
		stage = s.Left
	}
	switch {
	case s.Reverted, s.Phase == PhaseAborting, s.Phase == PhaseAborted, s.Phase == PhaseReverting:
		return false
	case s.Phase == PhasePromoting, s.Phase == PhaseBaking, s.Phase == PhaseCleaning, s.Phase == PhasePromoted:
		return true
	}
	switch stage {
	case StageDwell, StagePause, StageHold:
		return s.Weight == 100
	case StageHandOver, StageReturn, StageReturned, StageWarm, StageSettle, StageBake, StageKept, StageUnroute, StageUnused, StageDrain, StageClean:
		return true
	default:
		return false
	}
}

// A Split says whether the answers show the weight written last.
type Split string

// The states of a split.
const (
	SplitPending   Split = "Pending"   // too few answers, or not the expected share yet
	SplitConfirmed Split = "Confirmed" // the share is in its binomial interval
	SplitBlind     Split = "Blind"     // the versions cannot be distinguished
	SplitNone      Split = "None"      // there is no route for test requests, as the plan says
)

// An Observation is the input of a decision at one moment.
type Observation struct {
	Now time.Time
	// Done is the stage whose action has completed.
	Done Stage
	// Err is the error of the current stage's action, after the Target's retries
	// of transient errors.
	Err error

	CanaryReady  int // ready pods of the canary
	CanaryWanted int // desired pods of the canary
	CanaryNeeded int // pods that the canary needs for its weight, given the live size of stable
	BackReady    int // ready endpoints of the version to go back to; in a rolling update its ready pods
	// Replicas is how many pods the workload of a rolling update wants, NewPods and
	// OldPods how many it has of the new and of any other revision, those that stop
	// included.
	Replicas, NewPods, OldPods int
	// Inexact says how the pods of an undone rolling update differ from the record, ""
	// if they do not.
	Inexact string
	// Trouble says why the canary's pods cannot serve: a crash, a failed image
	// pull. It is empty if there is no problem.
	Trouble string
	// Waiting says why the canary's pods are not ready yet. It is empty if they are
	// or if the cause is unknown.
	Waiting string
	// Recheck is when Trouble or Waiting can change although no watched object
	// does; zero if there is no such time.
	Recheck time.Time
	// Accepted: every gateway has accepted the newest generation of every
	// route.
	Accepted bool
	// Preflight says whether test requests reach the canary through the gateway.
	// SplitBlind: the answers cannot be attributed. SplitNone: there are none.
	Preflight Split
	// Alike is the version marker of the newest answer to a test request, if the stable
	// version answers with the same; else "".
	Alike string
	// Prewarming: test requests reach the canary and still warm it.
	Prewarming bool
	// Smoke says how the smoke tests went that StageSmoke started last, SmokeReason
	// why they failed. Untested counts the canary's ready pods that passed none.
	Smoke       Check
	SmokeReason string
	Untested    int
	Split       Split
	// Followed is when the gateway likely started to follow the weight, estimated
	// from the answers; zero if unknown. The confirmation comes later.
	Followed time.Time
	// CanaryAnswers counts answers by the canary since the last weight, SinceCanary
	// all answers since its last one, whoever sent them.
	CanaryAnswers, SinceCanary int
	// SinceStable counts all answers since stable's last one.
	SinceStable int
	// OldAnswers counts answers by the old revision since the action of StageWarm.
	OldAnswers int
	// NewAnswers counts answers by the new revision since the action of StageWarm.
	NewAnswers int
	Verdict    Verdict
	Reason     string // the judge's sentence
	// Policy applies to an inconclusive verdict; if empty, the plan's policy does.
	Policy Policy

	Interrupted string // the signal, when one arrived
	// Request is what a person asks for, delivered once; the zero Request is none.
	Request Request
	By      string // the author of Request
	Drift   string // the other writer of the route or the Deployment, and its change
	Fenced  string // the run that took the lease
}

// An Action is the next thing to do.
type Action struct {
	Stage  Stage
	Kind   Kind
	Weight int // for KindWeight; for KindRoll and KindComplete the share of the new pods, in percent
	// For KindWait, Await describes the awaited condition and Until is the
	// deadline. Wake, if set, is an earlier time to decide again.
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
	KindReturn        // route to the user's Service, which now selects the new revision
	KindWarm          // point the canary Service at the old revision
	KindUnwarm        // point it back at the new revision: the old one answered
	KindRevert        // exchange the sides and route to the warm revision
	KindUnroute       // write the route as the user wrote it
	KindClean         // stop the revision without traffic and remove what the rollout added
	KindRestore       // put everything back as recorded
	KindRoll          // let the controller replace pods until State.Pods are new
	KindComplete      // replace the rest and put the settings of the update back
	KindUndo          // put the recorded revision back by a rolling update
	KindStop          // the state is terminal
	KindSmoke         // start the smoke tests of the canary's pods; the observation has their result
)
