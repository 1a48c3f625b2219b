package sarif

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding"
)

// doc is a file with one run of a tool; members are of the run, with a comma at the
// beginning.
func doc(tool, members string) string {
	return fmt.Sprintf(`{"version":"2.1.0","runs":[{"tool":{"driver":%s}%s}]}`, tool, members)
}

const scan = `{"name":"Scan","version":"1.2"}`

func read(t *testing.T, text string, o Options) Run {
	t.Helper()
	l, err := Read(strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Runs) != 1 {
		t.Fatalf("%d runs", len(l.Runs))
	}
	return l.Runs[0]
}

// one reads a file with one result.
func one(t *testing.T, tool, result string, o Options, more ...string) finding.Sighting {
	t.Helper()
	r := read(t, doc(tool, `,"results":[`+result+`]`+strings.Join(more, "")), o)
	if len(r.Sightings) != 1 {
		t.Fatalf("%d sightings of %s", len(r.Sightings), result)
	}
	return r.Sightings[0]
}

func TestRefused(t *testing.T) {
	t.Parallel()
	ok := doc(scan, `,"results":[{"ruleId":"a","message":{"text":"m"}},{"ruleId":"b","message":{"text":"m"}}]`)
	for name, c := range map[string]struct{ text, want string }{
		"empty":              {"", "empty"},
		"white space":        {" \n\n", "empty"},
		"a mark alone":       {"\xef\xbb\xbf", "empty"},
		"text":               {"no issues found", "want an object"},
		"a list":             {"[]", "want an object"},
		"null":               {"null", "want an object"},
		"UTF-16":             {"\xff\xfe{\x00}\x00", "UTF-16"},
		"UTF-16, big":        {"\xfe\xff\x00{\x00}", "UTF-16"},
		"UTF-16, no mark":    {"{\x00}\x00", "UTF-16"},
		"version 2.0.0":      {strings.Replace(ok, "2.1.0", "2.0.0", 1), `the version is "2.0.0"`},
		"no version":         {`{"runs":[]}`, `the version is ""`},
		"version a number":   {`{"version":2.1,"runs":[]}`, "want a string"},
		"no runs":            {`{"version":"2.1.0"}`, "no runs"},
		"runs of no list":    {`{"version":"2.1.0","runs":{}}`, "want a list"},
		"a run of no object": {`{"version":"2.1.0","runs":[1]}`, "runs[0]: at byte 27: want an object"},
		"no tool":            {`{"version":"2.1.0","runs":[{"results":[]}]}`, "names no tool"},
		"a tool no name":     {doc(`{}`, ""), "names no tool"},
		"results an object":  {doc(scan, `,"results":{}`), "want a list"},
		"a result null":      {doc(scan, `,"results":[null]`), "results[0]: it is no object"},
		"a result of text":   {doc(scan, `,"results":["x"]`), "results[0]: it is no object"},
		"a result of naught": {doc(scan, `,"results":[{}]`), "neither a rule nor a message"},
		"a level of a kind":  {doc(scan, `,"results":[{"ruleId":"a","message":{"text":"m"}},{"ruleId":"a","level":3}]`), "results[1]: level is a JSON number, want string"},
		"a line of text":     {doc(scan, `,"results":[{"ruleId":"a","locations":[{"physicalLocation":{"artifactLocation":{"uri":"a"},"region":{"startLine":"7"}}}]}]`), "startLine is a JSON string"},
		"rules of no list":   {doc(`{"name":"Scan","rules":{}}`, `,"results":[]`), "tool.driver.rules is a JSON object"},
		"a key twice":        {doc(scan, `,"results":[{"ruleId":"a","level":"error","level":"none"}]`), `"level" is there twice`},
		"a key in capitals":  {doc(scan, `,"results":[{"ruleId":"a","level":"error","Level":"none"}]`), `"Level" is there twice`},
		"results twice":      {doc(scan, `,"results":[{"ruleId":"a"}],"results":[]`), `"results" is there twice`},
		"results elsewhere":  {`{"version":"2.1.0","runs":[],"inlineExternalProperties":[{}]}`, "results could be missing"},
		"two files in one":   {ok + ok, "something follows"},
		"nested too deep":    {doc(scan, `,"properties":{"a":`+strings.Repeat("[", 10000)), "nested"},
		"deep in a result":   {doc(scan, `,"results":[{"ruleId":"a","codeFlows":`+strings.Repeat("[", 1000)), "nested"},
	} {
		l, err := Read(strings.NewReader(c.text), Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if len(l.Runs) > 0 {
			t.Errorf("%s: results beside the error", name)
		}
	}
	// No beginning of a file is a file, wherever it ends.
	for i := 1; i < len(ok); i++ {
		if _, err := Read(strings.NewReader(ok[:i]), Options{}); err == nil || !strings.Contains(err.Error(), "not whole") && !strings.Contains(err.Error(), "empty") {
			t.Errorf("the first %d bytes: %v", i, err)
		}
	}
}

// endless is a file that never ends.
type endless struct{ begun bool }

func (e *endless) Read(p []byte) (int, error) {
	text := `{"ruleId":"a"},`
	if !e.begun {
		e.begun = true
		text = `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"results":[` + text
	}
	return copy(p, strings.Repeat(text, 1)), nil
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	if _, err := Read(&endless{}, Options{MaxBytes: 4 << 20}); err == nil || !strings.Contains(err.Error(), "larger than 4 MB") {
		t.Error(err)
	}
	many := doc(scan, `,"results":[`+strings.Repeat("1,", MaxResults)+`1]`)
	if _, err := Read(strings.NewReader(many), Options{}); err == nil || !strings.Contains(err.Error(), "more than 1000000 results") {
		t.Error(err)
	}
	broken := io.MultiReader(strings.NewReader(`{"version":`), &failing{})
	if _, err := Read(broken, Options{}); err == nil || !strings.Contains(err.Error(), "the disk is gone") {
		t.Error(err)
	}
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, fmt.Errorf("the disk is gone") }

// What a run says of itself.
func TestRuns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		members string
		doubts  []string
		notes   []string
		ran     bool
		files   int
	}{
		"ran and found nothing":  {members: `,"results":[]`, ran: true, files: -1},
		"no list of results":     {members: ``, doubts: []string{"the file has no list of results: the tool did not run (section 3.14.23)"}, files: -1},
		"a null list":            {members: `,"results":null`, doubts: []string{"the file has no list of results: the tool did not run (section 3.14.23)"}, files: -1},
		"results in other files": {members: `,"externalPropertyFileReferences":{"results":[{"guid":"x"},{"guid":"y"}]}`, doubts: []string{"its results are in 2 other files"}, files: -1},
		"successful":             {members: `,"results":[],"invocations":[{"executionSuccessful":true,"exitCode":1}]`, ran: true, files: -1},
		"not successful": {
			members: `,"results":[],"invocations":[{"executionSuccessful":true},{"executionSuccessful":false,"exitCode":2}]`,
			doubts:  []string{"it says that its run was not successful: exit status 2"}, ran: true, files: -1,
		},
		"failed to start": {members: `,"results":[],"invocations":[{"executionSuccessful":false,"processStartFailureMessage":"no\nJava"}]`, doubts: []string{"it says that its run was not successful: no Java"}, ran: true, files: -1},
		"silent about it": {members: `,"results":[],"invocations":[{}]`, notes: []string{"an invocation does not say whether it was successful"}, ran: true, files: -1},
		"errors": {
			members: `,"results":[],"invocations":[{"executionSuccessful":true,"toolExecutionNotifications":[
				{"level":"error","message":{"text":"a.js: cannot be parsed"}},{"level":"warning","message":{"text":"slow"}},{"message":{"text":"a warning too"}},{"level":"error","descriptor":{"id":"E1"}}],
				"toolConfigurationNotifications":[{"level":"error","message":{"text":"no such rule, see https://u:p@example.com"}}]}]`,
			doubts: []string{"it reports an error: a.js: cannot be parsed", "it reports an error: E1", "it reports an error: no such rule, see https://***@example.com"}, ran: true, files: -1,
		},
		"files":              {members: `,"results":[],"artifacts":[{"location":{"uri":"a"}},{"location":{"uri":"b"}}]`, ran: true, files: 2},
		"files that it read": {members: `,"results":[],"artifacts":[{"location":{"uri":"a"},"roles":["analysisTarget"]},{"location":{"uri":"b"},"roles":["resultFile"]}]`, ran: true, files: 1},
		"no files":           {members: `,"results":[],"artifacts":[]`, ran: true, files: -1},
	} {
		r := read(t, doc(scan, c.members), Options{})
		want := Run{Tool: "Scan", Name: "scan", Version: "1.2", Ran: c.ran, Files: c.files, Doubts: c.doubts, Notes: c.notes}
		r.Sightings = nil
		if diff := cmp.Diff(want, r); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	l, err := Read(strings.NewReader("\xef\xbb\xbf"+`{"version":"2.1.0","runs":null}`), Options{})
	if err != nil || len(l.Runs) != 0 || l.Files() != -1 {
		t.Errorf("%+v, %v", l, err)
	}
	r := read(t, doc(scan, `,"results":[],"automationDetails":{"id":"a/b/"},"invocations":[{"executionSuccessful":true,"endTimeUtc":"2026-01-02T03:04:05Z"}]`), Options{Tool: "mine"})
	if r.Category != "a/b/" || r.Name != "mine" || r.Ended.Format("2006-01-02") != "2026-01-02" {
		t.Errorf("%+v", r)
	}
}

