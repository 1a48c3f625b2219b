package rollout

// A Verdict is the judge's result for the current step.
type Verdict string

// The verdicts. Pending means that the dwell is running and nothing has failed
// so far. Only Pending is not final.
const (
	VerdictPending      Verdict = "Pending"
	VerdictSuccessful   Verdict = "Successful"
	VerdictFailed       Verdict = "Failed"
	VerdictInconclusive Verdict = "Inconclusive"
)

// A Policy is the reaction to an inconclusive verdict. It never leads to
// success.
type Policy string

// The policies. Fail and Ignore apply to one metric: an ignored metric no
// longer counts, the others still do. Abort applies to the whole rollout.
const (
	PolicyExtend Policy = "extend" // dwell again, up to MaxExtensions times; then apply Plan.Then
	PolicyHold   Policy = "hold"   // pause at this weight until a user decides
	PolicyAbort  Policy = "abort"  // shift traffic back to stable
	PolicyFail   Policy = "fail"   // count the metric as failed
	PolicyIgnore Policy = "ignore" // judge by the other metrics, and warn
)
