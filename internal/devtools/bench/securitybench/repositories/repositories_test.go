package repositories

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
)

func vulnerable(tool, id, name string) finding.Sighting {
	return finding.Sighting{Tool: tool, Rule: id, Class: finding.ClassDependency, IDs: []string{id},
		Package: finding.Package{Ecosystem: "Go", Name: name}, Location: finding.Location{Path: "go.mod"}}
}

func secret(hash string) finding.Sighting {
	return finding.Sighting{Tool: "gitleaks", Rule: "aws", Class: finding.ClassSecret, Secret: finding.Secret{Hash: hash}, Location: finding.Location{Path: "a.env", Line: 1}}
}

// What Merge makes has no fault; a lost, an invented and a doubled sighting is one.
func TestFaults(t *testing.T) {
	t.Parallel()
	in := []finding.Sighting{
		vulnerable("trivy-fs", "CVE-2022-1", "m.io/x"), vulnerable("osv-scanner", "CVE-2022-1", "m.io/x"), vulnerable("osv-scanner", "CVE-2022-1", "m.io/y"), secret("1"), secret("2"),
	}
	scanned := []alone{{name: "all", sightings: in}}
	merged := finding.Merge(in)
	if faults := faultsOf(merged, scanned); faults != nil {
		t.Errorf("no fault is there: %q", faults)
	}
	double := finding.Merge(in[:1])[0]
	double.ID = "another"
	inSum := double
	inSum.Sightings = []finding.Sighting{in[0]}
	inSum.Sightings[0].Location.Path = "go.sum"
	for name, c := range map[string]struct {
		findings []finding.Finding
		scanned  []alone
		want     string
	}{
		"a lost one":     {merged[:len(merged)-1], scanned, "is in 0 findings, want 1"},
		"an invented":    {merged, []alone{{sightings: in[1:]}}, "did not report it alone"},
		"in two":         {append(merged, double), scanned, "is in 2 findings, want 1"},
		"a double":       {append(merged, double), scanned, "CVE-2022-1 in m.io/x, go.mod is 2 findings"},
		"in go.sum too":  {append(merged, inSum), scanned, "CVE-2022-1 in m.io/x, go.mod is 2 findings"},
		"a lost secret":  {finding.Merge(in[:4]), scanned, "is in 1 findings, want 2"},
		"nothing at all": {nil, scanned, "is in 0 findings"},
	} {
		if faults := faultsOf(c.findings, c.scanned); !strings.Contains(strings.Join(faults, "\n"), c.want) {
			t.Errorf("%s: %q, want %q", name, faults, c.want)
		}
	}
}

// Trivy has a report under each of its CVEs, or under its own name without one, and
// no withdrawn one.
func TestForTrivy(t *testing.T) {
	t.Parallel()
	got, err := forTrivy(map[string][]byte{
		"a": []byte(`{"id": "GO-1", "aliases": ["CVE-1", "GHSA-1"], "affected": [{"package": {"name": "m.io/x"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.2.0"}, {"introduced": "2.0.0"}]}]}]}`),
		"b": []byte(`{"id": "GO-2", "affected": [{"package": {"name": "m.io/x"}}]}`),
		"c": []byte(`{"id": "GO-3", "withdrawn": "2024-01-01T00:00:00Z", "affected": [{"package": {"name": "m.io/y"}}]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for name, ids := range got[goSource] {
		for id, raw := range ids {
			text[name+" "+id] = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(raw))
		}
	}
	want := map[string]string{
		"m.io/x CVE-1": `{"PatchedVersions":["1.2.0"],"VendorIDs":["GO-1","GHSA-1"],"VulnerableVersions":[">=0, <1.2.0",">=2.0.0"]}`,
		"m.io/x GO-2":  `{"PatchedVersions":null,"VendorIDs":[],"VulnerableVersions":null}`,
	}
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The table says what ran, what did not, and who saw what.
func TestMarkdown(t *testing.T) {
	t.Parallel()
	in := []finding.Sighting{vulnerable("trivy-fs", "CVE-2022-1", "m.io/x"), vulnerable("osv-scanner", "CVE-2022-1", "m.io/x"), vulnerable("osv-scanner", "CVE-2022-2", "m.io/x")}
	r := repository{
		name: "m.io/z@v1", files: 7, status: 1,
		gate: verdict.Result{Verdict: verdict.Inconclusive, Findings: finding.Merge(in), Took: 3 * time.Second, Tools: []verdict.Tool{
			{Name: "osv-scanner", Health: verdict.Healthy}, {Name: "snyk", Health: verdict.Missing, Why: "SNYK_TOKEN is not set"},
			{Name: "tls", Health: verdict.LeftOut, Why: "it is not part of level standard"}, {Name: "trivy-fs", Health: verdict.Healthy},
		}, Needs: []verdict.Answered{{Need: verdict.Need{What: "Dockerfiles"}, Why: "hadolint is missing"}}},
		scanned: []alone{{name: "osv-scanner", version: "2", sightings: in[1:], statuses: []int{1}}, {name: "trivy-fs", sightings: in[:1], statuses: []int{0, 0}}},
	}
	text := markdown([]repository{r})
	for _, want := range []string{
		"### m.io/z@v1", "| osv-scanner 2 | 1 | 2 | 0.0 s | healthy | 2 | 1 |", "| trivy-fs | 0 | 1 | 0.0 s | healthy | 1 | 0 |",
		"| snyk | | | | missing: SNYK_TOKEN is not set | | |", "| **the gate** | **1** | **3** | **3.0 s** | **inconclusive** | **2** | |", "Not seen: Dockerfiles. hadolint is missing",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "tls") {
		t.Errorf("a scanner of another level is in\n%s", text)
	}
}
