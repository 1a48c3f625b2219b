// Package vulndb makes databases of vulnerabilities for the real govulncheck and
// OSV-Scanner in tests, from the Go database itself and a few advisories of npm.
package vulndb

import (
	"archive/zip"
	"bytes"
	"context"
	_ "embed" // data
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// Reports returns the reports of the Go database by file name.
func Reports(ctx context.Context) (map[string][]byte, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", Module)
	cmd.Dir = os.TempDir() // in no module
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download %s: %w: %s", Module, err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return nil, fmt.Errorf("go mod download %s: %w", Module, err)
	}
	files, err := filepath.Glob(filepath.Join(module.Dir, "data", "osv", "GO-*.json"))
	if err != nil || len(files) < 1000 {
		return nil, fmt.Errorf("%s has %d reports (%w)", Module, len(files), err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		if all[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Go makes a database for govulncheck, see [WriteGo], and returns its URL. Empty, it
// has no reports: a database that hides all.
func Go(t testing.TB, folder string, modified time.Time, empty bool) string {
	t.Helper()
	if err := WriteGo(folder, modified, ofGo(t, empty)); err != nil {
		t.Fatal(err)
	}
	return "file://" + folder
}

func ofGo(t testing.TB, empty bool) map[string][]byte {
	t.Helper()
	if empty {
		return nil
	}
	all, err := Reports(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// An entry is a report in an index.
type entry struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
	Fixed    string    `json:"fixed,omitempty"`
	Aliases  []string  `json:"aliases,omitempty"`
}

// WriteGo writes reports in the form of https://go.dev/doc/security/vuln/database
// into an empty folder, as a database that changed at a time.
func WriteGo(folder string, modified time.Time, all map[string][]byte) error {
	modules, vulns := map[string][]entry{}, []entry{}
	for name, text := range all {
		var r report
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		vulns = append(vulns, entry{ID: r.ID, Modified: modified, Aliases: r.Aliases})
		for path, fixed := range r.modules() {
			modules[path] = append(modules[path], entry{ID: r.ID, Modified: modified, Fixed: fixed})
		}
		if err := write(filepath.Join(folder, "ID", name), text); err != nil {
			return err
		}
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
			return err
		}
		if err := write(filepath.Join(folder, "index", name+".json"), text); err != nil {
			return err
		}
	}
	return nil
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

// OSV makes a local database of OSV-Scanner, see [WriteOSV]. Empty, it has no
// advisories.
func OSV(t testing.TB, folder string, empty bool) {
	t.Helper()
	ofNPM := NPM
	if empty {
		ofNPM = func() (map[string][]byte, error) { return nil, nil }
	}
	advisories, err := ofNPM()
	if err := errors.Join(err, WriteOSV(folder, ofGo(t, empty), advisories)); err != nil {
		t.Fatal(err)
	}
}

// NPM returns a few advisories of npm packages by file name.
func NPM() (map[string][]byte, error) {
	var advisories []json.RawMessage
	if err := json.Unmarshal(npm, &advisories); err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, text := range advisories {
		var r report
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, err
		}
		all[r.ID+".json"] = text
	}
	return all, nil
}

// WriteOSV writes advisories of Go and npm as a local database of OSV-Scanner below
// a folder.
func WriteOSV(folder string, ofGo, ofNPM map[string][]byte) error {
	return errors.Join(
		pack(filepath.Join(folder, "osv-scanner", "npm", "all.zip"), ofNPM),
		pack(filepath.Join(folder, "osv-scanner", "Go", "all.zip"), ofGo),
	)
}

// pack makes a zip archive of files.
func pack(path string, files map[string][]byte) error {
	var text bytes.Buffer
	w := zip.NewWriter(&text)
	for name, content := range files {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			return err
		}
		if _, err := f.Write(content); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return write(path, text.Bytes())
}

func write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
