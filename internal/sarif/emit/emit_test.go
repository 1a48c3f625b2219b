package emit

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	gosarif "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/candlefish/deploy-action/internal/devtools/multitool"
	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/sarif"
)

// scan is a result with all that a scan can have.
func scan() verdict.Result {
	commit := strings.Repeat("ab", 20)
	xss := finding.Sighting{
		Tool: "semgrep", Rule: "js.xss", Class: finding.ClassCode, Title: "Cross-site scripting", Message: "User input <b> is written.\nEscape it.", Help: "https://example.com/xss",
		CWE: []string{"CWE-79"}, Rating: finding.Rating{Level: "error"}, Location: finding.Location{Path: "src/a b#1.js", Line: 7, Column: 3, End: 9},
	}
	also := xss
	also.Tool, also.Rule, also.Location = "codeql", "js/xss", finding.Location{Path: "src/other.js", Line: 2}
	cve := finding.Sighting{
		Tool: "trivy-fs", Rule: "CVE-2021-23337", Class: finding.ClassDependency, Title: "lodash: command injection", IDs: []string{"CVE-2021-23337"},
		Rating: finding.Rating{Score: 7.2, Word: "HIGH"}, Location: finding.Location{Path: "package-lock.json"}, Package: finding.Package{Ecosystem: "npm", Name: "lodash", Version: "4.17.15", Fixed: "4.17.21"},
	}
	secret := finding.Sighting{Tool: "gitleaks", Rule: "aws", Class: finding.ClassSecret, Title: "AWS key", Message: "AWS key", Location: finding.Location{Path: "old.env", Line: 1, Commit: commit}, Secret: finding.Secret{Hash: "h"}}
	host := finding.Sighting{Tool: "tls", Rule: "expired", Class: finding.ClassNetwork, Title: "The certificate has expired", Location: finding.Location{Host: "shop.example:443"}}
	image := finding.Sighting{Tool: "trivy-image", Rule: "CVE-2024-1", Class: finding.ClassImage, Title: "openssl", Location: finding.Location{Image: "ghcr.io/acme/shop@sha256:ab", Path: "usr/lib/x"}}
	gone := finding.Sighting{Tool: "semgrep", Rule: "js.eval", Class: finding.ClassCode, Title: "eval", Location: finding.Location{Path: "src/gone.js", Line: 1}}
	return verdict.Result{
		Compared: "the base", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Place: verdict.Place{Repository: "acme/shop", Commit: commit, Ref: "refs/heads/main"},
		Findings: []finding.Finding{
			{ID: "f-secret", Severity: finding.Critical, Sightings: []finding.Sighting{secret}, State: finding.StateNew, EPSS: -1},
			{ID: "f-xss", Severity: finding.High, Sightings: []finding.Sighting{also, xss}, State: finding.StateExisting, EPSS: -1},
			{ID: "f-cve", Severity: finding.High, Sightings: []finding.Sighting{cve}, State: finding.StateNew, Exploited: true, EPSS: .5,
				Waived: finding.Waived{By: "security-waivers.yaml:3", Reason: "not reached", Owner: "ann", Expires: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}},
			{ID: "f-image", Severity: finding.Medium, Sightings: []finding.Sighting{image}, EPSS: -1},
			{ID: "f-host", Severity: finding.Info, Sightings: []finding.Sighting{host}, EPSS: -1},
		},
		Fixed: []finding.Finding{{ID: "f-gone", Severity: finding.High, Sightings: []finding.Sighting{gone}, State: finding.StateFixed, EPSS: -1}},
		Tools: []verdict.Tool{
			{Name: "codeql", Health: verdict.Crashed, Why: "exit status 2", Coverage: verdict.Unknown()},
			{Name: "gitleaks", Health: verdict.Healthy, Version: "8.30.1", Coverage: verdict.Coverage{Files: 12}},
			{Name: "hadolint", Health: verdict.NotApplicable, Coverage: verdict.Unknown()},
			{Name: "npm-audit", Health: verdict.Healthy, Coverage: verdict.Unknown()},
			{Name: "semgrep", Health: verdict.Healthy, Coverage: verdict.Unknown()},
			{Name: "snyk", Health: verdict.LeftOut, Coverage: verdict.Unknown()},
			{Name: "tls", Health: verdict.Healthy, Coverage: verdict.Unknown()},
			{Name: "trivy-fs", Health: verdict.Healthy, Coverage: verdict.Unknown()},
			{Name: "trivy-image", Health: verdict.Stale, Why: "its database is 9 days old", Coverage: verdict.Unknown()},
		},
	}
}

