package baseline

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
)

var (
	monday  = time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC)
	tuesday = monday.Add(24 * time.Hour)
)

const commitA = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d"

// all is a scan of all tools of these tests.
func all(at time.Time, without ...string) Scan {
	s := Scan{Level: verdict.Standard, Commit: commitA, At: at, Whole: true, Images: []string{"ghcr.io/acme/web:1.4.1"}, Hosts: []string{"example.org:443"},
		Tools: []string{"gitleaks", "osv-scanner", "semgrep", "tls", "trivy-fs", "trivy-image"}}
	s.Tools = slices.DeleteFunc(s.Tools, func(tool string) bool { return slices.Contains(without, tool) })
	return s
}

func dependency(tool string, ids ...string) finding.Sighting {
	return finding.Sighting{Tool: tool, Rule: ids[0], Class: finding.ClassDependency, IDs: ids, Title: "a hole", Rating: finding.Rating{Word: "high"}, Known: monday.Add(-time.Hour),
		Location: finding.Location{Path: "package-lock.json"}, Package: finding.Package{Ecosystem: "npm", Name: "lodash", Version: "4.17.20"}}
}

func secret(path, hash, commit string) finding.Sighting {
	return finding.Sighting{Tool: "gitleaks", Rule: "generic", Class: finding.ClassSecret, Title: "a key", Secret: finding.Secret{Hash: hash},
		Location: finding.Location{Path: path, Line: 1, Context: "key = ", Commit: commit}}
}

func code(line int, context string) finding.Sighting {
	return finding.Sighting{Tool: "semgrep", Rule: "xss", Class: finding.ClassCode, Title: "XSS", CWE: []string{"CWE-79"}, Location: finding.Location{Path: "a.js", Line: line, Context: context}}
}

func image(tag string) finding.Sighting {
	s := dependency("trivy-image", "CVE-2021-9")
	s.Class, s.Location = finding.ClassImage, finding.Location{Image: "ghcr.io/acme/web:" + tag}
	return s
}

func host() finding.Sighting {
	return finding.Sighting{Tool: "tls", Rule: "expired", Class: finding.ClassNetwork, Title: "expired", Location: finding.Location{Host: "example.org:443"}}
}

