package report

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/rollout"
)

var update = flag.Bool("update", false, "rewrite testdata")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), -update rewrites:\n%s", path, diff)
	}
}

var t0 = time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)

func sec(s float64) Seconds { return Seconds(s * float64(time.Second)) }

func step(weight int, at time.Duration, canary, stable, failed int64) Step {
	share := float64(canary) / float64(canary+stable)
	s := Step{Weight: weight, StartedAt: t0.Add(at), AcceptedAfter: sec(.08), ObservedAfter: sec(1.74), Dwell: sec(60),
		Requests: VersionCounts{Counts: Counts{canary + stable, failed}, Canary: Counts{canary, failed}, Stable: Counts{Total: stable}},
		Latency:  Latencies{Canary: &Latency{8.1, 14.2, 22.9}},
		Verdict:  "Successful", Reason: fmt.Sprintf("the canary failed %d of %d answers (0 %%), limit 5 %%", failed, canary),
		ObservedShare: &share, Interval: &[2]float64{share - .02, min(1, share+.02)},
		Confirmation: Confirmed, ConfirmedBy: "164 answers by header:X-Version"}
	if stable > 0 {
		s.Latency.Stable = &Latency{7.9, 13.8, 20.1}
	}
	return s
}

func promoted() Result {
	return Result{
		Status: StatusSuccess, Environment: "production", Deployment: "web", Image: "ghcr.io/candlefish/web:1.4.0",
		Steps: 4, TotalDuration: 247, CompletedAt: t0.Add(247 * time.Second), TrafficSteps: []int{5, 25, 50, 100},
		RunID: "8123456789", RunURL: "https://github.com/candlefish/web/actions/runs/8123456789",
		Namespace: "shop", Service: "web", Route: "HTTPRoute/web", Strategy: "canary", PreviousImage: "ghcr.io/candlefish/web:1.3.2",
		ImageDigests: []string{"sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"},
		Outcome:      "Promoted", Reason: "every step was successful",
		StepRecords: []Step{step(5, 0, 310, 5900, 0), step(25, 62*time.Second, 1540, 4610, 0), step(50, 124*time.Second, 3080, 3085, 0), step(100, 186*time.Second, 6100, 0, 0)},
		Weights:     []WeightAt{{t0, 5}, {t0.Add(62 * time.Second), 25}, {t0.Add(124 * time.Second), 50}, {t0.Add(186 * time.Second), 100}},
		Pods: []Pod{{"web-6d5f7c9b8-abcde", "0b0f9a53-3f5e-4c39-8f0e-2a5c8f4e1c11", 0, 0},
			{"web-6d5f7c9b8-fghij", "53b4d0de-11e0-4a4f-a6f2-6f3a0f1b8c22", 0, 0}},
		TotalRequests: 24625, DurationSeconds: sec(247.3), DwellSeconds: sec(240), OverheadSeconds: sec(7.3),
		Events: []Event{{t0, "weight 5 written"}, {t0.Add(1740 * time.Millisecond), "164 answers show weight 5"}},
	}
}

func aborted() Result {
	r := promoted()
	r.Status, r.Outcome, r.ExitCode, r.RolledBack = StatusFailed, "Aborted", 4, true
	r.Reason = "the canary failed 12 of 40 answers (30 %, 95 % interval 16.6 % to 46.5 %), limit 5 %"
	r.Hint = "see the end of the pod's log below"
	bad := step(25, 62*time.Second, 40, 122, 12)
	bad.Verdict, bad.Reason, bad.Dwell = "Failed", r.Reason, sec(.4)
	bad.ObservedAfter, bad.Confirmation, bad.ObservedShare, bad.Interval, bad.ConfirmedBy = 0, Unconfirmed, nil, nil, ""
	r.StepRecords = []Step{r.StepRecords[0], bad}
	r.Weights = append(r.Weights[:2:2], WeightAt{t0.Add(64 * time.Second), 0})
	r.CompletedAt, r.TotalDuration = t0.Add(70*time.Second), 70
	r.TotalRequests, r.FailedRequests, r.UnsentRequests = 6372, 12, 3
	r.DurationSeconds, r.DwellSeconds, r.OverheadSeconds = sec(70), sec(60.4), sec(9.6)
	r.Warnings = []string{"no probe answer came from pod web-6d5f7c9b8-fghij"}
	r.Pods, r.ImageDigests = nil, nil
	r.PodFailure = &PodFailure{"web-canary-77f-xyz12", "CrashLoopBackOff", "exit code 1", []string{"panic: no such table: orders", "```", "exit status 2"}}
	return r
}

