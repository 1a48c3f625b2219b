package isolate

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The programs of these tests are this program with a variable that says what to do.
const deed = "ISOLATE_TEST_DEED"

func TestMain(m *testing.M) {
	if name := os.Getenv(deed); name != "" {
		os.Exit(deeds[name](os.Args[1:]))
	}
	os.Exit(m.Run())
}

// deeds are what a program that is not trusted may try. They print what they got.
var deeds = map[string]func(args []string) int{
	"environment": func([]string) int { fmt.Println(strings.Join(os.Environ(), "\n")); return 0 },
	"read": func(args []string) int {
		for _, pattern := range args {
			paths, _ := filepath.Glob(pattern)
			for _, path := range paths {
				raw, err := os.ReadFile(path)
				fmt.Printf("%s: %q %v\n", path, raw, err)
			}
		}
		return 0
	},
	"write": func(args []string) int {
		for _, path := range args {
			fmt.Println(path, os.WriteFile(path, []byte("written"), 0o600) == nil)
		}
		return 0
	},
	"connect": func(args []string) int {
		c, err := net.DialTimeout("tcp", args[0], 2*time.Second)
		if err != nil {
			fmt.Println("refused")
			return 0
		}
		_ = c.Close()
		fmt.Println("connected")
		return 0
	},
	"status": func([]string) int { fmt.Println("some output"); fmt.Fprintln(os.Stderr, "some trouble"); return 7 },
	"signal": func([]string) int { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); time.Sleep(time.Hour); return 0 },
	"compute": func([]string) int {
		for x, i := 1.0, 0; ; i++ {
			x = x*1.0001 + float64(i)
			var used syscall.Rusage
			if i%1e5 == 0 && syscall.Getrusage(syscall.RUSAGE_SELF, &used) == nil && used.Utime.Nano() > int64(300*time.Millisecond) {
				return min(0, int(x))
			}
		}
	},
	"stdin": func([]string) int { raw, err := io.ReadAll(os.Stdin); fmt.Printf("%q %v", raw, err); return 0 },
	"hang": func(args []string) int {
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("hanging")
		for _, file := range args[:len(args)-1] { // the last one is a mark for mustBeGone
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				fmt.Println(err)
			}
		}
		time.Sleep(time.Hour) // select {} ends a program that has nothing else to do: a deadlock
		return 0
	},
	"eat": func([]string) int {
		var kept [][]byte
		for range 4 << 10 {
			kept = append(kept, bytes.Repeat([]byte("x"), 1<<20))
			time.Sleep(time.Millisecond)
		}
		fmt.Println(len(kept))
		return 0
	},
	"print": func([]string) int {
		block := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
		for range 1 << 10 { // 1 GiB
			if _, err := os.Stdout.Write(block); err != nil {
				return 1
			}
		}
		return 0
	},
	"daemon": func(args []string) int {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), deed+"=hang")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		fmt.Println(cmd.Start())
		return 0
	},
}

// self is a command that does a deed.
func self(t *testing.T, name string, args ...string) Command {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Command{Program: program, Args: args, Env: []string{deed + "=" + name}, Time: time.Minute}
}

