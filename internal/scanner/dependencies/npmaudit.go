package dependencies

import (
	"errors"
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

// NPMAudit asks the registry which packages of npm lock files have advisories.
//
// npm runs on a copy of the lock file and the package.json files, away from the
// repository's .npmrc, which could name another registry, and runs no scripts.
type NPMAudit struct{}

// NPMRegistry is the setting for another registry than npm's own.
const NPMRegistry = "npm-registry"

// npmLocks are the lock files that npm reads; it prefers the first.
var npmLocks = []string{"npm-shrinkwrap.json", "package-lock.json"}

// foreignLocks are lock files of npm packages that npm does not read.
var foreignLocks = []string{"yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb"}

// About describes it.
func (NPMAudit) About() scanner.About {
	return scanner.About{
		Name: "npm-audit", Class: finding.ClassDependency, Does: "advisories of npm packages",
		Tool: "npm", Network: true, Memory: 2 << 30, Time: 3 * time.Minute,
	}
}

// Applies reports whether there are lock files of npm.
func (NPMAudit) Applies(job scanner.Job) (bool, string) {
	locks, foreign := npmLockFiles(job.Tree), named(job.Tree, foreignLocks...)
	switch {
	case len(locks) > 0:
		return true, count(len(locks), "npm lock file(s)")
	case len(foreign) > 0:
		return false, "npm does not read " + strings.Join(foreign, ", ")
	}
	return false, "no package-lock.json or npm-shrinkwrap.json"
}

// npmLockFiles returns the lock file of each folder that has one.
func npmLockFiles(tree scanner.Tree) []string {
	var locks []string
	for _, file := range named(tree, npmLocks...) {
		better := path.Join(path.Dir(file), npmLocks[0])
		if path.Base(file) == npmLocks[0] || !has(tree, better) {
			locks = append(locks, file)
		}
	}
	return locks
}

// npmUnseen returns the folders whose packages npm cannot audit, with the reason.
func npmUnseen(tree scanner.Tree) []string {
	var unseen []string
	for _, file := range named(tree, foreignLocks...) {
		if !slices.ContainsFunc(npmLocks, func(l string) bool { return has(tree, path.Join(path.Dir(file), l)) }) {
			unseen = append(unseen, file+" was not audited: npm does not read it")
		}
	}
	return unseen
}

// Plant is a lock file with a version of lodash that has advisories since 2020.
func (NPMAudit) Plant() scanner.Plant {
	return scanner.Plant{
		Files: map[string]string{
			"package.json": `{"name": "planted", "version": "1.0.0", "dependencies": {"lodash": "4.17.15"}}`,
			"package-lock.json": `{"name": "planted", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {
  "": {"name": "planted", "version": "1.0.0", "dependencies": {"lodash": "4.17.15"}},
  "node_modules/lodash": {"version": "4.17.15",
    "integrity": "sha512-8xOcRHvCjnocdS5cpwXQXVzmmh5e5+saE2QGoeQmbKmRS6J3VQppPOIt0MnmE+4xlZoumy0GPG0D0MVIQbNA1A=="}}}`,
		},
		Found: foundLodash,
	}
}

// foundLodash reports whether a sighting is one of the two old advisories of
// lodash 4.17.15: prototype pollution and command injection.
func foundLodash(s finding.Sighting) bool {
	known := []string{"GHSA-p6mc-m468-83gw", "CVE-2020-8203", "GHSA-35jh-r3h4-6jhm", "CVE-2021-23337"}
	return s.Package.Name == "lodash" && slices.ContainsFunc(s.IDs, func(id string) bool { return slices.Contains(known, id) })
}

// Commands copies each lock file and the package.json files below its folder to
// the scratch folder, and audits there.
func (NPMAudit) Commands(job scanner.Job) ([]isolate.Command, error) {
	if job.Offline {
		return nil, errors.New("npm audit asks the registry, and this scan is offline")
	}
	var commands []isolate.Command
	for i, lock := range npmLockFiles(job.Tree) {
		root := filepath.Join(job.Scratch, fmt.Sprintf("lock-%d", i+1))
		if err := copyProject(root, job, lock); err != nil {
			return nil, err
		}
		args := []string{
			"audit", "--json", "--package-lock-only", "--ignore-scripts", "--audit-level=none",
			"--include=dev", "--include=optional", "--include=peer", "--no-update-notifier", "--no-fund",
			"--userconfig=" + filepath.Join(root, "no-user.npmrc"), "--globalconfig=" + filepath.Join(root, "no-global.npmrc"),
		}
		if registry := job.Settings[NPMRegistry]; registry != "" {
			args = append(args, "--registry="+registry)
		}
		commands = append(commands, isolate.Command{
			Args: args, Dir: filepath.Join(root, filepath.FromSlash(path.Dir(lock))),
			Network: true, Writes: []string{job.Scratch},
		})
	}
	return commands, nil
}

// copyProject copies what npm reads: the lock file, its package.json and those of
// its workspaces. There must be a package.json, npm would go on without it.
func copyProject(root string, job scanner.Job, lock string) error {
	folder := path.Dir(lock)
	beside := path.Join(folder, "package.json")
	if !has(job.Tree, beside) {
		return fmt.Errorf("%s has no package.json beside it", lock)
	}
	files := []string{lock}
	for _, file := range named(job.Tree, "package.json") {
		if folder == "." || strings.HasPrefix(file, folder+"/") {
			files = append(files, file)
		}
	}
	for _, file := range files {
		if err := copyInto(root, job.Workspace, file); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(root, filepath.FromSlash(folder)), 0o755)
}
