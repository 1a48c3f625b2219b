package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A process is one of this machine's, as /proc has it.
type process struct {
	pid, group int
	run        string // its CANDLEFISH_RUN
}

// processes lists the living processes that wanted says yes to, by group and
// environment.
func processes(t *testing.T, wanted func(group int, environ string) bool) []process {
	t.Helper()
	var found []process
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		stat, _ := os.ReadFile(path) // it may be gone by now
		env, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "environ"))
		var p process
		var state string
		var parent int
		after := stat[bytes.LastIndexByte(stat, ')')+1:]
		if _, err := fmt.Sscan(string(after), &state, &parent, &p.group); err != nil || state == "Z" || state == "X" || !wanted(p.group, string(env)) {
			continue
		}
		_, _ = fmt.Sscan(filepath.Base(filepath.Dir(path)), &p.pid)
		_, run, _ := strings.Cut(string(env), "CANDLEFISH_RUN=")
		p.run, _, _ = strings.Cut(run, "\x00")
		found = append(found, p)
	}
	return found
}

// marked is a browser whose processes can be told from those of other tests.
func marked(t *testing.T) (chromium string, groups func() (map[int]bool, string)) {
	t.Helper()
	real, err := FindChromium("")
	if err != nil {
		t.Fatal(err)
	}
	chromium = filepath.Join(t.TempDir(), "chromium")
	if err := os.WriteFile(chromium, []byte("#!/bin/sh\nexec "+real+" \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return chromium, func() (map[int]bool, string) {
		ours, run := map[int]bool{}, ""
		for _, p := range processes(t, func(_ int, env string) bool { return strings.Contains(env, "CANDLEFISH_CHROMIUM="+chromium) }) {
			ours[p.group], run = true, p.run
		}
		return ours, run
	}
}

func wantGone(t *testing.T, groups map[int]bool, wait time.Duration) {
	t.Helper()
	for end := time.Now().Add(wait); ; time.Sleep(20 * time.Millisecond) {
		left := processes(t, func(group int, _ string) bool { return groups[group] })
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still there: %+v", left)
		}
	}
}

// When a run is cancelled, neither script nor browser nor profile is left.
func TestCancel(t *testing.T) {
	t.Parallel()
	c, s := checker(t), newSite(t)
	chromium, groups := marked(t)
	c.Chromium = chromium
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() {
		_, err := c.Run(ctx, Options{Pages: s.pages("/hangs"), Out: t.TempDir(), Visual: true})
		done <- err
	}()
	select {
	case <-s.asked:
	case err := <-done:
		t.Fatalf("ended before the page was asked for: %v", err)
	}
	ours, dir := groups()
	all := processes(t, func(group int, _ string) bool { return ours[group] })
	if len(ours) < 2 || len(all) < 4 || dir == "" {
		t.Fatalf("%d groups of %d processes in %q, want script and browser", len(ours), len(all), dir)
	}
	began := time.Now()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the run says %v", err)
	}
	t.Logf("%d processes of %d groups gone after %v", len(all), len(ours), time.Since(began).Round(time.Millisecond))
	wantGone(t, ours, 0)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v", dir, err)
	}
}

// A run may be cancelled at any moment of the browser's start.
func TestCancelEarly(t *testing.T) {
	t.Parallel()
	c, s := checker(t), newSite(t)
	run(t, c, Options{Pages: s.pages("/good"), Accessibility: true}) // modules are there
	chromium, groups := marked(t)
	c.Chromium = chromium
	for after := 50 * time.Millisecond; after < 800*time.Millisecond; after += 75 * time.Millisecond {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		_, err := c.Run(ctx, Options{Pages: s.pages("/hangs"), Out: t.TempDir(), Visual: true})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", after, err)
		}
		if ours, _ := groups(); len(ours) > 0 {
			t.Errorf("cancelled after %v: groups %v are left", after, ours)
		}
	}
}

// When we are killed, nobody ends the script; it ends by itself, and its browser.
func TestParentThatDies(t *testing.T) {
	t.Parallel()
	c, s := checker(t), newSite(t)
	chromium, groups := marked(t)
	c.Chromium = chromium
	tools, err := c.find()
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.install(t.Context(), tools)
	if err != nil {
		t.Fatal(err)
	}
	j, err := newJob(Options{Pages: s.pages("/hangs"), Out: t.TempDir(), Visual: true})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	j.Executable = launcher(tools, m)
	raw, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	for name, what := range map[string][]byte{"job.json": raw, "open": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), what, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), tools.node, m.script, filepath.Join(dir, "job.json"))
	cmd.Env = environment(dir, chromium)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.asked:
	case <-time.After(time.Minute):
		t.Fatal("the page is not asked for")
	}
	ours, _ := groups()
	_ = stdin.Close()
	if err := cmd.Wait(); err == nil {
		t.Error("the script says that all is well")
	}
	delete(ours, groupOfTest(t))
	if len(ours) == 0 {
		t.Fatal("no browser was seen")
	}
	wantGone(t, ours, 5*time.Second)
}

// groupOfTest is the process group of the test, which the script is in here.
func groupOfTest(t *testing.T) int {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	var state string
	var parent, group int
	if _, err := fmt.Sscan(string(raw[bytes.LastIndexByte(raw, ')')+1:]), &state, &parent, &group); err != nil {
		t.Fatal(err)
	}
	return group
}
