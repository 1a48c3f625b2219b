package load

import (
	"fmt"

	"github.com/candlefish/deploy-action/internal/measure/verdict"
)

// The statuses with which k6 has said something about what it loaded.
const (
	passed   = 0
	crossed  = 99  // a threshold of the script does not hold
	condemns = 110 // the script called test.fail()
)

// An ExitError says why k6 did not do its work.
type ExitError struct {
	Status int
	Why    string
	Said   string // k6's own last error
	health verdict.Health
}

// Error implements error.
func (e *ExitError) Error() string {
	text := fmt.Sprintf("k6 exited with status %d: %s", e.Status, e.Why)
	if e.Said != "" {
		text += ": " + e.Said
	}
	return text
}

// Health is the meter's health after it.
func (e *ExitError) Health() verdict.Health { return e.health }

// exits are what k6's statuses mean, beside those that are verdicts.
var exits = map[int]ExitError{
	97:  {Why: "its cloud says that the test failed, and none was asked for", health: verdict.Crashed},
	98:  {Why: "it did not hear from its cloud, and none was asked for", health: verdict.Crashed},
	100: {Why: "setup did not end in its time; in a shipped scenario that is the warm-up, in which the site does not answer", health: verdict.TimedOut},
	101: {Why: "teardown did not end in its time", health: verdict.TimedOut},
	102: {Why: "something did not end in its time", health: verdict.TimedOut},
	103: {Why: "somebody stopped it through its API", health: verdict.Crashed},
	104: {Why: "the options of the script are wrong", health: verdict.Crashed},
	105: {Why: "a signal from outside stopped it", health: verdict.Crashed},
	106: {Why: "it could not start its API", health: verdict.Crashed},
	107: {Why: "the script has an error", health: verdict.Crashed},
	108: {Why: "the script stopped itself with test.abort()", health: verdict.Crashed},
	109: {Why: "k6 itself panicked", health: verdict.Crashed},
}

// exitError is what a status means; nil for those of verdicts.
func exitError(status int, said string) error {
	if status == passed || status == crossed || status == condemns {
		return nil
	}
	e, known := exits[status]
	if !known {
		e = ExitError{Why: "k6 has no such status", health: verdict.Crashed}
		if status == 255 {
			e.Why = "it could not begin"
		}
	}
	e.Status, e.Said = status, said
	return &e
}
