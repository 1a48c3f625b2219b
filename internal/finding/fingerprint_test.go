package finding

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// one returns the only finding of some sightings.
func one(t *testing.T, in ...Sighting) Finding {
	t.Helper()
	findings := Merge(in)
	if len(findings) != 1 {
		t.Fatalf("%d findings of %d sightings: %q", len(findings), len(in), groups(findings))
	}
	return findings[0]
}

// The fingerprints are written into baselines and waivers: a change here makes all
// of them worthless.
func TestFingerprintsStay(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]Sighting{
		"3a912be67785937d1d4fb35e": vulnerable("osv-scanner", "package-lock.json", "npm", "lodash", "GHSA-35jh-r3h4-6jhm", "CVE-2021-23337"),
		"1474dd36cb9ecf24a01af668": inImage("trivy-image", "ghcr.io/acme/web:1.4.0@sha256:4f53cda1", "debian", "zlib1g", "CVE-2023-45853"),
		"91f1edc871d8f3e610843e5d": secret("gitleaks", "aws-access-token", "config/prod.env", 3, "h", ""),
		"cfa2fdfeae1bee3bef4705d2": inCode("semgrep", "javascript.express.xss", "src/app.js", 12, "CWE-79: Cross-site Scripting"),
		"f13ee05e371dad6e9afd491d": inDocker("hadolint", "DL3002", 7),
		"533c1725362fd3fc241c571e": {Tool: "tls", Rule: "certificate-expired", Class: ClassNetwork, Location: Location{Host: "example.org:443"}},
	} {
		if got := one(t, s).ID; got != want {
			t.Errorf("%s %s has the ID %s, want %s", s.Tool, s.Rule, got, want)
		}
	}
}

// What is not part of a problem does not change how it is known: its line, the
// version of the package, the tag of an image, white space in the line, the key of
// the run's hashes, severity and message.
func TestFingerprintsSurvive(t *testing.T) {
	t.Parallel()
	upgraded := vulnerable("a", "go.mod", "Go", "m.io/x", "GO-2024-1")
	upgraded.Package.Version, upgraded.Rating.Word, upgraded.Message = "v1.2.3", "critical", "another"
	moved := inCode("semgrep", "xss", "a.js", 90, "CWE-79")
	moved.Location.Context = "\tline  of xss "
	again := secret("gitleaks", "aws", "f.env", 9, "another run's hash", "")
	again.Location.Context = `token="***"`
	for name, c := range map[string][2]Sighting{
		"a version":      {vulnerable("a", "go.mod", "Go", "m.io/x", "GO-2024-1"), upgraded},
		"a spelling":     {vulnerable("a", "./r.txt", "PyPI", "Flask_X", "PYSEC-1"), vulnerable("a", "r.txt", "pip", "flask-x", "pysec-1")},
		"an image's tag": {inImage("a", "localhost:5000/web:1@sha256:00ff", "Debian:12", "z", "CVE-1"), inImage("a", "localhost:5000/web:2", "Debian:13", "z", "CVE-1")},
		"moved code":     {inCode("semgrep", "xss", "a.js", 3, "CWE-79"), moved},
		"a moved secret": {secret("gitleaks", "aws", "f.env", 1, "h", ""), again},
	} {
		before, after := one(t, c[0]), one(t, c[1])
		if !slices.Equal(before.Fingerprints, after.Fingerprints) {
			t.Errorf("%s: %v became %v", name, before.Fingerprints, after.Fingerprints)
		}
	}
}

// What is another problem has another fingerprint.
func TestFingerprintsDiffer(t *testing.T) {
	t.Parallel()
	all := []Sighting{
		vulnerable("a", "go.mod", "Go", "m.io/x", "GO-1"), vulnerable("a", "x/go.mod", "Go", "m.io/x", "GO-1"), vulnerable("a", "go.mod", "Go", "m.io/y", "GO-1"),
		vulnerable("a", "go.mod", "Go", "m.io/x", "GO-2"), vulnerable("a", "go.mod", "npm", "m.io/x", "GO-1"), inImage("a", "go.mod", "Go", "m.io/x", "GO-1"),
		secret("a", "r", "f", 1, "h1", ""), secret("a", "r", "g", 1, "h2", ""), inCode("a", "r", "f", 1), inCode("a", "r2", "f", 1), inCode("b", "r", "f", 1), inDocker("a", "r", 1),
		{Tool: "tls", Rule: "r", Class: ClassNetwork, Location: Location{Host: "a"}}, {Tool: "tls", Rule: "r", Class: ClassNetwork, Location: Location{Host: "b"}},
	}
	seen := map[string]string{}
	for _, f := range Merge(all) {
		for _, p := range f.Fingerprints {
			if other, ok := seen[p]; ok {
				t.Errorf("%q and %q share %s", other, groups([]Finding{f}), p)
			}
			seen[p] = groups([]Finding{f})[0]
		}
	}
}

