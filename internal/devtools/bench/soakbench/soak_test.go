package soakbench

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sandboxtest"
	"github.com/candlefish/deploy-action/internal/exit"
)

// What TestFiveMinutes does. Its first turns with this seed have both bad
// versions, a kill, an earlier image again, and most of the user's changes.
const (
	testDuration = 5 * time.Minute
	testSeed     = 673
	testRate     = 100 // other tests share the machine
)

// Five minutes of a target's life, the same ones every time.
func TestFiveMinutes(t *testing.T) {
	t.Parallel()
	s := sandboxtest.Start(t)
	o := options{duration: testDuration, seed: testSeed, rate: testRate, file: filepath.Join(t.TempDir(), "bench-soak.json")}
	if err := run(t.Context(), s, sandboxtest.Namespace(t, s), o, t.Output()); err != nil {
		t.Error(err)
	}
}

func turns(seed uint64, during float64, n int) []turn {
	s := newScript(seed, during)
	var all []turn
	for range n {
		all = append(all, s.next())
	}
	return all
}

func TestScriptDependsOnItsSeedAlone(t *testing.T) {
	t.Parallel()
	same := cmp.AllowUnexported(turn{}, version{}, strategy{})
	if diff := cmp.Diff(turns(7, .5, 100), turns(7, .5, 100), same); diff != "" {
		t.Errorf("the same seed made two scripts:\n%s", diff)
	}
	if cmp.Equal(turns(7, .5, 100), turns(8, .5, 100), same) {
		t.Error("two seeds made the same script")
	}
}

func TestScriptHasAllThereIs(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	disturbed := false
	for i, turn := range turns(1, .5, 300) {
		seen[turn.version.tag]++
		seen["by "+turn.strategy.name]++
		seen["before "+string(turn.before)]++
		seen["during "+string(turn.during)]++
		if (turn.kill > 0) != ((i+1)%killEvery == 0) {
			t.Errorf("%s: want every run of %d killed", turn, killEvery)
		}
		if turn.kill > 0 && turn.during != unchanged {
			t.Errorf("%s: disturbed twice", turn)
		}
		if disturbed && turn.before != unchanged {
			t.Errorf("%s: %s before what the last run left is finished", turn, turn.before)
		}
		disturbed = turn.kill > 0 || turn.during != unchanged
	}
	for _, c := range changes {
		for _, want := range []string{"before " + string(c), "during " + string(c)} {
			if seen[want] == 0 {
				t.Errorf("never %s", want)
			}
		}
	}
	for _, v := range slices.Concat(good, bad) {
		if seen[v.tag] == 0 {
			t.Errorf("never a release of %s", v.tag)
		}
	}
	for _, s := range strategies {
		if seen["by "+s.name] == 0 {
			t.Errorf("never a release by %s", s.name)
		}
	}
}

func TestNothingHappensDuringARunUnlessAsked(t *testing.T) {
	t.Parallel()
	for _, turn := range turns(1, 0, 300) {
		if turn.during != unchanged {
			t.Errorf("%s", turn)
		}
	}
}

func TestLastTurn(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		got := newScript(seed, 0).last([]string{"soak-1", "soak-3"})
		if v := got.version; v.want != 0 || v.tag == "soak-1" || v.tag == "soak-3" || got.kill != 0 || got.before != unchanged {
			t.Errorf("seed %d: %s is the last", seed, got)
		}
	}
}

