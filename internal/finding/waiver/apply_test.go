package waiver

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
)

var now = time.Date(2026, 2, 1, 9, 0, 0, 0, time.UTC)

// lodash is one vulnerability that two tools saw under two names.
func lodash() finding.Finding {
	return finding.Finding{ID: "aaaabbbbcccc", Fingerprints: []string{"aaaabbbbcccc", "ddddeeeeffff"}, Class: finding.ClassDependency, Severity: finding.High,
		Sightings: []finding.Sighting{
			{Tool: "npm-audit", Rule: "1106913", IDs: []string{"GHSA-35jh-r3h4-6jhm"}, Location: finding.Location{Path: "legacy/package-lock.json"}, Package: finding.Package{Ecosystem: "npm", Name: "lodash", Version: "4.17.20"}},
			{Tool: "osv-scanner", Rule: "CVE-2021-23337", IDs: []string{"CVE-2021-23337", "GHSA-35jh-r3h4-6jhm"}, Location: finding.Location{Path: "legacy/package-lock.json"}, Package: finding.Package{Ecosystem: "npm", Name: "lodash", Version: "4.17.20"}},
		}}
}

func secret(live finding.Liveness) finding.Finding {
	return finding.Finding{ID: "111122223333", Fingerprints: []string{"111122223333"}, Class: finding.ClassSecret, Severity: finding.Critical,
		Sightings: []finding.Sighting{
			{Tool: "gitleaks", Rule: "aws-access-token", Location: finding.Location{Path: "test/a.env", Commit: strings.Repeat("a", 40)}},
			{Tool: "trufflehog", Rule: "AWS", Location: finding.Location{Path: "test/a.env"}, Secret: finding.Secret{Live: live}},
		}}
}

func waiver(change func(*Waiver)) Waiver {
	w := Waiver{Name: "w.yaml:3", Reason: "nobody calls it here", Kind: RiskAccepted, Owner: "web", Created: date("2026-01-10"), Expires: date("2026-03-31")}
	change(&w)
	return w
}

func byID(id string, scope ...string) Waiver {
	return waiver(func(w *Waiver) { w.ID, w.Scope = id, scope })
}

func byPrint(print string) Waiver {
	return waiver(func(w *Waiver) { w.Fingerprint = print })
}

func committed(commits ...string) finding.Finding {
	f := secret("")
	f.Commits = commits
	return f
}

func byCommit(commits ...string) Waiver {
	return waiver(func(w *Waiver) { w.Fingerprint, w.Commits = "111122223333", commits })
}

// said is what notes say, a line each.
func said(w verdict.Waivers) string {
	var b strings.Builder
	for kind, notes := range map[string][]verdict.WaiverNote{"expired": w.Expired, "unused": w.Unused, "soon": w.Soon, "refused": w.Refused} {
		for _, n := range notes {
			fmt.Fprintln(&b, kind+":", n.Name, n.What, n.IDs, n.Why)
		}
	}
	return b.String()
}

