// Package images has the scanners of what becomes a container: Trivy for packages
// in folders and images and for configuration, Hadolint for Dockerfiles.
package images

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

// TrivyDB is the setting for another repository of Trivy's database than its own,
// an OCI reference: a mirror, where the registry limits downloads.
const TrivyDB = "trivy-db"

// Trivy's database is made every six hours; a week without a new one means that
// nobody fetches it.
const trivyFresh = 7 * 24 * time.Hour

// trivy is what the three scanners by Trivy share. Each runs it away from the
// workspace: a trivy.yaml or .trivyignore of the repository has no say.
type trivy struct {
	name, does string
	class      finding.Class
}

func (t trivy) about() scanner.About {
	return scanner.About{
		Name: t.name, Class: t.class, Does: t.does, Tool: "trivy",
		Network: true, Time: 10 * time.Minute, Fresh: trivyFresh,
	}
}

// command is a command of Trivy.
func (t trivy) command(job scanner.Job, args ...string) (isolate.Command, error) {
	empty := filepath.Join(job.Scratch, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		return isolate.Command{}, fmt.Errorf("%s: %w", t.name, err)
	}
	args = append(args, "--format", "json", "--quiet", "--ignorefile", empty, "--config", empty+".yaml",
		"--cache-dir", t.cache(job), "--disable-telemetry", "--skip-version-check", "--timeout", "10m")
	if err := os.WriteFile(empty+".yaml", []byte("{}\n"), 0o600); err != nil {
		return isolate.Command{}, fmt.Errorf("%s: %w", t.name, err)
	}
	return isolate.Command{
		Args: args, Dir: job.Scratch, Network: !job.Offline,
		Reads: []string{job.Workspace}, Writes: []string{job.Scratch, t.cache(job)},
	}, nil
}

// cache is where the database is. Each scanner has its own: two that run side by
// side would fetch it over each other.
func (t trivy) cache(job scanner.Job) string { return filepath.Join(job.Cache, t.name) }

// withDatabase returns the commands of a scan for vulnerabilities, and behind it
// the one that tells how old the database was. A planted scan never fetches one:
// it must use that of the scan before it.
func (t trivy) withDatabase(job scanner.Job, scan ...[]string) ([]isolate.Command, error) {
	if job.Cache == "" {
		return nil, errors.New("trivy needs a folder for its database")
	}
	if err := os.MkdirAll(t.cache(job), 0o755); err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	var commands []isolate.Command
	for _, args := range scan {
		if job.Offline || job.Planted {
			args = append(args, "--skip-db-update", "--skip-java-db-update", "--offline-scan")
		} else if repository := job.Settings[TrivyDB]; repository != "" {
			args = append(args, "--db-repository", repository)
		}
		command, err := t.command(job, append(args, "--scanners", "vuln", "--list-all-pkgs", "--cache-backend", "memory")...)
		if err != nil {
			return nil, err
		}
		commands = append(commands, command)
	}
	return append(commands, isolate.Command{
		Args: []string{"version", "--format", "json", "--cache-dir", t.cache(job)},
		Dir:  job.Scratch, Reads: []string{job.Scratch, t.cache(job)},
	}), nil
}

// TrivyFS looks for vulnerable packages in lock files.
type TrivyFS struct{}

var trivyFS = trivy{"trivy-fs", "advisories of packages in lock files", finding.ClassDependency}

// About describes it.
func (TrivyFS) About() scanner.About { return trivyFS.about() }

// locks are the names of lock files that Trivy reads. Source: the page "Language
// coverage" of its documentation, section filesystem.
var locks = []string{
	"package-lock.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "go.mod", "requirements.txt", "poetry.lock", "Pipfile.lock",
	"uv.lock", "pylock.toml", "Gemfile.lock", "Cargo.lock", "composer.lock", "pom.xml", "gradle.lockfile", "packages.lock.json",
	"packages.config", "mix.lock", "pubspec.lock", "Podfile.lock", "Package.resolved", "conan.lock", "Manifest.toml", "build.sbt.lock",
}

// lockFiles returns the lock files that Trivy scans: not those in folders of
// installed packages.
func lockFiles(tree scanner.Tree) []string {
	return files(tree, func(file string) bool {
		return slices.Contains(locks, path.Base(file)) && !below(file, "node_modules", "vendor")
	})
}

// Applies reports whether there are lock files.
func (TrivyFS) Applies(job scanner.Job) (bool, string) {
	found := lockFiles(job.Tree)
	if len(found) == 0 {
		return false, "no lock file that Trivy reads"
	}
	return true, fmt.Sprintf("%d lock file(s)", len(found))
}

// Plant is a lock file with a version of lodash that has advisories since 2020.
func (TrivyFS) Plant() scanner.Plant {
	return scanner.Plant{
		Files: map[string]string{"package-lock.json": `{"name": "planted", "lockfileVersion": 3, "packages": {
  "": {"name": "planted", "dependencies": {"lodash": "4.17.15"}},
  "node_modules/lodash": {"version": "4.17.15"}}}`},
		Found: func(s finding.Sighting) bool {
			return s.Package.Name == "lodash" && slices.Contains(s.IDs, "CVE-2021-23337")
		},
	}
}

// Commands scans the workspace.
func (TrivyFS) Commands(job scanner.Job) ([]isolate.Command, error) {
	return trivyFS.withDatabase(job, []string{"fs", "--include-dev-deps", job.Workspace})
}

