package openvex

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/finding/waiver"
)

var (
	now  = time.Date(2026, 2, 1, 9, 0, 0, 0, time.UTC)
	here = verdict.Place{Repository: "Candle/Shop", Commit: strings.Repeat("a", 40), Ref: "refs/tags/v1.2.0"}
)

// doc is a document with these statements.
func doc(statements ...string) File {
	return File{"shop.vex.json", []byte(`{
  "@context": "https://openvex.dev/ns/v0.2.0",
  "@id": "https://example.com/vex/1",
  "author": "security@example.com",
  "timestamp": "2026-01-10T10:00:00+02:00",
  "version": 1,
  "statements": [` + strings.Join(statements, ",") + `]}`)}
}

// says is a statement about CVE-2021-23337 in lodash of the repository.
func says(status, more string) string {
	return fmt.Sprintf(`{"vulnerability": {"name": "CVE-2021-23337", "aliases": ["GHSA-35jh-r3h4-6jhm"]},
    "products": [{"@id": "pkg:github/candle/shop", "subcomponents": [{"@id": "pkg:npm/lodash@4.17.20"}]}],
    "status": %q%s}`, status, more)
}

const because = `, "justification": "vulnerable_code_not_in_execute_path", "impact_statement": "template is not called"`

func lodash(version string) finding.Finding {
	return finding.Finding{ID: "aaaabbbbcccc", Class: finding.ClassDependency, Severity: finding.High, IDs: []string{"CVE-2021-23337", "GHSA-35jh-r3h4-6jhm"},
		Sightings: []finding.Sighting{{Tool: "npm-audit", IDs: []string{"GHSA-35jh-r3h4-6jhm"}, Location: finding.Location{Path: "package-lock.json"}, Package: finding.Package{Ecosystem: "npm", Name: "lodash", Version: version}}}}
}