// TestFiveMinutes is worth what its first turns have in them.
func TestSeedOfTheFiveMinutes(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, turn := range turns(testSeed, 0, 5) {
		seen[turn.version.tag] = true
		seen[string(turn.before)] = true
	}
	for _, want := range []string{errorsTag, unreadyTag, string(restart), string(setEnv), string(apply)} {
		if !seen[want] {
			t.Errorf("the first turns are without %s", want)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	v := versionOf
	one, both := []string{"soak-1"}, []string{"soak-1", "soak-2"}
	tests := []struct {
		name   string
		turn   turn
		before []string
		exit   int
		live   []string
		want   string // in its problem; "" for none
		after  []string
	}{
		{"good", turn{version: v("soak-2")}, one, 0, []string{"soak-2"}, "", []string{"soak-2"}},
		{"good, and the old one serves", turn{version: v("soak-2")}, one, 0, one, "soak-1 serves, want soak-2", one},
		{"good, and two serve", turn{version: v("soak-2")}, one, 0, both, "soak-1 and soak-2 serves", []string{"soak-2"}},
		{"good that is put back", turn{version: v("soak-2")}, one, 4, one, "exit status 4, want one of [0]", one},
		{"the same again", turn{version: v("soak-1")}, one, 0, one, "", one},
		{"bad", turn{version: v(errorsTag)}, one, 4, one, "", one},
		{"bad that is promoted", turn{version: v(errorsTag)}, one, 0, []string{errorsTag}, "exit status 0", nil},
		{"bad that still serves", turn{version: v(errorsTag)}, one, 4, []string{errorsTag}, errorsTag + " serves", one},
		{"bad by chance", turn{version: v(unreadyTag)}, one, 4, one, "another reason than the version", one},
		{"bad after a kill", turn{version: v(errorsTag)}, both, 4, []string{"soak-2"}, "", []string{"soak-2"}},
		{"killed", turn{version: v("soak-2"), kill: time.Second}, one, killed, both, "", both},
		{"killed while bad", turn{version: v(errorsTag), kill: time.Second}, one, killed, []string{"soak-1", errorsTag}, "", one},
		{"killed too late", turn{version: v("soak-2"), kill: time.Second}, one, 0, []string{"soak-2"}, "", []string{"soak-2"}},
		{"killed, and nobody serves", turn{version: v("soak-2"), kill: time.Second}, one, killed, nil, " serves, want soak-1 or soak-2", both},
		{"killed, and a stranger serves", turn{version: v("soak-2"), kill: time.Second}, one, killed, []string{"soak-4"}, "soak-4 serves", both},
		{"paused", turn{version: v("soak-2"), during: restart}, one, paused, both, "", both},
		{"paused by nobody", turn{version: v("soak-2")}, one, paused, both, "exit status 3", both},
		{"could not run", turn{version: v("soak-2")}, one, 1, one, "exit status 1", both},
	}
	for _, test := range tests {
		r := newRelease(test.turn, test.before)
		r.Exit, r.Live, r.Judged = test.exit, test.live, true
		got := strings.Join(r.judge(), "; ")
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: problems %q, want %q", test.name, got, test.want)
		}
		if got := r.after(); !slices.Equal(got, test.after) {
			t.Errorf("%s: %q may serve afterwards, want %q", test.name, got, test.after)
		}
	}
	late := Release{Image: unreadyTag, Exit: 4, Want: []int{4}, Reason: "progress deadline: 0 of 1 pods", Before: one, Live: one}
	if got := late.judge(); got != nil {
		t.Errorf("never ready: problems %q", got)
	}
	if got := (Release{Stuck: true, Exit: killed, Image: "soak-2", Live: one, Before: one}).judge(); len(got) != 1 || !strings.Contains(got[0], "stuck") {
		t.Errorf("stuck: problems %q", got)
	}
}

func TestLoadCountsTheBadVersionsOwnErrorsApart(t *testing.T) {
	t.Parallel()
	l := &load{answers: map[string]int{}}
	for _, r := range []struct {
		code    uint16
		version string
	}{
		{200, "soak-1"}, {200, errorsTag}, {500, errorsTag}, // of these none
		{500, "soak-1"}, {502, ""}, {503, errorsTag}, {0, ""}, // of these all
	} {
		l.add(&vegeta.Result{Code: r.code, Headers: http.Header{"X-Version": {r.version}}})
	}
	if l.requests != 7 || l.own != 1 || l.notOwn != 4 || len(l.failures) != 4 {
		t.Errorf("%d requests, %d own, %d not own, %d listed; want 7, 1, 4, 4", l.requests, l.own, l.notOwn, len(l.failures))
	}
	if want := map[string]int{"soak-1": 2, errorsTag: 3}; !cmp.Equal(l.answers, want) {
		t.Errorf("answers %v, want %v", l.answers, want)
	}
}

func TestAttribute(t *testing.T) {
	t.Parallel()
	start := time.Now()
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	steps := []step{{at(0), 0, "load only"}, {at(10), 1, "run 1"}, {at(20), 1, "after run 1"}, {at(30), 2, "run 2"}}
	failures := []Failure{{At: at(-1)}, {At: at(5)}, {At: at(10)}, {At: at(19)}, {At: at(25)}, {At: at(99)}}
	attribute(failures, steps)
	var got []string
	for _, f := range failures {
		got = append(got, f.Step)
	}
	if diff := cmp.Diff([]string{"", "load only", "run 1", "run 1", "after run 1", "run 2"}, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	r := Result{Runs: make([]Release, 2)}
	r.count(&load{requests: 600, notOwn: 6, failures: failures}, steps)
	if r.Runs[0].NotOwn != 3 || r.Runs[1].NotOwn != 1 || len(r.First) != 6 {
		t.Errorf("%d and %d failed in the runs, %d listed; want 3, 1 and 6", r.Runs[0].NotOwn, r.Runs[1].NotOwn, len(r.First))
	}
}

// plain is a namespace as the user wrote it.
const plain = `{"items": [
{"kind": "Deployment", "metadata": {"name": "candlefish-website"}, "spec": {"replicas": 3, "template": {
 "metadata": {"labels": {"app": "candlefish-website"}},
 "spec": {"containers": [{"name": "website", "image": "website:soak-1", "env": [{"name": "DRAIN", "value": "5s"}]}]}}}, "status": {"replicas": 3}},
{"kind": "ReplicaSet", "metadata": {"name": "a", "ownerReferences": [{"kind": "Deployment", "name": "candlefish-website"}]}, "status": {"replicas": 3}},
{"kind": "ReplicaSet", "metadata": {"name": "old", "ownerReferences": [{"kind": "Deployment", "name": "candlefish-website"}]}, "status": {"replicas": 0}},
{"kind": "Pod", "metadata": {"name": "a-1", "labels": {"app": "candlefish-website"}}},
{"kind": "Service", "metadata": {"name": "candlefish-website"}, "spec": {"selector": {"app": "candlefish-website"}}},
{"kind": "HTTPRoute", "metadata": {"name": "candlefish-website"}, "spec": {"rules": [{"backendRefs": [{"name": "candlefish-website", "weight": 1}]}]}}
]}`

// namespace is plain with texts replaced by others, in pairs.
func namespace(t *testing.T, replace ...string) []object {
	t.Helper()
	objects, err := parseObjects([]byte(strings.NewReplacer(replace...).Replace(plain)))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestRestored(t *testing.T) {
	t.Parallel()
	leave := func(objects string) []string { return []string{`{"items": [`, `{"items": [` + objects + ","} }
	tests := []struct {
		name    string
		replace []string
		want    []string
	}{
		{"nothing", nil, nil},
		{"what a user may do", []string{"soak-1", "soak-2", `"replicas": 3, "t`, `"replicas": 2, "t`,
			`"metadata": {"labels": {"app": "candlefish-website"}},`,
			`"metadata": {"labels": {"app": "candlefish-website"}, "annotations": {"kubectl.kubernetes.io/restartedAt": "now"}},`}, nil},
		{"role labels", []string{`"labels": {"app"`, `"labels": {"version": "stable", "app"`}, []string{
			"Pod a-1 has the label version=stable", `Deployment candlefish-website: spec.template.metadata.labels.version is "stable", want not there`}},
		{"a paused Deployment", []string{`"replicas": 3, "t`, `"replicas": 3, "paused": true, "t`}, []string{`Deployment candlefish-website: spec.paused is true, want not there`}},
		{"a variable that is lost", []string{`{"name": "DRAIN", "value": "5s"}`, ``}, []string{`Deployment candlefish-website: spec.template.spec.containers[0].env.DRAIN is not there, want "5s"`}},
		{"a selector", []string{`"selector": {`, `"selector": {"version": "stable", `}, []string{`Service candlefish-website: spec.selector.version is "stable", want not there`}},
		{"a weight", []string{`"weight": 1}`, `"weight": 100}`}, []string{`HTTPRoute candlefish-website: spec.rules[0].backendRefs[0].weight is 100, want 1`}},
		{"a second backend", []string{`"weight": 1}`, `"weight": 1}, {"name": "x"}`}, []string{
			`HTTPRoute candlefish-website: spec.rules[0].backendRefs is [{"name":"candlefish-website","weight":1},{"name":"x"}], want [{"name":"candlefish-website","weight":1}]`}},
		{"a route that is gone", []string{"HTTPRoute", "Gone"}, []string{
			`HTTPRoute candlefish-website: spec is not there, want {"rules":[{"backendRefs":[{"name":"candlefish-website","weight":1}]}]}`}},
		{"objects", leave(`{"kind": "Deployment", "metadata": {"name": "x-canary"}}, {"kind": "Job", "metadata": {"name": "check"}},
			{"kind": "Service", "metadata": {"name": "x-canary"}}, {"kind": "Service", "metadata": {"name": "x-going", "deletionTimestamp": "now"}}`), []string{
			"Deployment x-canary is left", "Job check is left", "Service x-canary is left"}},
		{"pods", leave(`{"kind": "ReplicaSet", "metadata": {"name": "b"}, "status": {"replicas": 1}}`), []string{
			"ReplicaSet b has pods and is not of the user's Deployment", "2 ReplicaSets have pods, want 1"}},
	}
	for _, test := range tests {
		got := restored(specs(namespace(t)), namespace(t, test.replace...))
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// What the user sets is what the user wants at the end.
func TestSetVariable(t *testing.T) {
	t.Parallel()
	want := specs(namespace(t))
	setVariable(want, "SOAK_TURN", "7")
	now := namespace(t, `[{"name": "DRAIN"`, `[{"name": "SOAK_TURN", "value": "7"}, {"name": "DRAIN"`)
	if left := restored(want, now); left != nil {
		t.Errorf("with the variable: %q", left)
	}
	if left := restored(want, namespace(t)); len(left) != 1 || !strings.Contains(left[0], "SOAK_TURN") {
		t.Errorf("without the variable: %q", left)
	}
}

func TestScaled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		replicas int
		grow     bool
		want     int
	}{{3, true, 4}, {3, false, 2}, {4, true, 3}, {2, false, 3}} {
		if got := scaled(c.replicas, c.grow); got != c.want {
			t.Errorf("scaled(%d, %t) = %d, want %d", c.replicas, c.grow, got, c.want)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		result Result
		want   int // problems
	}{
		{"all is well", Result{Requests: 10, Own: 3}, 0},
		{"no load", Result{}, 1},
		{"a request is lost", Result{Requests: 10, NotOwn: 1}, 1},
		{"traffic for what is not ready", Result{Requests: 10, Answers: map[string]int{unreadyTag: 1}}, 1},
		{"a run", Result{Requests: 10, Runs: []Release{{Problems: []string{"stuck", "two serve"}}}}, 2},
		{"left", Result{Requests: 10, Left: []string{"a", "b", "c"}}, 3},
	} {
		c.result.conclude()
		if n := len(c.result.Problems); n != c.want || c.result.Passed != (c.want == 0) {
			t.Errorf("%s: passed %t, problems %q, want %d", c.name, c.result.Passed, c.result.Problems, c.want)
		}
	}
}

func TestResultFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "result.json")
	want := Result{Seed: 1 << 63, Rate: 300, Requests: 10, Passed: true, Runs: []Release{{Number: 1, Image: "soak-1", Change: restart}}}
	if err := want.write(file); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got Result
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if table := got.String(); !strings.Contains(table, "soak-1") || !strings.Contains(table, "kubectl rollout restart") {
		t.Errorf("the table lacks the run:\n%s", table)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"--duration=90s", "--seed=5", "--rate=100"})
	if err != nil || o != (options{duration: 90 * time.Second, seed: 5, rate: 100, file: ResultFile}) {
		t.Errorf("options %+v, %v", o, err)
	}
	for _, args := range [][]string{{"--duration=long"}, {"--rate=0"}, {"--during=2"}, {"--seed=-1"}, {"fast"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%q is accepted", args)
		} else if status, _ := exit.Of(err); status != exit.BadInput {
			t.Errorf("%q: %v is no bad input", args, err)
		}
	}
}