// Read reads the scan, or the age of the database.
func (TrivyFS) Read(job scanner.Job, cmd isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	expected := slices.DeleteFunc(lockFiles(job.Tree), func(file string) bool { return withoutPackages(job.Workspace, file) })
	return trivyFS.read(job, cmd, ran, expected)
}

// TrivyConfig looks for mistakes in Dockerfiles, manifests and infrastructure as code.
type TrivyConfig struct{}

var trivyConfig = trivy{"trivy-config", "mistakes in Dockerfiles, manifests, infrastructure as code", finding.ClassConfig}

// About describes it. Its checks are part of the program, so no database is old.
func (TrivyConfig) About() scanner.About {
	about := trivyConfig.about()
	about.Network, about.Fresh = false, 0
	return about
}

// Applies reports whether there are files that can be configuration.
func (TrivyConfig) Applies(job scanner.Job) (bool, string) {
	certain, possible := configFiles(job.Tree)
	if len(possible) == 0 {
		return false, "no Dockerfile, YAML, Terraform or JSON file"
	}
	return true, fmt.Sprintf("%d Dockerfile(s) and Terraform file(s), %d file(s) that may be configuration", len(certain), len(possible)-len(certain))
}

// configFiles returns the files of which Trivy must report, and all that it may
// report of: whether a YAML file is a manifest, only its content says.
func configFiles(tree scanner.Tree) (certain, possible []string) {
	for _, file := range tree.Files {
		if below(file, "node_modules", "vendor", ".git") {
			continue
		}
		switch {
		case dockerfile(file):
			certain, possible = append(certain, file), append(possible, file)
		case slices.Contains([]string{".tf", ".yaml", ".yml", ".json", ".template"}, path.Ext(file)):
			possible = append(possible, file)
		}
	}
	return certain, possible
}

// Plant is a Dockerfile whose container runs as root.
func (TrivyConfig) Plant() scanner.Plant {
	return scanner.Plant{
		Files: map[string]string{"Dockerfile": "FROM debian:12\nRUN apt-get update\nADD . /app\n"},
		Found: func(s finding.Sighting) bool { return s.Rule == "DS-0002" && s.Location.Path == "Dockerfile" },
	}
}

// Commands scans the workspace, with the checks that are in the program.
func (TrivyConfig) Commands(job scanner.Job) ([]isolate.Command, error) {
	command, err := trivyConfig.command(job, "config", "--skip-check-update", job.Workspace)
	command.Network = false
	command.Writes = []string{job.Scratch}
	command.Args = replace(command.Args, "--cache-dir", filepath.Join(job.Scratch, "cache"))
	return []isolate.Command{command}, err
}

// replace sets the value of a flag.
func replace(args []string, flag, value string) []string {
	if i := slices.Index(args, flag); i >= 0 {
		args[i+1] = value
	}
	return args
}

// Read reads the scan.
func (TrivyConfig) Read(job scanner.Job, cmd isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	certain, possible := configFiles(job.Tree)
	report, err := trivyConfig.read(job, cmd, ran, certain)
	report.Notes = append(report.Notes, ignoring(job.Workspace, possible)...)
	return report, err
}

// TrivyImage looks for vulnerable packages in container images.
type TrivyImage struct{}

var trivyImage = trivy{"trivy-image", "vulnerable packages in container images", finding.ClassImage}

// About describes it.
func (TrivyImage) About() scanner.About { return trivyImage.about() }

// Applies reports whether there are images to scan.
func (TrivyImage) Applies(job scanner.Job) (bool, string) {
	if len(job.Images) == 0 {
		return false, "no image is given"
	}
	return true, fmt.Sprintf("%d image(s)", len(job.Images))
}

// Plant is an image of Debian 12 with the first OpenSSL of it.
func (TrivyImage) Plant() scanner.Plant {
	return scanner.Plant{
		Files:  map[string]string{"planted.tar": plantedImage()},
		Images: []string{"planted.tar"},
		Found: func(s finding.Sighting) bool {
			return s.Package.Name == "openssl" && slices.Contains(s.IDs, "CVE-2023-5363")
		},
	}
}

// Commands scans each image.
func (TrivyImage) Commands(job scanner.Job) ([]isolate.Command, error) {
	var scans [][]string
	var reads []string
	for _, image := range job.Images {
		scan := []string{"image", "--image-src", "remote", image}
		if archive(image) {
			if !filepath.IsAbs(image) {
				image = filepath.Join(job.Workspace, filepath.FromSlash(image))
			}
			scan = []string{"image", "--input", image}
			reads = append(reads, image)
		} else if job.Offline {
			return nil, fmt.Errorf("image %s is in a registry, and this scan is offline: give an archive of it", image)
		}
		scans = append(scans, scan)
	}
	commands, err := trivyImage.withDatabase(job, scans...)
	for i := range commands {
		commands[i].Reads = slices.Concat(commands[i].Reads, reads)
	}
	return commands, err
}

// archive reports whether an image is a file or folder: a path, and no reference.
func archive(image string) bool {
	return filepath.IsAbs(image) || strings.HasPrefix(image, "./") || strings.HasPrefix(image, "../") || strings.HasSuffix(image, ".tar")
}

// Read reads the scan of one image, or the age of the database.
func (TrivyImage) Read(job scanner.Job, cmd isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	return trivyImage.read(job, cmd, ran, nil)
}