func hostile() Result {
	evil := "x|y`` <img src=x onerror=alert(1)> [a](http://evil.test) **b** @octocat #1 www.evil.test https://evil.test/\r\n# head\n\n```\x1b[31mred\u202egnp $1$"
	r := aborted()
	r.Image, r.PreviousImage, r.Deployment, r.Reason, r.Hint = evil, evil, evil, evil, evil
	r.Environment, r.RunID, r.RunURL, r.Route = evil, evil, "https://evil.test/) [x](y", evil
	r.Warnings, r.Events = []string{evil}, []Event{{t0, evil}}
	r.PodFailure = &PodFailure{evil, evil, evil, []string{evil, "````"}}
	r.Pods = []Pod{{evil, evil, 1, 2}}
	r.StepRecords[0].Verdict, r.StepRecords[0].Reason, r.StepRecords[0].ConfirmedBy = rollout.Verdict(evil), evil, evil
	return r
}

func TestGoldens(t *testing.T) {
	t.Parallel()
	paused := aborted()
	paused.Outcome, paused.Paused, paused.RolledBack, paused.ExitCode, paused.PodFailure = rollout.PhasePaused, true, false, 3, nil
	paused.Weights, paused.Weight = paused.Weights[:2], paused.Weights[1].Weight
	failed := aborted()
	failed.Outcome, failed.ExitCode, failed.Reason, failed.Hint = rollout.PhaseFailed, 5, "the gateway accepted weight 0, but the canary still answers", "set the weight of web-canary in HTTPRoute/web to 0"
	for name, r := range map[string]Result{
		"promoted": promoted(), "aborted": aborted(), "paused": paused, "failed": failed, "hostile": hostile(),
		"bad-input": {Status: StatusFailed, ExitCode: 2, Deployment: "web", Reason: `steps "5,x": want whole percents`, Hint: "see the README's table"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, name+".md", Markdown(r))
			golden(t, name+".txt", Text(r))
			b, err := JSON(r)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".json", string(b))
		})
	}
}

func TestNoRequestsIsNotZeroFailed(t *testing.T) {
	t.Parallel()
	r := promoted()
	r.TotalRequests = 0
	for _, s := range []string{Markdown(r), Text(r)} {
		if first, _, _ := strings.Cut(s, "\n"); strings.Contains(first, "0 requests failed") || !strings.Contains(first, "no requests were measured") {
			t.Errorf("first line: %s", first)
		}
	}
}

func TestHeadline(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		outcome rollout.Phase
		status  string
		exit    int
		want    string
	}{
		{"Promoted", "", 0, "Promoted"}, {"", StatusSuccess, 0, "Done"}, {"", "", 0, "Not finished"}, {"", "", 1, "Could not run"},
		{"", "", 2, "Bad input"}, {"", "", 3, "gate refused"}, {"", "", 4, "stable is serving"}, {"", "", 5, "STATE UNKNOWN"},
		{"Progressing", "", 1, "Could not run"}, {"Failed", "", 5, "STATE UNKNOWN"},
	} {
		r := Result{Outcome: c.outcome, Status: c.status, ExitCode: c.exit}
		if got := r.headline(); !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q, want %q in it", c, got, c.want)
		}
	}
}

// An early error may come before the deployment is known.
func TestTarget(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]Result{
		"Could not run: shop/web":       {Namespace: "shop", Deployment: "web"},
		"Could not run: namespace shop": {Namespace: "shop"},
		"Could not run: web":            {Deployment: "web"},
	} {
		r.Status, r.ExitCode = StatusFailed, exit.CouldNotRun.Code()
		if got, _, _ := strings.Cut(Text(r), "\n"); got != want {
			t.Errorf("headline %q, want %q", got, want)
		}
	}
}

func TestJSONReadsBack(t *testing.T) {
	t.Parallel()
	for _, r := range []Result{promoted(), aborted(), {}} {
		b, err := JSON(r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), ": null") && r.Outcome == "Promoted" && !strings.Contains(string(b), `"stable": null`) {
			t.Errorf("null in:\n%s", b)
		}
		var back Result
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		r.SchemaVersion = SchemaVersion
		if diff := cmp.Diff(r, back, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestNothingIsLargerThanMaxSize(t *testing.T) {
	t.Parallel()
	r := hostile()
	long := strings.Repeat("`|@<é", 1<<11)
	r.Reason, r.Image, r.Command = long, long, []string{long, long}
	for i := range 400 {
		r.Events = append(r.Events, Event{t0, long})
		r.Warnings = append(r.Warnings, long)
		r.StepRecords = append(r.StepRecords, r.StepRecords[0])
		r.Pods = append(r.Pods, Pod{Name: long})
		r.ImageDigests = append(r.ImageDigests, long)
		r.PodFailure.LastLogLines = append(r.PodFailure.LastLogLines, long)
		r.Weights = append(r.Weights, WeightAt{t0.Add(time.Duration(i) * time.Second), i % 100})
		r.TrafficSteps = append(r.TrafficSteps, i)
	}
	b, err := JSON(r)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{"markdown": Markdown(r), "text": Text(r), "json": string(b)} {
		if len(s) > MaxSize {
			t.Errorf("%s has %d bytes", name, len(s))
		}
		if !utf8.ValidString(s) {
			t.Errorf("%s is not UTF-8", name)
		}
	}
	if !strings.Contains(string(b), "entries were omitted") {
		t.Error("entries were omitted without a warning")
	}
	if n := len(r.Events); n != 401 {
		t.Errorf("the caller's events are %d now", n)
	}
}

// Every string and list is bounded, those added later too.
func TestCutBoundsEverything(t *testing.T) {
	t.Parallel()
	var r Result
	fill(reflect.ValueOf(&r).Elem())
	r, lost := r.cut(3)
	if lost == 0 {
		t.Error("nothing is left out")
	}
	bounded(t, "Result", reflect.ValueOf(r))
}

// fill sets every string to a long one and every slice to 20 entries.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.Repeat("x", 5<<10))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 20, 20))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	default: // numbers stay
	}
}

