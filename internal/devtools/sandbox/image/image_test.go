package image

import (
	"archive/tar"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewImage(t *testing.T) {
	t.Parallel()
	img, err := New("website", []byte("program"), map[string]string{"VERSION": "v1", "A": "b"})
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"A=b", "VERSION=v1"}, config.Config.Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if got := config.OS + " " + strings.Join(config.Config.Entrypoint, " ") + " " + config.Config.User; got != "linux /website 65532:65532" {
		t.Errorf("image runs as %q", got)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers (%v), want one", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = content.Close() }()
	header, err := tar.NewReader(content).Next()
	if err != nil || header.Name != "website" || header.Mode != 0o755 {
		t.Errorf("the layer holds %+v (%v), want the program", header, err)
	}
	again, err := New("website", []byte("program"), map[string]string{"A": "b", "VERSION": "v1"})
	if err != nil {
		t.Fatal(err)
	}
	one, _ := img.Digest()
	two, _ := again.Digest()
	if one != two {
		t.Errorf("equal images have digests %s and %s", one, two)
	}
}
