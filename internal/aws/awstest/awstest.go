// Package awstest provides AWS servers for tests: moto_server, which implements
// CloudWatch, CloudFormation, Lambda and others with their wire protocols; and CFN, a
// CloudFormation in this process with the states, failures and timings that moto_server
// lacks.
//
// Each Start runs a server of its own, so that tests are isolated. A server that cannot
// start fails the test; it is never skipped.
package awstest

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// startLimit bounds the time until the server answers: Python takes seconds to import
// on a busy machine.
const startLimit = time.Minute

// extension adds to moto what CloudFormation does and moto does not. Python imports a
// module of the name sitecustomize by itself, however moto_server is installed.
//
//go:embed moto/sitecustomize.py
var extension []byte

// extended is the line that the extension prints when it is in place.
const extended = "candlefish: moto extended"

// listening matches the line with the server's address.
var listening = regexp.MustCompile(`Running on (http://127\.0\.0\.1:\d+)`)

// Start runs a moto_server until the test ends and returns its URL, the endpoint of
// every service. It accepts any credentials and any region.
func Start(t testing.TB) (endpoint string) {
	t.Helper()
	endpoint, stop, err := Serve(t.Context())
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(stop)
	return endpoint
}

// Serve runs a moto_server until stop is called. ctx bounds its start alone.
func Serve(ctx context.Context) (endpoint string, stop func(), err error) {
	program, err := find(ctx, "moto_server", "candlefish-moto", "moto[server]")
	if err != nil {
		return "", nil, fmt.Errorf("find moto_server: %w", err)
	}
	folder, err := extend()
	if err != nil {
		return "", nil, err
	}
	// Port 0: the server takes a free one and says which, so that no other
	// can take it in between.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, "-H", "127.0.0.1", "-p", "0")
	cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1", "PYTHONPATH="+folder)
	out, in, err := os.Pipe()
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(folder))
	}
	cmd.Stdout, cmd.Stderr = in, in
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		return "", nil, errors.Join(fmt.Errorf("start %s: %w", program, err), os.RemoveAll(folder))
	}
	stop = func() {
		_ = cmd.Process.Kill() // by its pid; it may have ended
		_ = cmd.Wait()
		_ = out.Close()
		_ = os.RemoveAll(folder)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	endpoint, err = address(ctx, out)
	if err == nil {
		err = answers(ctx, endpoint)
	}
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("start %s: %w", program, err)
	}
	return endpoint, stop, nil
}

// extend writes the extension into a folder of its own.
func extend() (folder string, err error) {
	folder, err = os.MkdirTemp("", "moto-extension-")
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "sitecustomize.py"), extension, 0o644)
	}
	return folder, err
}

// address reads where the server listens, and goes on reading so that it is
// never held up by a full pipe.
func address(ctx context.Context, out *os.File) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = out.SetReadDeadline(time.Unix(1, 0)) })
	lines := bufio.NewReader(out)
	var said strings.Builder
	for {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if m := listening.FindStringSubmatch(line); m != nil {
			if !stop() {
				return "", ctx.Err()
			}
			if !strings.Contains(said.String(), extended) {
				return "", fmt.Errorf("its extension is not in place: %s", said.String())
			}
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return m[1], nil
		}
		if err != nil {
			stop()
			return "", fmt.Errorf("it did not say where it listens: %w: %s", err, said.String())
		}
	}
}

// answers asks once; the server listens before it says so.
func answers(ctx context.Context, endpoint string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/moto-api/data.json", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}

// find returns a program from the PATH, or installs it into a virtual environment in
// the user's cache.
func find(ctx context.Context, name, folder, pkg string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return install(ctx, filepath.Join(cache, folder), name, pkg)
}

// Lint fails the test for each thing that cfn-lint finds in a CloudFormation
// template, warnings too.
func Lint(t testing.TB, path string) {
	t.Helper()
	program, err := find(t.Context(), "cfn-lint", "candlefish-cfn-lint", "cfn-lint")
	if err != nil {
		t.Fatalf("find cfn-lint: %v", err)
	}
	if out, err := exec.CommandContext(t.Context(), program, path).CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", program, path, err, out)
	}
}

// install creates a virtual environment with a package in dir, unless a complete one
// exists, and returns the package's program. Concurrent test binaries wait for the first
// of them.
func install(ctx context.Context, dir, name, pkg string) (string, error) {
	program := filepath.Join(dir, "bin", name)
	if _, err := os.Stat(filepath.Join(dir, "complete")); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(filepath.Join(dir, "complete")); err == nil {
		return program, nil
	}
	for _, args := range [][]string{
		{"python3", "-m", "venv", "--clear", dir},
		{filepath.Join(dir, "bin", "pip"), "install", "--quiet", pkg},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("it is not on the PATH, and %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return program, os.WriteFile(filepath.Join(dir, "complete"), nil, 0o644)
}