// A finding keeps its ID when another tool, or another name of it, comes in: the
// pairs are what was there, and what is added.
func TestIDSurvivesATool(t *testing.T) {
	t.Parallel()
	for name, c := range map[string][2]Sighting{
		"a CVE and another name":      {vulnerable("npm-audit", "l", "npm", "x", "GHSA-1", "CVE-2021-1"), vulnerable("snyk", "l", "npm", "x", "SNYK-JS-1", "CVE-2021-1")},
		"a bulletin":                  {inImage("a", "i", "deb", "x", "CVE-2021-1"), inImage("b", "i", "deb", "x", "DSA-1", "CVE-2021-1")},
		"a package that is not said":  {vulnerable("a", "l", "npm", "x", "CVE-2021-1"), vulnerable("sarif", "l", "", "", "CVE-2021-1")},
		"a secret, and another rule":  {secret("gitleaks", "generic", "f", 1, "h", ""), secret("aaa", "AWS", "f", 1, "h", "")},
		"a secret, and its commits":   {secret("patterns", "generic", "f", 1, "h", ""), secret("gitleaks", "aws", "a/old", 4, "h", "c1")},
		"a weakness, and another one": {inCode("semgrep", "x", "f", 1, "CWE-79"), inCode("codeql", "y", "f", 1, "CWE-20", "CWE-79")},
		"two weaknesses":              {inCode("semgrep", "x", "f", 1, "CWE-79", "CWE-80"), inCode("codeql", "y", "f", 1, "CWE-79")},
		"a rule of two tools":         {inDocker("trivy-config", "DS002", 3), inDocker("hadolint", "DL3002", 3)},
	} {
		first, added := c[0], c[1]
		if added.Class == ClassCode {
			added.Location.Context = first.Location.Context
		}
		alone, both := one(t, first), one(t, first, added)
		if alone.ID != both.ID {
			t.Errorf("%s: the ID %s became %s", name, alone.ID, both.ID)
		}
	}
}

// Whatever is added or taken away, a finding is known by one of its fingerprints:
// those of a run with fewer tools are among those of the run with all, if no other
// finding has the same place and name.
func TestFingerprintsSurviveTools(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		in := mix(r, 60)
		for i := range in { // one place for each, so that no ordinals shift
			in[i].Location.Context = fmt.Sprint(in[i].Location.Context, in[i].Location.Line, in[i].Secret.Hash != "")
		}
		all := known(Merge(in))
		tool := in[r.IntN(len(in))].Tool
		rest := slices.DeleteFunc(slices.Clone(in), func(s Sighting) bool { return s.Tool == tool })
		for _, f := range Merge(rest) {
			if !slices.ContainsFunc(f.Fingerprints, func(p string) bool { return all[p] }) {
				t.Fatalf("seed %d: without %s, %+v has fingerprints that nobody knows", seed, tool, f)
			}
		}
	}
}

func known(findings []Finding) map[string]bool {
	all := map[string]bool{}
	for _, f := range findings {
		for _, p := range f.Fingerprints {
			all[p] = true
		}
	}
	return all
}

// Lines inserted above move all findings of a file; their fingerprints stay, those
// of equal lines too, in any order of the report.
func TestFingerprintsSurviveInsertedLines(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 3))
		in := mix(r, 80)
		moved := slices.Clone(in)
		for i := range moved {
			if moved[i].Location.Line > 0 {
				moved[i].Location.Line += 17
			}
		}
		r.Shuffle(len(moved), func(i, j int) { moved[i], moved[j] = moved[j], moved[i] })
		if diff := cmp.Diff(prints(Merge(in)), prints(Merge(moved))); diff != "" {
			t.Fatalf("seed %d (-before +after):\n%s", seed, diff)
		}
	}
}

func prints(findings []Finding) []string {
	var all []string
	for _, f := range findings {
		all = append(all, strings.Join(f.Fingerprints, " "))
	}
	slices.Sort(all)
	return all
}

// No bit of a fingerprint is of a secret: with all hashes changed, as in another
// run, they are the same.
func TestFingerprintsHoldNoSecret(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 4))
		in := mix(r, 80)
		other := slices.Clone(in)
		for i := range other {
			if h := &other[i].Secret.Hash; *h != "" {
				*h = fmt.Sprintf("%x", len(*h)) + strings.Map(func(c rune) rune { return 'z' - c%32 }, *h)
			}
		}
		if diff := cmp.Diff(prints(Merge(in)), prints(Merge(other))); diff != "" {
			t.Fatalf("seed %d (-before +after):\n%s", seed, diff)
		}
	}
}

// A secret that replaces another one looks the same but for its commit.
func TestCommitsTellSecretsApart(t *testing.T) {
	t.Parallel()
	old, replaced := one(t, secret("a", "r", "f", 1, "h1", "c1"), secret("a", "r", "f", 1, "h1", "")), one(t, secret("a", "r", "f", 1, "h2", "c2"))
	if old.ID != replaced.ID || len(old.Commits) != 1 || len(replaced.Commits) != 1 || old.Commits[0] == replaced.Commits[0] {
		t.Errorf("the old one has %s and commits %v, the new one %s and %v", old.ID, old.Commits, replaced.ID, replaced.Commits)
	}
	if f := one(t, secret("a", "r", "f", 1, "h", "")); f.Commits != nil {
		t.Errorf("a secret of no commit has %v", f.Commits)
	}
}
