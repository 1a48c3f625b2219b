// Package vulndb makes databases of vulnerabilities for the real govulncheck and
// OSV-Scanner in tests, from the Go database itself and a few advisories of npm.
package vulndb

import (
	"archive/zip"
	_ "embed" // data
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Module is the version of the Go database that tests use. Its reports have no time
// of change.
const Module = "golang.org/x/vulndb@v0.0.0-20261105234957-e22db6528018"

//go:embed npm.json
var npm []byte

// A report is what of the OSV schema an index needs.
type report struct {
	ID       string   `json:"id"`
	Aliases  []string `json:"aliases"`
	Affected []struct {
		Package struct {
			Name string `json:"name"`
		} `json:"package"`
		Ranges []struct {
			Events []map[string]string `json:"events"`
		} `json:"ranges"`
	} `json:"affected"`
}

// reports returns the reports of the Go database by file name.
func reports(t testing.TB) map[string][]byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", Module)
	cmd.Dir = t.TempDir() // in no module
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go mod download %s: %v\n%s", Module, err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(module.Dir, "data", "osv", "GO-*.json"))
	if err != nil || len(files) < 1000 {
		t.Fatalf("%s has %d reports (%v)", Module, len(files), err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		if all[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// Go makes a database in the form of https://go.dev/doc/security/vuln/database in
// an empty folder, as one that changed at a time, and returns its URL. Empty, it
// has no reports: a database that hides all.
func Go(t testing.TB, folder string, modified time.Time, empty bool) string {
	t.Helper()
	type entry struct {
		ID       string    `json:"id"`
		Modified time.Time `json:"modified"`
		Fixed    string    `json:"fixed,omitempty"`
		Aliases  []string  `json:"aliases,omitempty"`
	}
	modules, vulns := map[string][]entry{}, []entry{}
	all := map[string][]byte{}
	if !empty {
		all = reports(t)
	}
	for name, text := range all {
		var r report
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		vulns = append(vulns, entry{ID: r.ID, Modified: modified, Aliases: r.Aliases})
		for path, fixed := range r.modules() {
			modules[path] = append(modules[path], entry{ID: r.ID, Modified: modified, Fixed: fixed})
		}
		write(t, filepath.Join(folder, "ID", name), text)
	}
	type module struct {
		Path  string  `json:"path"`
		Vulns []entry `json:"vulns"`
	}
	list := []module{}
	for path, entries := range modules {
		list = append(list, module{path, entries})
	}
	for name, value := range map[string]any{"db": map[string]any{"modified": modified}, "modules": list, "vulns": vulns} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, "index", name+".json"), text)
	}
	return "file://" + folder
}

// modules returns the modules that a report is about, with the last fix of each.
func (r report) modules() map[string]string {
	modules := map[string]string{}
	for _, affected := range r.Affected {
		modules[affected.Package.Name] = ""
		for _, versions := range affected.Ranges {
			for _, event := range versions.Events {
				if fixed := event["fixed"]; fixed != "" {
					modules[affected.Package.Name] = fixed
				}
			}
		}
	}
	return modules
}

// OSV makes a local database of OSV-Scanner for Go and npm below a folder.
func OSV(t testing.TB, folder string, empty bool) {
	t.Helper()
	var advisories []json.RawMessage
	if err := json.Unmarshal(npm, &advisories); err != nil {
		t.Fatal(err)
	}
	ofNPM := map[string][]byte{}
	for _, text := range advisories {
		var r report
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		ofNPM[r.ID+".json"] = text
	}
	ofGo := map[string][]byte{}
	if empty {
		ofNPM = nil
	} else {
		ofGo = reports(t)
	}
	pack(t, filepath.Join(folder, "osv-scanner", "npm", "all.zip"), ofNPM)
	pack(t, filepath.Join(folder, "osv-scanner", "Go", "all.zip"), ofGo)
}

// pack makes a zip archive of files.
func pack(t testing.TB, path string, files map[string][]byte) {
	t.Helper()
	var text strings.Builder
	w := zip.NewWriter(&text)
	for name, content := range files {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, path, []byte(text.String()))
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
