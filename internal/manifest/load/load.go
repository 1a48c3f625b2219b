// Package load reads the manifests of a release: files, folders, patterns, and
// kustomizations.
package load

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/candlefish/deploy-action/internal/manifest"
)

// kustomizations are the names that make a folder a kustomization.
var kustomizations = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// extensions are those of manifests in a folder.
var extensions = []string{".yaml", ".yml", ".json"}

// Load reads the named files, folders and patterns, in their order. Of a folder it
// takes the manifests that are directly in it, or what kustomize builds of it. A
// name that leads to nothing is a problem, as is a file in two of the names.
func Load(names []string) ([]manifest.Object, manifest.Problems) {
	l := loader{seen: map[string]bool{}}
	for _, name := range names {
		l.add(name)
	}
	if len(l.objects)+len(l.problems) == 0 {
		l.say(strings.Join(names, ", "), "there is no Kubernetes object in it")
	}
	return l.objects, l.problems
}

type loader struct {
	seen     map[string]bool
	objects  []manifest.Object
	problems manifest.Problems
}

func (l *loader) say(file, format string, args ...any) {
	l.problems = append(l.problems, manifest.Problem{At: manifest.Position{File: file}, Reason: fmt.Sprintf(format, args...)})
}

func (l *loader) add(name string) {
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		l.folder(name)
	case err == nil:
		l.file(name)
	case strings.ContainsAny(name, "*?["):
		found, err := filepath.Glob(name)
		if err != nil || len(found) == 0 {
			l.say(name, "no file matches it")
		}
		for _, f := range found {
			l.add(f)
		}
	default:
		l.say(name, "%s", reason(err))
	}
}

// reason returns an error of the file system without the path, which the problem
// has.
func reason(err error) string {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}

func (l *loader) folder(name string) {
	entries, err := os.ReadDir(name)
	if err != nil {
		l.say(name, "%s", reason(err))
		return
	}
	found := false
	for _, e := range entries {
		if slices.Contains(kustomizations, e.Name()) {
			l.kustomize(name)
			return
		}
	}
	for _, e := range entries {
		if !e.IsDir() && slices.Contains(extensions, filepath.Ext(e.Name())) {
			found = true
			l.file(filepath.Join(name, e.Name()))
		}
	}
	if !found {
		l.say(name, "the folder has no %s file and no kustomization", strings.Join(extensions, ", "))
	}
}

func (l *loader) file(name string) {
	path := filepath.Clean(name)
	if l.seen[path] {
		l.say(name, "the file is named twice")
		return
	}
	l.seen[path] = true
	if slices.Contains(kustomizations, filepath.Base(name)) {
		l.say(name, "name the folder of a kustomization, not its file")
		return
	}
	data, err := os.ReadFile(name)
	if err != nil {
		l.say(name, "%s", reason(err))
		return
	}
	l.parse(name, data)
}

func (l *loader) parse(name string, data []byte) {
	objects, problems := manifest.Parse(name, data)
	l.objects, l.problems = append(l.objects, objects...), append(l.problems, problems...)
}

// kustomize builds a kustomization as kubectl does: without plugins, and without
// files from outside of its root. Positions are those of the built text.
func (l *loader) kustomize(folder string) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		l.say(folder, "build the kustomization: %s", strings.Join(strings.Fields(err.Error()), " "))
		return
	}
	data, err := built.AsYaml()
	if err != nil {
		l.say(folder, "build the kustomization: %v", err)
		return
	}
	l.parse(filepath.Join(folder, "(built)"), data)
}
