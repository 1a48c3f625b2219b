package finding

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata")

// ofRealScan is what the tools of a standard scan report about a small web shop.
func ofRealScan() []Sighting {
	const lock, key = "package-lock.json", "a hash of this run"
	lodash := func(tool string, rating Rating, ids ...string) Sighting {
		return Sighting{Tool: tool, Rule: ids[0], Class: ClassDependency, Title: "Command Injection in lodash", IDs: ids, Rating: rating,
			Location: Location{Path: lock}, Package: Package{Ecosystem: "npm", Name: "lodash", Version: "4.17.20", Fixed: "4.17.21", Direct: true}}
	}
	http2 := func(tool, system, name string, s Sighting) Sighting {
		s.Tool, s.Class, s.Location.Path, s.Package = tool, ClassDependency, "go.mod", Package{Ecosystem: system, Name: name, Version: "1.22.1"}
		return s
	}
	leak := func(tool, rule, path string, line int, commit string, live Liveness) Sighting {
		return Sighting{Tool: tool, Rule: rule, Class: ClassSecret, Title: "AWS key", Secret: Secret{Hash: key, Live: live},
			Location: Location{Path: path, Line: line, Commit: commit, Context: "AWS_ACCESS_KEY_ID="}}
	}
	docker := func(tool, rule, title string, line int, context string, rating Rating) Sighting {
		return Sighting{Tool: tool, Rule: rule, Class: ClassConfig, Title: title, Rating: rating, Location: Location{Path: "Dockerfile", Line: line, Context: context}}
	}
	return []Sighting{
		lodash("npm-audit", Rating{Word: "high", Score: 7.2}, "GHSA-35jh-r3h4-6jhm"),
		lodash("osv-scanner", Rating{Score: 7.2}, "GHSA-35jh-r3h4-6jhm", "CVE-2021-23337"),
		lodash("trivy-fs", Rating{Word: "HIGH", Score: 7.2}, "CVE-2021-23337"),
		lodash("snyk", Rating{Word: "critical", Score: 9.1}, "SNYK-JS-LODASH-1040724", "CVE-2021-23337"),
		http2("govulncheck", "Go", "stdlib", Sighting{Rule: "GO-2024-2687", IDs: []string{"GO-2024-2687", "CVE-2023-45288", "GHSA-4v7x-pqxf-cx7m"}, Title: "HTTP/2 CONTINUATION flood in net/http", Reach: ReachCalled}),
		http2("trivy-fs", "gobinary", "stdlib", Sighting{Rule: "CVE-2023-45288", IDs: []string{"CVE-2023-45288"}, Title: "golang: net/http, x/net/http2: CONTINUATION flood", Rating: Rating{Word: "MEDIUM", Score: 7.5}}),
		http2("osv-scanner", "Go", "golang.org/x/net", Sighting{Rule: "GO-2024-2687", IDs: []string{"GO-2024-2687", "CVE-2023-45288"}, Title: "HTTP/2 CONTINUATION flood in net/http", Rating: Rating{Score: 7.5}}),
		leak("gitleaks", "aws-access-token", "config/prod.env", 3, "", ""),
		leak("gitleaks", "aws-access-token", "deploy/old.env", 9, strings.Repeat("a1", 20), ""),
		leak("trufflehog", "AWS", "config/prod.env", 3, "", LiveVerified),
		docker("hadolint", "DL3002", "Last USER should not be root", 9, "USER root", Rating{Level: "warning"}),
		docker("trivy-config", "DS-0002", "Image user should not be 'root'", 9, "USER root", Rating{Word: "HIGH"}),
		docker("hadolint", "DL3059", "Multiple consecutive RUN instructions", 4, "RUN npm ci", Rating{Word: "info"}),
		{Tool: "semgrep", Rule: "javascript.express.security.audit.xss.direct-response-write", Class: ClassCode, Title: "Data of the user goes into the page", CWE: []string{"CWE-79: Improper Neutralization of Input During Web Page Generation"},
			Rating: Rating{Word: "WARNING"}, Location: Location{Path: "src/search.js", Line: 14, Column: 3, Context: "res.send(\"<p>\" + req.query.q)"}},
		{Tool: "codeql", Rule: "js/reflected-xss", Class: ClassCode, Title: "Reflected cross-site scripting", CWE: []string{"external/cwe/cwe-079", "external/cwe/cwe-116"},
			Rating: Rating{Score: 7.8, Level: "error"}, Location: Location{Path: "src/search.js", Line: 14, Column: 12, Context: "res.send(\"<p>\" + req.query.q)"}},
		{Tool: "tls", Rule: "certificate-expired", Class: ClassNetwork, Title: "The certificate has expired", Rating: Rating{Word: "high"}, Location: Location{Host: "shop.example:443"}},
	}
}

// TestMergeOfARealScan shows what Merge makes of it: 16 sightings, 8 findings.
func TestMergeOfARealScan(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, f := range Merge(ofRealScan()) {
		fmt.Fprintf(&b, "%s %s: %s\n  because %s\n", f.Severity, f.Class, f.Title, f.Why)
		if f.IDs != nil {
			fmt.Fprintf(&b, "  %s\n", strings.Join(f.IDs, " "))
		}
		fmt.Fprintf(&b, "  known by %s\n", strings.Join(f.Fingerprints, " "))
		for _, s := range f.Sightings {
			fmt.Fprintf(&b, "  - %s: %s in %s:%d %s\n", s.Tool, s.Rule, s.Location.Lasting(), s.Location.Line, s.Location.Commit)
		}
	}
	path := filepath.Join("testdata", "scan.golden")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (-want +got), -update rewrites:\n%s", path, diff)
	}
}
