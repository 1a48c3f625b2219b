package secrets

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest"
)

// recorded is a job on the planted repository, and what a tool printed of it.
func recorded(t testing.TB, name, what string) (scanner.Job, isolate.Command, isolate.Ran) {
	t.Helper()
	job := scanner.Job{
		Workspace: t.TempDir(), Scratch: t.TempDir(), Hash: finding.NewHasher(bytes.Repeat([]byte{1}, 32)),
		Tree:  scanner.Tree{Files: []string{scannertest.InEnv, scannertest.InTree, scannertest.InReport}},
		Range: scanner.Range{Base: "b", Head: "h", Commits: 202, Texts: 202, Edits: 201, Copy: "/commits", Objects: "/objects"},
	}
	pairs := words(job.Workspace, job.Range.Copy)
	for i := 0; i < len(pairs); i += 2 {
		pairs[i], pairs[i+1] = pairs[i+1], pairs[i]
	}
	read := func(ext string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata", name+"-"+what+ext))
		if err != nil {
			t.Fatal(err)
		}
		return []byte(strings.NewReplacer(pairs...).Replace(string(data)))
	}
	ran := isolate.Ran{Ending: isolate.Exited, Status: leaked, Stdout: read(".out"), Stderr: read(".stderr")}
	if name == "trufflehog" {
		ran.Status = status183
	}
	commands, err := byName(name).Commands(job)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands {
		if mode(c) == what {
			return job, c, ran
		}
	}
	t.Fatalf("%s has no command for %s", name, what)
	return job, isolate.Command{}, ran
}

func byName(name string) scanner.Program {
	if name == "gitleaks" {
		return Gitleaks{}
	}
	return TruffleHog{}
}

func TestRecordedOutputs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, what string
		rules      map[string]string // by path
		commits    int
		expected   int
	}{
		{"gitleaks", "files", map[string]string{scannertest.InEnv: "stripe-access-token", scannertest.InTree: "github-pat", scannertest.InReport: "gitlab-pat"}, -1, -1},
		{"gitleaks", "commits", map[string]string{
			scannertest.InEnv: "stripe-access-token", scannertest.InTree: "github-pat", scannertest.InReport: "gitlab-pat",
			scannertest.InBranch: "npm-access-token", scannertest.InMerge: "sendgrid-api-token",
		}, 202, 202},
		{"trufflehog", "files", map[string]string{scannertest.InEnv: "Stripe", scannertest.InTree: "Github", scannertest.InReport: "Gitlab"}, -1, -1},
		{"trufflehog", "commits", map[string]string{
			scannertest.InEnv: "Stripe", scannertest.InTree: "Github", scannertest.InReport: "Gitlab", scannertest.InBranch: "NpmToken",
		}, 201, 201},
	} {
		job, command, ran := recorded(t, c.name, c.what)
		report, err := byName(c.name).Read(job, command, ran)
		if err != nil {
			t.Errorf("%s %s: %v", c.name, c.what, err)
			continue
		}
		got := map[string]string{}
		for _, s := range report.Sightings {
			got[s.Location.Path] = s.Rule
			if s.Rating.Word != "high" || s.Class != finding.ClassSecret || s.Secret.Hash == "" || s.Secret.Live != finding.LiveUnknown || (s.Location.Commit != "") != (c.what == "commits") || s.Location.Line == 0 {
				t.Errorf("%s %s: %+v", c.name, c.what, s)
			}
		}
		if diff := cmp.Diff(c.rules, got); diff != "" || len(report.Sightings) != len(c.rules) {
			t.Errorf("%s %s: -want +got:\n%s", c.name, c.what, diff)
		}
		if report.Coverage.Commits != c.commits || report.Coverage.CommitsExpected != c.expected || len(report.Doubts) > 0 {
			t.Errorf("%s %s: coverage %+v, doubts %q", c.name, c.what, report.Coverage, report.Doubts)
		}
		for _, secret := range []string{"Lovelace", scannertest.Author} {
			if strings.Contains(fmt.Sprintf("%#v", report), secret) {
				t.Errorf("%s %s: the report has %q", c.name, c.what, secret)
			}
		}
		for _, secret := range scannertest.NewCredentials(scannertest.Seed).All() {
			if strings.Contains(fmt.Sprintf("%#v", report), secret) {
				t.Errorf("%s %s: the report has a credential", c.name, c.what)
			}
		}
	}
}

