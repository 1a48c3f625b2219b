package isolate

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	token       = "AUTHORIZATION: basic c2VjcmV0LXRva2Vu"
	jobVariable = "GITHUB_TOKEN=ghs_of_the_job"
)

// eachLayer runs a test in all layers that this machine can have. It must have one
// with namespaces, and Landlock below it.
func eachLayer(t *testing.T, test func(t *testing.T, l layer, open func(workspace string) *Sandbox)) {
	t.Helper()
	for _, l := range layers() {
		t.Run(fmt.Sprintf("%+v", l), func(t *testing.T) {
			t.Parallel()
			test(t, l, func(workspace string) *Sandbox {
				s := open(t, workspace, append(os.Environ(), jobVariable)...)
				s.layers = []layer{l}
				return s
			})
		})
	}
}

func TestTheEnvironmentIsAllowed(t *testing.T) {
	t.Parallel()
	eachLayer(t, func(t *testing.T, _ layer, open func(string) *Sandbox) {
		c := self(t, "environment")
		c.Env = append(c.Env, "GIVEN=1")
		got := open(t.TempDir()).Run(t.Context(), c)
		var names []string
		for line := range strings.Lines(string(got.Stdout)) {
			name, _, _ := strings.Cut(line, "=")
			names = append(names, name)
		}
		slices.Sort(names)
		if want := []string{"GIT_CONFIG_NOSYSTEM", "GIVEN", "HOME", deed, "LANG", "PATH", "TMPDIR"}; !slices.Equal(names, want) {
			t.Errorf("%s %s: it has %q, want %q", got.Ending, got.Why, names, want)
		}
	})
}

func TestOthersCannotBeRead(t *testing.T) {
	t.Parallel()
	eachLayer(t, func(t *testing.T, l layer, open func(string) *Sandbox) {
		home := t.TempDir() // as good as ~: it is in no list
		secrets := []string{put(t, home, ".aws/credentials", "secret"), put(t, home, ".docker/config.json", "secret"), put(t, home, "_runner_file_commands/set_env", "secret")}
		ours := fmt.Sprintf("/proc/%d/environ", os.Getpid())
		got := open(t.TempDir()).Run(t.Context(), self(t, "read", append(secrets, ours, "/proc/*/environ", "/root/.*", "/run/*", "/etc/shadow")...))
		if strings.Contains(string(got.Stdout), `"secret"`) || strings.Contains(string(got.Stdout), "root:") {
			t.Errorf("%v: it read %s", got.Enforced, got.Stdout)
		}
		for line := range strings.Lines(string(got.Stdout)) {
			// Its own, and that of the first process, have nothing of ours in them.
			if strings.Contains(line, "/environ") && (strings.Contains(line, "GOCACHE") || strings.Contains(line, "GITHUB") || strings.Contains(line, "USER=")) {
				t.Errorf("%v: it read %s", got.Enforced, line)
			}
		}
		if got.Ending != Exited || !slices.Contains(got.Enforced, files) || l.own != slices.Contains(got.Enforced, processes) {
			t.Errorf("%s %s %v", got.Ending, got.Why, got.Enforced)
		}
	})
}

// actions/checkout leaves the job's token in .git/config unless it is told not to.
func TestTheTokenOfTheCheckoutIsHidden(t *testing.T) {
	t.Parallel()
	eachLayer(t, func(t *testing.T, l layer, open func(string) *Sandbox) {
		dir := t.TempDir()
		put(t, dir, ".git/HEAD", "ref: refs/heads/main\n")
		config := put(t, dir, ".git/config", "[core]\n\tbare = false\n[http \"https://github.com/\"]\n\textraheader = "+token+"\n")
		module := put(t, dir, ".git/modules/objects/config", "[http \"https://github.com/\"]\n\textraheader = "+token+"\n")
		creds := put(t, dir, "gha-creds-1.json", "a key of the cloud")
		main := put(t, dir, "main.go", "package main")
		s := open(dir)
		for _, online := range []bool{false, true} {
			c := self(t, "read", config, module, creds, main)
			c.Network = online
			got := s.Run(t.Context(), c)
			out := string(got.Stdout)
			if !strings.Contains(out, "package main") {
				t.Errorf("network %t: it cannot read the workspace: %s %s %s", online, got.Ending, got.Why, out)
			}
			if hidden := !strings.Contains(out, token); hidden != slices.Contains(got.Enforced, files) || l.own && !hidden || online && !hidden {
				t.Errorf("network %t, %v: it read %s", online, got.Enforced, out)
			}
			if l.own && !strings.Contains(out, "bare = false") {
				t.Errorf("it does not see the rest of the configuration: %s", out)
			}
		}
		if raw, err := os.ReadFile(config); err != nil || !strings.Contains(string(raw), token) {
			t.Errorf("our own configuration is changed: %q, %v", raw, err)
		}
	})
}

