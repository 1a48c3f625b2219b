// Package repositories runs the whole security gate on repositories that nobody here
// wrote, and each of its scanners alone: what does each of them say, and what does the
// gate say?
//
// They are Go modules of the module proxy with published advisories, each made a
// repository with one commit. A module has neither the nested modules of its
// repository nor its vendored packages. The databases are made from the Go database of
// vulnerabilities and a few advisories of npm packages: no scanner asks a service.
package repositories

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/security/record"
)

// Modules are the repositories: an application in Go and JavaScript with a Dockerfile,
// and two servers in Go.
var Modules = []string{"github.com/gophish/gophish@v0.11.0", "github.com/caddyserver/caddy/v2@v2.4.0", "github.com/zalando/skipper@v0.13.0"}

// A repository is one of them, as a folder.
type repository struct {
	name    string // as in Modules
	dir     string
	files   int
	gate    verdict.Result
	status  int // of the gate
	scanned []alone
}

// Run scans all repositories below a folder and returns Markdown. An error says that
// the gate's findings are not what the scanners reported.
func Run(ctx context.Context, out io.Writer, dir string) (string, error) {
	gate := filepath.Join(dir, "security-gate")
	if _, err := run(ctx, ".", "go", "build", "-o", gate, "github.com/candlefish/deploy-action/actions/security-gate"); err != nil {
		return "", err
	}
	fmt.Fprintln(out, "making the databases")
	d, err := layDatabases(ctx, filepath.Join(dir, "databases"))
	if err != nil {
		return "", err
	}
	var all []repository
	var faults []error
	for i, name := range Modules {
		r := repository{name: name, dir: filepath.Join(dir, "repositories", fmt.Sprint(i))}
		if err := r.scan(ctx, out, gate, d); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		for _, fault := range faultsOf(r.gate.Findings, r.scanned) {
			faults = append(faults, fmt.Errorf("%s: %s", name, fault))
		}
		all = append(all, r)
	}
	return markdown(all), errors.Join(faults...)
}

// scan makes the repository and scans it, by the gate and then by each scanner that
// ran in it.
func (r *repository) scan(ctx context.Context, out io.Writer, gate string, d databases) error {
	fmt.Fprintln(out, "fetching", r.name)
	if err := r.make(ctx); err != nil {
		return err
	}
	fmt.Fprintln(out, "the gate, on", r.name)
	if err := r.runGate(ctx, gate, d); err != nil {
		return err
	}
	l, err := newLone(ctx, r.dir, d)
	if err != nil {
		return err
	}
	for _, tool := range r.gate.Tools {
		if slices.Contains([]verdict.Health{verdict.LeftOut, verdict.NotApplicable, verdict.Missing}, tool.Health) {
			continue
		}
		one, err := l.scan(ctx, tool.Name)
		if err != nil {
			return fmt.Errorf("%s alone: %w", tool.Name, err)
		}
		fmt.Fprintf(out, "%s alone: %d\n", tool.Name, len(one.sightings))
		r.scanned = append(r.scanned, one)
	}
	return nil
}

// make fetches the module and what it needs, and commits it.
func (r *repository) make(ctx context.Context) error {
	raw, err := run(ctx, os.TempDir(), "go", "mod", "download", "-json", r.name)
	if err != nil {
		return err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(raw, &module); err != nil {
		return err
	}
	if err := os.CopyFS(r.dir, os.DirFS(module.Dir)); err != nil {
		return err
	}
	if err := fetchNeeded(ctx, r.dir); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"}, {"add", "--all", "--force"},
		{"-c", "user.name=bench", "-c", "user.email=bench@example.com", "commit", "-q", "-m", r.name, "--date=2026-11-01T00:00:00Z"},
	} {
		if _, err := run(ctx, r.dir, "git", args...); err != nil {
			return err
		}
	}
	files, err := run(ctx, r.dir, "git", "ls-files", "-z")
	r.files = strings.Count(string(files), "\x00")
	return err
}

// fetchNeeded fetches what the packages of a module import, and all that its go.mod
// names, into the module cache: govulncheck fetches nothing then.
func fetchNeeded(ctx context.Context, dir string) error {
	raw, err := run(ctx, dir, "go", "mod", "edit", "-json")
	if err != nil {
		return err
	}
	var mod struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(raw, &mod); err != nil {
		return err
	}
	args := []string{"mod", "download"}
	for _, m := range mod.Require {
		args = append(args, m.Path+"@"+m.Version)
	}
	if _, err := run(ctx, os.TempDir(), "go", args...); err != nil {
		return err
	}
	_, err = run(ctx, dir, "go", "list", "-deps", "./...")
	return err
}

// runGate runs the gate as its users do, but for the folder of its caches.
func (r *repository) runGate(ctx context.Context, gate string, d databases) error {
	reports := r.dir + "-reports"
	cmd := exec.CommandContext(ctx, gate, "--dir="+r.dir, "--level="+string(verdict.Standard), "--compare=none", "--settings="+d.list(),
		"--report-dir="+reports, "--sarif-dir="+filepath.Join(reports, "sarif"))
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+d.cacheHome, "GITHUB_ACTIONS=", "GITHUB_EVENT_PATH=")
	said, err := cmd.CombinedOutput()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		return err
	}
	r.status = cmd.ProcessState.ExitCode()
	raw, err := os.ReadFile(filepath.Join(reports, record.Name))
	if err != nil {
		return fmt.Errorf("the gate, exit status %d: %w: %s", r.status, err, said)
	}
	r.gate, err = record.Unmarshal(raw)
	return err
}

// run runs a command in a folder and returns what it printed.
func run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		text := said.String()
		return nil, fmt.Errorf("%s %s: %w: %s", name, args[0], err, text[max(0, len(text)-1000):])
	}
	return out, nil
}
