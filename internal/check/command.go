package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/tail"
)

// keptLines bounds what is kept of an output.
const keptLines = 20

// Command runs a program and waits until it or ctx ends; then it is asked to end,
// and killed two seconds later. Exit status 0 passes, 75 (EX_TEMPFAIL of
// sysexits.h) says that it has no result; any other fails. It sees of the
// environment what it needs to run, and no token.
func Command(ctx context.Context, argv []string, r Release, getenv func(string) string) (Answer, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	for name, value := range r.Variables() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG", "GITHUB_WORKSPACE", "KUBECONFIG"} {
		if v := getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	out := &tail.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	answer := Answer{Output: lastLines(out.String())}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return answer, fmt.Errorf("run %s: it did not end in time", argv[0])
	case errors.As(err, &exit):
		answer.Reason = fmt.Sprintf("%s: %s", argv[0], exit.ProcessState)
		if exit.ExitCode() == 75 {
			return answer, nil
		}
		answer.Passed = new(bool)
		return answer, nil
	case err != nil:
		return answer, fmt.Errorf("run %s: %w", argv[0], err)
	}
	passed := true
	answer.Passed, answer.Reason = &passed, argv[0]+": exit status 0"
	return answer, nil
}

func lastLines(s string) []string {
	s = strings.ToValidUTF8(strings.TrimSpace(s), "\uFFFD")
	if s == "" {
		return nil
	}
	lines := strings.Split(s, "\n")
	return lines[max(0, len(lines)-keptLines):]
}
