package finding

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vulnerable returns a sighting of a vulnerability in a manifest.
func vulnerable(tool, path, system, name string, ids ...string) Sighting {
	return Sighting{Tool: tool, Rule: strings.Join(ids[:min(1, len(ids))], ""), Class: ClassDependency, IDs: ids, Location: Location{Path: path},
		Package: Package{Ecosystem: system, Name: name, Version: "1.0.0"}, Rating: Rating{Word: "high"}}
}

func inImage(tool, image, system, name string, ids ...string) Sighting {
	s := vulnerable(tool, "", system, name, ids...)
	s.Class, s.Location.Image = ClassImage, image
	return s
}

func secret(tool, rule, path string, line int, hash, commit string) Sighting {
	return Sighting{Tool: tool, Rule: rule, Class: ClassSecret, Secret: Secret{Hash: hash},
		Location: Location{Path: path, Line: line, Context: "token = ", Commit: commit}}
}

func inCode(tool, rule, path string, line int, cwe ...string) Sighting {
	return Sighting{Tool: tool, Rule: rule, Class: ClassCode, CWE: cwe, Location: Location{Path: path, Line: line, Context: fmt.Sprint("line of ", rule)}}
}

func inDocker(tool, rule string, line int) Sighting {
	return Sighting{Tool: tool, Rule: rule, Class: ClassConfig, CWE: []string{"CWE-250"}, Location: Location{Path: "Dockerfile", Line: line, Context: "USER root"}}
}

// groups shows which tools and rules each finding has.
func groups(findings []Finding) []string {
	var all []string
	for _, f := range findings {
		var each []string
		for _, s := range f.Sightings {
			each = append(each, s.Tool+" "+s.Rule)
		}
		slices.Sort(each)
		all = append(all, strings.Join(slices.Compact(each), ", "))
	}
	slices.Sort(all)
	return all
}

