package imagetest

import (
	"path/filepath"
	"testing"
)

const browserTag = "pr-preview-browser:test"

// BuildBrowser builds the image with the browser, beside the other one. Its base is a
// Debian that debootstrap makes, with this machine's Node.js; Debian's packages and the
// modules come over the network, as in the real build.
func (i *Image) BuildBrowser(tb testing.TB, root string) *Image {
	tb.Helper()
	d := i.daemon.of(tb)
	if err := d.makeBase(); err != nil {
		d.tb.Fatal(err)
	}
	d.docker("build", "--network", "host", "--build-arg", "BUILDER="+builder, "--build-arg", "BASE="+base,
		"--file", filepath.Join(root, "Dockerfile.browser"), "--tag", browserTag, root)
	return &Image{daemon: d, tag: browserTag}
}
