// Package place says where in the workspace a tool found something: paths relative
// to it, and the text of lines, by which a finding is known again after it moved.
//
// It reads only below the workspace: a path of a report, or a symbolic link, that
// leads out of it has no text.
package place

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding"
)

// greatest is the size of a file whose lines are still read.
const greatest = 4 << 20

// Path returns a path of a tool's report relative to the workspace, with slashes,
// or "" if it is outside.
func Path(workspace, reported string) string {
	reported = strings.TrimPrefix(reported, "file://")
	if filepath.IsAbs(reported) {
		rel, err := filepath.Rel(workspace, reported)
		if err != nil {
			return ""
		}
		reported = rel
	}
	p := path.Clean(filepath.ToSlash(reported))
	if p == "." || p == ".." || strings.HasPrefix(p, "../") {
		return ""
	}
	return p
}

// Lines sets Location.Context of the sightings that have a line and no text of it.
// Secrets are left alone: their line has the credential. What cannot be read stays
// without text.
func Lines(workspace string, sightings []finding.Sighting) {
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return
	}
	defer func() { _ = root.Close() }()
	files := map[string][][]byte{}
	for i := range sightings {
		at := &sightings[i].Location
		if at.Path == "" || at.Line == 0 || at.Context != "" || at.Commit != "" || sightings[i].Class == finding.ClassSecret {
			continue
		}
		text, known := files[at.Path]
		if !known {
			text = read(root, at.Path)
			files[at.Path] = text
		}
		if at.Line <= len(text) {
			at.Context = strings.TrimSpace(string(text[at.Line-1]))
		}
	}
}

func read(root *os.Root, name string) [][]byte {
	file, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	all, err := io.ReadAll(bufio.NewReader(io.LimitReader(file, greatest)))
	if err != nil {
		return nil
	}
	return bytes.Split(all, []byte("\n"))
}
