package repositories

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/scanner/dependencies"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/trivydb"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/vulndb"
	"github.com/candlefish/deploy-action/internal/toolbox"
)

// databases are what the scanners compare packages with.
type databases struct {
	cacheHome string // with the folders of the gate's caches
	cache     string // the one for databases, below it
	settings  map[string]string
}

// list are the settings in the form of the input.
func (d databases) list() string {
	var lines []string
	for name, value := range d.settings {
		lines = append(lines, name+"="+value)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// layDatabases makes them below a folder, with the installed tools where the gate
// looks for them.
func layDatabases(ctx context.Context, dir string) (databases, error) {
	ours := filepath.Join(dir, "cache", "candlefish-deploy-action")
	d := databases{cacheHome: filepath.Dir(ours), cache: filepath.Join(ours, "security")}
	if err := os.MkdirAll(d.cache, 0o700); err != nil {
		return d, err
	}
	tools, err := toolbox.Dir()
	if err != nil {
		return d, err
	}
	if err := os.Symlink(tools, filepath.Join(ours, "tools")); err != nil {
		return d, err
	}
	ofGo, err := vulndb.Reports(ctx)
	if err != nil {
		return d, err
	}
	ofNPM, err := vulndb.NPM()
	if err != nil {
		return d, err
	}
	made, goDB, osv := time.Now().Add(-time.Hour), filepath.Join(dir, "govulndb"), filepath.Join(dir, "osv")
	if err := vulndb.WriteGo(goDB, made, ofGo); err != nil {
		return d, err
	}
	if err := vulndb.WriteOSV(osv, ofGo, ofNPM); err != nil {
		return d, err
	}
	advisories, err := forTrivy(ofGo)
	if err != nil {
		return d, err
	}
	source := map[string]json.RawMessage{goSource: json.RawMessage(`{"ID": "govulndb", "Name": "The Go Vulnerability Database", "URL": "https://pkg.go.dev/vuln/"}`)}
	if err := trivydb.Write(filepath.Join(d.cache, "trivy-fs"), made, source, advisories); err != nil {
		return d, err
	}
	d.settings = map[string]string{dependencies.OSVDB: osv, dependencies.GoVulnDB: "file://" + goDB}
	for setting, name := range map[string]string{dependencies.GoRoot: "GOROOT", dependencies.GoModCache: "GOMODCACHE"} {
		value, err := run(ctx, ".", "go", "env", name)
		if err != nil {
			return d, err
		}
		d.settings[setting] = strings.TrimSpace(string(value))
	}
	return d, nil
}

// goSource is the bucket for the Go database in Trivy's. Trivy's own has only the
// standard library and golang.org/x of it there, and GitHub's advisories for the rest.
const goSource = "go::The Go Vulnerability Database"

// forTrivy makes Trivy's advisories of reports of the Go database, under their CVEs as
// github.com/aquasecurity/trivy-db does in pkg/vulnsrc/osv.
func forTrivy(reports map[string][]byte) (trivydb.Advisories, error) {
	packages := map[string]map[string]json.RawMessage{}
	for name, text := range reports {
		var r struct {
			ID        string
			Aliases   []string
			Withdrawn *time.Time
			Affected  []struct {
				Package struct{ Name string }
				Ranges  []struct{ Events []event }
			}
		}
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if r.Withdrawn != nil {
			continue
		}
		ids, others := primary(append([]string{r.ID}, r.Aliases...))
		for _, affected := range r.Affected {
			var events []event
			for _, one := range affected.Ranges {
				events = append(events, one.Events...)
			}
			versions, patched := ranges(events)
			raw, err := json.Marshal(map[string][]string{"VendorIDs": others, "VulnerableVersions": versions, "PatchedVersions": patched})
			if err != nil {
				return nil, err
			}
			module := affected.Package.Name
			if packages[module] == nil {
				packages[module] = map[string]json.RawMessage{}
			}
			for _, id := range ids {
				packages[module][id] = raw
			}
		}
	}
	return trivydb.Advisories{goSource: packages}, nil
}

// primary separates the names under which Trivy has an advisory from the others: its
// CVEs, or else its own.
func primary(ids []string) (primary, others []string) {
	for _, id := range ids {
		if strings.HasPrefix(id, "CVE-") {
			primary = append(primary, id)
		} else {
			others = append(others, id)
		}
	}
	if len(primary) == 0 {
		return ids[:1], ids[1:]
	}
	return primary, others
}

// An event of the OSV schema begins or ends a range of versions.
type event struct{ Introduced, Fixed string }

// ranges are the versions between events, in Trivy's form.
func ranges(events []event) (vulnerable, patched []string) {
	for _, e := range events {
		last := len(vulnerable) - 1
		switch {
		case e.Introduced != "":
			vulnerable = append(vulnerable, ">="+e.Introduced)
		case e.Fixed != "" && last >= 0:
			vulnerable[last] += ", <" + e.Fixed
			patched = append(patched, e.Fixed)
		}
	}
	return vulnerable, patched
}