const endOfTruffleHog = `{"level":"info-0","msg":"finished scanning","chunks":1,"bytes":10,"verified_secrets":0,"unverified_secrets":%d,"trufflehog_version":"3.97.0"}` + "\n"

// What is not a whole report of the tool is never one without results.
func TestOutputsThatAreNoReport(t *testing.T) {
	t.Parallel()
	const leak = `{"RuleID":"r","File":"a","StartLine":1,"EndLine":1,"Secret":"s","Match":"s"}`
	const hog = `{"SourceMetadata":{"Data":{"Filesystem":{"file":"a","line":1}}},"DetectorName":"D","Raw":"secret"}`
	for _, c := range []struct {
		name, what     string
		status         int
		stdout, stderr string
		err            string
	}{
		{"gitleaks", "an empty report", 0, "", "1:00AM INF no leaks found\n", `begins with ""`},
		{"gitleaks", "null", 0, "null", "1:00AM INF no leaks found\n", "not a JSON list"},
		{"gitleaks", "an object", 0, "{}", "1:00AM INF no leaks found\n", "not a JSON list"},
		{"gitleaks", "words", 0, "no leaks", "1:00AM INF no leaks found\n", "not a JSON list"},
		{"gitleaks", "a truncated report", leaked, "[" + leak + ",", "1:00AM WRN leaks found: 2\n", "EOF"},
		{"gitleaks", "a report without its end", leaked, "[" + leak, "1:00AM WRN leaks found: 1\n", "EOF"},
		{"gitleaks", "two reports", leaked, "[" + leak + "][]", "1:00AM WRN leaks found: 1\n", "more in its report than one"},
		{"gitleaks", "wrong types", leaked, `[{"RuleID":7,"File":"a"}]`, "1:00AM WRN leaks found: 1\n", "cannot unmarshal number"},
		{"gitleaks", "a result that is none", leaked, `[{"rule":"x"}]`, "1:00AM WRN leaks found: 1\n", "has no rule"},
		{"gitleaks", "results and the status of none", 0, "[" + leak + "]", "1:00AM WRN leaks found: 1\n", "exit status 0, and its report has 1 result"},
		{"gitleaks", "no results and the status of some", leaked, "[]", "1:00AM WRN leaks found: 1\n", "exit status 10, and its report has 0 results"},
		{"gitleaks", "fewer results than it says", leaked, "[" + leak + "]", "1:00AM WRN leaks found: 5\n", "found 5 leaks, and its report has 1 result"},
		{"gitleaks", "no word of an end", 0, "[]", "", "found -1 leaks"},
		{"gitleaks", "a failure", 1, "[]", "1:00AM FTL could not load config\n", "exit status 1"},
		{"gitleaks", "an unknown flag", 126, "[]", "Error: unknown flag", "exit status 126"},
		{"gitleaks", "a partial scan", 1, "[]", "1:00AM WRN partial scan completed in 1s\n", "partial"},
		{"trufflehog", "nothing at all", 0, "", "", "does not say that it finished"},
		{"trufflehog", "words", 0, "no secrets\n", fmt.Sprintf(endOfTruffleHog, 0), "line 1: invalid character"},
		{"trufflehog", "a truncated line", status183, hog + "\n" + hog[:50], fmt.Sprintf(endOfTruffleHog, 2), "line 2: unexpected end"},
		{"trufflehog", "wrong types", status183, `{"DetectorName":[]}`, fmt.Sprintf(endOfTruffleHog, 1), "cannot unmarshal array"},
		{"trufflehog", "a list", status183, "[" + hog + "]", fmt.Sprintf(endOfTruffleHog, 1), "cannot unmarshal array"},
		{"trufflehog", "a result that is none", status183, `{}`, fmt.Sprintf(endOfTruffleHog, 1), "has no place"},
		{"trufflehog", "results and the status of none", 0, hog, fmt.Sprintf(endOfTruffleHog, 1), "exit status 0, and printed 1 result"},
		{"trufflehog", "no results and the status of some", status183, "", fmt.Sprintf(endOfTruffleHog, 0), "exit status 183, and printed 0 results"},
		{"trufflehog", "fewer results than it says", status183, hog, fmt.Sprintf(endOfTruffleHog, 9), "found 9, and printed 1 result"},
		{"trufflehog", "a failure", 1, "", fmt.Sprintf(endOfTruffleHog, 0), "exit status 1"},
		{"trufflehog", "a kill before its end", 0, hog, `{"level":"info-0","msg":"running source"}`, "does not say that it finished"},
	} {
		job, command, _ := recorded(t, c.name, "files")
		_, err := byName(c.name).Read(job, command, isolate.Ran{Ending: isolate.Exited, Status: c.status, Stdout: []byte(c.stdout), Stderr: []byte(c.stderr)})
		if err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %s: error %v, want %q", c.name, c.what, err, c.err)
		}
	}
}

