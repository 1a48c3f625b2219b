package build

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// folder makes a folder of files; a name that ends with / is a folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			continue
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

func TestEmptyBuilds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		empty bool
	}{
		"nothing":               {map[string]string{}, true},
		"only our manifest":     {map[string]string{ManifestName: "{}"}, true},
		"only settings":         {map[string]string{"netlify.toml": "", "_redirects": "", "a/_headers": ""}, true},
		"only what is hidden":   {map[string]string{".git/config": "x", "__MACOSX/a": "x", ".env": "x"}, true},
		"folders without files": {map[string]string{"a/b/": ""}, true},
		"a page":                {map[string]string{"index.html": "x", ManifestName: "{}"}, false},
		"a page far below":      {map[string]string{"a/b/c/page.html": "x"}, false},
		"a well-known file":     {map[string]string{".well-known/security.txt": "x"}, false},
		"a manifest below":      {map[string]string{"a/" + ManifestName: "{}"}, false},
	} {
		err := Check(folder(t, c.files))
		if errors.Is(err, ErrEmpty) != c.empty || !c.empty && err != nil {
			t.Errorf("%s: %v, want empty %t", name, err, c.empty)
		}
	}
	if err := Check(filepath.Join(t.TempDir(), "missing")); err == nil || errors.Is(err, ErrEmpty) {
		t.Errorf("a folder that does not exist: %v", err)
	}
}

func TestUntrustedBuilds(t *testing.T) {
	t.Parallel()
	most := Limits{Files: 5, Bytes: 10, Depth: 2}
	for name, c := range map[string]struct {
		files map[string]string
		more  func(dir string)
		want  string
	}{
		"plain":      {map[string]string{"index.html": "12345", "a/b/c": "12345"}, nil, ""},
		"too many":   {map[string]string{"1": "", "2": "", "3": "", "4": "", "5": "", "6": ""}, nil, "more than 5 files"},
		"too large":  {map[string]string{"1": "123456", "2": "12345"}, nil, "more than 0 MiB"},
		"too deep":   {map[string]string{"a/b/c/d": ""}, nil, "below more than 2 folders"},
		"link out":   {map[string]string{"1": ""}, func(dir string) { link(t, "../victim", filepath.Join(dir, "x")) }, `"x" is a link`},
		"link in":    {map[string]string{"1": ""}, func(dir string) { link(t, "1", filepath.Join(dir, "x")) }, `"x" is a link`},
		"hidden":     {map[string]string{".a/1": ""}, func(dir string) { link(t, "/etc", filepath.Join(dir, ".a/x")) }, `".a/x" is a link`},
		"named pipe": {map[string]string{"1": ""}, func(dir string) { pipe(t, filepath.Join(dir, "x")) }, `"x" is a special file`},
	} {
		dir := folder(t, c.files)
		if c.more != nil {
			c.more(dir)
		}
		err := CheckUntrusted(dir, most)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func pipe(t *testing.T, at string) {
	t.Helper()
	if err := syscall.Mkfifo(at, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The folder itself may be a link that an artifact made.
func TestUntrustedFolderIsALink(t *testing.T) {
	outside := folder(t, map[string]string{"secret": "x"})
	work := folder(t, map[string]string{"out/real/index.html": "x"})
	link(t, outside, filepath.Join(work, "out/dist"))
	link(t, "out", filepath.Join(work, "way"))
	t.Chdir(work)
	for _, dir := range []string{"out/dist", filepath.Join(work, "out/dist"), "way/real"} {
		if err := CheckUntrusted(dir, Untrusted); err == nil || !strings.Contains(err.Error(), "is a link") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	for _, dir := range []string{"out/real", filepath.Join(work, "out/real"), "."} {
		if err := CheckUntrusted(dir, Untrusted); (err == nil) != (dir != ".") {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestManifests(t *testing.T) {
	t.Parallel()
	values := map[string]any{"commitSha": "abc", "prNumber": 7}
	for name, c := range map[string]struct{ before, after, fails string }{
		"none":          {"", `"commitSha": "abc"`, ""},
		"others stay":   {`{"id": 12345678901234567890, "commitSha": "old"}`, `"id": 12345678901234567890`, ""},
		"null":          {"null", "", "want a JSON object"},
		"a list":        {"[1]", "", "cannot unmarshal array"},
		"no JSON":       {"<html>", "", "invalid character"},
		"too deep":      {`{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}", "", "exceeded max depth"},
		"too large":     {`{"a":"` + strings.Repeat("x", maxManifest) + `"}`, "", "at most 1048576 are taken"},
		"another case":  {`{"COMMITSHA": "xyz"}`, `"commitSha": "abc"`, ""},
		"keeps numbers": {`{"prNumber": 9}`, `"prNumber": 7`, ""},
	} {
		dir := folder(t, map[string]string{"index.html": "x"})
		file := filepath.Join(dir, ManifestName)
		if c.before != "" {
			if err := os.WriteFile(file, []byte(c.before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := WriteManifest(dir, values, "commitSha")
		if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %v, want %q", name, err, c.fails)
		}
		if raw, _ := os.ReadFile(file); !strings.Contains(string(raw), c.after) {
			t.Errorf("%s: %s", name, raw)
		}
	}
}

// A manifest that is a link is neither read nor written through.
func TestManifestOutOfTheFolder(t *testing.T) {
	t.Parallel()
	work := folder(t, map[string]string{"victim.json": `{"token":"secret"}`, "out/index.html": "x"})
	dir := filepath.Join(work, "out")
	for _, to := range []string{"../victim.json", filepath.Join(work, "victim.json"), "index.html"} {
		_ = os.Remove(filepath.Join(dir, ManifestName))
		link(t, to, filepath.Join(dir, ManifestName))
		if err := WriteManifest(dir, map[string]any{"commitSha": "abc"}, "commitSha"); err == nil {
			t.Errorf("a link to %s: no error", to)
		}
	}
	if raw, err := os.ReadFile(filepath.Join(work, "victim.json")); err != nil || string(raw) != `{"token":"secret"}` {
		t.Errorf("the file outside is %s, %v", raw, err)
	}
}

func TestUnchangedManifestStays(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{ManifestName: `{"commitSha":"abc","buildTime":"then"}`})
	for _, commit := range []string{"abc", "def"} {
		if err := WriteManifest(dir, map[string]any{"commitSha": commit, "buildTime": "now"}, "commitSha"); err != nil {
			t.Fatal(err)
		}
		raw, _ := os.ReadFile(filepath.Join(dir, ManifestName))
		if strings.Contains(string(raw), "then") != (commit == "abc") {
			t.Errorf("at %s: %s", commit, raw)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"null", "{}", `{"commitSha":1}`, `{"commitSha":"a","prNumber":"b"}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse([]byte(text))
		if (err == nil) == (m == nil) {
			t.Errorf("%v, %v", m, err)
		}
		_, _ = m.Text("commitSha"), m.Number("prNumber")
	})
}
