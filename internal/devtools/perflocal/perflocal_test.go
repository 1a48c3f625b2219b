package perflocal

import (
	"bytes"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/action"
)

func env(values map[string]string) (action.Env, *bytes.Buffer) {
	var out bytes.Buffer
	return action.Env{
		Getenv: func(name string) string { return values[name] }, Stdout: &out, Stderr: &out,
	}, &out
}

// An unknown defect, and a meter that there is not, end before anything runs.
func TestWrongArguments(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"defect": {[]string{"--defect=rain"}, "blocking-script, layout-shift, memory-leak, none"},
		"meter":  {[]string{"--meters=lightbulb"}, `no meter "lightbulb"`},
	} {
		e, out := env(nil)
		if code := Main(e, c.args); code != 2 || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: exit status %d:\n%s", name, code, out)
		}
	}
}
