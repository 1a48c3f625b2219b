package waiver

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/exit"
)

func date(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return t
}

const good = `version: 1
waivers:
  - id: CVE-2021-23337
    scope: [legacy/**, /package-lock.json]
    reason: template is never called with user input
    owner: "@web"
    kind: not-feasible
    created: 2026-01-10
    expires: 2026-03-31
  - fingerprint: 3f1c9ab2e4d5
    commits: [aaaabbbbcccc]
    reason: >
      a key of the sandbox,
      revoked on the first of January
    owner: platform@example.com
    expires: "2026-02-28"
  - {id: hadolint/DL3008, scope: Dockerfile.dev, reason: the development image is not shipped, owner: web, expires: 2026-03-01}
`

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := Parse("w.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	want := []Waiver{
		{Name: "w.yaml:3", ID: "CVE-2021-23337", Scope: []string{"legacy/**", "/package-lock.json"}, Reason: "template is never called with user input", Kind: NotFeasible, Owner: "@web", Created: date("2026-01-10"), Expires: date("2026-03-31")},
		{Name: "w.yaml:10", Fingerprint: "3f1c9ab2e4d5", Commits: []string{"aaaabbbbcccc"}, Reason: "a key of the sandbox, revoked on the first of January", Kind: RiskAccepted, Owner: "platform@example.com", Expires: date("2026-02-28")},
		{Name: "w.yaml:17", ID: "hadolint/DL3008", Scope: []string{"Dockerfile.dev"}, Reason: "the development image is not shipped", Kind: RiskAccepted, Owner: "web", Expires: date("2026-03-01")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if none, err := Parse("w.yaml", []byte("version: 1\nwaivers: []\n")); len(none) != 0 || err != nil {
		t.Errorf("a file without waivers: %v, %v", none, err)
	}
}

// entry is the file with one good waiver in which one line is replaced.
func entry(replace, with string) string {
	text := `version: 1
waivers:
  - id: CVE-2021-23337
    scope: legacy/**
    reason: template is never called with user input
    owner: web
    kind: not-feasible
    created: 2026-01-10
    expires: 2026-03-31
`
	changed := strings.Replace(text, replace, with, 1)
	if changed == text {
		panic("nothing replaced")
	}
	return changed
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"empty":              {"", "w.yaml:1: the file is empty"},
		"a comment":          {"# none\n", "w.yaml:1: the file is empty"},
		"no YAML":            {"version: 1\nwaivers: [\n", "w.yaml: yaml: line"},
		"a list":             {"- 1\n", "w.yaml:1: the file: want keys and values"},
		"no version":         {"waivers: []\n", "w.yaml:1: version is missing"},
		"version 2":          {"version: 2\nwaivers: []\n", `w.yaml:1: version "2": want 1`},
		"no waivers":         {"version: 1\n", "w.yaml:1: waivers is missing"},
		"waivers null":       {"version: 1\nwaivers:\n", "w.yaml:2: waivers: want a list"},
		"two documents":      {"version: 1\nwaivers: []\n---\nversion: 1\n", "want one document"},
		"broken second":      {"version: 1\nwaivers: []\n---\n}{\n", "want one document"},
		"unknown top key":    {"version: 1\nwaiver: []\nwaivers: []\n", `w.yaml:2: unknown key "waiver"`},
		"unknown key":        {entry("owner: web", "owner: web\n    until: 2030-01-01"), `w.yaml:7: unknown key "until"`},
		"key twice":          {entry("owner: web", "owner: web\n    owner: web"), "w.yaml:7: owner is set twice"},
		"text as entry":      {"version: 1\nwaivers:\n  - CVE-2021-1\n", "w.yaml:3: a waiver: want keys and values"},
		"no id":              {entry("id: CVE-2021-23337", "kind: risk-accepted"), "w.yaml:7: kind is set twice"},
		"neither":            {entry("- id: CVE-2021-23337\n   ", "-"), "w.yaml:3: what is waived is missing: want id or fingerprint"},
		"both":               {entry("owner: web", "owner: web\n    fingerprint: aaaabbbbcccc"), "w.yaml:7: both id and fingerprint are set"},
		"all ids":            {entry("CVE-2021-23337", `"*"`), `w.yaml:3: id "*": want an identifier`},
		"many ids":           {entry("CVE-2021-23337", "CVE-2021-*"), "w.yaml:3: id"},
		"short print":        {entry("id: CVE-2021-23337", "fingerprint: abc"), `w.yaml:3: fingerprint "abc"`},
		"print with scope":   {entry("id: CVE-2021-23337", "fingerprint: aaaabbbbcccc"), "w.yaml:4: a fingerprint is one finding and has no scope"},
		"no reason":          {entry("reason: template is never called with user input", "reason: ''"), `w.yaml:5: reason "": say in a sentence`},
		"trivial":            {entry("template is never called with user input", "False-positive!"), "w.yaml:5: reason"},
		"short":              {entry("template is never called with user input", "not used"), "w.yaml:5: reason"},
		"few letters":        {entry("template is never called with user input", "xxxxxxxxxxxxxxxxxxxxx"), "w.yaml:5: reason"},
		"no owner":           {entry("    owner: web\n", ""), `w.yaml:3: owner ""`},
		"null owner":         {entry("owner: web", "owner:"), "w.yaml:6: owner: want text"},
		"owners":             {entry("owner: web", "owner: [web]"), "w.yaml:6: owner: want text"},
		"kind":               {entry("not-feasible", "wontfix"), `w.yaml:7: kind "wontfix": want one of risk-accepted`},
		"no end":             {entry("    expires: 2026-03-31\n", ""), "w.yaml:3: expires is missing: every waiver ends"},
		"never":              {entry("2026-03-31", "never"), `w.yaml:9: expires "never": want a day such as 2026-06-30`},
		"no such day":        {entry("2026-03-31", "2026-02-30"), "w.yaml:9: expires"},
		"a time":             {entry("2026-03-31", "2026-03-31T10:00:00Z"), "w.yaml:9: expires"},
		"short year":         {entry("2026-03-31", "26-03-31"), "w.yaml:9: expires"},
		"American":           {entry("2026-03-31", "03/31/2026"), "w.yaml:9: expires"},
		"day zero":           {entry("2026-03-31", "0001-01-01"), "w.yaml:9: expires"},
		"before its start":   {entry("2026-03-31", "2026-01-09"), "w.yaml:9: expires 2026-01-09 is before created 2026-01-10"},
		"bad start":          {entry("2026-01-10", "soon"), `w.yaml:8: created "soon"`},
		"empty scope":        {entry("legacy/**", "[]"), "w.yaml:4: scope is empty"},
		"empty glob":         {entry("legacy/**", "['']"), "w.yaml:4: scope"},
		"root":               {entry("legacy/**", "/"), `w.yaml:4: scope "/"`},
		"negated":            {entry("legacy/**", "'!src/**'"), "w.yaml:4: scope"},
		"up":                 {entry("legacy/**", "legacy/../src"), "w.yaml:4: scope"},
		"bad glob":           {entry("legacy/**", "'a[b'"), "w.yaml:4: scope"},
		"image alone":        {entry("legacy/**", "'image:'"), "w.yaml:4: scope"},
		"package":            {entry("legacy/**", "pkg:npm/lodash"), "packages are for OpenVEX documents"},
		"commits of an id":   {entry("owner: web", "owner: web\n    commits: aaaabbbbcccc"), "w.yaml:7: commits narrow a fingerprint"},
		"short commits":      {entry("owner: web", "owner: web\n    commits: [aaaabbbbcccc, abc]"), `w.yaml:7: commits "abc": want a fingerprint`},
		"map as scope":       {entry("legacy/**", "{a: b}"), "w.yaml:4: scope: want a text"},
		"alias":              {entry("owner: web", "owner: &o web"), "w.yaml:6: owner: anchors and aliases are not read"},
		"null id":            {entry("CVE-2021-23337", ""), "w.yaml:3: id: want text"},
		"id with a space":    {entry("CVE-2021-23337", "CVE-2021-23337 CVE-2021-23338"), "w.yaml:3: id"},
		"control characters": {entry("owner: web", `owner: "web\u001b[31m"`), "w.yaml:6: owner"},
		"too long":           {entry("owner: web", "owner: "+strings.Repeat("x", 3000)), "w.yaml:6: owner has 3000 bytes"},
		"too big":            {strings.Repeat("#", maxFile+1), "want at most 1048576"},
		"same id twice": {good + `  - id: cve-2021-23337
    scope: [/package-lock.json, legacy/**]
    reason: template is never called with user input
    owner: web
    expires: 2026-03-31
`, "w.yaml:18: cve-2021-23337 in /package-lock.json, legacy/** is waived already by w.yaml:3"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waivers, err := Parse("w.yaml", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) || waivers != nil {
				t.Fatalf("%v, error\n%v\nwant\n%s", waivers, err, tt.want)
			}
			if status, _ := exit.Of(err); status != exit.BadInput {
				t.Errorf("the status of a bad file is %v", status)
			}
		})
	}
}

func TestParseSaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := Parse("w.yaml", []byte(`version: 1
owner: web
waivers:
  - id: CVE-1
    reason: no
    kind: none
    expires: soon
  - 7
`))
	want := `w.yaml:2: unknown key "owner": want one of version, waivers
w.yaml:7: expires "soon": want a day such as 2026-06-30
w.yaml:5: reason "no": say in a sentence why the finding may stay until the waiver expires
w.yaml:4: owner "": want who answers for the waiver, such as @team
w.yaml:6: kind "none": want one of risk-accepted, fix-deferred, not-for-release, not-feasible, tool-noise
w.yaml:8: a waiver: want keys and values: id, fingerprint, commits, scope, reason, owner, kind, created, expires`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(entry("legacy/**", "[a, 'b{', \"c\\\\\"]")))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		waivers, err := Parse("w.yaml", raw)
		if err != nil {
			if len(waivers) > 0 || err.Error() == "" {
				t.Fatalf("%v and %v", waivers, err)
			}
			return
		}
		for _, w := range waivers {
			if (w.ID == "") == (w.Fingerprint == "") || w.Owner == "" || w.Reason == "" || w.Expires.IsZero() || w.Kind == "" || !strings.HasPrefix(w.Name, "w.yaml:") {
				t.Fatalf("%+v is no waiver", w)
			}
		}
	})
}
