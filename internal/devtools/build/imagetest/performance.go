package imagetest

import (
	"path/filepath"
	"testing"
)

const (
	performanceTag = "perf-gate:test"
	// someMeters are installed into the image: k6 takes minutes to compile.
	someMeters = "lighthouse"
)

// BuildPerformance builds the image of perf-gate, beside the other ones, with some of
// its tools, as [Image.BuildSecurity] does.
func (i *Image) BuildPerformance(tb testing.TB, root string) *Image {
	tb.Helper()
	d := i.daemon.of(tb)
	if err := d.makeBase(); err != nil {
		tb.Fatal(err)
	}
	d.docker("build", "--network", "host", "--build-arg", "BUILDER="+builder, "--build-arg", "BASE="+base, "--build-arg", "TOOLS="+someMeters,
		"--file", filepath.Join(root, "Dockerfile.performance"), "--tag", performanceTag, root)
	return &Image{daemon: d, tag: performanceTag}
}
