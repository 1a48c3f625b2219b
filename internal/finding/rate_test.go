package finding

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSeverityPrecedence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   Sighting
		want Severity
		why  string
	}{
		{"a live secret", Sighting{Class: ClassSecret, Secret: Secret{Live: LiveVerified}, Rating: Rating{Word: "low"}}, Critical, "verified as live"},
		{"a refused secret", Sighting{Class: ClassSecret, Secret: Secret{Live: LiveUnverified}}, High, "default of a secret"},
		{"a secret whose check failed", Sighting{Class: ClassSecret, Secret: Secret{Live: LiveError}}, High, "default of a secret"},
		{"live says nothing of code", Sighting{Class: ClassCode, Secret: Secret{Live: LiveVerified}, Rating: Rating{Word: "LOW"}}, Low, "word"},
		{"gitleaks has no level", Sighting{Class: ClassSecret}, High, "default of a secret"},
		{"Trivy HIGH with 9.8", Sighting{Class: ClassDependency, Rating: Rating{Word: "HIGH", Score: 9.8, Level: "error"}}, High, `word "HIGH"`},
		{"Trivy HIGH with 5.9", Sighting{Class: ClassDependency, Rating: Rating{Word: "HIGH", Score: 5.9, Level: "error"}}, High, `word "HIGH"`},
		{"Trivy UNKNOWN with a score", Sighting{Class: ClassDependency, Rating: Rating{Word: "UNKNOWN", Score: 9.8, Level: "note"}}, Critical, "score 9.8"},
		{"Trivy UNKNOWN", Sighting{Class: ClassDependency, Rating: Rating{Word: "UNKNOWN"}}, Medium, "default of class dependency"},
		{"npm moderate", Sighting{Class: ClassDependency, Rating: Rating{Word: "moderate"}}, Medium, "word"},
		{"Semgrep ERROR", Sighting{Class: ClassCode, Rating: Rating{Word: "ERROR"}}, High, `level "ERROR"`},
		{"Semgrep ERROR with a score", Sighting{Class: ClassCode, Rating: Rating{Word: "ERROR", Score: 5}}, Medium, "score 5.0"},
		{"Semgrep CRITICAL", Sighting{Class: ClassCode, Rating: Rating{Word: "CRITICAL"}}, Critical, "word"},
		{"ESLint 1", Sighting{Class: ClassCode, Rating: Rating{Level: "warning"}}, Medium, `level "warning"`},
		{"ESLint 2", Sighting{Class: ClassCode, Rating: Rating{Level: "error"}}, High, `level "error"`},
		{"a SARIF note", Sighting{Class: ClassCode, Rating: Rating{Level: "note"}}, Low, "level"},
		{"SARIF none", Sighting{Class: ClassCode, Rating: Rating{Level: "none"}}, Info, "level"},
		{"CodeQL's score before its level", Sighting{Class: ClassCode, Rating: Rating{Level: "warning", Score: 7.8}}, High, "score 7.8"},
		{"the level before the other word", Sighting{Class: ClassCode, Rating: Rating{Level: "note", Word: "error"}}, Low, "level"},
		{"govulncheck, called", Sighting{Class: ClassDependency, Reach: ReachCalled}, High, "called"},
		{"govulncheck, imported", Sighting{Class: ClassDependency, Reach: ReachImported}, Medium, "default"},
		{"9.0", Sighting{Rating: Rating{Score: 9}}, Critical, ""},
		{"8.9", Sighting{Rating: Rating{Score: 8.9}}, High, ""},
		{"7.0", Sighting{Rating: Rating{Score: 7}}, High, ""},
		{"6.9", Sighting{Rating: Rating{Score: 6.9}}, Medium, ""},
		{"4.0", Sighting{Rating: Rating{Score: 4}}, Medium, ""},
		{"3.9", Sighting{Rating: Rating{Score: 3.9}}, Low, ""},
		{"0.1", Sighting{Rating: Rating{Score: .1}}, Low, ""},
		{"11 is no score", Sighting{Class: ClassCode, Rating: Rating{Score: 11, Level: "note"}}, Low, "level"},
		{"NaN is no score", Sighting{Class: ClassCode, Rating: Rating{Score: math.NaN(), Level: "note"}}, Low, "level"},
		{"-1 is no score", Sighting{Class: ClassCode, Rating: Rating{Score: -1, Level: "error"}}, High, "level"},
	} {
		got, why := Rate(c.in)
		if got != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%s: Rate is %v because %s, want %v because %s", c.name, got, why, c.want, c.why)
		}
	}
}

// A finding is as bad as its worst sighting, and a default is no sighting's word.
func TestWorst(t *testing.T) {
	t.Parallel()
	low := Sighting{Tool: "osv-scanner", Rule: "GHSA-a", Class: ClassDependency, Rating: Rating{Word: "LOW"}}
	high := Sighting{Tool: "trivy-fs", Rule: "CVE-1", Class: ClassDependency, Rating: Rating{Word: "HIGH"}}
	silent := Sighting{Tool: "govulncheck", Rule: "GO-1", Class: ClassDependency, Reach: ReachCalled}
	for _, c := range []struct {
		name string
		in   []Sighting
		want Severity
		why  string
	}{
		{"two", []Sighting{low, high}, High, `trivy-fs CVE-1: the tool's word "HIGH"; the worst rating of 2 tools`},
		{"a default beside a word", []Sighting{silent, low}, Low, `osv-scanner GHSA-a: the tool's word "LOW"`},
		{"one", []Sighting{silent}, High, "govulncheck GO-1: the default of a vulnerability that is called"},
		{"none", nil, Info, ""},
	} {
		if got := worst(c.in); got.severity != c.want || got.why != c.why {
			t.Errorf("%s: %+v; want %v, %q", c.name, got, c.want, c.why)
		}
	}
}

// What no tool rates in one manifest is as bad as in another, and no less than what
// a tool says there.
func TestRatingOfAnotherPlace(t *testing.T) {
	t.Parallel()
	in := func(path, word string) Sighting {
		s := vulnerable("osv-scanner", path, "Go", "m.io/x", "GO-1", "CVE-1")
		s.Rating = Rating{Word: word}
		return s
	}
	other := vulnerable("osv-scanner", "c/go.mod", "Go", "m.io/x", "GO-2")
	other.Rating = Rating{}
	got := map[string]string{}
	for _, f := range Merge([]Sighting{in("a/go.mod", ""), in("b/go.mod", "low"), in("d/go.mod", "high"), other}) {
		got[f.Sightings[0].Location.Path] = f.Severity.String() + ", " + f.Why
	}
	want := map[string]string{
		"a/go.mod": `high, at another place: osv-scanner GO-1: the tool's word "high"`,
		"b/go.mod": `low, osv-scanner GO-1: the tool's word "low"`,
		"c/go.mod": "medium, osv-scanner GO-2: the default of class dependency",
		"d/go.mod": `high, osv-scanner GO-1: the tool's word "high"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