func TestApply(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		finding finding.Finding
		waivers []Waiver
		policy  Policy
		by      string // "" if it is not waived
		said    string // a part of the notes, or all of "" for none
	}{
		"by the CVE":             {lodash(), []Waiver{byID("CVE-2021-23337")}, Policy{}, "w.yaml:3", ""},
		"by an alias":            {lodash(), []Waiver{byID("ghsa-35JH-r3h4-6jhm")}, Policy{}, "w.yaml:3", ""},
		"by another CVE":         {lodash(), []Waiver{byID("CVE-2021-2333")}, Policy{}, "", "unused: w.yaml:3 CVE-2021-2333 [] no finding of this scan matches it"},
		"unused, of a part":      {lodash(), []Waiver{byID("CVE-2021-2333")}, Policy{Part: true}, "", ""},
		"by the fingerprint":     {lodash(), []Waiver{byPrint("aaaabbbbcccc")}, Policy{}, "w.yaml:3", ""},
		"by another of its":      {lodash(), []Waiver{byPrint("ddddeeeeffff")}, Policy{}, "w.yaml:3", ""},
		"by a part of it":        {lodash(), []Waiver{byPrint("aaaabbbb")}, Policy{}, "", "unused"},
		"in scope":               {lodash(), []Waiver{byID("CVE-2021-23337", "legacy/**")}, Policy{}, "w.yaml:3", ""},
		"out of scope":           {lodash(), []Waiver{byID("CVE-2021-23337", "src/**")}, Policy{}, "", "unused"},
		"by its package":         {lodash(), []Waiver{byID("CVE-2021-23337", "pkg:npm/lodash@4.17.20")}, Policy{}, "w.yaml:3", ""},
		"by another version":     {lodash(), []Waiver{byID("CVE-2021-23337", "pkg:npm/lodash@4.17.19")}, Policy{}, "", "unused"},
		"by a tool's rule alone": {lodash(), []Waiver{byID("osv-scanner/CVE-2021-23337")}, Policy{}, "", "refused: w.yaml:3 osv-scanner/CVE-2021-23337 [aaaabbbbcccc] it does not cover each sighting of the finding, for example that of npm-audit (1106913) in legacy/package-lock.json."},
		"two rules": {secret(""), []Waiver{byID("gitleaks/aws-access-token", "test/"), waiver(func(w *Waiver) { w.Name, w.ID, w.Expires = "w.yaml:9", "trufflehog/AWS", date("2026-03-01") })}, Policy{},
			"w.yaml:3, w.yaml:9", ""},
		"two rules, one expired": {secret(""), []Waiver{byID("gitleaks/aws-access-token", "test/"), waiver(func(w *Waiver) { w.Name, w.ID, w.Expires = "w.yaml:9", "trufflehog/AWS", date("2026-01-31") })}, Policy{},
			"", "expired: w.yaml:9 trufflehog/AWS [111122223333] it expired on 2026-01-31"},
		"a learned alias":   {finding.Finding{ID: "x", IDs: []string{"CVE-2021-1"}, Sightings: []finding.Sighting{{IDs: []string{"GHSA-1"}}}}, []Waiver{byID("CVE-2021-1")}, Policy{}, "w.yaml:3", ""},
		"its commit":        {committed("c1c1c1c1", "c2c2c2c2"), []Waiver{byCommit("c2c2c2c2")}, Policy{}, "w.yaml:3", ""},
		"no commit seen":    {committed(), []Waiver{byCommit("c2c2c2c2")}, Policy{}, "w.yaml:3", ""},
		"replaced":          {committed("c3c3c3c3"), []Waiver{byCommit("c1c1c1c1", "c2c2c2c2")}, Policy{}, "", "unused"},
		"not live":          {secret(finding.LiveUnverified), []Waiver{byPrint("111122223333")}, Policy{}, "w.yaml:3", ""},
		"live":              {secret(finding.LiveVerified), []Waiver{byPrint("111122223333")}, Policy{}, "", "refused: w.yaml:3 111122223333 [111122223333] the credential was verified as live: revoke it."},
		"last day":          {lodash(), []Waiver{waiver(func(w *Waiver) { w.ID, w.Expires = "CVE-2021-23337", date("2026-02-01") })}, Policy{}, "w.yaml:3", "soon: w.yaml:3 CVE-2021-23337 [aaaabbbbcccc] it ends on 2026-02-01."},
		"the day after":     {lodash(), []Waiver{waiver(func(w *Waiver) { w.ID, w.Expires = "CVE-2021-23337", date("2026-01-31") })}, Policy{}, "", "expired: w.yaml:3 CVE-2021-23337 [aaaabbbbcccc] it expired on 2026-01-31: fix what it was for, or renew it."},
		"expired, unused":   {lodash(), []Waiver{waiver(func(w *Waiver) { w.ID, w.Expires = "CVE-1", date("2026-01-31") })}, Policy{Part: true}, "", "expired: w.yaml:3 CVE-1 [] it expired on 2026-01-31 and matches no finding of this scan: remove it."},
		"soon":              {lodash(), []Waiver{waiver(func(w *Waiver) { w.ID, w.Expires = "CVE-2021-23337", date("2026-02-14") })}, Policy{}, "w.yaml:3", "soon"},
		"not so soon":       {lodash(), []Waiver{waiver(func(w *Waiver) { w.ID, w.Expires = "CVE-2021-23337", date("2026-02-15") })}, Policy{}, "w.yaml:3", ""},
		"too old":           {lodash(), []Waiver{waiver(func(w *Waiver) { w.ID, w.Expires = "CVE-2021-23337", date("2026-04-11") })}, Policy{}, "", "refused: w.yaml:3 CVE-2021-23337 [aaaabbbbcccc] it ends on 2026-04-11, more than 90 days after its creation."},
		"as old as may be":  {lodash(), []Waiver{waiver(func(w *Waiver) { w.ID, w.Expires = "CVE-2021-23337", date("2026-04-10") })}, Policy{}, "w.yaml:3", ""},
		"older by policy":   {lodash(), []Waiver{waiver(func(w *Waiver) { w.ID, w.Expires = "CVE-2021-23337", date("2026-04-11") })}, Policy{MaxAge: 100 * day}, "w.yaml:3", ""},
		"no creation":       {lodash(), []Waiver{waiver(func(w *Waiver) { w.ID, w.Created, w.Expires = "CVE-2021-23337", time.Time{}, date("2026-05-03") })}, Policy{}, "", "more than 90 days after today, for it does not say"},
		"no creation, near": {lodash(), []Waiver{waiver(func(w *Waiver) { w.ID, w.Created, w.Expires = "CVE-2021-23337", time.Time{}, date("2026-05-02") })}, Policy{}, "w.yaml:3", ""},
		"of the future":     {lodash(), []Waiver{waiver(func(w *Waiver) { w.ID, w.Created = "CVE-2021-23337", date("2026-02-02") })}, Policy{}, "", "refused: w.yaml:3 CVE-2021-23337 [aaaabbbbcccc] it says that it was created on 2026-02-02, which is in the future."},
		"without an end":    {lodash(), []Waiver{{Name: "w.yaml:3", ID: "CVE-2021-23337"}}, Policy{}, "", "expired"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, notes := tt.policy.Apply([]finding.Finding{tt.finding}, tt.waivers, now)
			if all[0].Waived.By != tt.by {
				t.Errorf("waived by %q, want %q", all[0].Waived.By, tt.by)
			}
			if got := said(notes); tt.said == "" && got != "" || !strings.Contains(got, tt.said) {
				t.Errorf("notes\n%swant\n%s", got, tt.said)
			}
		})
	}
}

