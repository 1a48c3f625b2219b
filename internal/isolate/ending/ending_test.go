package ending

import (
	"errors"
	"testing"

	"github.com/candlefish/deploy-action/internal/isolate"
)

// One line says why, once.
func TestReasonsSayACauseOnce(t *testing.T) {
	t.Parallel()
	cause := "request to https://registry.npmjs.org/x failed, reason: self-signed certificate in certificate chain"
	stderr := "npm error " + cause + "\nnpm error audit endpoint returned an error\n" +
		"npm error A complete log of this run can be found in: /tmp/candlefish-tool-1/home/.npm/_logs/debug-0.log\n"
	for name, test := range map[string]struct{ why, stderr, want string }{
		"twice":       {"it could not audit: " + cause, stderr, "it could not audit: " + cause + " (exit status 1); its last words: npm error audit endpoint returned an error"},
		"the status":  {"it exited with status 1: no space left", "no space left\n", "it exited with status 1: no space left"},
		"our folders": {"empty", "open /tmp/candlefish-tool-344/tmp/x: denied\n", "empty (exit status 1); its last words: open ~/x: denied"},
		"nothing":     {"empty", "", "empty (exit status 1)"},
	} {
		if got := Misread(errors.New(test.why), isolate.Ran{Status: 1, Stderr: []byte(test.stderr)}); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, test.want)
		}
	}
}