func TestNothingElseCanBeWritten(t *testing.T) {
	t.Parallel()
	eachLayer(t, func(t *testing.T, _ layer, open func(string) *Sandbox) {
		dir, out, beside := t.TempDir(), t.TempDir(), t.TempDir()
		old := put(t, dir, "main.go", "package main")
		report := filepath.Join(out, "report")
		c := self(t, "write", old, filepath.Join(dir, "new"), report, filepath.Join(beside, "x"), "/usr/x", "/etc/x")
		c.Writes = []string{out}
		got := open(dir).Run(t.Context(), c)
		if n := strings.Count(string(got.Stdout), " true\n"); n != 1 || !strings.Contains(string(got.Stdout), report+" true\n") {
			t.Errorf("%s, %s, %v: %s", got.Ending, got.Why, got.Enforced, got.Stdout)
		}
		if raw, err := os.ReadFile(old); string(raw) != "package main" || !slices.Contains(got.Enforced, readOnly) {
			t.Errorf("%v: the workspace's file is %q, %v", got.Enforced, raw, err)
		}
	})
}

func TestTheNetworkIsOff(t *testing.T) {
	t.Parallel()
	eachLayer(t, func(t *testing.T, l layer, open func(string) *Sandbox) {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = listener.Close() }()
		s := open(t.TempDir())
		c := self(t, "connect", listener.Addr().String())
		got := s.Run(t.Context(), c)
		off := slices.Contains(got.Enforced, network) || slices.Contains(got.Enforced, tcp)
		if want := map[bool]string{true: "refused\n", false: "connected\n"}[off]; string(got.Stdout) != want || l != (layer{own: true}) && l != (layer{user: true, own: true}) && !off {
			t.Errorf("%v: it is %q", got.Enforced, got.Stdout)
		}
		c.Network = true
		if got := s.Run(t.Context(), c); string(got.Stdout) != "connected\n" || slices.Contains(got.Enforced, network) || slices.Contains(got.Enforced, tcp) {
			t.Errorf("with a network, %v: it is %q", got.Enforced, got.Stdout)
		}
	})
}

func TestWhatHangsIsEnded(t *testing.T) {
	t.Parallel()
	eachLayer(t, func(t *testing.T, _ layer, open func(string) *Sandbox) {
		mark := filepath.Join(t.TempDir(), "mark")
		c := self(t, "hang", mark)
		c.Time = time.Second
		if got := open(t.TempDir()).Run(t.Context(), c); got.Ending != TimedOut || !strings.Contains(got.Why, "1s") {
			t.Errorf("%s, %s", got.Ending, got.Why)
		}
		out := t.TempDir()
		hangs := filepath.Join(out, "hangs")
		c = self(t, "hang", hangs, mark)
		c.Writes = []string{out}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			for t.Context().Err() == nil {
				if _, err := os.Stat(hangs); err == nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
		if got := open(t.TempDir()).Run(ctx, c); got.Ending != Cancelled || string(got.Stdout) != "hanging\n" {
			t.Errorf("%s, %s, %q", got.Ending, got.Why, got.Stdout)
		}
		if got := open(t.TempDir()).Run(ctx, c); got.Ending != Cancelled {
			t.Errorf("after the end of the run: %s, %s", got.Ending, got.Why)
		}
		mustBeGone(t, mark)
	})
}

func TestWhatAProgramLeavesIsEnded(t *testing.T) {
	t.Parallel()
	eachLayer(t, func(t *testing.T, _ layer, open func(string) *Sandbox) {
		mark := filepath.Join(t.TempDir(), "mark")
		got := open(t.TempDir()).Run(t.Context(), self(t, "daemon", mark))
		if got.Ending != Exited || string(got.Stdout) != "<nil>\n" {
			t.Errorf("%s, %s, %q", got.Ending, got.Why, got.Stdout)
		}
		mustBeGone(t, mark)
	})
}

// mustBeGone looks for a process with an argument.
func mustBeGone(t *testing.T, arg string) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if raw, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(raw), "\x00"+arg+"\x00") {
			t.Errorf("%s is left: %q", path, raw)
		}
	}
}

