package emit

import (
	"io/fs"

	"github.com/candlefish/deploy-action/internal/finding/linehash"
)

const (
	maxHashed = 8 << 20 // bytes of a file whose lines are hashed
	maxCached = 100     // files
)

// Hashes returns a function for [Options] that hashes the lines of files in the
// workspace, as GitHub does it when it uploads by its own action; its REST API does not.
// The function must not be called by several goroutines at once.
func Hashes(workspace fs.FS) func(path string, line int) string {
	files := map[string][]string{}
	return func(path string, line int) string {
		lines, ok := files[path]
		if !ok {
			if len(files) >= maxCached {
				clear(files)
			}
			lines = hashes(workspace, path)
			files[path] = lines
		}
		if line < 1 || line > len(lines) {
			return ""
		}
		return lines[line-1]
	}
}

// hashes are those of all lines of a file; none of one that cannot be read.
func hashes(workspace fs.FS, path string) []string {
	about, err := fs.Stat(workspace, path)
	if err != nil || !about.Mode().IsRegular() || about.Size() > maxHashed {
		return nil
	}
	text, err := fs.ReadFile(workspace, path)
	if err != nil {
		return nil
	}
	var all []string
	for number, hash := range linehash.Lines(text) {
		for len(all) < number {
			all = append(all, "")
		}
		all[number-1] = hash
	}
	return all
}
