package imagetest

import (
	"path/filepath"
	"testing"
)

const (
	securityTag = "security-gate:test"
	// someTools are installed into the image: all takes a quarter of an hour.
	someTools = "actionlint gitleaks eslint"
)

// BuildSecurity builds the image of security-gate, beside the other one, with some of
// its tools. Its base is that of [Image.BuildBrowser]; Debian's packages, the tools'
// modules and their checksums come over the network, as in the real build.
func (i *Image) BuildSecurity(tb testing.TB, root string) *Image {
	tb.Helper()
	d := i.daemon.of(tb)
	if err := d.makeBase(); err != nil {
		tb.Fatal(err)
	}
	d.docker("build", "--network", "host", "--build-arg", "BUILDER="+builder, "--build-arg", "BASE="+base, "--build-arg", "TOOLS="+someTools,
		"--file", filepath.Join(root, "Dockerfile.security"), "--tag", securityTag, root)
	return &Image{daemon: d, tag: securityTag}
}