func TestMemoryIsLimited(t *testing.T) {
	t.Parallel()
	eachLayer(t, func(t *testing.T, _ layer, open func(string) *Sandbox) {
		c := self(t, "eat")
		c.Memory = 200 << 20
		got := open(t.TempDir()).Run(t.Context(), c)
		if got.Ending != OutOfMemory || !strings.Contains(got.Why, "the limit is 200 MiB") {
			t.Errorf("%s, %s, %q", got.Ending, got.Why, got.Stdout)
		}
	})
}

// A worktree's repository is elsewhere, and its token with it.
func TestGitWorksOnAWorktree(t *testing.T) {
	t.Parallel()
	eachLayer(t, func(t *testing.T, l layer, open func(string) *Sandbox) {
		main, tree := t.TempDir(), filepath.Join(t.TempDir(), "tree")
		for _, args := range [][]string{
			{"init", "-q", "-b", "main"}, {"-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "the first"},
			{"config", "http.https://github.com/.extraheader", token}, {"remote", "add", "origin", "https://user:pass@github.com/a/b"},
			{"worktree", "add", "-q", tree, "-b", "other"},
		} {
			cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", main}, args...)...)
			cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("git %q: %v\n%s", args, err, out)
			}
		}
		git, err := exec.LookPath("git")
		if err != nil {
			t.Fatal(err)
		}
		for _, workspace := range []string{main, tree} {
			s := open(workspace)
			if got := s.Run(t.Context(), Command{Program: git, Args: []string{"log", "--format=%s"}}); string(got.Stdout) != "the first\n" {
				t.Errorf("%s, %d, %s: the log is %q\n%s", got.Ending, got.Status, got.Why, got.Stdout, got.Stderr)
			}
			got := s.Run(t.Context(), Command{Program: git, Args: []string{"config", "--list"}})
			if l.own && (strings.Contains(string(got.Stdout), token) || strings.Contains(string(got.Stdout), "pass") || !strings.Contains(string(got.Stdout), "//github.com/a/b")) {
				t.Errorf("the configuration is %s\n%s", got.Stdout, got.Stderr)
			}
			if len(s.Credentials()) != 1 || filepath.Base(s.Credentials()[0]) != "config" {
				t.Errorf("credentials: %q", s.Credentials())
			}
		}
	})
}

// A machine whose connections a company's proxy opens trusts certificates of its own.
func TestAuthoritiesOfTheMachineAreForProgramsWithNetwork(t *testing.T) {
	t.Parallel()
	for _, l := range layers() {
		t.Run(fmt.Sprintf("%+v", l), func(t *testing.T) {
			t.Parallel()
			ca := put(t, t.TempDir(), "ca.pem", "a certificate")
			s := open(t, t.TempDir(), "NODE_EXTRA_CA_CERTS="+ca, jobVariable)
			s.layers = []layer{l}
			for _, online := range []bool{true, false} {
				c := self(t, "environment")
				c.Network = online
				if got := s.Run(t.Context(), c); strings.Contains(string(got.Stdout), "NODE_EXTRA_CA_CERTS="+ca+"\n") != online {
					t.Errorf("network %t: %s %s, its environment is\n%s", online, got.Ending, got.Why, got.Stdout)
				}
				c = self(t, "read", ca)
				c.Network = online
				got := s.Run(t.Context(), c)
				if read := strings.Contains(string(got.Stdout), `"a certificate"`); online && !read || !online && read && slices.Contains(got.Enforced, files) {
					t.Errorf("network %t, %v: %s %s, it read %q", online, got.Enforced, got.Ending, got.Why, got.Stdout)
				}
			}
		})
	}
}
