package dependencies

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// OSVScanner compares lock files with the database of osv.dev.
//
// It runs with a configuration of its own: an osv-scanner.toml beside a lock file
// could ignore what it finds.
type OSVScanner struct{}

// OSVDB is the setting for a folder with copies of the database, by which an
// offline scan works: osv-scanner/<ecosystem>/all.zip in it.
const OSVDB = "osv-db"

// osvStale is the age at which a copy of the database is in doubt.
const osvStale = 30 * 24 * time.Hour

// osvLocks are the lock files that OSV-Scanner reads. Source: its documentation,
// page "Supported languages and lockfiles", version 2.3.
var osvLocks = []string{
	"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "go.mod", "poetry.lock", "Pipfile.lock", "pdm.lock", "uv.lock",
	"pylock.toml", "Gemfile.lock", "Cargo.lock", "composer.lock", "pom.xml", "gradle.lockfile", "packages.lock.json", "packages.config",
	"mix.lock", "pubspec.lock", "conan.lock", "renv.lock", "stack.yaml.lock", "cabal.project.freeze",
}

// About describes it. The age of a local database is judged in Read.
func (OSVScanner) About() scanner.About {
	return scanner.About{
		Name: "osv-scanner", Class: finding.ClassDependency, Does: "advisories of packages in lock files",
		Tool: "osv-scanner", Network: true, Time: 5 * time.Minute,
	}
}

// osvLockFiles returns the lock files that name packages.
func osvLockFiles(job scanner.Job) []string {
	var locks []string
	for _, file := range job.Tree.Files {
		base := path.Base(file)
		requirements, _ := path.Match("requirements*.txt", base)
		if (requirements || slices.Contains(osvLocks, base)) && !Vendored(file) && !withoutPackages(job.Workspace, file) {
			locks = append(locks, file)
		}
	}
	return locks
}

// withoutPackages reports whether a lock file names no package, so that the scanner
// leaves it out of its report.
func withoutPackages(workspace, file string) bool {
	if slices.Contains(npmLocks, path.Base(file)) {
		lock, err := readNPMLock(workspace, file)
		return err == nil && lock.size() == 0
	}
	data, err := read(workspace, file)
	return err == nil && strings.TrimSpace(string(data)) == ""
}

// Applies reports whether there are lock files.
func (OSVScanner) Applies(job scanner.Job) (bool, string) {
	locks := osvLockFiles(job)
	if len(locks) == 0 {
		return false, "no lock file that OSV-Scanner reads"
	}
	return true, count(len(locks), "lock file(s)")
}

// Plant is a lock file with a version of lodash that has advisories since 2020.
func (OSVScanner) Plant() scanner.Plant { return NPMAudit{}.Plant() }

// Commands scans all lock files at once.
func (OSVScanner) Commands(job scanner.Job) ([]isolate.Command, error) {
	config := filepath.Join(job.Scratch, "osv-scanner.toml")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		return nil, fmt.Errorf("osv-scanner: %w", err)
	}
	args := []string{"scan", "source", "--format", "json", "--all-packages", "--all-vulns", "--no-resolve", "--no-call-analysis=all", "--config", config}
	command := isolate.Command{Dir: job.Scratch, Network: true, Reads: []string{job.Workspace}, Writes: []string{job.Scratch}}
	if db := job.Settings[OSVDB]; db != "" {
		args = append(args, "--offline", "--local-db-path", db)
		command.Network, command.Reads = false, append(command.Reads, db)
	} else if job.Offline {
		return nil, fmt.Errorf("osv-scanner asks osv.dev, and this scan is offline: give a copy of the database as %s", OSVDB)
	}
	for _, file := range osvLockFiles(job) {
		args = append(args, "--lockfile", filepath.Join(job.Workspace, filepath.FromSlash(file)))
	}
	command.Args = args
	return []isolate.Command{command}, nil
}