// Which results are problems (sections 3.27.9, 3.27.23, 3.27.24).
func TestWhatCounts(t *testing.T) {
	t.Parallel()
	for result, want := range map[string]string{
		`"level":"none"`:                       "counts",
		`"kind":"fail"`:                        "counts",
		`"kind":"pass"`:                        "no problem",
		`"kind":"review"`:                      "no problem",
		`"kind":"open"`:                        "no problem",
		`"kind":"notApplicable"`:               "no problem",
		`"kind":"informational"`:               "no problem",
		`"kind":"failed"`:                      "counts", // no kind of SARIF
		`"baselineState":"new"`:                "counts",
		`"baselineState":"unchanged"`:          "counts",
		`"baselineState":"updated"`:            "counts",
		`"baselineState":"absent"`:             "absent",
		`"suppressions":null`:                  "counts",
		`"suppressions":[]`:                    "counts",
		`"suppressions":[{"kind":"external"}]`: "suppressed outside of the source",
		`"suppressions":[{"kind":"inSource","justification":"a\ntest"}]`:                              "suppressed in the source: a test",
		`"suppressions":[{"kind":"external","status":"accepted"}]`:                                    "suppressed outside of the source",
		`"suppressions":[{"kind":"external","status":"rejected"}]`:                                    "counts",
		`"suppressions":[{"kind":"external","status":"underReview"}]`:                                 "counts",
		`"suppressions":[{"kind":"external","status":"accepted"},{"kind":"inSource","status":"odd"}]`: "counts",
	} {
		r := read(t, doc(scan, `,"results":[{"ruleId":"a",`+result+`}]`), Options{})
		got := "counts"
		switch {
		case r.Left.NoProblem == 1:
			got = "no problem"
		case r.Left.Absent == 1:
			got = "absent"
		case r.Sightings[0].Suppressed != "":
			got = r.Sightings[0].Suppressed
		}
		if got != want || r.Results != 1 {
			t.Errorf("%s: %s, want %s", result, got, want)
		}
	}
}

