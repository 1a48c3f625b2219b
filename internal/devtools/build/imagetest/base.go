package imagetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const base = "base:local"

// makeBase makes an image that has what the two larger images take from their base,
// unless the daemon has it.
func (d *daemon) makeBase() (err error) {
	if d.command(d.tb.Context(), "image", "inspect", base).Run() == nil {
		return nil
	}
	if _, err := exec.LookPath("debootstrap"); err != nil {
		if err := aptGet(d.tb.Context(), "install", "-q", "-y", "--no-install-recommends", "debootstrap"); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "base-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	node, npm, err := nodePaths()
	if err != nil {
		return err
	}
	script := `set -eu
debootstrap --variant=minbase bookworm "$1" http://deb.debian.org/debian
mkdir -p "$1/usr/local/bin" "$1/usr/local/lib/node_modules" "$1/etc/ssl"
cp "$2" "$1/usr/local/bin/node"
cp -R "$3" "$1/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/usr/local/bin/npm"
cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/machine.crt" # Debian's package writes its own over the usual one
if [ -f "$HOME/.npmrc" ]; then cp "$HOME/.npmrc" "$1/root/"; fi
tar -C "$1" -c . | docker import --change "ENV NODE_EXTRA_CA_CERTS=/etc/ssl/machine.crt SSL_CERT_FILE=/etc/ssl/machine.crt" - "$4"`
	cmd := exec.CommandContext(d.tb.Context(), "bash", "-o", "pipefail", "-c", script, "base", dir, node, npm, base)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.host)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make a base image: %w\n%s", err, tail(string(out)))
	}
	return nil
}

// nodePaths returns this machine's node and the folder of its npm.
func nodePaths() (node, npm string, err error) {
	if node, err = exec.LookPath("node"); err == nil {
		node, err = filepath.EvalSymlinks(node)
	}
	if err != nil {
		return "", "", err
	}
	if npm, err = exec.LookPath("npm"); err == nil {
		npm, err = filepath.EvalSymlinks(npm)
	}
	return node, strings.TrimSuffix(npm, "/bin/npm-cli.js"), err
}

// aptGet runs apt-get without questions, and without starting services.
func aptGet(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, tail(string(out)))
	}
	return nil
}
