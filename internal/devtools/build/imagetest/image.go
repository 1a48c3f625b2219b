package imagetest

import (
	"context"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/candlefish/deploy-action/internal/action/actiontest"
)

const tag = "deploy-action:test"

// An Image is the built image and the daemon that has it.
type Image struct {
	daemon *daemon
	tag    string
}

// Build builds the image of the repository at root. The first time on a machine
// that takes minutes. The daemon and the image end with the test.
func Build(tb testing.TB, root string) *Image {
	tb.Helper()
	d := startDaemon(tb)
	if err := d.makeBuilder(root); err != nil {
		tb.Fatal(err)
	}
	d.docker("build", "--network", "none", "--build-arg", "BUILDER="+builder, "--tag", tag, root)
	return &Image{daemon: d, tag: tag}
}

// mounts are the folders that the runner mounts, and where.
var mounts = []struct{ folder, at string }{
	{"workspace", "/github/workspace"},
	{"file_commands", "/github/file_commands"},
	{"workflow", "/github/workflow"},
	{"home", "/github/home"},
}

// Run runs the image as the runner runs a container action, on the host's
// network so that it reaches a sandbox on this machine. Files it should see go
// into the step's workspace. When cancel is closed, docker gets a cancelled
// job's signals and passes them on.
func (i *Image) Run(step *actiontest.Step, cancel <-chan struct{}, args ...string) (actiontest.Result, syscall.Signal) {
	return i.run("", step, cancel, args)
}

// Start is Run with another program of the image.
func (i *Image) Start(program string, step *actiontest.Step) (actiontest.Result, syscall.Signal) {
	return i.run(program, step, nil, nil)
}

func (i *Image) run(program string, step *actiontest.Step, cancel <-chan struct{}, args []string) (actiontest.Result, syscall.Signal) {
	run := []string{"run", "--rm", "--network", "host", "--workdir", "/github/workspace"}
	if program != "" {
		run = append(run, "--entrypoint", program)
	}
	for _, m := range mounts {
		run = append(run, "--volume", filepath.Join(step.Dir, m.folder)+":"+m.at)
	}
	env := step.Environ()
	var names []string
	for name := range env {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		run = append(run, "--env", name+"="+inside(step.Dir, env[name]))
	}
	cmd := i.daemon.command(context.Background(), append(append(run, i.tag), args...)...)
	return step.ExecCmd(cancel, cmd)
}

// inside is a path of the step as it is inside the container; other text stays.
func inside(dir, text string) string {
	for _, m := range mounts {
		if rest, ok := strings.CutPrefix(text, filepath.Join(dir, m.folder)); ok {
			return path.Join(m.at, filepath.ToSlash(rest))
		}
	}
	return text
}