// The level of a result, in the order of section 3.27.10.
func TestLevel(t *testing.T) {
	t.Parallel()
	tool := `{"name":"Scan","rules":[{"id":"first","defaultConfiguration":{"level":"none"}},{"id":"a","defaultConfiguration":{"level":"note"}},{"id":"plain"},{"id":"on","defaultConfiguration":{"enabled":true}}]}`
	invocations := `,"invocations":[{"executionSuccessful":true,"ruleConfigurationOverrides":[{"descriptor":{"id":"a"},"configuration":{"level":"error"}}]}]`
	for result, want := range map[string]finding.Rating{
		`"ruleId":"a","level":"warning","provenance":{"invocationIndex":0}`: {Level: "warning"},
		`"ruleId":"a","provenance":{"invocationIndex":0}`:                   {Level: "error"},
		`"ruleId":"a","provenance":{"invocationIndex":1}`:                   {Level: "note"},
		`"ruleId":"a"`:                         {Level: "note"},
		`"ruleId":"a/part"`:                    {Level: "note"},
		`"ruleId":"plain"`:                     {Level: "warning"},
		`"ruleId":"on"`:                        {Level: "warning"},
		`"ruleId":"nobody"`:                    {Level: "warning"}, // not that of the first rule
		`"message":{"text":"m"}`:               {Level: "warning"},
		`"ruleIndex":1`:                        {Level: "note"},
		`"ruleIndex":0`:                        {Level: "none"},
		`"ruleIndex":9,"message":{"text":"m"}`: {Level: "warning"},
		`"ruleIndex":0,"ruleId":"a"`:           {Level: "note"},
		`"ruleId":"a","level":"high"`:          {Level: "warning", Word: "high"},
		`"ruleId":"plain","properties":{"security-severity":"9.8"}`:   {Level: "warning", Score: 9.8},
		`"ruleId":"plain","properties":{"security-severity":7}`:       {Level: "warning", Score: 7},
		`"ruleId":"plain","properties":{"security-severity":"n/a"}`:   {Level: "warning"},
		`"ruleId":"plain","properties":{"security-severity":"11"}`:    {Level: "warning"},
		`"ruleId":"plain","properties":{"security-severity":"NaN"}`:   {Level: "warning"},
		`"ruleId":"plain","properties":{"tags":["LOW"]}`:              {Level: "warning", Word: "LOW"},
		`"ruleId":"plain","properties":{"severity":"HIGH","cwe":[1]}`: {Level: "warning", Word: "HIGH"},
	} {
		if s := one(t, tool, `{`+result+`}`, Options{}, invocations); s.Rating != want {
			t.Errorf("%s: %+v, want %+v", result, s.Rating, want)
		}
	}
}

