package secrets

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// applies says what there is for a scanner of files and commits.
func applies(job scanner.Job) (bool, string) {
	if len(job.Tree.Files) == 0 && job.Range.Commits == 0 {
		return false, "no files and no commits"
	}
	return true, fmt.Sprintf("%s, %s", count(len(job.Tree.Files), "file", "files"), count(job.Range.Commits, "commit", "commits"))
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// doubts say why the commits were not all seen, whatever the tool says.
func doubts(r scanner.Range) []string {
	switch {
	case r.Missing != "":
		return []string{"the commits could not be read: " + r.Missing}
	case r.Shallow:
		return []string{"the clone is shallow and ends within the commits to scan: set fetch-depth: 0 for actions/checkout"}
	}
	return nil
}

// whole reports an output that has no end. What an empty one means, each tool's log
// says.
func whole(ran isolate.Ran) error {
	switch {
	case ran.Ending != isolate.Exited:
		return fmt.Errorf("it did not end by itself: %s %s", ran.Ending, ran.Why)
	case ran.Truncated:
		return errors.New("it printed more than is read")
	}
	return nil
}

// rules is the folder whose configuration files hold.
func rules(job scanner.Job) string {
	if job.Rules != "" {
		return job.Rules
	}
	return job.Workspace
}

// configured returns the path of a configuration file, "" if there is none.
func configured(job scanner.Job, name string) string {
	path := filepath.Join(rules(job), name)
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return path
}

// plant is a file and a commit with a credential that every tool knows. It counts as
// found when it was seen in both: a tool that still reads files and no commits any
// longer is half blind.
func plant() scanner.Plant {
	token := "ghp" + "_" + "x7Qm2Zt9Rk4Wb6Yc1Vn8Lp3Hs5Jd0FgA2uE7" // put together, so that nobody finds it here
	var tree, commit bool
	return scanner.Plant{
		Files:  map[string]string{planted: "github_token = \"" + token + "\"\n"},
		Commit: true,
		Found: func(s finding.Sighting) bool {
			if s.Location.Path == planted && s.Class == finding.ClassSecret {
				tree = tree || s.Location.Commit == ""
				commit = commit || s.Location.Commit != ""
			}
			return tree && commit
		},
	}
}

const planted = "settings.py"
