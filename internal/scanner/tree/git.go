// Package tree reads what there is to scan in a workspace: its files, and a range
// of its history.
//
// The workspace is not trusted. Its .git/config could name programs that git runs,
// for watching files, showing differences or checking signatures, so git is asked
// there only for lists, with those settings overridden. All that compares commits
// runs in a copy, see [Repository.Range], whose configuration is our own.
package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Git runs git in a folder and returns its standard output. An error has what
// git said.
type Git func(ctx context.Context, dir string, args ...string) ([]byte, error)

// Env is the environment of git: no configuration of the machine or the user, no
// questions, no network, and nothing of our own environment but PATH.
func Env(path string) []string {
	return []string{
		"PATH=" + path, "HOME=/nonexistent", "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_NO_REPLACE_OBJECTS=1",
		"GIT_ALLOW_PROTOCOL=", "GIT_ADVICE=0",
		"GIT_AUTHOR_NAME=scan", "GIT_AUTHOR_EMAIL=scan@localhost", "GIT_AUTHOR_DATE=@0 +0000",
		"GIT_COMMITTER_NAME=scan", "GIT_COMMITTER_EMAIL=scan@localhost", "GIT_COMMITTER_DATE=@0 +0000",
	}
}

// safe are settings that come before any of the repository's own. A container's
// user often is not the checkout's owner, which git refuses without safe.directory.
var safe = []string{
	"--no-pager",
	"-c", "safe.directory=*",
	"-c", "core.fsmonitor=false",
	"-c", "core.untrackedCache=false",
	"-c", "core.hooksPath=" + os.DevNull,
	"-c", "core.attributesFile=" + os.DevNull,
	"-c", "core.quotePath=false",
	"-c", "core.sshCommand=false",
	"-c", "credential.helper=",
	"-c", "protocol.allow=never",
	"-c", "diff.external=",
	"-c", "log.showSignature=false",
	"-c", "submodule.recurse=false",
}

// Local returns a Git that runs the program, found in the PATH if it has no slash.
func Local(program string) Git {
	return func(ctx context.Context, dir string, args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir, cmd.Env = dir, Env(os.Getenv("PATH"))
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("git %s: %w: %s", verb(args), err, firstLine(stderr.String()))
		}
		return out, nil
	}
}

// verb is the command among the arguments, for messages.
func verb(args []string) string {
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "-c":
			i++
		case !strings.HasPrefix(args[i], "-"):
			return args[i]
		}
	}
	return ""
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

// A Repository is a workspace and the git repository that it belongs to.
type Repository struct {
	git    Git
	dir    string // the workspace
	top    string // the folder that has .git; "" without a repository
	common string // the git folder that has the objects
}

// Open finds the repository of a workspace. A workspace without one is no error.
func Open(ctx context.Context, git Git, workspace string) (*Repository, error) {
	dir, err := filepath.Abs(workspace)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("read the workspace: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("read the workspace: %s is no folder", workspace)
	}
	r := &Repository{git: git, dir: dir, top: top(dir)}
	if r.top == "" {
		return r, nil
	}
	common, err := r.line(ctx, "rev-parse", "--git-common-dir")
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(common) {
		common = filepath.Join(r.dir, common)
	}
	r.common = common
	return r, nil
}

// top returns the nearest folder upwards that has a .git, as a folder or, in a
// linked worktree and a submodule, as a file.
func top(dir string) string {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// IsGit reports whether the workspace is in a git repository.
func (r *Repository) IsGit() bool { return r.top != "" }

// run asks git in the workspace. The explicit folders win over core.worktree and
// core.bare of the repository's configuration.
func (r *Repository) run(ctx context.Context, args ...string) ([]byte, error) {
	if r.top == "" {
		return nil, errors.New("no git repository")
	}
	all := append(append([]string{}, safe...), "--git-dir="+filepath.Join(r.top, ".git"), "--work-tree="+r.top)
	return r.git(ctx, r.dir, append(all, args...)...)
}

func (r *Repository) line(ctx context.Context, args ...string) (string, error) {
	out, err := r.run(ctx, args...)
	return strings.TrimSpace(string(out)), err
}