// Rules, in the driver and in extensions.
func TestRules(t *testing.T) {
	t.Parallel()
	const tool = `{"name":"Scan","rules":[{"id":"zero","shortDescription":{"text":"The zeroth"}},
		{"id":"js/xss","name":"Xss","guid":"11111111-1111-1111-1111-111111111111","shortDescription":{"text":"Cross-site\nscripting"},"helpUri":"https://example.com/xss?a=b",
		 "properties":{"security-severity":"6.1","tags":["security","external/cwe/cwe-079","external/cwe/cwe-116"]},"relationships":[{"target":{"id":"80","toolComponent":{"name":"CWE"}}}]}]}`
	xss := finding.Sighting{
		Tool: "scan", Class: finding.ClassCode, Title: "Cross-site scripting", Message: "m", Help: "https://example.com/xss?a=b",
		CWE: []string{"CWE-79", "CWE-116", "CWE-80"}, Rating: finding.Rating{Level: "warning", Score: 6.1},
	}
	for result, rule := range map[string]string{
		`"ruleId":"js/xss"`:                                      "js/xss",
		`"ruleId":"js/xss/sub","ruleIndex":1`:                    "js/xss/sub",
		`"ruleIndex":1`:                                          "js/xss",
		`"rule":{"id":"js/xss"}`:                                 "js/xss",
		`"rule":{"index":1}`:                                     "js/xss",
		`"rule":{"id":"js/xss/a","index":1}`:                     "js/xss/a",
		`"ruleId":"js/xss","rule":{"index":0}`:                   "js/xss",
		`"rule":{"guid":"11111111-1111-1111-1111-111111111111"}`: "js/xss",
	} {
		want := xss
		want.Rule = rule
		if diff := cmp.Diff(want, one(t, tool, `{"message":{"text":"m"},`+result+`}`, Options{})); diff != "" {
			t.Errorf("%s: %s", result, diff)
		}
	}
	extended := `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"CodeQL","rules":[{"id":"x","shortDescription":{"text":"of the driver"}}]},
		"extensions":[{"name":"one","guid":"g1","rules":[{"id":"x","shortDescription":{"text":"of one"}}]},{"name":"two","guid":"g2","rules":[{"id":"x","shortDescription":{"text":"of two"}},{"id":"y","shortDescription":{"text":"y of two"}}]}]},
		"results":[%s]}]}`
	for result, title := range map[string]string{
		`"ruleId":"x"`: "of the driver",
		`"ruleId":"x","rule":{"toolComponent":{"index":0}}`:                    "of one",
		`"ruleId":"x","rule":{"id":"x","index":0,"toolComponent":{"index":1}}`: "of two",
		`"ruleId":"x","rule":{"toolComponent":{"name":"two"}}`:                 "of two",
		`"rule":{"index":1,"toolComponent":{"guid":"g2"}}`:                     "y of two",
		`"ruleId":"y"`:       "y of two",
		`"ruleId":"nowhere"`: "nowhere",
	} {
		r := read(t, fmt.Sprintf(extended, `{"message":{"text":"m"},`+result+`}`), Options{})
		if got := r.Sightings[0].Title; got != title {
			t.Errorf("%s: %q, want %q", result, got, title)
		}
	}
	taxa := one(t, scan, `{"ruleId":"a","taxa":[{"id":"22","toolComponent":{"index":1}},{"id":"CWE-23","toolComponent":{"name":"CWE"}},{"id":"A1","toolComponent":{"name":"OWASP"}}]}`, Options{},
		`,"taxonomies":[{"name":"OWASP"},{"name":"CWE"}]`)
	if diff := cmp.Diff([]string{"CWE-22", "CWE-23"}, taxa.CWE); diff != "" {
		t.Error(diff)
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	const tool = `{"name":"Scan","rules":[{"id":"a","messageStrings":{"default":{"text":"{0} of {1} at [here](1)"}}}],"globalMessageStrings":{"all":{"text":"for {0}"}}}`
	for message, want := range map[string]string{
		`{"text":"plain {0}"}`:                                 "plain {0}",
		`{"text":"{0} and {{0}} and {2}","arguments":["x"]}`:   "x and {0} and {2}",
		`{"id":"default","arguments":["one","two"]}`:           "one of two at here",
		`{"id":"all","arguments":["you"]}`:                     "for you",
		`{"id":"unknown"}`:                                     "unknown",
		`{"markdown":"**bold**"}`:                              "**bold**",
		`{"text":"t","markdown":"**m**"}`:                      "t",
		`{"text":"see [a source](3) and [docs](https://a.b)"}`: "see a source and [docs](https://a.b)",
		`{"text":"token ghp_0123456789abcdefghij0123"}`:        "token ***",
		`{"text":"Authorization: Bearer abcdefghijklmnopqr"}`:  "Authorization: Bearer ***",
	} {
		if s := one(t, tool, `{"ruleId":"a","message":`+message+`}`, Options{}); s.Message != want {
			t.Errorf("%s: %q, want %q", message, s.Message, want)
		}
	}
	long := one(t, scan, `{"ruleId":"a","message":{"text":"`+strings.Repeat("ä", 10000)+`"}}`, Options{})
	if len(long.Message) > maxMessage || !strings.HasSuffix(long.Message, "ä…") {
		t.Errorf("%d bytes, %q", len(long.Message), long.Message[len(long.Message)-8:])
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	const bases = `,"originalUriBaseIds":{"%SRCROOT%":{"uri":"file:///home/runner/work/shop/shop/"},"SRC":{"uri":"src/","uriBaseId":"%SRCROOT%"},"HERE":{"uri":"file:///work/shop"},
		"BELOW":{"uri":"file:///work/shop/web%20app/"},"A":{"uri":"a/","uriBaseId":"B"},"B":{"uri":"b/","uriBaseId":"A"}},"artifacts":[{"location":{"uri":"zero.js"}},{"location":{"uri":"one.js","uriBaseId":"SRC"}}]`
	for artifact, want := range map[string]string{
		`"uri":"src/a.js"`:                        "src/a.js",
		`"uri":"./src/../a.js"`:                   "a.js",
		`"uri":"src/a%20b%23.js"`:                 "src/a b#.js",
		`"uri":"src/100%.txt"`:                    "src/100%.txt",
		`"uri":"src\\win\\a.cs"`:                  "src/win/a.cs",
		`"uri":"a.js","uriBaseId":"%SRCROOT%"`:    "a.js",
		`"uri":"a.js","uriBaseId":"SRC"`:          "src/a.js",
		`"uri":"a.js","uriBaseId":"HERE"`:         "a.js",
		`"uri":"a.js","uriBaseId":"BELOW"`:        "web app/a.js",
		`"uri":"a.js","uriBaseId":"UNKNOWN"`:      "a.js",
		`"uri":"x.js","uriBaseId":"A"`:            "b/a/b/a/b/a/b/a/b/a/x.js",
		`"index":0`:                               "zero.js",
		`"index":1`:                               "src/one.js",
		`"index":7`:                               "",
		`"uriBaseId":"SRC"`:                       "", // not the file of index 0
		`"uri":"file:///work/shop/a.js"`:          "a.js",
		`"uri":"FILE:///work/shop/a%2Eb.js"`:      "a.b.js",
		`"uri":"file:/work/shop/a.js"`:            "a.js",
		`"uri":"file://localhost/work/shop/a.js"`: "a.js",
		`"uri":"/work/shop/dir/a.js"`:             "dir/a.js",
		`"uri":"/work/shopping/a.js"`:             "outside",
		`"uri":"file:///work/shop/../secret"`:     "outside",
		`"uri":"file:///work/shop"`:               "outside",
		`"uri":"file:///etc/passwd"`:              "outside",
		`"uri":"file://server/work/shop/a.js"`:    "outside",
		`"uri":"../other/a.js"`:                   "outside",
		`"uri":"%2e%2e/a.js"`:                     "outside",
		`"uri":"..%5c..%5ca.js"`:                  "outside",
		`"uri":"../../a.js","uriBaseId":"SRC"`:    "outside",
		`"uri":"a\nb"`:                            "outside",
		`"uri":"https://shop.example/login?x=1"`:  "host shop.example:443",
		`"uri":"http://127.0.0.1:8080/"`:          "host 127.0.0.1:8080",
		`"uri":"pkg:npm/lodash@1.0.0"`:            "outside",
		`"uri":"C:\\work\\a.cs"`:                  "outside",
	} {
		s := one(t, scan, `{"ruleId":"a","locations":[{"physicalLocation":{"artifactLocation":{`+artifact+`},"region":{"startLine":7,"endLine":9,"startColumn":2}}}]}`, Options{Workspace: "/work/shop/"}, bases)
		got := s.Location.Path
		if s.Location.Host != "" {
			got = "host " + s.Location.Host
		}
		if strings.Contains(s.Message, "outside of the workspace") {
			got += "outside"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", artifact, got, want)
		}
		if file := s.Location.Path != ""; file && (s.Location.Line != 7 || s.Location.End != 9 || s.Location.Column != 2) || !file && s.Location.Line != 0 {
			t.Errorf("%s: %+v", artifact, s.Location)
		}
	}
	for uri, want := range map[string]string{`C:\\Work\\Shop\\src\\a.cs`: "src/a.cs", `file:///c:/work/shop/src/a.cs`: "src/a.cs", `file:///D:/work/shop/a.cs`: "", `src\\a.cs`: "src/a.cs"} {
		s := one(t, scan, `{"ruleId":"a","locations":[{"physicalLocation":{"artifactLocation":{"uri":"`+uri+`"}}}]}`, Options{Workspace: `C:\Work\Shop`})
		if s.Location.Path != want {
			t.Errorf("%s: %q, want %q", uri, s.Location.Path, want)
		}
	}
	s := one(t, scan, `{"ruleId":"a","relatedLocations":[{"id":1,"physicalLocation":{"artifactLocation":{"uri":"r.js"},"region":{"startLine":3}}}],"codeFlows":[{"threadFlows":[{"locations":[{}]}]}]}`, Options{})
	if s.Location.Path != "r.js" || s.Location.Line != 3 {
		t.Errorf("%+v", s.Location)
	}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tool, result, more string
		want               finding.Class
	}{
		{"gitleaks", `"ruleId":"x"`, "", finding.ClassSecret},
		{"Semgrep OSS", `"ruleId":"javascript.express.xss"`, "", finding.ClassCode},
		{"Semgrep OSS", `"ruleId":"generic.secrets.security.detected-aws-key"`, "", finding.ClassSecret},
		{"Trivy", `"ruleId":"CVE-2021-23337"`, "", finding.ClassDependency},
		{"Trivy", `"ruleId":"CVE-2021-23337"`, `,"properties":{"imageName":"shop:1","repoDigests":["shop@sha256:ab"]}`, finding.ClassImage},
		{"Trivy", `"ruleId":"AVD-DS-0002"`, "", finding.ClassConfig},
		{"Trivy", `"ruleId":"DS002"`, "", finding.ClassConfig},
		{"Trivy", `"ruleId":"aws-access-key-id","properties":{"tags":["secret"]}`, "", finding.ClassSecret},
		{"Snyk Open Source", `"ruleId":"SNYK-JS-LODASH-1018905"`, "", finding.ClassDependency},
		{"Snyk Container", `"ruleId":"SNYK-DEBIAN-OPENSSL-1"`, "", finding.ClassImage},
		{"SnykCode", `"ruleId":"javascript/Sqli"`, "", finding.ClassCode},
		{"Hadolint", `"ruleId":"DL3002"`, "", finding.ClassConfig},
		{"zizmor", `"ruleId":"zizmor/template-injection"`, "", finding.ClassWorkflow},
		{"CodeQL", `"ruleId":"js/xss"`, "", finding.ClassCode},
		{"CodeQL", `"ruleId":"actions/code-injection","locations":[{"physicalLocation":{"artifactLocation":{"uri":".github/workflows/a.yml"}}}]`, "", finding.ClassWorkflow},
		{"OWASP ZAP", `"ruleId":"10021"`, "", finding.ClassNetwork},
		{"what is it", `"ruleId":"x"`, "", finding.ClassCode},
		{"what is it", `"ruleId":"x","properties":{"tags":["Terraform"]}`, "", finding.ClassConfig},
	} {
		s := one(t, fmt.Sprintf(`{"name":%q}`, c.tool), `{"message":{"text":"m"},`+c.result+`}`, Options{}, c.more)
		if s.Class != c.want {
			t.Errorf("%s %s: %s, want %s", c.tool, c.result, s.Class, c.want)
		}
		if (s.Location.Image != "") != (c.more != "") {
			t.Errorf("%s %s: the image is %q", c.tool, c.result, s.Location.Image)
		}
	}
	if s := one(t, scan, `{"ruleId":"x"}`, Options{Class: finding.ClassConfig}); s.Class != finding.ClassConfig {
		t.Error(s.Class)
	}
}

// The words of Trivy, https://github.com/aquasecurity/trivy/blob/v0.74.0/pkg/report/sarif.go.
func TestPackageOfTrivy(t *testing.T) {
	t.Parallel()
	s := one(t, `{"name":"Trivy","rules":[{"id":"CVE-2021-23337","name":"LanguageSpecificPackageVulnerability","properties":{"security-severity":"7.2","tags":["vulnerability","security","HIGH"]}}]}`,
		`{"ruleId":"CVE-2021-23337","ruleIndex":0,"level":"error","message":{"text":"Package: lodash\nInstalled Version: 4.17.15\nVulnerability CVE-2021-23337\nSeverity: HIGH\nFixed Version: 4.17.21\nLink: [CVE-2021-23337](https://avd.aquasec.com/nvd/cve-2021-23337)"},
		"locations":[{"physicalLocation":{"artifactLocation":{"uri":"package-lock.json","uriBaseId":"ROOTPATH"},"region":{"startLine":1,"startColumn":1,"endLine":1,"endColumn":1}}}]}`,
		Options{}, `,"originalUriBaseIds":{"ROOTPATH":{"uri":"file:///work/"}}`)
	if diff := cmp.Diff(finding.Package{Ecosystem: "npm", Name: "lodash", Version: "4.17.15", Fixed: "4.17.21"}, s.Package); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(finding.Rating{Word: "HIGH", Score: 7.2, Level: "error"}, s.Rating); diff != "" || s.Location.Path != "package-lock.json" || s.IDs[0] != "CVE-2021-23337" {
		t.Errorf("%s %+v", diff, s)
	}
}

// Nothing of a secret and of a person is in what was read. The file is in the words of
// gitleaks 8.30.1, https://github.com/gitleaks/gitleaks/blob/v8.30.1/report/sarif.go.
func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	const secret = "sk_live_planted0123456789abcdef"
	hash := finding.NewHasher(bytes.Repeat([]byte{7}, 32))
	result := `{"message":{"text":"generic-api-key has detected secret ` + secret + ` for file a.js."},"ruleId":"generic-api-key","locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.js"},
		"region":{"startLine":3,"startColumn":2,"endLine":3,"endColumn":40,"snippet":{"text":"` + secret + `"}}}}],
		"partialFingerprints":{"commitSha":"` + strings.Repeat("ab", 20) + `","email":"ann@example.com","author":"Ann Author","date":"2026-01-01","commitMessage":"add the key"},"properties":{"tags":["x"]}}`
	s := one(t, `{"name":"gitleaks","semanticVersion":"v8.0.0","rules":[{"id":"generic-api-key","shortDescription":{"text":"Detected a Generic API Key"}}]}`, result, Options{Hash: hash})
	all := fmt.Sprintf("%+v", s)
	for _, text := range []string{secret, "ann@example.com", "Ann Author", "add the key"} {
		if strings.Contains(all, text) {
			t.Errorf("%q is in %s", text, all)
		}
	}
	if s.Secret.Hash != hash.Hash(secret) || s.Location.Commit != strings.Repeat("ab", 20) || s.Location.Context != "" || s.Location.Line != 3 {
		t.Errorf("%+v", s)
	}
	redacted := one(t, `{"name":"gitleaks"}`, strings.ReplaceAll(result, secret, "REDACTED"), Options{Hash: hash})
	if redacted.Secret.Hash != "" {
		t.Error("the word REDACTED has a hash")
	}
	for name, c := range map[string]struct{ rule, text string }{
		"another scanner's": {`{"id":"x"}`, `"ruleId":"acme.secrets.key"`},
		"a weakness":        {`{"id":"x","properties":{"tags":["external/cwe/cwe-798"]}}`, `"ruleId":"x"`},
	} {
		s := one(t, `{"name":"Scan","rules":[`+c.rule+`]}`, `{`+c.text+`,"message":{"text":"hard-coded"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.js"},"region":{"startLine":3,"snippet":{"text":"key = '`+secret+`'"}}}}]}`, Options{})
		if strings.Contains(fmt.Sprintf("%+v", s), secret) {
			t.Errorf("%s: %+v", name, s)
		}
	}
	plain := one(t, scan, `{"ruleId":"x","locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.js"},"region":{"startLine":3,"snippet":{"text":"\n  res.send(x)  \n  next()"}}}}],"partialFingerprints":{"primaryLocationLineHash":"39fa2ee980eb94b0:1"}}`, Options{})
	if plain.Location.Context != "res.send(x)" || plain.LineHash != "39fa2ee980eb94b0:1" {
		t.Errorf("%+v", plain)
	}
	forged := one(t, scan, `{"ruleId":"x","partialFingerprints":{"primaryLocationLineHash":"ann@example.com"}}`, Options{})
	if forged.LineHash != "" {
		t.Error(forged.LineHash)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	file := func(tool, category, rule, more string) Log {
		text := doc(fmt.Sprintf(`{"name":%q,"version":"1"}`, tool), fmt.Sprintf(`,"automationDetails":{"id":%q},"results":[%s]%s`, category, rule, more))
		l, err := Read(strings.NewReader(text), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	a, b := file("A", "x/", `{"ruleId":"1"}`, ""), file("A", "x/", `{"ruleId":"2"},{"ruleId":"3","kind":"pass"}`, `,"invocations":[{"executionSuccessful":false}]`)
	for range 2 { // what is merged twice is the same
		l := Merge(a, file("B", "x/", "", ""), b, file("A", "y/", `{"ruleId":"4"}`, ""))
		var got []string
		for _, r := range l.Runs {
			text := r.Tool + " " + r.Category
			for _, s := range r.Sightings {
				text += " " + s.Rule
			}
			got = append(got, fmt.Sprint(text, " ", r.Results, r.Left, len(r.Doubts)))
		}
		if diff := cmp.Diff([]string{"A x/ 1 2 3 {1 0} 1", "B x/ 0 {0 0} 0", "A y/ 4 1 {0 0} 0"}, got); diff != "" {
			t.Error(diff)
		}
		if len(l.Sightings()) != 3 || len(l.Doubts()) != 1 {
			t.Errorf("%+v", l)
		}
	}
	if len(a.Runs[0].Sightings) != 1 {
		t.Error("merging changed what was merged")
	}
}

// Whatever is read is either refused or whole: each result is a sighting or counted.
func FuzzRead(f *testing.F) {
	f.Add(doc(scan, `,"results":[{"ruleId":"a","level":"error","message":{"text":"m {0}","arguments":["x"]},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"file:///w/a","index":0},"region":{"startLine":1,"snippet":{"text":"x"}}}}]}]`))
	f.Add(doc(`{"name":"gitleaks","rules":[{"id":"a"}]}`, `,"results":[{"rule":{"index":0,"toolComponent":{"index":-1}},"suppressions":[]},{"kind":"pass","ruleId":"b"}],"invocations":[null],"artifacts":[{}]`))
	f.Add(`{"version":"2.1.0","runs":[]}`)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Read(strings.NewReader(text), Options{Workspace: "/w"})
		if err != nil && len(l.Runs) > 0 {
			t.Error("results beside an error")
		}
		for _, r := range l.Runs {
			if len(r.Sightings)+r.Left.Absent+r.Left.NoProblem != r.Results || r.Name == "" {
				t.Errorf("%+v", r)
			}
			for _, s := range r.Sightings {
				if p := s.Location.Path; p == ".." || strings.HasPrefix(p, "../") || strings.HasPrefix(p, "/") || s.Rule == "" || s.Message == "" || s.Title == "" || s.Class == "" {
					t.Errorf("%+v", s)
				}
			}
		}
	})
}