// written writes a document and decodes it, strictly.
func written(t *testing.T, d Document) (*gosarif.Report, string) {
	t.Helper()
	var b bytes.Buffer
	if err := d.Write(&b); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(b.Bytes()))
	dec.DisallowUnknownFields()
	var r gosarif.Report
	if err := dec.Decode(&r); err != nil {
		t.Fatalf("%v: %s", err, b.String())
	}
	return &r, b.String()
}

func TestDocument(t *testing.T) {
	t.Parallel()
	d, left := Of(scan(), Options{Server: "https://github.com", LineHash: func(path string, line int) string { return fmt.Sprintf("%s-%d", path, line) }})
	if len(left) > 0 {
		t.Error(left)
	}
	r, raw := written(t, d)
	var got []string
	for _, run := range r.Runs {
		text := fmt.Sprint(*run.Tool.Driver.Name, " ", *run.AutomationDetails.ID, " ", *run.Invocations[0].ExecutionSuccessful, ":")
		for _, one := range run.Results {
			text += fmt.Sprint(" ", *one.RuleID, " ", one.Level, " ", *one.BaselineState, " ", *one.Locations[0].PhysicalLocation.ArtifactLocation.URI, " ", one.PartialFingerprints["primaryLocationLineHash"])
		}
		got = append(got, text)
	}
	want := []string{
		"codeql security-gate/codeql/ false:",
		"gitleaks security-gate/gitleaks/ true: aws error new old.env f-secret:1",
		"hadolint security-gate/hadolint/ true:",
		"npm-audit security-gate/npm-audit/ true:",
		"semgrep security-gate/semgrep/ true: js.xss error unchanged src/a%20b%231.js src/a b#1.js-7 js.eval error absent src/gone.js src/gone.js-1",
		"tls security-gate/tls/ true: expired note new host/shop.example%3A443 f-host:1",
		"trivy-fs security-gate/trivy-fs/ true: CVE-2021-23337 error new package-lock.json package-lock.json-1",
		"trivy-image security-gate/trivy-image/ false: CVE-2024-1 warning new image/ghcr.io/acme/shop@sha256%3Aab/usr/lib/x image/-1",
	}
	want[7] = strings.Replace(want[7], "image/-1", "usr/lib/x-1", 1)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{
		`"candlefish/v1":"f-xss"`, `"candlefish/tools":["codeql","semgrep"]`, `"suppressions":[{"justification":"not reached (security-waivers.yaml:3, by ann, until 2026-02-01)","kind":"external","status":"accepted"}]`,
		`"text":"User input <b> is written.\nEscape it."`, `"external/cwe/cwe-079"`, `"security-severity":"9.5"`, `"security-severity":"7.2"`, `"repositoryUri":"https://github.com/acme/shop"`, `"revisionId":"abab`,
		`"relatedLocations":[{"id":1,"physicalLocation":{"artifactLocation":{"uri":"src/other.js"`, `"endTimeUtc":"2026-01-02T03:04:05Z"`, `stale: its database is 9 days old`,
	} {
		if !strings.Contains(raw, text) {
			t.Errorf("%s is not in %s", text, raw)
		}
	}
}

// What a tool suppresses by itself is accepted only if the gate waives it for that.
func TestSuppressedByATool(t *testing.T) {
	t.Parallel()
	for trusted, want := range map[bool]string{false: "underReview", true: "accepted"} {
		r := scan()
		r.Findings = r.Findings[:1]
		r.Findings[0].Sightings[0].Suppressed = "the line has the comment gitleaks:allow"
		if trusted {
			r.Findings[0].Waived = finding.Waived{By: "a suppression of gitleaks"}
		}
		d, _ := Of(r, Options{})
		var b bytes.Buffer
		if err := d.Write(&b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), `"justification":"the line has the comment gitleaks:allow","kind":"external","status":"`+want+`"`) {
			t.Errorf("trusted %v: %s", trusted, b.String())
		}
		l, err := sarif.Read(&b, sarif.Options{})
		if err != nil || (l.Sightings()[0].Suppressed != "") != trusted {
			t.Errorf("trusted %v, it is read as suppressed %q, %v", trusted, l.Sightings()[0].Suppressed, err)
		}
	}
}

