// Package chromium has what meters with a browser have in common: the files that the
// browser needs in its isolation.
package chromium

import (
	"os"
	"path/filepath"
	"slices"
)

// Reads are the files and folders that a Chromium reads beside the system: its own
// folder, the settings of its package, and what fonts there are. Without the last, texts
// have no letters, or a cache of fonts is made at each start. Those that this machine
// does not have are left out.
func Reads(program string) []string {
	paths := []string{"/etc/fonts", "/var/cache/fontconfig", "/etc/chromium", "/etc/chromium.d"}
	if real, err := filepath.EvalSymlinks(program); err == nil {
		paths = append(paths, filepath.Dir(real))
	}
	return slices.DeleteFunc(paths, func(path string) bool { _, err := os.Stat(path); return err != nil })
}
