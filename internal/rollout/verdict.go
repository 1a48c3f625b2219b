package rollout

// A Verdict is what the judge says of the current step.
type Verdict string

// The verdicts. Pending means: the dwell is still running and nothing has
// failed so far. It is the only one that another may follow.
const (
	VerdictPending      Verdict = "Pending"
	VerdictSuccessful   Verdict = "Successful"
	VerdictFailed       Verdict = "Failed"
	VerdictInconclusive Verdict = "Inconclusive"
)

// A Policy says what an inconclusive verdict leads to. It never leads to
// success.
type Policy string

// The policies. Fail and Ignore are for one metric: what is ignored no longer
// counts, the other metrics still do. Abort is for the whole rollout.
const (
	PolicyExtend Policy = "extend" // dwell again, up to MaxExtensions times; then what Plan.Then says
	PolicyHold   Policy = "hold"   // stop at this weight and wait for a person
	PolicyAbort  Policy = "abort"  // shift traffic back to stable
	PolicyFail   Policy = "fail"   // count the metric as failed
	PolicyIgnore Policy = "ignore" // judge by the other metrics, and warn
)