func bounded(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		if v.Len() > 4<<10+3 {
			t.Errorf("%s has %d bytes", path, v.Len())
		}
	case reflect.Slice:
		if v.Len() > 3 {
			t.Errorf("%s has %d entries", path, v.Len())
		}
		for i := range v.Len() {
			bounded(t, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			bounded(t, path, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				bounded(t, path+"."+f.Name, v.Field(i))
			}
		}
	default: // a number has a bounded length
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "''", "a/b:1.2@sha256:0f": "a/b:1.2@sha256:0f", "a b": "'a b'", "$(rm -rf /)": "'$(rm -rf /)'", "it's": `'it'\''s'`,
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for in, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := number(in); got != want {
			t.Errorf("number(%d) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[float64]string{.0304: "30ms", 1.74: "1.7s", 247.3: "4m7s"} {
		if got := sec(in).String(); got != want {
			t.Errorf("%v s = %q, want %q", in, got, want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"a|b", "<b>", "``", "@me #1", "https://x", "www.x", "\n# x", "\x1b[0m", "\xff\xfe", "[x](y)", "``\a`"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, got := range map[string]string{"escape": Escape(s), "code": Code(s), "cell": Cell(s), "plain": Plain(s)} {
			if !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\x1b\x00\u202e") {
				t.Errorf("%s(%q) = %q", name, s, got)
			}
		}
		e := Escape(s)
		for i := 0; i < len(e); i++ {
			if e[i] == '\\' {
				i++ // Markdown shows the next character literally
				continue
			}
			if strings.IndexByte("`*_[]<>&|~$", e[i]) >= 0 {
				t.Fatalf("escape(%q) = %q: %q at %d acts", s, e, e[i], i)
			}
		}
		if strings.Contains(e, "://") || strings.Contains(strings.ToLower(e), "www.") {
			t.Errorf("escape(%q) = %q has a link", s, e)
		}
		c := Code(s)
		fence := c[:len(c)-len(strings.TrimLeft(c, "`"))]
		if inner := strings.TrimSuffix(strings.TrimPrefix(c, fence), fence); fence != "" && longestRun(inner) >= len(fence) {
			t.Errorf("code(%q) = %q can be left", s, c)
		}
		b := block("", strings.Split(s, "\n"))
		lines := strings.Split(strings.TrimSuffix(b, "\n"), "\n")
		for _, l := range lines[1 : len(lines)-1] {
			if strings.Contains(l, lines[0]) {
				t.Errorf("block(%q) = %q can be left", s, b)
			}
		}
	})
}

// What a report says to type is taken by the target that it names.
func TestRepeatedCommandIsTaken(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../../magefile.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	options := map[string][]string{} // of the targets in the namespace deploy
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil {
			for _, field := range f.Type.Params.List {
				for _, name := range field.Names {
					target := "deploy:" + strings.ToLower(f.Name.Name)
					options[target] = append(options[target], name.Name)
				}
			}
		}
	}
	for strategy, target := range map[string]string{"": "canary", "canary": "canary", "blue-green": "bluegreen", "rolling": "rolling"} {
		words := strings.Fields(Result{Strategy: strategy, Image: "web:2", Environment: "staging", Namespace: "shop"}.command())
		if want := "deploy:" + target; words[3] != want {
			t.Errorf("strategy %q: target %s, want %s", strategy, words[3], want)
		}
		for _, word := range words[4:] {
			name, _, _ := strings.Cut(strings.TrimPrefix(word, "-"), "=")
			if !slices.Contains(options[words[3]], name) {
				t.Errorf("%s: no option of %s, which has %v", word, words[3], options[words[3]])
			}
		}
		if last := words[len(words)-1]; last != "-flags=--environment=staging" {
			t.Errorf("the environment is in %s", last)
		}
	}
}
