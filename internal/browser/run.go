package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/tail"
)

// check runs the script. When it returns, script, browser and the browser's profile are
// gone.
func (c Checker) check(ctx context.Context, t tools, m modules, j job) (results []Result, err error) {
	dir, err := os.MkdirTemp("", "candlefish-browser-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, removeAll(dir)) }()
	j.Executable = launcher(t, m)
	raw, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	jobFile, open := filepath.Join(dir, "job.json"), filepath.Join(dir, "open")
	if err := errors.Join(os.WriteFile(jobFile, raw, 0o600), os.WriteFile(open, nil, 0o600)); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, endBrowser(dir)) }()
	bounded, cancel := context.WithTimeout(ctx, j.limit())
	defer cancel()
	cmd := command(bounded, t.node, m.script, jobFile)
	cmd.Dir, cmd.Env = dir, environment(dir, t.chromium)
	stdout, log, err := c.output(cmd)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("check the pages: %w", ctx.Err())
	case bounded.Err() != nil:
		return nil, fmt.Errorf("check the pages: not done within %v\n%s", j.limit(), log)
	case err != nil:
		return nil, fmt.Errorf("check the pages: %w\n%s", err, log)
	}
	if results, err = j.read(stdout); err != nil {
		return nil, fmt.Errorf("check the pages: %w\n%s", err, log)
	}
	return results, nil
}

const keptBytes = 4 << 10 // of a program's other output

// output runs the script, whose stdin ends only with this process, logs its progress, and
// returns its stdout and the end of its other output.
func (c Checker) output(cmd *exec.Cmd) (stdout, log []byte, err error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = stdin.Close() }()
	var out bytes.Buffer
	rest := tail.Buffer{Limit: keptBytes}
	cmd.Stdout = &out
	stderr, w := io.Pipe()
	cmd.Stderr = w
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.listen(stderr, &rest)
	}()
	err = cmd.Run()
	_ = w.Close()
	<-done
	return out.Bytes(), rest.Bytes(), err
}

// listen logs progress and keeps other lines for an error.
func (c Checker) listen(stderr io.Reader, rest *tail.Buffer) {
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		if said, ok := strings.CutPrefix(line, "say: "); ok {
			c.logf("%s", strings.TrimSpace(said))
		} else {
			_, _ = rest.Write([]byte(line))
		}
		if err != nil {
			return
		}
	}
}

// environment is the environment of script and browser: only the network settings of
// ours, and home and temporary folders in dir.
func environment(dir, chromium string) []string {
	env := []string{"HOME=" + dir, "TMPDIR=" + dir, "TMP=" + dir, "TEMP=" + dir, "CANDLEFISH_RUN=" + dir, "CANDLEFISH_CHROMIUM=" + chromium}
	for _, name := range []string{"PATH", "LANG", "SystemRoot", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if v := os.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// removeAll removes a folder to which killed processes may still be writing.
func removeAll(dir string) error {
	var err error
	for range 20 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}