// What the SARIF file of another tool says has a run of that tool, except in what is
// uploaded: who made the file uploads it.
func TestGivenFiles(t *testing.T) {
	t.Parallel()
	r := scan()
	r.Tools = append(r.Tools, verdict.Tool{Name: "sarif", Health: verdict.Healthy, Coverage: verdict.Unknown()})
	r.Findings = append(r.Findings, finding.Finding{ID: "f-other", Severity: finding.High, EPSS: -1, Sightings: []finding.Sighting{{Tool: "Other", Rule: "sql", Location: finding.Location{Path: "db.js", Line: 3}}}})
	for upload, want := range map[bool]int{false: 1, true: 0} {
		d, left := Of(r, Options{Upload: upload})
		got := 0
		for _, run := range d.Runs {
			if run.Tool == "Other" {
				got += len(run.Results)
			}
		}
		told := slices.ContainsFunc(left, func(l Left) bool { return l.Tool == "Other" })
		if got != want || told != upload {
			t.Errorf("upload %v: %d results, left %v", upload, got, left)
		}
	}
}

// What is uploaded closes no alert of a tool that did not see all, and has nothing
// that is gone.
func TestUpload(t *testing.T) {
	t.Parallel()
	d, left := Of(scan(), Options{Upload: true, Category: "nightly/"})
	var got []string
	for _, r := range d.Runs {
		got = append(got, fmt.Sprint(r.Tool, " ", r.ID, " ", len(r.Results)))
	}
	want := []string{
		"gitleaks nightly/gitleaks/ 1", "hadolint nightly/hadolint/ 0", "npm-audit nightly/npm-audit/ 0", "semgrep nightly/semgrep/ 1", "tls nightly/tls/ 1", "trivy-fs nightly/trivy-fs/ 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = nil
	for _, l := range left {
		got = append(got, l.String())
	}
	want = []string{
		"codeql has no run in the SARIF: it is crashed, and GitHub would close the alerts that it did not see again",
		"1 results of trivy-image are not in the SARIF: the tool has no run",
		"trivy-image has no run in the SARIF: it is stale, and GitHub would close the alerts that it did not see again",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSecuritySeverity(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		severity finding.Severity
		score    float64
		want     string
	}{
		{finding.Critical, 0, "9.5"}, {finding.Critical, 9.8, "9.8"}, {finding.Critical, 9.0, "9.5"}, {finding.High, 9.8, "8.0"}, {finding.High, 8.9, "8.9"}, {finding.High, 7, "7.0"},
		{finding.Medium, 0, "5.5"}, {finding.Medium, 6.95, "5.5"}, {finding.Low, 0, "2.0"}, {finding.Low, 0.1, "0.1"}, {finding.Info, 5, ""},
	} {
		if got := securitySeverity(c.severity, c.score); got != c.want {
			t.Errorf("%s, %v: %s, want %s", c.severity, c.score, got, c.want)
		}
	}
}

// A document that is read again has the same sightings.
func TestReadAgain(t *testing.T) {
	t.Parallel()
	d, _ := Of(scan(), Options{})
	for range 2 {
		var b bytes.Buffer
		if err := d.Write(&b); err != nil {
			t.Fatal(err)
		}
		l, err := sarif.Read(&b, sarif.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Runs) != 8 || len(l.Sightings()) != 5 || len(l.Doubts()) < 4 {
			t.Errorf("%d runs, %d sightings, %q", len(l.Runs), len(l.Sightings()), l.Doubts())
		}
		for _, s := range l.Sightings() {
			switch s.Rule {
			case "js.xss":
				if s.Location.Path != "src/a b#1.js" || s.Location.Line != 7 || s.Location.End != 9 || s.CWE[0] != "CWE-79" || s.Help == "" || s.Suppressed != "" {
					t.Errorf("%+v", s)
				}
			case "CVE-2021-23337":
				if s.Suppressed == "" || s.Rating.Score != 7.2 || s.Class != finding.ClassDependency {
					t.Errorf("%+v", s)
				}
			}
		}
		d = OfLog(l, Options{})
	}
}

// tight are limits for tests.
var tight = Limits{Runs: 3, Results: 10, Shown: 5, Bytes: 4000}

func TestPack(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	noise := func() string { // which gzip cannot make small
		text := make([]byte, 200)
		for i := range text {
			text[i] = 'a' + byte(random.IntN(26))
		}
		return string(text)
	}
	var d Document
	for i := range 7 {
		r := Run{Tool: fmt.Sprint("tool", i), ID: "x/", Whole: true}
		for j := range 3 * i {
			r.Results = append(r.Results, Result{Severity: finding.Severity(j % 5), ID: fmt.Sprint(j), Sighting: finding.Sighting{Rule: fmt.Sprint("r", j), Message: noise()}})
		}
		d.Runs = append(d.Runs, r)
	}
	d.finish(Options{})
	files, left, err := d.Pack(tight)
	if err != nil {
		t.Fatal(err)
	}
	seen, tools := 0, []string{}
	for _, f := range files {
		if len(f.Gzip) > tight.Bytes || len(f.Tools) > tight.Runs {
			t.Errorf("%d bytes, %q", len(f.Gzip), f.Tools)
		}
		z, err := gzip.NewReader(bytes.NewReader(f.Gzip))
		if err != nil {
			t.Fatal(err)
		}
		l, err := sarif.Read(z, sarif.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Sightings()) != f.Results {
			t.Errorf("%d results, %d were told", len(l.Sightings()), f.Results)
		}
		for i, s := range l.Runs[0].Sightings {
			if before := max(i-1, 0); s.Rating.Score > l.Runs[0].Sightings[before].Rating.Score {
				t.Error("the worst are not first")
			}
		}
		seen, tools = seen+f.Results, append(tools, f.Tools...)
	}
	lost, unseen := 0, 0
	for _, l := range left {
		if l.What == "results" {
			lost += l.Count
		} else {
			unseen += l.Count
		}
	}
	if all := 3 + 6 + 9 + 12 + 15 + 18; seen+lost != all || lost < 2+5+8 || unseen != 1+4+5*3 {
		t.Errorf("%d of %d written, %d left out, %d not shown: %v", seen, all, lost, unseen, left)
	}
	if len(tools) != 7 {
		t.Errorf("a run is lost: %q", tools)
	}
	if _, _, err := (Document{Runs: []Run{{Tool: "x"}}}).Pack(Limits{Runs: 1, Results: 1, Shown: 1, Bytes: 10}); err == nil || !strings.Contains(err.Error(), "without any result") {
		t.Error(err)
	}
}

func TestHashes(t *testing.T) {
	t.Parallel()
	hash := Hashes(fstest.MapFS{"a.js": {Data: []byte("one\ntwo\n")}, "dir/b": {Data: []byte("x")}})
	first := hash("a.js", 1)
	if first == "" || first == hash("a.js", 2) || first != hash("a.js", 1) || !strings.HasSuffix(first, ":1") {
		t.Errorf("%q and %q", first, hash("a.js", 2))
	}
	for path, line := range map[string]int{"a.js": 99, "nothing": 1, "dir": 1, "../a.js": 1} {
		if got := hash(path, line); got != "" {
			t.Errorf("%s:%d: %q", path, line, got)
		}
	}
}

type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errors.New("no space left")
	}
	return len(p), nil
}