// A whole report of a scan that saw too little is no clean one.
func TestScansThatSawTooLittle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, what, stdout, stderr string
		change                     func(*scanner.Job)
		doubt                      string
	}{
		{"gitleaks", "files", "[]", "1:00AM INF scanned ~0 bytes (0)\n1:00AM INF no leaks found\n", nil, "it read nothing of 3 files"},
		{"gitleaks", "files", "[]", "1:00AM WRN skipping directory error=\"permission denied\" path=src\n1:00AM INF scanned ~9 bytes\n1:00AM INF no leaks found\n", nil, "gitleaks says: skipping directory"},
		{"gitleaks", "commits", "[]", "1:00AM ERR [git] fatal: bad object\n1:00AM INF 0 commits scanned.\n1:00AM INF no leaks found\n", nil, "gitleaks says: [git] fatal: bad object"},
		{"gitleaks", "commits", "[]", "1:00AM INF 202 commits scanned.\n1:00AM INF no leaks found\n", func(j *scanner.Job) { j.Range.Shallow = true }, "the clone is shallow"},
		{"trufflehog", "files", "", strings.Replace(fmt.Sprintf(endOfTruffleHog, 0), `"bytes":10`, `"bytes":0`, 1), nil, "it read nothing of 3 files"},
		{"trufflehog", "files", "", `{"level":"error","msg":"encountered errors during scan","errors":["x"]}` + "\n" + fmt.Sprintf(endOfTruffleHog, 0), nil, "TruffleHog says: encountered errors during scan"},
		{"trufflehog", "commits", "", fmt.Sprintf(endOfTruffleHog, 0), func(j *scanner.Job) { j.Range.Shallow = true }, "the clone is shallow"},
	} {
		job, command, _ := recorded(t, c.name, c.what)
		if c.change != nil {
			c.change(&job)
		}
		report, err := byName(c.name).Read(job, command, isolate.Ran{Ending: isolate.Exited, Stdout: []byte(c.stdout), Stderr: []byte(c.stderr)})
		if err != nil || !slices.ContainsFunc(report.Doubts, func(d string) bool { return strings.Contains(d, c.doubt) }) {
			t.Errorf("%s %s: doubts %q, %v; want %q", c.name, c.what, report.Doubts, err, c.doubt)
		}
	}
	// Thirty of two hundred commits.
	job, command, _ := recorded(t, "gitleaks", "commits")
	report, err := Gitleaks{}.Read(job, command, isolate.Ran{Ending: isolate.Exited, Stdout: []byte("[]"), Stderr: []byte("1:00AM INF 30 commits scanned.\n1:00AM INF no leaks found\n")})
	if c := report.Coverage; err != nil || c.Commits != 30 || c.CommitsExpected != 202 {
		t.Errorf("coverage = %+v, %v", report.Coverage, err)
	}
	job.Range.Copy, job.Range.Missing = "", "there is no git repository"
	_, command, _ = recorded(t, "gitleaks", "files")
	report, err = Gitleaks{}.Read(job, command, isolate.Ran{Ending: isolate.Exited, Stdout: []byte("[]"), Stderr: []byte("1:00AM INF scanned ~9 bytes\n1:00AM INF no leaks found\n")})
	if err != nil || !slices.Contains(report.Doubts, "the commits could not be read: there is no git repository") {
		t.Errorf("doubts = %q, %v", report.Doubts, err)
	}
}