func TestRead(t *testing.T) {
	t.Parallel()
	got, notes, err := Read([]File{doc(says(notAffected, because))}, here, 0)
	if err != nil || len(notes) > 0 {
		t.Fatal(err, notes)
	}
	day := func(text string) time.Time { d, _ := time.Parse(time.DateOnly, text); return d }
	want := []waiver.Waiver{{
		Name: "shop.vex.json: statement 1", ID: "CVE-2021-23337", Aliases: []string{"GHSA-35jh-r3h4-6jhm"}, Scope: []string{"pkg:npm/lodash@4.17.20"},
		Reason: "vulnerable_code_not_in_execute_path; template is not called", Kind: waiver.NotFeasible, Owner: "security@example.com",
		Created: day("2026-01-10"), Expires: day("2026-04-10"),
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// products replaces the products of a statement.
func products(text string) string {
	return fmt.Sprintf(`{"vulnerability": {"name": "CVE-2021-23337"}, "products": [%s], "status": "not_affected", "justification": "component_not_present"}`, text)
}

func TestStatementsWaive(t *testing.T) {
	t.Parallel()
	later := func(status string) string {
		return `, "action_statement": "update", "timestamp": "2026-01-20T00:00:00Z", "status_notes": "` + status + `"`
	}
	tests := map[string]struct {
		statements []string
		waived     bool
		notes      int
	}{
		"not affected":            {[]string{says(notAffected, because)}, true, 0},
		"fixed":                   {[]string{says(fixed, "")}, true, 0},
		"affected":                {[]string{says(affected, `, "action_statement": "update"`)}, false, 0},
		"under investigation":     {[]string{says(underInvestigation, "")}, false, 0},
		"taken back":              {[]string{says(notAffected, because), says(affected, later("x"))}, false, 0},
		"taken back, other order": {[]string{says(affected, later("x")), says(notAffected, because)}, false, 0},
		"taken back at once":      {[]string{says(notAffected, because), says(underInvestigation, "")}, false, 0},
		"settled":                 {[]string{says(underInvestigation, ""), says(notAffected, because)}, true, 0},
		"settled later":           {[]string{says(notAffected, because+`, "timestamp": "2026-01-21T00:00:00Z"`), says(affected, later("x"))}, true, 0},
		"taken back by alias": {[]string{says(notAffected, because), strings.Replace(says(underInvestigation, ""),
			`{"name": "CVE-2021-23337", "aliases": ["GHSA-35jh-r3h4-6jhm"]}`, `{"name": "ghsa-35jh-r3h4-6jhm"}`, 1)}, false, 0},
		"taken back for all": {[]string{says(notAffected, because), strings.Replace(says(underInvestigation, ""),
			`, "subcomponents": [{"@id": "pkg:npm/lodash@4.17.20"}]`, "", 1)}, false, 0},
		"taken back for another version": {[]string{says(notAffected, because), strings.Replace(says(underInvestigation, ""), "4.17.20", "4.17.21", 1)}, false, 0},
		"another package affected":       {[]string{says(notAffected, because), strings.Replace(says(underInvestigation, ""), "lodash", "lodash-es", 1)}, true, 0},
		"the repository":                 {[]string{products(`{"@id": "pkg:github/candle/shop"}`)}, true, 0},
		"its URL":                        {[]string{products(`{"@id": "https://github.com/Candle/Shop"}`)}, true, 0},
		"its git URL":                    {[]string{products(`{"@id": "git+https://github.com/candle/shop.git"}`)}, true, 0},
		"its commit":                     {[]string{products(`{"@id": "pkg:github/candle/shop@` + here.Commit + `"}`)}, true, 0},
		"its tag":                        {[]string{products(`{"@id": "pkg:github/candle/shop@v1.2.0"}`)}, true, 0},
		"another commit":                 {[]string{products(`{"@id": "pkg:github/candle/shop@` + strings.Repeat("b", 40) + `"}`)}, false, 1},
		"an action":                      {[]string{products(`{"@id": "pkg:github/candle/shopping"}`)}, false, 0},
		"another repository":             {[]string{products(`{"@id": "https://github.com/candle/shopping"}`)}, false, 1},
		"elsewhere":                      {[]string{products(`{"@id": "https://example.com/candle/shop"}`)}, false, 1},
		"a package":                      {[]string{products(`{"@id": "pkg:npm/lodash@4.17.20"}`)}, true, 0},
		"by identifier":                  {[]string{products(`{"@id": "https://example.com/x", "identifiers": {"purl": "pkg:npm/lodash@4.17.20"}}`)}, true, 0},
		"all its versions":               {[]string{products(`{"@id": "pkg:npm/lodash"}`)}, true, 0},
		"another version":                {[]string{products(`{"@id": "pkg:npm/lodash@4.17.19"}`)}, false, 0},
		"another package":                {[]string{products(`{"@id": "pkg:npm/underscore"}`)}, false, 0},
		"two, one of here":               {[]string{products(`{"@id": "pkg:npm/underscore"}, {"@id": "pkg:npm/lodash"}`)}, true, 0},
		"of another product":             {[]string{products(`{"@id": "pkg:npm/shop", "subcomponents": [{"@id": "pkg:npm/lodash"}]}`)}, false, 1},
		"other subcomponent":             {[]string{products(`{"@id": "pkg:github/candle/shop", "subcomponents": [{"@id": "pkg:npm/underscore"}]}`)}, false, 0},
		"nameless subcomponent":          {[]string{products(`{"@id": "pkg:github/candle/shop", "subcomponents": [{"hashes": {"md5": "x"}}]}`)}, false, 1},
		"an image":                       {[]string{products(`{"@id": "pkg:oci/shop@sha256:aa"}`)}, false, 1},
		"a hash":                         {[]string{products(`{"hashes": {"sha-256": "aa"}}`)}, false, 1},
		"expired":                        {[]string{says(notAffected, because+`, "timestamp": "2025-10-30T00:00:00Z"`)}, false, 0},
		"updated since":                  {[]string{says(notAffected, because+`, "timestamp": "2025-10-30T00:00:00Z", "last_updated": "2026-01-02T00:00:00Z"`)}, true, 0},
		"of the future":                  {[]string{says(notAffected, because+`, "timestamp": "2026-02-02T00:00:00Z"`)}, false, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waivers, notes, err := Read([]File{doc(tt.statements...)}, here, 0)
			if err != nil {
				t.Fatal(err)
			}
			all, _ := waiver.Policy{}.Apply([]finding.Finding{lodash("4.17.20")}, waivers, now)
			if all[0].Waived.Holds() != tt.waived || len(notes) != tt.notes {
				t.Errorf("waived by %+v, notes %v; want %v, %d notes", all[0].Waived, notes, tt.waived, tt.notes)
			}
		})
	}
}

func TestReadWithoutRepository(t *testing.T) {
	t.Parallel()
	waivers, notes, err := Read([]File{doc(says(notAffected, because), products(`{"@id": "https://github.com/"}`))}, verdict.Place{}, 0)
	if err != nil || len(waivers) != 0 || len(notes) != 1 || notes[0].What != "2 of 2 statements" {
		t.Errorf("%v, %v, %v", waivers, notes, err)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	with := func(old, new string) File {
		f := doc(says(notAffected, because))
		text := strings.Replace(string(f.Raw), old, new, 1)
		if text == string(f.Raw) {
			panic(old)
		}
		return File{f.Name, []byte(text)}
	}
	tests := map[string]struct {
		file File
		want string
	}{
		"empty":             {File{"v", nil}, "v: no OpenVEX document: no JSON"},
		"cut off":           {File{"v", doc(says(fixed, "")).Raw[:300]}, "v: no OpenVEX document: no JSON"},
		"two values":        {File{"v", []byte("{} {}")}, "more than one JSON value"},
		"a list":            {File{"v", []byte("[]")}, "no OpenVEX document"},
		"nothing":           {File{"v", []byte("{}")}, "v: statements is missing"},
		"CycloneDX":         {File{"v", []byte(`{"bomFormat": "CycloneDX"}`)}, `unknown field "bomFormat"`},
		"key twice":         {with(`"status"`, `"status": "fixed", "Status"`), "twice"},
		"misspelled":        {with("subcomponents", "subcomponent"), `unknown field "subcomponent"`},
		"context":           {with("/ns/v0.2.0", "/ns/v9"), "shop.vex.json: @context"},
		"no author":         {with("security@example.com", " "), "author is missing"},
		"no time":           {with(`"timestamp": "2026-01-10T10:00:00+02:00",`, ""), "timestamp is missing"},
		"bad time":          {with("2026-01-10T10", "2026-13-10T10"), "no OpenVEX document"},
		"no version":        {with(`"version": 1,`, ""), "version is missing"},
		"no statements":     {doc(), "statements is missing"},
		"status":            {with(notAffected, "not-affected"), `statement 1: status "not-affected": want one of`},
		"justification":     {with("vulnerable_code_not_in_execute_path", "trust_me"), `statement 1: justification "trust_me"`},
		"no justification":  {with(because, ""), "statement 1: not_affected needs a justification or an impact_statement"},
		"blank impact":      {with(because, `, "impact_statement": " "`), "not_affected needs"},
		"fixed, because":    {with(notAffected, fixed), "are for not_affected"},
		"no vulnerability":  {with("CVE-2021-23337", ""), "the name of the vulnerability is missing"},
		"no products":       {doc(products("")), "statement 1: products is missing"},
		"empty product":     {doc(products("{}")), "a product has neither @id nor identifiers nor hashes"},
		"no action":         {doc(says(affected, "")), "affected needs an action_statement"},
		"too big":           {File{"v", make([]byte, maxFile+1)}, "want at most"},
		"what a scan wrote": {with(`"version": 1,`, `"version": 1, "tooling": "`+tooling+`",`), "a scan wrote it"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waivers, _, err := Read([]File{doc(says(fixed, "")), tt.file}, here, 0)
			if err == nil || !strings.Contains(err.Error(), tt.want) || waivers != nil {
				t.Fatalf("%v, error %v, want %s", waivers, err, tt.want)
			}
			if status, _ := exit.Of(err); status != exit.BadInput {
				t.Errorf("status %v", status)
			}
		})
	}
}

// held is a finding with a waiver.
func held(id, kind string) finding.Finding {
	f := lodash("4.17.20")
	f.ID, f.IDs = id, []string{"CVE-2026-" + id, "GHSA-" + id}
	f.Waived = finding.Waived{By: "security-waivers.yaml:3", Reason: "only <b>called</b> in tests", Owner: "web", Kind: kind, Expires: now.AddDate(0, 1, 0)}
	return f
}

func TestWrite(t *testing.T) {
	t.Parallel()
	bare, partly, open := held("4", waiver.NotFeasible), held("5", waiver.NotFeasible), held("5", "")
	bare.Sightings[0].Package.Ecosystem = "Unheard"
	open.Waived = finding.Waived{}
	open.Sightings = slices.Clone(open.Sightings)
	open.Sightings[0].Package.Version = "4.17.19"
	secret := held("6", waiver.ToolNoise)
	secret.Class = finding.ClassSecret
	r := verdict.Result{Place: here, At: now, Findings: []finding.Finding{held("1", waiver.NotFeasible), held("2", waiver.RiskAccepted), held("3", waiver.NotForRelease), bare, partly, open, secret, lodash("4.17.20")}}
	raw, leftOut := Write(r, "candle/shop")
	if leftOut != 2 {
		t.Errorf("%d are left out, want 2", leftOut)
	}
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	if problems := append(d.wrong(), d.Statements[0].wrong()...); len(problems) != 1 || !strings.Contains(problems[0], "a scan wrote it") {
		t.Errorf("the document is wrong: %q", problems)
	}
	var got []string
	for _, s := range d.Statements {
		got = append(got, strings.Join([]string{s.Vulnerability.Name, s.Vulnerability.Aliases[0], s.Status, s.ImpactStatement, s.ActionStatement, s.Products[0].ID, s.Products[0].Subcomponents[0].ID}, "|"))
	}
	product := "pkg:github/candle/shop@" + here.Commit + "|pkg:npm/lodash@4.17.20"
	want := []string{
		"CVE-2026-1|GHSA-1|not_affected|only <b>called</b> in tests||" + product,
		"CVE-2026-2|GHSA-2|affected||only <b>called</b> in tests|" + product,
		"CVE-2026-3|GHSA-3|not_affected|only <b>called</b> in tests||" + product,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again, _ := Write(r, "candle/shop"); string(again) != string(raw) {
		t.Error("the same result is another document")
	}
	if raw, leftOut := Write(verdict.Result{Findings: []finding.Finding{lodash("1")}}, "x"); raw != nil || leftOut != 0 {
		t.Errorf("without waived findings: %s, %d", raw, leftOut)
	}
	r.Place = verdict.Place{}
	if raw, _ := Write(r, "x"); !strings.Contains(string(raw), `"products": [
        {
          "@id": "pkg:npm/lodash@4.17.20"
        }
      ]`) {
		t.Errorf("without a repository:\n%s", raw)
	}
}

// What is written is read by others as it is meant: as not affected, or not at all.
func TestWrittenIsRead(t *testing.T) {
	t.Parallel()
	raw, _ := Write(verdict.Result{Place: here, At: now, Findings: []finding.Finding{held("1", waiver.NotFeasible), held("2", waiver.RiskAccepted)}}, "candle/shop")
	raw = []byte(strings.Replace(string(raw), tooling, "another tool", 1))
	waivers, notes, err := Read([]File{{"x", raw}}, here, 0)
	if err != nil || len(notes) > 0 || len(waivers) != 1 || waivers[0].ID != "CVE-2026-1" {
		t.Errorf("%+v, %v, %v", waivers, notes, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(doc(says(notAffected, because), says(affected, `, "action_statement": "x"`)).Raw)
	f.Add(doc(products(`{"@id": "pkg:npm/%40a/b@1?x=y#z", "identifiers": {"purl": "pkg:oci/x"}}`)).Raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		waivers, _, err := Read([]File{{"x", raw}}, here, 0)
		if err != nil {
			if len(waivers) > 0 {
				t.Fatal("waivers of a refused document")
			}
			return
		}
		for _, w := range waivers {
			if w.ID == "" || strings.TrimSpace(w.Owner) == "" || w.Reason == "" || w.Expires.Sub(w.Created) > waiver.MaxAge || w.Expires.Before(w.Created) {
				t.Fatalf("%+v is no waiver", w)
			}
		}
	})
}