func TestWriteFails(t *testing.T) {
	t.Parallel()
	d, _ := Of(scan(), Options{})
	if err := d.Write(&full{100}); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Error(err)
	}
	if err := d.Write(io.Discard); err != nil {
		t.Error(err)
	}
}

// What is written is valid to the reference implementation.
func TestValid(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it needs npm")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	tool, err := multitool.Install(ctx, filepath.Join(t.TempDir(), "tool"))
	if err != nil {
		t.Fatal(err)
	}
	whole, _ := Of(scan(), Options{Server: "https://github.com"})
	upload, _ := Of(scan(), Options{Upload: true})
	for name, d := range map[string]Document{"whole": whole, "upload": upload, "no runs": {}} {
		file := filepath.Join(t.TempDir(), "a.sarif")
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Write(f), f.Close()); err != nil {
			t.Fatal(err)
		}
		faults, err := tool.Validate(ctx, file)
		if err != nil || len(faults) > 0 {
			t.Errorf("%s: %v, %q", name, err, faults)
		}
	}
	// And it does find what is wrong.
	bad := filepath.Join(t.TempDir(), "bad.sarif")
	if err := os.WriteFile(bad, []byte(`{"$schema":"`+schema+`","version":"2.1.0","runs":[{"tool":{"driver":{}},"results":[{"level":"bad"}]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if faults, err := tool.Validate(ctx, bad); err != nil || len(faults) == 0 {
		t.Errorf("nothing is wrong with a bad file: %v", err)
	}
}
