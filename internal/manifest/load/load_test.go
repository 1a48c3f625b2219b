package load

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// folder writes files, by their names.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"a.yaml": configMap("a") + "---\n" + configMap("a2"), "b.yml": configMap("b"), "c.json": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}`,
		"notes.txt": "no manifest", "sub/d.yaml": configMap("d"),
		"kust/kustomization.yaml": "resources: [e.yaml]\nnamePrefix: x-\nimages: [{name: web, newTag: '2'}]\n", "kust/e.yaml": configMap("e"),
		"broken/kustomization.yaml": "resources: [missing.yaml]\n", "empty/x.txt": "", "comment.d/x.yaml": "# nothing\n",
	})
	at := func(names ...string) []string {
		for i := range names {
			names[i] = filepath.Join(dir, names[i])
		}
		return names
	}
	for name, c := range map[string]struct {
		names      []string
		want, says string
	}{
		"a file":                 {at("a.yaml"), "a a2", ""},
		"a folder":               {at("."), "a a2 b c", ""},
		"a pattern":              {at("*.y*ml"), "a a2 b", ""},
		"in order":               {at("sub", "a.yaml"), "d a a2", ""},
		"a kustomization":        {at("kust"), "x-e", ""},
		"its file":               {at("kust/kustomization.yaml"), "", "name the folder"},
		"a broken kustomization": {at("broken"), "", "build the kustomization"},
		"nothing there":          {at("none.yaml"), "", "no such file"},
		"no match":               {at("*.toml"), "", "no file matches it"},
		"an empty folder":        {at("empty"), "", "no .yaml, .yml, .json file"},
		"only comments":          {at("comment.d"), "", "no Kubernetes object"},
		"a file twice":           {at("a.yaml", "a.yaml"), "", "named twice"},
	} {
		objects, problems := Load(c.names)
		var got []string
		for _, o := range objects {
			got = append(got, o.Name())
		}
		switch {
		case c.says != "":
			if !strings.Contains(problems.Error(), c.says) {
				t.Errorf("%s: %v, want a problem that says %q", name, problems, c.says)
			}
		case len(problems) > 0 || strings.Join(got, " ") != c.want:
			t.Errorf("%s: %q, %v; want %s", name, got, problems, c.want)
		}
	}
}