func open(t *testing.T, workspace string, environ ...string) *Sandbox {
	t.Helper()
	s, err := Open(workspace, environ)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put writes a file below dir and returns its path.
func put(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHowProgramsEnd(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for name, want := range map[string]Ran{
		"status": {Ending: Exited, Status: 7, Stdout: []byte("some output\n"), Stderr: []byte("some trouble\n")},
		"signal": {Ending: Signalled},
		"stdin":  {Ending: Exited, Stdout: []byte(`"" <nil>`)},
	} {
		for range 2 {
			got := s.Run(t.Context(), self(t, name))
			if got.Ending != want.Ending || got.Status != want.Status || !bytes.Equal(got.Stdout, want.Stdout) ||
				want.Stderr != nil && !bytes.Equal(got.Stderr, want.Stderr) {
				t.Errorf("%s: %s, %d, %s, %q, want %+v", name, got.Ending, got.Status, got.Why, got.Stdout, want)
			}
		}
	}
}

// The processor time is the program's, not that of the first process above it.
func TestProcessorTime(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	idle, busy := s.Run(t.Context(), self(t, "environment")), s.Run(t.Context(), self(t, "compute"))
	if busy.Ending != Exited || busy.CPU < 300*time.Millisecond || idle.CPU >= busy.CPU {
		t.Errorf("%v and %v (%s), want more than 300ms of the second", idle.CPU, busy.CPU, busy.Why)
	}
}

func TestVariablesOfACommandReplaceThoseOfTheSandbox(t *testing.T) {
	t.Parallel()
	c := self(t, "environment")
	c.Env = append(c.Env, "PATH=/opt/go/bin")
	got := string(open(t, t.TempDir()).Run(t.Context(), c).Stdout)
	if strings.Count(got, "PATH=") != 1 || !strings.Contains(got, "PATH=/opt/go/bin\n") {
		t.Errorf("the environment is\n%s", got)
	}
}

func TestTheWorkspaceCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), t.TempDir()
	old := put(t, dir, "main.go", "package main")
	c := self(t, "write", old, filepath.Join(dir, "new"), filepath.Join(out, "report"), filepath.Join(filepath.Dir(dir), "beside"))
	c.Writes, c.Report = []string{out}, filepath.Join(out, "report")
	got := open(t, dir).Run(t.Context(), c)
	if string(got.Stdout) != "written" || got.Ending != Exited || !slices.Contains(got.Enforced, readOnly) {
		t.Errorf("the report: %+v", got)
	}
	if raw, err := os.ReadFile(old); string(raw) != "package main" {
		t.Errorf("the workspace's file is %q, %v", raw, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("it wrote a file into the workspace")
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	got := s.Run(t.Context(), self(t, "print"))
	if got.Ending != Exited || !got.Truncated || len(got.Stdout) != outputLimit || !bytes.HasPrefix(got.Stdout, []byte("0123456789abcdef")) {
		t.Errorf("of 1 GiB: %s, %d bytes, truncated %t, want the first %d", got.Ending, len(got.Stdout), got.Truncated, outputLimit)
	}
}

func TestProgramsThatCannotStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := put(t, dir, "plain", "#!/bin/sh\n")
	noProgram := put(t, dir, "garbage", "\x00\x01\x02")
	if err := os.Chmod(noProgram, 0o755); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	for name, want := range map[string]string{
		filepath.Join(dir, "missing"): "no such file", plain: "not executable", noProgram: "exec format error", dir: "not executable", "gitleaks": "not an absolute path",
	} {
		got := s.Run(t.Context(), Command{Program: name})
		if got.Ending != NotStarted || !strings.Contains(got.Why, want) {
			t.Errorf("%s: %s, %q, want %q", name, got.Ending, got.Why, want)
		}
	}
	c := self(t, "status")
	c.Dir = filepath.Join(dir, "missing")
	if got := s.Run(t.Context(), c); got.Ending != NotStarted {
		t.Errorf("in a folder that is not there: %s, %s", got.Ending, got.Why)
	}
}

// The report's place is the program's to write: it must not choose what we read.
func TestReportsThatAreNone(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), t.TempDir()
	secret := put(t, t.TempDir(), "secret", "a secret")
	report := filepath.Join(out, "report")
	for name, make := range map[string]func() error{
		"a link to a file outside": func() error { return os.Symlink(secret, report) },
		"a folder":                 func() error { return os.Mkdir(report, 0o755) },
		"a pipe":                   func() error { return syscall.Mkfifo(report, 0o600) },
		"nothing":                  func() error { return nil },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		c := self(t, "status")
		c.Writes, c.Report = []string{out}, report
		got := open(t, dir).Run(t.Context(), c)
		if len(got.Stdout) > 0 || got.Ending != Exited || (got.Why == "") != (name == "nothing") {
			t.Errorf("%s: %q, %s, %q", name, got.Stdout, got.Ending, got.Why)
		}
		if err := os.RemoveAll(report); err != nil {
			t.Fatal(err)
		}
	}
	c := self(t, "status")
	c.Report = secret
	if got := open(t, dir).Run(t.Context(), c); len(got.Stdout) > 0 || !strings.Contains(got.Why, "none of the folders") {
		t.Errorf("outside of its folders: %q, %q", got.Stdout, got.Why)
	}
}

func TestNothingIsLeftInTheTemporaryFolder(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	c := self(t, "environment")
	got := s.Run(t.Context(), c)
	for line := range strings.Lines(string(got.Stdout)) {
		home, ok := strings.CutPrefix(strings.TrimSpace(line), "HOME=")
		if !ok {
			continue
		}
		if _, err := os.Stat(filepath.Dir(home)); err == nil || !strings.Contains(home, "candlefish-tool-") {
			t.Errorf("%s is left", home)
		}
		return
	}
	t.Errorf("it has no HOME: %q", got.Stdout)
}
