// Package image makes container images of single programs and pushes them to a sandbox's registry, without a container engine.
package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// nobody runs in all images that the sandbox makes.
const nobody = "65532:65532"

// A File is one of an image.
type File struct {
	Path    string // from the root: "usr/bin/k6"; with a slash at its end it is a folder that everybody may write to
	Content []byte
}

// New is an image with one static binary, run as /name.
func New(name string, binary []byte, env map[string]string) (v1.Image, error) {
	return Of([]File{{name, binary}}, []string{"/" + name}, env)
}

// Of is an image with files that everybody may run.
func Of(files []File, entrypoint []string, env map[string]string) (v1.Image, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range files {
		header := &tar.Header{Name: f.Path, Mode: 0o755, Size: int64(len(f.Content)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(f.Path, "/") {
			header.Mode, header.Typeflag = 0o1777, tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.Content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	config := v1.Config{Entrypoint: entrypoint, User: nobody, Env: Environment(env)}
	return mutate.ConfigFile(img, &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH, Config: config, RootFS: mustConfig(img).RootFS, History: mustConfig(img).History,
	})
}

// mustConfig returns the configuration of an image that was made in memory, which cannot fail to have one.
func mustConfig(img v1.Image) *v1.ConfigFile {
	c, err := img.ConfigFile()
	if err != nil {
		panic(err)
	}
	return c
}

// Environment is env as NAME=value, sorted so that equal images have equal digests.
func Environment(env map[string]string) []string {
	var list []string
	for k, v := range env {
		list = append(list, k+"="+v)
	}
	slices.Sort(list)
	return list
}

// Push writes img to ref, whose registry speaks plain HTTP on loopback.
func Push(ctx context.Context, ref string, img v1.Image) error {
	r, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		return err
	}
	if err := remote.Write(r, img, remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("push %s: %w", ref, err)
	}
	return nil
}

// PushOnce is Push for a tag that nodes may have pulled already: they would never see new content, so there must not be any.
func PushOnce(ctx context.Context, ref string, img v1.Image) error {
	r, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		return err
	}
	want, err := img.Digest()
	if err != nil {
		return err
	}
	have, err := remote.Head(r, remote.WithContext(ctx))
	var answer *transport.Error
	switch {
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		return Push(ctx, ref, img)
	case err != nil:
		return fmt.Errorf("look for %s: %w", ref, err)
	case have.Digest != want:
		return fmt.Errorf("%s is there with other content, which pods that use it would go on using: choose another tag, or end the sandbox by go tool mage sandbox:down and start it anew", ref)
	}
	return nil
}
