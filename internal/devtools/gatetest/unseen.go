package gatetest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func unseen(ts *testscript.TestScript, neg bool, args []string) {
	Want(ts, !neg && len(args) > 0 && len(Of(ts).Secrets) > 0, "unseen FOLDER..., after plant")
	check := func(where, text string) {
		for _, secret := range append(Of(ts).Secrets, Token, strings.TrimPrefix(ts.Getenv("SLACK"), "http://")) {
			if strings.Contains(text, secret) {
				ts.Fatalf("%s has the credential %q", where, secret)
			}
		}
	}
	for line := range strings.Lines(ts.ReadFile("stdout") + ts.ReadFile("stderr")) {
		if !strings.HasPrefix(line, "::add-mask::") {
			check("the log", line)
		}
	}
	for what, texts := range Of(ts).Texts {
		check(what, strings.Join(texts(), "\n"))
	}
	for _, file := range []string{"output", "summary"} {
		check(file, ts.ReadFile(ts.Getenv("WORK")+"/"+file))
	}
	for _, folder := range args {
		n := 0
		ts.Check(filepath.WalkDir(ts.MkAbs(folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			n++
			check(path, ts.ReadFile(path))
			return nil
		}))
		if n == 0 {
			ts.Fatalf("%s is empty", folder)
		}
	}
}

// process returns the first process that has a text in its arguments, and these; 0
// for none.
func process(text string) (pid int, args string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range all {
		raw, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(raw), text) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			return pid, strings.ReplaceAll(string(raw), "\x00", " ")
		}
	}
	return 0, ""
}

func terminate(ts *testscript.TestScript, neg bool, args []string) {
	Want(ts, !neg && len(args) == 1 && strings.HasPrefix(args[0], ts.Getenv("WORK")), "terminate TEXT, which begins with $WORK")
	pid, _ := process(args[0])
	Want(ts, pid > 1, "terminate TEXT of a program that runs")
	ts.Check(syscall.Kill(pid, syscall.SIGTERM))
}

func running(ts *testscript.TestScript, neg bool, args []string) {
	Want(ts, len(args) == 1, "running TEXT")
	if neg {
		if pid, got := process(args[0]); pid != 0 {
			ts.Fatalf("it still runs: %s", got)
		}
		return
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if pid, _ := process(args[0]); pid != 0 {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("nothing runs with %s", args[0])
		}
	}
}