func TestMerge(t *testing.T) {
	t.Parallel()
	const lock = "package-lock.json"
	for _, c := range []struct {
		name string
		in   []Sighting
		want []string
	}{
		{"nothing", nil, nil},
		{"one CVE of two tools", []Sighting{vulnerable("a", lock, "npm", "x", "CVE-2021-1"), vulnerable("b", "./"+lock, "node-pkg", "x", "cve-2021-1")},
			[]string{"a CVE-2021-1, b cve-2021-1"}},
		{"one CVE in two lockfiles", []Sighting{vulnerable("a", lock, "npm", "x", "CVE-2021-1"), vulnerable("a", "web/"+lock, "npm", "x", "CVE-2021-1")},
			[]string{"a CVE-2021-1", "a CVE-2021-1"}},
		{"one CVE in two packages", []Sighting{vulnerable("a", lock, "npm", "x", "CVE-2021-1"), vulnerable("a", lock, "npm", "y", "CVE-2021-1")},
			[]string{"a CVE-2021-1", "a CVE-2021-1"}},
		{"two CVEs in one package", []Sighting{vulnerable("a", lock, "npm", "x", "CVE-2021-1"), vulnerable("a", lock, "npm", "x", "CVE-2021-2")},
			[]string{"a CVE-2021-1", "a CVE-2021-2"}},
		{"names of npm that differ in case", []Sighting{vulnerable("a", lock, "npm", "JSONStream", "CVE-2021-1"), vulnerable("a", lock, "npm", "jsonstream", "CVE-2021-1")},
			[]string{"a CVE-2021-1", "a CVE-2021-1"}},
		{"linked by a third", []Sighting{vulnerable("a", lock, "npm", "x", "GHSA-aaaa"), vulnerable("b", lock, "npm", "x", "CVE-2021-1"),
			vulnerable("c", "other.json", "npm", "y", "CVE-2021-1", "ghsa-AAAA")},
			[]string{"a GHSA-aaaa, b CVE-2021-1", "c CVE-2021-1"}},
		{"a chain", []Sighting{vulnerable("a", "go.mod", "Go", "m.io/x", "GO-2024-1", "CVE-1"), vulnerable("b", "go.mod", "golang", "m.io/x", "CVE-1", "GHSA-1"),
			vulnerable("c", "go.mod", "gobinary", "m.io/x", "GHSA-1", "SNYK-1"), vulnerable("d", "go.mod", "go", "m.io/x", "SNYK-1")},
			[]string{"a GO-2024-1, b CVE-1, c GHSA-1, d SNYK-1"}},
		{"PyPI", []Sighting{vulnerable("a", "r.txt", "PyPI", "Ruamel.yaml_X", "PYSEC-1"), vulnerable("b", "r.txt", "pip", "ruamel-yaml-x", "PYSEC-1")},
			[]string{"a PYSEC-1, b PYSEC-1"}},
		{"Go's standard library", []Sighting{vulnerable("a", "go.mod", "Go", "stdlib", "GO-1"), vulnerable("b", "go.mod", "golang", "std/net/http", "GO-1"), vulnerable("c", "go.mod", "Go", "net/http", "GO-1"),
			vulnerable("d", "go.mod", "Go", "toolchain", "GO-1")}, []string{"a GO-1, b GO-1, c GO-1", "d GO-1"}},
		{"a distribution", []Sighting{inImage("a", "web:1", "Debian:12", "zlib1g", "CVE-2023-1"), inImage("b", "web:1", "debian", "zlib1g", "DEBIAN-CVE-2023-1"), inImage("b", "web:2", "debian", "zlib1g", "CVE-2023-1")},
			[]string{"a CVE-2023-1, b DEBIAN-CVE-2023-1", "b CVE-2023-1"}},
		{"a bulletin of two", []Sighting{inImage("a", "web:1", "Debian:12", "z", "DSA-1", "CVE-2023-1", "CVE-2023-2"), inImage("b", "web:1", "debian", "z", "CVE-2023-1", "DSA-1"), inImage("b", "web:1", "debian", "z", "CVE-2023-2", "DSA-1")},
			[]string{"a DSA-1, b CVE-2023-1", "a DSA-1, b CVE-2023-2"}},
		{"a bulletin of one", []Sighting{inImage("a", "web:1", "Debian:12", "z", "DSA-1"), inImage("b", "web:1", "debian", "z", "CVE-2023-1", "DSA-1")},
			[]string{"a DSA-1, b CVE-2023-1"}},
		{"a package is not said", []Sighting{vulnerable("sarif", lock, "", "", "CVE-1"), vulnerable("a", lock, "npm", "x", "CVE-1"), vulnerable("b", lock, "", "x", "CVE-1")},
			[]string{"a CVE-1, b CVE-1, sarif CVE-1"}},
		{"a package is not said, of two", []Sighting{vulnerable("sarif", lock, "", "", "CVE-1"), vulnerable("a", lock, "npm", "x", "CVE-1"), vulnerable("a", lock, "npm", "y", "CVE-1")},
			[]string{"a CVE-1", "a CVE-1", "sarif CVE-1"}},
		{"the rule is the identifier", []Sighting{{Tool: "a", Rule: "CVE-1", Class: ClassDependency, Package: Package{Name: "x", Ecosystem: "npm"}}, vulnerable("b", "", "npm", "x", "CVE-1")}, []string{"a CVE-1, b CVE-1"}},
		{"empty identifiers", []Sighting{vulnerable("a", lock, "npm", "x", ""), vulnerable("a", lock, "npm", "y", " ", ""), vulnerable("b", lock, "npm", "x", "")},
			[]string{"a ", "a  ", "b "}},

		{"a secret in many places", []Sighting{secret("a", "r", "f", 1, "h", ""), secret("a", "r", "f", 9, "h", "c1"), secret("b", "R", "g", 1, "h", "c2")}, []string{"a r, b R"}},
		{"two secrets on a line", []Sighting{secret("a", "r", "f", 1, "h1", ""), secret("a", "r", "f", 1, "h2", "")}, []string{"a r", "a r"}},
		{"without a hash", []Sighting{secret("a", "r", "f", 1, "", ""), secret("a", "r", "f", 1, "", ""), secret("a", "r", "f", 2, "", ""), secret("a", "s", "f", 1, "", ""), secret("a", "r", "f", 1, "h", "")},
			[]string{"a r", "a r", "a r", "a s"}},

		{"one weakness", []Sighting{inCode("semgrep", "x", "a.js", 3, "CWE-79: Improper Neutralization of 2 Things"), inCode("codeql", "js/xss", "a.js", 3, "external/cwe/cwe-079", "CWE-116")}, []string{"codeql js/xss, semgrep x"}},
		{"another line", []Sighting{inCode("semgrep", "x", "a.js", 3, "CWE-79"), inCode("codeql", "js/xss", "a.js", 4, "CWE-79")}, []string{"codeql js/xss", "semgrep x"}},
		{"a vague weakness", []Sighting{inCode("semgrep", "x", "a.js", 3, "CWE-693"), inCode("codeql", "y", "a.js", 3, "693")}, []string{"codeql y", "semgrep x"}},
		{"without a line", []Sighting{inCode("semgrep", "x", "a.js", 0, "CWE-79"), inCode("codeql", "y", "a.js", 0, "CWE-79")}, []string{"codeql y", "semgrep x"}},
		{"a rule twice on a line", []Sighting{inCode("semgrep", "x", "a.js", 3), {Tool: "semgrep", Rule: "x", Class: ClassCode, Location: Location{Path: "a.js", Line: 3, Column: 40}}}, []string{"semgrep x"}},
		{"one name, two tools", []Sighting{inCode("a", "eval", "a.js", 3), inCode("b", "eval", "a.js", 3)}, []string{"a eval", "b eval"}},
		{"without a place", []Sighting{{Tool: "sarif", Rule: "r", Class: ClassCode, Message: "one"}, {Tool: "sarif", Rule: "r", Class: ClassCode, Message: "two"}, {Tool: "sarif", Rule: "r", Class: ClassCode, Message: "two"}}, []string{"sarif r", "sarif r"}},

		{"the user root", []Sighting{inDocker("hadolint", "DL3002", 4), inDocker("trivy-config", "DS-0002", 4), inDocker("trivy-config", "DS002", 4), inDocker("sarif", "AVD-DS-0002", 4)},
			[]string{"hadolint DL3002, sarif AVD-DS-0002, trivy-config DS-0002, trivy-config DS002"}},
		{"no tag, and latest", []Sighting{inDocker("hadolint", "DL3006", 1), inDocker("trivy-config", "DS-0001", 1), inDocker("hadolint", "DL3007", 2), inDocker("trivy-config", "DS-0001", 2)},
			[]string{"hadolint DL3006, trivy-config DS-0001", "hadolint DL3007, trivy-config DS-0001"}},
		{"two rules of configuration with one CWE", []Sighting{inDocker("trivy-config", "DS-0002", 1), inDocker("trivy-config", "DS-0026", 1)}, []string{"trivy-config DS-0002", "trivy-config DS-0026"}},

		{"a host", []Sighting{{Tool: "tls", Rule: "expired", Class: ClassNetwork, Location: Location{Host: "A.example:443"}}, {Tool: "tls", Rule: "expired", Class: ClassNetwork, Location: Location{Host: "a.example"}},
			{Tool: "tls", Rule: "expired", Class: ClassNetwork, Location: Location{Host: "a.example:8443"}}}, []string{"tls expired", "tls expired"}},
	} {
		if diff := cmp.Diff(c.want, groups(Merge(c.in))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// mix returns many sightings that have much in common.
func mix(r *rand.Rand, n int) []Sighting {
	tools := []string{"trivy-fs", "osv-scanner", "snyk", "gitleaks", "trufflehog", "semgrep", "codeql", "eslint"}
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	all := make([]Sighting, n)
	for i := range all {
		tool, path := tools[r.IntN(len(tools))], fmt.Sprintf("dir/f%d", r.IntN(1+n/20))
		switch r.IntN(5) {
		case 0, 1:
			var ids []string
			number := r.IntN(1 + n/3)
			for range 1 + r.IntN(3) {
				ids = append(ids, fmt.Sprintf("%s-%d", pick("CVE-2021", "GHSA", "GO-2021", "DSA", "PYSEC"), number+r.IntN(50)/49))
			}
			all[i] = vulnerable(tool, pick("go.mod", "package-lock.json", ""), pick("npm", "Go", "golang", "node-pkg", "PyPI", ""), pick("x", "y", "Z_z", "z-z", ""), ids...)
			if r.IntN(3) == 0 {
				all[i].Class, all[i].Location = ClassImage, Location{Image: pick("web:1", "web:2", "api@sha256:00")}
			}
		case 2:
			all[i] = secret(tool, pick("generic", "aws", "github"), path, r.IntN(5), pick("", fmt.Sprint("h", r.IntN(1+n/10))), pick("", "", "c1", "c2"))
			all[i].Location.Context = pick("", "a=", "b = '***'")
		case 3:
			all[i] = inCode(tool, pick("xss", "sqli", "eval"), path, r.IntN(6), pick("CWE-79", "CWE-89", "20", "CWE-693"))
			all[i].Location.Context = pick("", "eval(x)", "y()")
		default:
			all[i] = inDocker(pick("hadolint", "trivy-config"), pick("DL3002", "DS-0002", "DL3007", "DS001", "DL3059"), r.IntN(9))
		}
		all[i].Rating = Rating{Word: pick("", "high", "LOW"), Score: float64(r.IntN(11)), Level: pick("", "error", "note")}
		all[i].Title, all[i].Message = pick("", "a title"), pick("a message\nof two lines", "")
	}
	return all
}

// The result is the same for any order of the sightings, and for sightings that are
// there twice; the input is left alone; no sighting is lost.
func TestMergeIsDeterministic(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		in := mix(r, 1+int(seed)*4)
		before := slices.Clone(in)
		want := Merge(in)
		if diff := cmp.Diff(before, in); diff != "" {
			t.Fatalf("seed %d: Merge changed its input:\n%s", seed, diff)
		}
		again := append(slices.Clone(in), in[r.IntN(len(in))])
		r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		if diff := cmp.Diff(want, Merge(again)); diff != "" {
			t.Fatalf("seed %d: another order (-want +got):\n%s", seed, diff)
		}
		checkFindings(t, in, want)
	}
}

// checkFindings checks what holds for all findings.
func checkFindings(t *testing.T, in []Sighting, findings []Finding) {
	t.Helper()
	for i := range in {
		if !slices.ContainsFunc(findings, func(f Finding) bool {
			return slices.ContainsFunc(f.Sightings, func(s Sighting) bool { return compare(&s, &in[i]) == 0 })
		}) {
			t.Fatalf("a sighting is lost: %+v", in[i])
		}
	}
	seen := map[string]bool{}
	for i, f := range findings {
		if i > 0 && f.Severity > findings[i-1].Severity {
			t.Errorf("%v after %v", f.Severity, findings[i-1].Severity)
		}
		if f.ID != f.Fingerprints[0] || f.Title == "" || f.Why == "" || f.EPSS != -1 || f.State != StateNew {
			t.Errorf("the finding is not whole: %+v", f)
		}
		for _, p := range slices.Concat(f.Fingerprints, f.Commits) {
			if len(p) != digits || seen[p] {
				t.Errorf("fingerprint %q is of two findings, or too short", p)
			}
			seen[p] = true
		}
	}
}

// One hostile sighting does not make Merge slow, nor its findings huge.
func TestMergeOfHostileInput(t *testing.T) {
	t.Parallel()
	many := make([]string, 10_000)
	for i := range many {
		many[i] = fmt.Sprintf("CVE-2020-%d", i)
	}
	in := []Sighting{vulnerable("a", "x", "npm", "p", many...), {}, {Class: "unheard of"}, {Class: ClassDependency}, {Class: ClassSecret}, {Class: ClassNetwork},
		vulnerable("a", "x", "npm", "p", strings.Repeat("CVE-", 1000)), inCode("a", "\x00\xff", "../../etc", -5, "CWE-", "CWE-99999999", ""),
		{Class: ClassCode, Location: Location{Path: "x", Line: math.MinInt, Column: math.MaxInt}}, {Class: ClassCode, Location: Location{Path: "x", Line: math.MaxInt, Column: math.MinInt}},
		{Class: ClassCode, Location: Location{Path: "min.js", Line: 1, Context: strings.Repeat("\xff x", 1<<20)}}}
	for i, id := range many { // a chain through all of them
		in = append(in, vulnerable("b", "y", "npm", "p", id, many[(i+1)%len(many)]))
	}
	findings := Merge(in)
	checkFindings(t, in[:11], findings)
	for _, f := range findings {
		if n := len(f.Fingerprints); n > 2*maxIDs && len(f.Sightings) == 1 {
			t.Errorf("%d fingerprints for one sighting", n)
		}
	}
}

// BenchmarkMerge has 100,000 sightings. It reports the memory of the whole process.
func BenchmarkMerge(b *testing.B) {
	in := mix(rand.New(rand.NewPCG(1, 1)), 100_000)
	b.ReportAllocs()
	for b.Loop() {
		Merge(in)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.Sys)/1e6, "MB-process")
}
