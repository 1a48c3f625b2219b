package dependencies

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/dependencies/gomod"
)

// Govulncheck finds vulnerable Go packages, and whether the program calls what is
// vulnerable in them.
//
// It needs the Go toolchain, and all modules that the program requires: from the
// user's module cache, which it only reads, and unless the scan is offline from the
// module proxy into a cache of its own.
type Govulncheck struct{}

// The settings of govulncheck.
const (
	GoVulnDB   = "govulndb"     // a database, a URL; "" for https://vuln.go.dev
	GoRoot     = "go-root"      // the Go toolchain; "" for that of the command go
	GoModCache = "go-mod-cache" // the user's module cache; "" for the one in the home folder
	GoSkip     = "go-skip"      // folders of modules that are not analysed, with commas between
)

// About describes it. The database changes every few days. The call graph of a
// program with large dependencies needs gigabytes.
func (Govulncheck) About() scanner.About {
	return scanner.About{
		Name: "govulncheck", Class: finding.ClassDependency, Does: "advisories of Go modules, and calls of vulnerable functions",
		Tool: "govulncheck", Network: true, Memory: 8 << 30, Time: 15 * time.Minute, Fresh: 30 * 24 * time.Hour,
	}
}

// goModules returns the folders of modules that have Go packages of their own, and
// those in folders of test data, which are no part of the program.
func goModules(tree scanner.Tree) (modules, ofTests []string) {
	all := map[string]bool{}
	for _, file := range named(tree, "go.mod") {
		all[path.Dir(file)] = false
	}
	for _, file := range tree.Files {
		if path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") || Vendored(file) {
			continue
		}
		if in, ok := moduleOf(all, path.Dir(file)); ok {
			all[in] = true
		}
	}
	for dir, hasPackages := range all {
		switch {
		case !hasPackages:
		case slices.Contains(strings.Split(dir, "/"), "testdata"):
			ofTests = append(ofTests, dir)
		default:
			modules = append(modules, dir)
		}
	}
	slices.Sort(modules)
	slices.Sort(ofTests)
	return modules, ofTests
}

// analysed returns the modules that are analysed, and those that the user leaves out.
// The plant is none of the user's.
func analysed(job scanner.Job) (modules, skipped []string, err error) {
	modules, ofTests := goModules(job.Tree)
	if job.Planted || job.Settings[GoSkip] == "" {
		return modules, nil, nil
	}
	for _, dir := range strings.Split(job.Settings[GoSkip], ",") {
		dir = path.Clean(strings.TrimSpace(dir))
		if !has(job.Tree, path.Join(dir, "go.mod")) {
			return modules, nil, fmt.Errorf("the setting %s names %q, which has no go.mod", GoSkip, dir)
		}
		if !slices.Contains(ofTests, dir) {
			skipped = append(skipped, dir)
		}
	}
	return slices.DeleteFunc(modules, func(dir string) bool { return slices.Contains(skipped, dir) }), skipped, nil
}

// moduleOf returns the nearest folder above a package that has a go.mod.
func moduleOf(modules map[string]bool, dir string) (string, bool) {
	for {
		if _, ok := modules[dir]; ok {
			return dir, true
		}
		if dir == "." {
			return "", false
		}
		dir = path.Dir(dir)
	}
}

// Applies reports whether there are modules with packages.
func (Govulncheck) Applies(job scanner.Job) (bool, string) {
	modules, _, _ := analysed(job) // Commands refuses what is wrong with the setting
	if len(modules) == 0 {
		return false, "no go.mod with Go packages"
	}
	return true, count(len(modules), "Go module(s)")
}

// Plant is a program that calls a vulnerable function of an old golang.org/x/text,
// of which only a stub is vendored: neither network nor module cache is asked.
func (Govulncheck) Plant() scanner.Plant {
	return scanner.Plant{
		Files: map[string]string{
			"go.mod":             "module planted.example/known\n\ngo 1.21\n\nrequire golang.org/x/text v0.3.5\n",
			"main.go":            "package main\n\nimport \"golang.org/x/text/language\"\n\nfunc main() { language.ParseAcceptLanguage(\"en\") }\n",
			"vendor/modules.txt": "# golang.org/x/text v0.3.5\n## explicit\ngolang.org/x/text/language\n",
			"vendor/golang.org/x/text/language/parse.go": "package language\n\nfunc ParseAcceptLanguage(string) {}\n",
		},
		Found: func(s finding.Sighting) bool { return s.Rule == "GO-2022-1059" && s.Reach == finding.ReachCalled },
	}
}