// A tool that was ended has no report, whatever it had printed by then.
func TestToolsThatWereEnded(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gitleaks", "trufflehog"} {
		for _, change := range []isolate.Ran{{Ending: isolate.TimedOut}, {Ending: isolate.Signalled}, {Ending: isolate.OutOfMemory}, {Ending: isolate.Cancelled}, {Ending: isolate.Exited, Truncated: true}} {
			job, command, ran := recorded(t, name, "commits")
			ran.Ending, ran.Truncated = change.Ending, change.Truncated
			if report, err := byName(name).Read(job, command, ran); err == nil {
				t.Errorf("%s %+v: %d sightings", name, change, len(report.Sightings))
			}
		}
	}
}

func TestThreeStatesOfVerification(t *testing.T) {
	t.Parallel()
	const line = `{"SourceMetadata":{"Data":{"Filesystem":{"file":".env.production","line":1}}},"DetectorName":"D","Raw":"r4nd0mr4nd0m","RawV2":"r4nd0mr4nd0m:s3c0nds3c0nd"%s}` + "\n"
	for _, c := range []struct {
		more   string
		tried  bool
		live   finding.Liveness
		rating string
	}{
		{`,"Verified":true`, true, finding.LiveVerified, "critical"},
		{``, true, finding.LiveUnverified, "high"},
		{`,"VerificationError":"dial tcp: r4nd0mr4nd0m refused"`, true, finding.LiveError, "high"},
		{``, false, finding.LiveUnknown, "high"},
	} {
		job, command, _ := recorded(t, "trufflehog", "files")
		job.Verify = c.tried
		report, err := TruffleHog{}.Read(job, command, isolate.Ran{Ending: isolate.Exited, Status: status183, Stdout: fmt.Appendf(nil, line, c.more), Stderr: fmt.Appendf(nil, endOfTruffleHog, 1)})
		if err != nil || len(report.Sightings) != 1 || report.Version != "3.97.0" {
			t.Errorf("%s: %+v, %v", c.more, report, err)
			continue
		}
		s := report.Sightings[0]
		if s.Secret.Live != c.live || s.Rating.Word != c.rating || strings.Contains(fmt.Sprintf("%#v", report), "r4nd0m") {
			t.Errorf("%s: %+v", c.more, s)
		}
	}
}

// Only a scan that may try credentials has a network and tries them, and no plant.
func TestCredentialsAreTriedOnlyIfAsked(t *testing.T) {
	t.Parallel()
	job, _, _ := recorded(t, "trufflehog", "files")
	for _, c := range []struct{ verify, planted, want bool }{{false, false, false}, {true, false, true}, {true, true, false}} {
		job.Verify, job.Planted = c.verify, c.planted
		commands, err := TruffleHog{}.Commands(job)
		if err != nil || len(commands) != 2 {
			t.Fatalf("%d commands, %v", len(commands), err)
		}
		for _, command := range commands {
			if command.Network != c.want || slices.Contains(command.Args, "--no-verification") == c.want {
				t.Errorf("%+v: network %t, %q", c, command.Network, command.Args)
			}
		}
	}
}