// saved returns a baseline as it comes back from its file.
func saved(t *testing.T, b Baseline) Baseline {
	t.Helper()
	var file bytes.Buffer
	if err := Write(&file, b); err != nil {
		t.Fatal(err)
	}
	back, err := Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// states shows what a comparison says of each finding, by its title and place.
func states(c Comparison) []string {
	var each []string
	for _, f := range slices.Concat(c.Findings, c.Fixed) {
		each = append(each, fmt.Sprintf("%s %s %s", f.State, f.Title, f.Sightings[0].Location.Lasting()))
	}
	for _, e := range c.Unknown {
		each = append(each, fmt.Sprintf("unknown %s %s", e.Title, e.Place))
	}
	slices.Sort(each)
	return each
}

func TestCompare(t *testing.T) {
	t.Parallel()
	everything := []finding.Sighting{dependency("osv-scanner", "GHSA-1", "CVE-2021-1"), dependency("trivy-fs", "CVE-2021-1"), secret("f", "h", "c1"), code(3, "eval(x)"), image("1.4.0"), host()}
	base := saved(t, Of(finding.Merge(everything), all(monday)))
	other := all(tuesday)
	other.Images, other.Hosts = nil, []string{"example.com"}
	part, quick := all(tuesday), all(tuesday)
	part.Whole, quick.Level = false, verdict.Quick
	const there = "a hole package-lock.json"
	for _, c := range []struct {
		name  string
		found []finding.Sighting
		scan  Scan
		want  []string
	}{
		{"the same", everything, all(tuesday), []string{"existing XSS a.js", "existing a hole image:ghcr.io/acme/web", "existing " + there, "existing a key f", "existing expired host:example.org"}},
		{"nothing", nil, all(tuesday), []string{"fixed XSS a.js", "fixed a hole image:ghcr.io/acme/web", "fixed " + there, "fixed a key f", "fixed expired host:example.org"}},
		{"moved, another tag, one tool less", []finding.Sighting{dependency("trivy-fs", "CVE-2021-1"), secret("f", "h2", "c1"), code(90, " eval( x )"), image("1.5.0"), host()}, all(tuesday, "osv-scanner"),
			[]string{"existing XSS a.js", "existing a hole image:ghcr.io/acme/web", "existing " + there, "existing a key f", "existing expired host:example.org"}},
		{"a name that the others taught", []finding.Sighting{dependency("osv-scanner", "GHSA-1")}, all(tuesday, "gitleaks", "semgrep", "tls", "trivy-image"),
			[]string{"existing " + there, "unknown XSS a.js", "unknown a hole image:ghcr.io/acme/web", "unknown a key f", "unknown expired host:example.org"}},
		{"one of two tools crashed", nil, all(tuesday, "trivy-fs"), []string{"fixed XSS a.js", "fixed a hole image:ghcr.io/acme/web", "fixed a key f", "fixed expired host:example.org", "unknown " + there}},
		{"another image and host", nil, other, []string{"fixed XSS a.js", "fixed " + there, "fixed a key f", "unknown a hole image:ghcr.io/acme/web", "unknown expired host:example.org"}},
		{"a part of the history", nil, part, []string{"fixed XSS a.js", "fixed a hole image:ghcr.io/acme/web", "fixed " + there, "fixed expired host:example.org", "unknown a key f"}},
		{"a lower level", nil, quick, []string{"unknown XSS a.js", "unknown a hole image:ghcr.io/acme/web", "unknown " + there, "unknown a key f", "unknown expired host:example.org"}},
		{"new ones", []finding.Sighting{dependency("trivy-fs", "CVE-2021-2"), code(3, "eval(x)"), code(4, "eval(x)")}, all(tuesday, "gitleaks", "trivy-image", "tls", "osv-scanner"),
			[]string{"existing XSS a.js", "new XSS a.js", "new " + there, "unknown a hole image:ghcr.io/acme/web", "unknown " + there, "unknown a key f", "unknown expired host:example.org"}},
	} {
		got := Compare(finding.Merge(c.found), base, c.scan)
		if diff := cmp.Diff(c.want, states(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		for _, f := range got.Findings {
			if first, ok := got.First[f.ID]; ok != (f.State == finding.StateExisting) || ok && !first.Equal(monday) {
				t.Errorf("%s: %s is %s and was first seen %v", c.name, f.Title, f.State, first)
			}
		}
	}
}

// Without a baseline all is new.
func TestCompareWithNothing(t *testing.T) {
	t.Parallel()
	found := finding.Merge([]finding.Sighting{code(1, "a"), host()})
	found[0].State = finding.StateExisting // of an earlier comparison
	if diff := cmp.Diff([]string{"new XSS a.js", "new expired host:example.org"}, states(Compare(found, Baseline{}, all(monday)))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if found[0].State != finding.StateExisting {
		t.Error("Compare changed the findings that it was given")
	}
}

// A secret that replaces another one at the same place is new, though nothing of
// either is in the baseline.
func TestReplacedSecretIsNew(t *testing.T) {
	t.Parallel()
	scan := all(tuesday)
	scan.Whole = false
	old := finding.Merge([]finding.Sighting{secret("f", "old", ""), secret("f", "old", "c1")})
	here := Of(old, all(monday))
	for name, c := range map[string]struct {
		base  Baseline
		found []finding.Sighting
		want  finding.State
	}{
		"file, the same commit":         {saved(t, here), []finding.Sighting{secret("f", "any", ""), secret("f", "any", "c1")}, finding.StateExisting},
		"file, another commit":          {saved(t, here), []finding.Sighting{secret("f", "new", ""), secret("f", "new", "c2")}, finding.StateNew},
		"file, no commit":               {saved(t, here), []finding.Sighting{secret("f", "any", "")}, finding.StateExisting},
		"this run, moved in a commit":   {here, []finding.Sighting{secret("f", "old", ""), secret("f", "old", "c2")}, finding.StateExisting},
		"this run, another credential":  {here, []finding.Sighting{secret("f", "new", "")}, finding.StateNew},
		"this run, copied to elsewhere": {here, []finding.Sighting{secret("g", "old", "")}, finding.StateExisting},
	} {
		got := Compare(finding.Merge(c.found), c.base, scan)
		if got.Findings[0].State != c.want {
			t.Errorf("%s: the secret is %s, want %s", name, got.Findings[0].State, c.want)
		}
		if len(got.Fixed) > 0 {
			t.Errorf("%s: the old one counts as fixed", name)
		}
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	base := Of(finding.Merge([]finding.Sighting{dependency("trivy-fs", "CVE-2021-1"), secret("f", "h", "c1"), image("1")}), all(monday, "semgrep"))
	if got := Compare(nil, base, all(tuesday)).Notes; got != nil {
		t.Errorf("nothing is unknown, and the notes are %q", got)
	}
	scan := all(tuesday, "trivy-fs")
	scan.Level, scan.Whole, scan.Images = verdict.Deep, false, nil
	got := Compare(finding.Merge([]finding.Sighting{code(1, "a"), code(2, "b")}), base, scan)
	want := []string{
		"The baseline was made at level standard, this scan at level deep.",
		"2 new findings of semgrep may be older than this change: the baseline has no scan of it. Make a new baseline on the main branch.",
		"Not known to be fixed: 1 finding of the baseline, since image:ghcr.io/acme/web was not scanned, or not as deep.",
		"Not known to be fixed: 1 finding of the baseline, since only a part of the history was scanned.",
		"Not known to be fixed: 1 finding of the baseline, since trivy-fs gave no result that can be believed.",
	}
	if diff := cmp.Diff(want, got.Notes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Compared != "the baseline of commit 4f53cda, 2026-11-02" {
		t.Errorf("compared with %q", got.Compared)
	}
}

// A finding keeps the time at which it was first seen, through a night in which its
// tool crashed, and one in which another tool alone saw it.
func TestUpdate(t *testing.T) {
	t.Parallel()
	both := []finding.Sighting{dependency("osv-scanner", "GHSA-1"), dependency("trivy-fs", "CVE-2021-1")}
	linked := []finding.Sighting{both[0], dependency("trivy-fs", "CVE-2021-1", "GHSA-1")}
	nights := []struct {
		found   []finding.Sighting
		without []string
	}{
		{linked, nil},
		{nil, []string{"osv-scanner", "trivy-fs"}},
		{both[:1], []string{"trivy-fs"}},
		{both[1:2], []string{"osv-scanner"}},
		{both[:1], []string{"trivy-fs"}},
		{append([]finding.Sighting{code(1, "new")}, linked...), nil},
	}
	var base Baseline
	for i, night := range nights {
		at := monday.Add(time.Duration(i) * 24 * time.Hour)
		base = saved(t, Update(base, finding.Merge(night.found), all(at, night.without...)))
		for _, e := range base.Entries {
			if e.Class == finding.ClassDependency && !e.FirstSeen.Equal(monday) || e.Class == finding.ClassCode && !e.FirstSeen.Equal(at) {
				t.Errorf("night %d: %s was first seen %v", i, e.Title, e.FirstSeen)
			}
		}
		if n := len(base.Entries); n != 1 && i < 5 || i == 5 && n != 2 {
			t.Errorf("night %d: %d entries: %+v", i, n, base.Entries)
		}
	}
	base = Update(base, nil, all(tuesday))
	if len(base.Entries) != 0 {
		t.Errorf("what is fixed stays: %+v", base.Entries)
	}
}

// A quick scan does not make a baseline of a deep one shallower.
func TestUpdateKeepsLevelAndTools(t *testing.T) {
	t.Parallel()
	deep, quick := all(monday), Scan{Level: verdict.Quick, At: tuesday, Tools: []string{"gitleaks", "patterns"}}
	deep.Level = verdict.Deep
	got := Update(Of(finding.Merge([]finding.Sighting{code(1, "a")}), deep), nil, quick)
	if got.Level != verdict.Deep || len(got.Entries) != 1 || !slices.Contains(got.Tools, "semgrep") || !slices.Contains(got.Tools, "patterns") {
		t.Errorf("got %+v", got)
	}
}

// What goes into the file and comes out is the same, in the same bytes, and has
// nothing of a secret, its line or its message.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	s := secret("f", "0123456789abcdef", "c1")
	s.Title, s.Message, s.Location.Context, s.Rule = "", "found hunter2 here", "password = ", "generic"
	b := Of(finding.Merge([]finding.Sighting{s, dependency("trivy-fs", "CVE-2021-1"), image("1"), host(), code(1, "a\nb")}), all(monday))
	var first, second bytes.Buffer
	if err := Write(&first, b); err != nil {
		t.Fatal(err)
	}
	for _, planted := range []string{"hunter2", "0123456789abcdef", "password"} {
		if strings.Contains(first.String(), planted) {
			t.Errorf("the file has %q:\n%s", planted, first.String())
		}
	}
	back := saved(t, b)
	if diff := cmp.Diff(b, back, cmpopts.IgnoreUnexported(Baseline{})); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	if err := Write(&second, back); err != nil || second.String() != first.String() {
		t.Errorf("written again it is %v\n%s", err, second.String())
	}
}

const minimal = `{"schema":1,"level":"quick","at":"2026-11-02T00:00:00Z","tools":["gitleaks"],"findings":[
 {"fingerprints":["3a912be67785937d1d4fb35e"],"tools":["gitleaks"],"class":"secret","severity":"high","title":"t","first_seen":"2026-11-02T00:00:00Z"}]}`

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	if _, err := Read(strings.NewReader(minimal)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"nothing":              {minimal, "", "it is empty"},
		"no object":            {minimal, "[]", "cannot unmarshal"},
		"half of it":           {`"title":"t","first_seen"`, "", "no JSON"},
		"two of them":          {minimal, minimal + minimal, "more than one"},
		"another version":      {`"schema":1`, `"schema":2`, "schema is 2, want 1"},
		"no version":           {`"schema":1,`, ``, "schema is 0"},
		"an unknown key":       {`"title":"t"`, `"title":"t","secret":"x"`, "unknown field"},
		"a key twice":          {`"title":"t"`, `"title":"t","Title":"x"`, "twice"},
		"a level":              {`"quick"`, `"slow"`, "level"},
		"a commit":             {`"at":`, `"commit":"abc","at":`, "full name"},
		"no time":              {`"at":"2026-11-02T00:00:00Z"`, `"at":"0001-01-01T00:00:00Z"`, "no time"},
		"no findings":          {`"findings":[`, `"findings":null,"x":[`, "unknown field"},
		"findings are null":    {minimal, `{"schema":1,"level":"quick","at":"2026-11-02T00:00:00Z","tools":[],"findings":null}`, "no list"},
		"a tool's name":        {`"tools":["gitleaks"],"findings"`, `"tools":["Git leaks"],"findings"`, "name of a tool"},
		"tools out of order":   {`"tools":["gitleaks"],"findings"`, `"tools":["b","a"],"findings"`, "not in order"},
		"no fingerprint":       {`["3a912be67785937d1d4fb35e"]`, `[]`, "finding 1: it has no fingerprint"},
		"a short fingerprint":  {`["3a912be67785937d1d4fb35e"]`, `["3a912be67785937d1d4fb35"]`, "is not a fingerprint"},
		"twice":                {`["3a912be67785937d1d4fb35e"]`, `["3a912be67785937d1d4fb35e"],"commits":["3a912be67785937d1d4fb35e"]`, "there twice"},
		"a class":              {`"secret"`, `"secrets"`, "class"},
		"a severity":           {`"high"`, `"error"`, "severity"},
		"a title of two lines": {`"title":"t"`, `"title":"t\nu"`, "one line"},
		"no tool of a finding": {`"tools":["gitleaks"],"class"`, `"tools":[],"class"`, "no tool"},
		"never seen":           {`"first_seen":"2026-11-02T00:00:00Z"`, `"first_seen":"0001-01-01T00:00:00Z"`, "first seen"},
		"no time of day":       {`"first_seen":"2026-11-02T00:00:00Z"`, `"first_seen":"yesterday"`, "parsing time"},
	} {
		text := strings.Replace(minimal, c.old, c.new, 1)
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q, of\n%s", name, err, c.want, text)
		}
	}
	if _, err := Read(io.LimitReader(spaces{}, maxSize+10)); err == nil || !strings.Contains(err.Error(), "larger than 100 MiB") {
		t.Errorf("a huge file: %v", err)
	}
}

// spaces are white space without an end.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// FuzzRead: what is read can be written, and read again as the same.
func FuzzRead(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte("{}"))
	f.Add([]byte(strings.Replace(minimal, `"title"`, `"published":"2026-11-02T00:00:00+02:00","place":"image:x","ids":["CVE-1"],"title"`, 1)))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		if diff := cmp.Diff(b, saved(t, b), cmpopts.IgnoreUnexported(Baseline{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
		Update(b, nil, Scan{Level: b.Level, At: monday})
	})
}