// Commands analyses each module.
func (Govulncheck) Commands(job scanner.Job) ([]isolate.Command, error) {
	args, reads, network, err := goDatabase(job)
	if err != nil {
		return nil, err
	}
	modules, _, err := analysed(job)
	if err != nil {
		return nil, err
	}
	var commands []isolate.Command
	for _, dir := range modules {
		env, more, writes, err := goEnvironment(job, dir)
		if err != nil {
			return nil, err
		}
		commands = append(commands, isolate.Command{
			Args: append(args, "./..."), Dir: filepath.Join(job.Workspace, filepath.FromSlash(dir)), Env: env,
			Network: network || !job.Offline, Reads: slices.Concat(reads, more), Writes: writes,
		})
	}
	return commands, nil
}

// goDatabase returns the arguments for the database, and what it needs.
func goDatabase(job scanner.Job) (args, reads []string, network bool, err error) {
	args = []string{"-json"}
	db := job.Settings[GoVulnDB]
	folder, isFile := strings.CutPrefix(db, "file://")
	switch {
	case isFile:
		return append(args, "-db", db), []string{folder}, false, nil
	case job.Offline:
		return nil, nil, false, errors.New("govulncheck asks its database, and this scan is offline: give a copy as " + GoVulnDB + ": file:///FOLDER")
	case db != "":
		return append(args, "-db", db), nil, true, nil
	}
	return args, nil, true, nil
}

// goEnvironment returns the variables of the Go toolchain for a module, and the
// folders that it needs. It may not fetch another toolchain, whatever a go.mod asks.
func goEnvironment(job scanner.Job, dir string) (env, reads, writes []string, err error) {
	root := job.Settings[GoRoot]
	if root == "" {
		command, err := exec.LookPath("go")
		if err == nil {
			command, err = filepath.EvalSymlinks(command)
		}
		if err != nil {
			return nil, nil, nil, fmt.Errorf("govulncheck needs the Go toolchain: %w", err)
		}
		root = filepath.Dir(filepath.Dir(command))
	}
	env = []string{
		"PATH=" + filepath.Join(root, "bin") + ":/usr/local/bin:/usr/bin:/bin", "GOROOT=" + root,
		"GOTOOLCHAIN=local", "GOTELEMETRY=off", "GOENV=off", "GOMEMLIMIT=6GiB", "GOFLAGS=-buildvcs=false -modcacherw",
	}
	users := job.Settings[GoModCache]
	if home, err := os.UserHomeDir(); users == "" && err == nil {
		users = filepath.Join(home, "go", "pkg", "mod")
	}
	reads = []string{root, users}
	if job.Offline || cached(job, dir, users) {
		return append(env, "GOMODCACHE="+users, "GOPROXY=off"), reads, nil, nil
	}
	own := filepath.Join(job.Cache, "go-mod")
	if err := os.MkdirAll(own, 0o755); err != nil {
		return nil, nil, nil, fmt.Errorf("govulncheck: %w", err)
	}
	proxy := "file://" + filepath.ToSlash(filepath.Join(users, "cache", "download")) + ",https://proxy.golang.org,direct"
	return append(env, "GOMODCACHE="+own, "GOPROXY="+proxy), reads, []string{own}, nil
}

// cached reports whether a module cache has all that the go.mod of a folder asks
// for, or the folder its own copy: then nothing needs to be fetched.
func cached(job scanner.Job, dir, cache string) bool {
	if has(job.Tree, path.Join(dir, "vendor", "modules.txt")) {
		return true
	}
	text, err := read(job.Workspace, path.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	replaced := gomod.Replaces(text)
	for _, r := range gomod.Requires(text) {
		if by, ok := replaced[r.Name]; ok {
			if by.Version == "" {
				continue // by a folder
			}
			r = by
		}
		if _, err := os.Stat(filepath.Join(cache, filepath.FromSlash(gomod.Escaped(r.Name)+"@"+gomod.Escaped(r.Version)))); err != nil {
			return false
		}
	}
	return true
}