// huge makes the report of n results of both tools.
func huge(n int) (gitleaks, trufflehog isolate.Ran) {
	var a, b bytes.Buffer
	a.WriteString("[")
	for i := range n {
		if i > 0 {
			a.WriteString(",")
		}
		fmt.Fprintf(&a, `{"RuleID":"generic-api-key","Description":"Detected a generic key.","StartLine":%d,"EndLine":%d,"Match":"key = k%dz","Secret":"k%dz","File":"%s","Commit":"%040d","Email":"a@b.c","Message":"m"}`, i+1, i+1, i, i, scannertest.InTree, i)
		fmt.Fprintf(&b, `{"SourceMetadata":{"Data":{"Git":{"commit":"%040d","file":"%s","email":"a@b.c","line":%d}}},"DetectorName":"Generic","Raw":"k%dz","Verified":false}`+"\n", i, scannertest.InTree, i+1, i)
	}
	a.WriteString("]")
	gitleaks = isolate.Ran{Ending: isolate.Exited, Status: leaked, Stdout: a.Bytes(), Stderr: fmt.Appendf(nil, "1:00AM INF 202 commits scanned.\n1:00AM WRN leaks found: %d\n", n)}
	trufflehog = isolate.Ran{Ending: isolate.Exited, Status: status183, Stdout: b.Bytes(), Stderr: fmt.Appendf(nil, endOfTruffleHog, n)}
	return gitleaks, trufflehog
}

const many = 100_000

func TestHugeReports(t *testing.T) {
	t.Parallel()
	gitleaks, trufflehog := huge(many)
	for name, ran := range map[string]isolate.Ran{"gitleaks": gitleaks, "trufflehog": trufflehog} {
		job, command, _ := recorded(t, name, "commits")
		report, err := byName(name).Read(job, command, ran)
		if err != nil || len(report.Sightings) != many {
			t.Errorf("%s: %d sightings, %v", name, len(report.Sightings), err)
		}
	}
}

func BenchmarkHugeReports(b *testing.B) {
	gitleaks, trufflehog := huge(many)
	for name, ran := range map[string]isolate.Ran{"gitleaks": gitleaks, "trufflehog": trufflehog} {
		b.Run(name, func(b *testing.B) {
			job, command, _ := recorded(b, name, "commits")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := byName(name).Read(job, command, ran); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzGitleaks(f *testing.F) {
	_, _, ran := recorded(f, "gitleaks", "files")
	f.Add(ran.Stdout, ran.Stderr, leaked)
	f.Add([]byte("[]"), []byte("1:00AM INF no leaks found\n"), 0)
	job, command, _ := recorded(f, "gitleaks", "files")
	f.Fuzz(func(t *testing.T, stdout, stderr []byte, status int) {
		report, err := Gitleaks{}.Read(job, command, isolate.Ran{Ending: isolate.Exited, Status: status, Stdout: stdout, Stderr: stderr})
		if err != nil && len(report.Sightings) > 0 {
			t.Error("an unreadable report has sightings")
		}
	})
}

func FuzzTruffleHog(f *testing.F) {
	_, _, ran := recorded(f, "trufflehog", "commits")
	f.Add(ran.Stdout, ran.Stderr, status183)
	job, command, _ := recorded(f, "trufflehog", "commits")
	f.Fuzz(func(t *testing.T, stdout, stderr []byte, status int) {
		report, err := TruffleHog{}.Read(job, command, isolate.Ran{Ending: isolate.Exited, Status: status, Stdout: stdout, Stderr: stderr})
		if err != nil && len(report.Sightings) > 0 {
			t.Error("an unreadable report has sightings")
		}
	})
}
