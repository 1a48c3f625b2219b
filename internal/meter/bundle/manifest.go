package bundle

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/jsonkeys"
)

// build measures what the manifest of a build names.
func (m *measurement) build(dir string) error {
	for _, kind := range []struct {
		file string
		read func(dir string, raw []byte) (map[string][]string, error)
	}{
		{"build-manifest.json", m.next}, {".next/build-manifest.json", m.next},
		{".vite/manifest.json", m.vite}, {"manifest.json", m.vite},
	} {
		name := path.Join(dir, kind.file)
		raw, err := m.read(name, maxManifest)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if kind.file == ".next/build-manifest.json" {
			dir = path.Join(dir, ".next")
		}
		groups, err := kind.read(dir, raw)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if len(groups) == 0 {
			return fmt.Errorf("%s: it names no routes and no entries", name)
		}
		return m.groups(groups)
	}
	return fmt.Errorf("%s has no build-manifest.json of Next.js and no .vite/manifest.json (build.manifest) of Vite: choose files by NAME=GLOB", dir)
}

// decode decodes a manifest whose keys are unique.
func decode(raw []byte, into any) error {
	if err := jsonkeys.Unique(raw); err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// next reads the manifests of a build of Next.js: a page loads its own files and those
// of /_app; a route of the app router its own, those of the layouts around it and
// rootMainFiles. Polyfills are for old browsers alone.
func (m *measurement) next(dir string, raw []byte) (map[string][]string, error) {
	var pages, app struct {
		RootMainFiles []string
		Pages         map[string][]string
	}
	if err := decode(raw, &pages); err != nil {
		return nil, err
	}
	groups := map[string][]string{}
	for route, files := range pages.Pages {
		if !slices.Contains([]string{"/_app", "/_document", "/_error"}, route) {
			groups[route] = slices.Concat(pages.Pages["/_app"], files)
		}
	}
	appName := path.Join(dir, "app-build-manifest.json")
	rawApp, err := m.read(appName, maxManifest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if err := decode(rawApp, &app); err != nil {
			return nil, fmt.Errorf("app-build-manifest.json: %w", err)
		}
	}
	for key, files := range app.Pages {
		if route, isPage := strings.CutSuffix(key, "/page"); isPage {
			all := slices.Concat(pages.RootMainFiles, files, app.Pages["/layout"])
			for i := range route {
				if i > 0 && route[i] == '/' {
					all = append(all, app.Pages[route[:i]+"/layout"]...)
				}
			}
			if route != "" {
				all = append(all, app.Pages[route+"/layout"]...)
			}
			groups[cmp.Or(route, "/")] = all
		}
	}
	return m.named(dir, groups)
}

// vite reads a manifest of Vite: an entry loads its file, its styles, and those of all
// its imports. What is imported on demand is an entry of its own.
func (m *measurement) vite(dir string, raw []byte) (map[string][]string, error) {
	type chunk struct {
		File                    string
		IsEntry, IsDynamicEntry bool
		Imports, CSS            []string
	}
	var chunks map[string]chunk
	if err := decode(raw, &chunks); err != nil {
		return nil, err
	}
	groups := map[string][]string{}
	for key, entry := range chunks {
		if !entry.IsEntry && !entry.IsDynamicEntry {
			continue
		}
		done := map[string]bool{}
		for todo := []string{key}; len(todo) > 0; {
			one := todo[0]
			if todo = todo[1:]; done[one] {
				continue
			}
			done[one] = true
			c, known := chunks[one]
			if !known || c.File == "" {
				return nil, fmt.Errorf("%.100q imports %.100q, which has no file", key, one)
			}
			groups[key] = append(append(groups[key], c.File), c.CSS...)
			todo = append(todo, c.Imports...)
		}
	}
	return m.named(dir, groups)
}

// named returns the paths of the scripts and styles that a manifest names, each once.
// They must be below the build's folder.
func (m *measurement) named(dir string, groups map[string][]string) (map[string][]string, error) {
	total := 0
	for route, files := range groups {
		var paths []string
		for _, f := range files {
			if total++; total > 50*maxFiles {
				return nil, errors.New("it names too many files")
			}
			if !filepath.IsLocal(filepath.FromSlash(f)) {
				return nil, fmt.Errorf("it names %.100q, which is outside of the build", f)
			}
			if ext := path.Ext(f); ext != ".js" && ext != ".css" && ext != ".mjs" {
				continue // source maps, and pictures that are loaded when they are seen
			}
			paths = append(paths, m.onDisk(path.Join(dir, f)))
		}
		slices.Sort(paths)
		groups[route] = slices.Compact(paths)
	}
	return groups, nil
}

// onDisk is a file's name on disk: manifests of Next.js have it as in a URL, with
// %5Bid%5D for [id].
func (m *measurement) onDisk(name string) string {
	plain, err := url.PathUnescape(name)
	if err != nil || plain == name || !filepath.IsLocal(filepath.FromSlash(plain)) {
		return name
	}
	if _, err := m.root.Stat(name); err == nil {
		return name
	}
	return plain
}
