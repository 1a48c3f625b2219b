package build

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ManifestName is the file of each frontend that contains its commit.
const ManifestName = "build-manifest.json"

// maxManifest is the maximum size of a build's own manifest, in bytes.
const maxManifest = 1 << 20

// A Manifest is a build's manifest, by key. Values of other tools stay as they are.
type Manifest map[string]json.RawMessage

// Text returns a value that is a string, empty if it is none.
func (m Manifest) Text(key string) string {
	var text string
	if json.Unmarshal(m[key], &text) != nil {
		return ""
	}
	return text
}

// Number returns a value that is a whole number, 0 if it is none.
func (m Manifest) Number(key string) int {
	var n int
	if json.Unmarshal(m[key], &n) != nil {
		return 0
	}
	return n
}

// Parse parses a manifest. Anything but a JSON object is an error.
func Parse(raw []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	if m == nil { // null
		return nil, errors.New("want a JSON object")
	}
	return m, nil
}

// WriteManifest adds values to the manifest of the build in dir, and keeps its other keys.
// It leaves a manifest alone that has the values of same already, so that nothing has to be
// uploaded. A manifest that is no regular file of at most 1 MiB with a JSON object is an
// error.
func WriteManifest(dir string, values map[string]any, same ...string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("read the build: %w", err)
	}
	defer func() { _ = root.Close() }()
	m, err := readManifest(root)
	if err == nil {
		err = m.write(root, values, same)
	}
	if err != nil {
		return fmt.Errorf("%s of the build %s: %w", ManifestName, dir, err)
	}
	return nil
}

// readManifest reads the manifest, empty if there is none. It opens nothing but a regular
// file: a link may lead anywhere, and a named pipe blocks.
func readManifest(root *os.Root) (Manifest, error) {
	info, err := root.Lstat(ManifestName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Manifest{}, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("want a regular file")
	case info.Size() > maxManifest:
		return nil, fmt.Errorf("it has %d bytes, at most %d are taken", info.Size(), maxManifest)
	}
	f, err := root.Open(ManifestName)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return nil, err
	}
	return Parse(raw)
}

// write writes the manifest with further values, as a new file.
func (m Manifest) write(root *os.Root, values map[string]any, same []string) error {
	unchanged := len(m) > 0
	added := Manifest{}
	for key, v := range values {
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		added[key] = raw
	}
	for _, key := range same {
		unchanged = unchanged && bytes.Equal(m[key], added[key])
	}
	if unchanged {
		return nil
	}
	for key, raw := range added {
		m[key] = raw
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := root.Remove(ManifestName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(ManifestName, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	return errors.Join(err, f.Close())
}