// Of several waivers, what is shown is the one that ends first: then the finding
// is open again.
func TestApplyShowsTheFirstEnd(t *testing.T) {
	t.Parallel()
	all, _ := Policy{}.Apply([]finding.Finding{secret("")}, []Waiver{
		byID("gitleaks/aws-access-token"),
		waiver(func(w *Waiver) {
			w.Name, w.ID, w.Expires, w.Owner, w.Kind = "w.yaml:9", "trufflehog/AWS", date("2026-03-01"), "platform", ToolNoise
		}),
	}, now)
	want := finding.Waived{By: "w.yaml:3, w.yaml:9", Reason: "nobody calls it here", Owner: "platform", Kind: ToolNoise, Expires: date("2026-03-01")}
	if diff := cmp.Diff(want, all[0].Waived); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSuppressionsOfTools(t *testing.T) {
	t.Parallel()
	both, one := secret(""), secret("")
	both.Sightings[0].Suppressed, both.Sightings[1].Suppressed = ".gitleaksignore", "in the allow list"
	one.Sightings[0].Suppressed = ".gitleaksignore"
	live := secret(finding.LiveVerified)
	live.Sightings[0].Suppressed, live.Sightings[1].Suppressed = "x", "y"
	tests := []struct {
		finding finding.Finding
		waivers []Waiver
		trust   bool
		by      string
	}{
		{both, nil, false, ""},
		{both, nil, true, "a suppression of gitleaks"},
		{one, nil, true, ""},
		{one, []Waiver{byID("trufflehog/AWS")}, true, "w.yaml:3"},
		{live, nil, true, ""},
	}
	for i, tt := range tests {
		all, _ := Policy{TrustTools: tt.trust}.Apply([]finding.Finding{tt.finding}, tt.waivers, now)
		if all[0].Waived.By != tt.by {
			t.Errorf("%d: waived by %q, want %q", i, all[0].Waived.By, tt.by)
		}
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	file := func(path string) finding.Location { return finding.Location{Path: path} }
	tests := []struct {
		glob string
		at   finding.Location
		want bool
	}{
		{"legacy/**", file("legacy/a/b.go"), true},
		{"legacy/**", file("src/legacy/b.go"), false},
		{"legacy/", file("legacy/b.go"), true},
		{"legacy/", file("src/legacy/b.go"), true},
		{"legacy/", file("legacy"), false},
		{"legacy", file("legacy"), true},
		{"legacy", file("src/legacy/b.go"), true},
		{"/legacy", file("src/legacy/b.go"), false},
		{"/legacy", file("legacy/b.go"), true},
		{"legacy", file("legacy2/b.go"), false},
		{"*.go", file("a/b/c.go"), true},
		{"/*.go", file("a/b/c.go"), false},
		{"a/*.go", file("a/b/c.go"), false},
		{"a/**/c.go", file("a/c.go"), true},
		{"**/test/*.env", file("test/a.env"), true},
		{"**/test/*.env", file("x/test/a.env"), true},
		{"a?c", file("abc"), true},
		{"a?c", file("a/c"), false},
		{"[ab].go", file("a.go"), true},
		{"{a,b}.go", file("a.go"), false},
		{"{a,b}.go", file("{a,b}.go"), true},
		{`\{a.go`, file("{a.go"), true},
		{`a\*.go`, file("a*.go"), true},
		{`a\*.go`, file("ab.go"), false},
		{"**", file("a"), true},
		{"**", finding.Location{Image: "app:1"}, false},
		{"**", finding.Location{Host: "example.com:443"}, false},
		{"**", finding.Location{}, false},
		{"usr/**", finding.Location{Image: "app:1", Path: "usr/lib/x"}, false},
		{"image:app:*", finding.Location{Image: "app:1", Path: "usr/lib/x"}, true},
		{"image:app:*", finding.Location{Image: "my/app:1"}, false},
		{"image:*", finding.Location{Image: "registry.example/my/app:1"}, false},
		{"image:**", finding.Location{Image: "registry.example/my/app:1"}, true},
		{"image:**", file("app"), false},
		{"host:*.example.com:443", finding.Location{Host: "www.example.com:443"}, true},
		{"host:*.example.com:443", finding.Location{Host: "www.example.org:443"}, false},
	}
	for _, tt := range tests {
		if err := checkGlob(tt.glob); err != nil {
			t.Errorf("%q is refused: %v", tt.glob, err)
		}
		if got := inScope([]string{tt.glob}, finding.Sighting{Location: tt.at}); got != tt.want {
			t.Errorf("%q matches %+v: %v, want %v", tt.glob, tt.at, got, tt.want)
		}
	}
}

func FuzzScope(f *testing.F) {
	f.Add("legacy/**/[a-z]*.go", "legacy/x/a.go")
	f.Add("image:**", "a")
	f.Add("\xb7", "\x80")
	f.Add("*a*a*a*a*a*a*a*a*b", strings.Repeat("a", 100))
	f.Add("{**/}/**/**/**/**/a", strings.Repeat("a/", 100))
	f.Fuzz(func(t *testing.T, glob, path string) {
		if len(glob) > 200 || len(path) > 1000 || checkGlob(glob) != nil {
			return
		}
		got := inScope([]string{glob}, finding.Sighting{Location: finding.Location{Path: path}})
		plain := !strings.ContainsAny(glob, `*?[]{}\/:`) && !strings.Contains(path, `\`)
		if plain && path != "" && filepath.ToSlash(filepath.Clean(path)) == path && got != slices.Contains(strings.Split(path, "/"), glob) {
			t.Fatalf("%q matches %q: %v", glob, path, got)
		}
	})
}

func TestPURL(t *testing.T) {
	t.Parallel()
	tests := map[finding.Package]string{
		{Ecosystem: "npm", Name: "lodash", Version: "4.17.20"}:                 "pkg:npm/lodash@4.17.20",
		{Ecosystem: "npm", Name: "@angular/core", Version: "1"}:                "pkg:npm/%40angular/core@1",
		{Ecosystem: "Go", Name: "github.com/gogo/protobuf", Version: "v1.3.1"}: "pkg:golang/github.com/gogo/protobuf@v1.3.1",
		{Ecosystem: "PyPI", Name: "Foo_Bar", Version: "1"}:                     "pkg:pypi/foo-bar@1",
		{Ecosystem: "Maven", Name: "org.apache:log4j", Version: "2"}:           "pkg:maven/org.apache/log4j@2",
		{Ecosystem: "Debian:12", Name: "openssl", Version: "3.0.11-1"}:         "pkg:deb/debian/openssl@3.0.11-1",
		{Ecosystem: "Packagist", Name: "symfony/http-kernel"}:                  "pkg:composer/symfony/http-kernel",
		{Ecosystem: "Unheard", Name: "x", Version: "1"}:                        "",
		{Ecosystem: "npm"}: "",
	}
	for p, want := range tests {
		if got := PURL(p); got != want {
			t.Errorf("PURL(%+v) = %q, want %q", p, got, want)
		}
		if want != "" && !samePackage(want, p) {
			t.Errorf("%q is not %+v", want, p)
		}
	}
	gogo := finding.Package{Ecosystem: "Go", Name: "github.com/gogo/protobuf", Version: "1.3.1"}
	for purl, want := range map[string]bool{
		"pkg:golang/github.com/gogo/protobuf": true, "pkg:golang/github.com/gogo/protobuf@v1.3.1": true,
		"pkg:golang/github.com/gogo/protobuf@v1.3.2": false, "pkg:golang/github.com/gogo/protobuf?os=linux": false,
		"pkg:golang/github.com/gogo/protobuf#proto": false, "pkg:golang/protobuf": false, "pkg:npm/github.com/gogo/protobuf": false, "gogo": false,
	} {
		if got := samePackage(purl, gogo); got != want {
			t.Errorf("%q is %+v: %v, want %v", purl, gogo, got, want)
		}
	}
}

// More waivers never open a finding, and the findings' order does not matter.
func TestApplyProperties(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 2))
		some := []Waiver{byID("CVE-2021-23337"), byID("GHSA-35jh-r3h4-6jhm", "legacy/"), byPrint("111122223333"), byID("gitleaks/aws-access-token"), byID("trufflehog/AWS", "src/")}
		for i := range some {
			some[i].Name = fmt.Sprint("w", i)
			some[i].Expires = now.Add(time.Duration(r.IntN(100)-10) * day).Truncate(day)
		}
		r.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		findings := []finding.Finding{lodash(), secret([]finding.Liveness{"", finding.LiveVerified}[r.IntN(2)])}
		n := r.IntN(len(some))
		fewer, _ := Policy{}.Apply(findings, some[:n], now)
		more, notes := Policy{}.Apply(findings, some, now)
		turned, turnedNotes := Policy{}.Apply([]finding.Finding{findings[1], findings[0]}, some, now)
		for i := range findings {
			if fewer[i].Waived.Holds() && !more[i].Waived.Holds() {
				t.Errorf("seed %d: a waiver more and %s is open", seed, findings[i].ID)
			}
			if more[i].Waived != turned[1-i].Waived {
				t.Errorf("seed %d: the order of findings changes %+v into %+v", seed, more[i].Waived, turned[1-i].Waived)
			}
			if findings[i].Waived.Holds() {
				t.Errorf("seed %d: the input is changed", seed)
			}
		}
		if len(said(notes)) != len(said(turnedNotes)) {
			t.Errorf("seed %d: the order of findings changes\n%sinto\n%s", seed, said(notes), said(turnedNotes))
		}
	}
}
