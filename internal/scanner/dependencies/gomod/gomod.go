// Package gomod reads what scanners need of a go.mod.
package gomod

import (
	"strings"
)

// A Required module of a go.mod. One that is replaced by a folder has no version.
type Required struct {
	Name, Version string
	Line          int
	Indirect      bool // something else needs it
}

// Requires reads the requirements of a go.mod, without replacements.
func Requires(text []byte) map[string]Required {
	all, n := map[string]Required{}, 0
	for line := range strings.Lines(string(text)) {
		n++
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) < 2 || !strings.HasPrefix(fields[1], "v") || len(fields) > 2 && fields[2] != "//" {
			continue
		}
		all[fields[0]] = Required{fields[0], fields[1], n, strings.Contains(line, "// indirect")}
	}
	return all
}

// Replaces returns what the replace directives of a go.mod put in the place of
// modules, in whatever version. What is replaced by a folder has no version.
func Replaces(text []byte) map[string]Required {
	all := map[string]Required{}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "//")
		old, by, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "replace "), "=>")
		from, to := strings.Fields(old), strings.Fields(by)
		if !ok || len(from) == 0 || len(to) == 0 {
			continue
		}
		all[from[0]] = Required{Name: to[0]}
		if len(to) > 1 {
			all[from[0]] = Required{Name: to[0], Version: to[1]}
		}
	}
	return all
}

// Escaped is a module path or version as the module cache has it: capital letters
// with an exclamation mark. Source: https://go.dev/ref/mod#module-cache
func Escaped(path string) string {
	var b strings.Builder
	for _, r := range path {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('!')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
