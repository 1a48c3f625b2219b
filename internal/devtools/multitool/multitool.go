// Package multitool runs Microsoft's SARIF multitool, the reference for the format:
// what is written here must be valid to it, and is merged beside it in a bench.
package multitool

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
)

// peer is the lock file of the tool.
//
//go:embed peer/package.json peer/package-lock.json
var peer embed.FS

// A Tool is an installed multitool.
type Tool struct {
	Version string
	program string
}

const version = "5.7.0" // as in the lock file; a test compares

// Install installs the tool from its lock file into a folder, by npm. What an earlier
// run with the same lock file left there is used again.
func Install(ctx context.Context, dir string) (*Tool, error) {
	t := &Tool{Version: version, program: filepath.Join(dir, "node_modules", "@microsoft", "sarif-multitool-"+runtime.GOOS, "Sarif.Multitool")}
	lock, err := peer.ReadFile("peer/package-lock.json")
	if err != nil {
		return nil, err
	}
	mark := filepath.Join(dir, "installed.json")
	if before, err := os.ReadFile(mark); err == nil && slices.Equal(before, lock) {
		return t, nil
	}
	about, err := peer.ReadFile("peer/package.json")
	if err != nil {
		return nil, err
	}
	err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "package.json"), about, 0o644), os.WriteFile(filepath.Join(dir, "package-lock.json"), lock, 0o644))
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm ci of sarif-multitool: %w: %s", err, said)
	}
	// Its own script would do the same, and scripts of packages are not run.
	if err := os.Chmod(t.program, 0o755); err != nil {
		return nil, err
	}
	return t, os.WriteFile(mark, lock, 0o644)
}

// Command returns a command of the tool. It gets along without libicu.
func (t *Tool) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, t.program, args...)
	cmd.Env = append(os.Environ(), "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1", "DOTNET_CLI_TELEMETRY_OPTOUT=1")
	return cmd
}
