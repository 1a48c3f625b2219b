package input

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testSpec() Spec {
	return Spec{
		Name: "demo",
		Inputs: []Def{
			{Name: "image", Env: "IMAGE", Form: FormImage, Positional: true, Help: "h"},
			{Name: "strategy", Kind: Enum, Default: "canary", Allowed: []string{"canary"}, Later: []string{"rolling"}, Help: "h"},
			{Name: "steps", Kind: Steps, Default: "5,25,50,100", Help: "h"},
			{Name: "step-duration", Kind: Duration, Env: "STEP_DURATION", Default: "300s", Help: "h"},
			{Name: "rollback-on-error", Kind: Bool, Env: "ROLLBACK_ON_ERROR", Default: "true", Off: "no-rollback", Help: "h"},
			{Name: "dry-run", Kind: Bool, Default: "false", Alias: "plan", Help: "h"},
			{Name: "rate", Kind: Int, Default: "50", Range: &Range{1, 1000}, Help: "h"},
			{Name: "limit", Kind: Float, Default: "5", Unit: "%", Range: &Range{0, 100}, Help: "h"},
			{Name: "url", Kind: URL, Help: "h"},
			{Name: "pattern", Kind: Regexp, Help: "h"},
			{Name: "hosts", Kind: List, Help: "h"},
			{Name: "token", Secret: true, Env: "DEMO_TOKEN", Form: FormHeader, Help: "h"},
			{Name: "slow", Kind: Duration, Bare: time.Millisecond, Range: &Range{0.001, 60}, Help: "h"},
		},
	}
}

func env(pairs ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(k string) string { return m[k] }
}

func TestOrderOfSources(t *testing.T) {
	t.Parallel()
	all := env("INPUT_STEP-DURATION", "20s", "STEP_DURATION", "30")
	tests := []struct {
		name   string
		args   []string
		getenv func(string) string
		want   time.Duration
		source string
	}{
		{"flag", []string{"--step-duration", "10s"}, all, 10 * time.Second, "flag --step-duration"},
		{"input", nil, all, 20 * time.Second, "input step-duration"},
		{"env", nil, env("STEP_DURATION", "30"), 30 * time.Second, "env STEP_DURATION"},
		{"default", nil, env(), 300 * time.Second, "default"},
		{"an empty flag is unset", []string{"--step-duration="}, all, 20 * time.Second, "input step-duration"},
		{"an empty input is unset", nil, env("INPUT_STEP-DURATION", " ", "STEP_DURATION", "30"), 30 * time.Second, "env STEP_DURATION"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := testSpec().Parse(tt.args, tt.getenv)
			if err != nil {
				t.Fatal(err)
			}
			if got := v.Duration("step-duration"); got != tt.want {
				t.Errorf("Duration = %v, want %v", got, tt.want)
			}
			if got := v.Source("step-duration").String(); got != tt.source {
				t.Errorf("Source = %q, want %q", got, tt.source)
			}
		})
	}
}

func TestFlagForms(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args []string
		name string
		want any
	}{
		{[]string{"--rate", "7"}, "rate", 7},
		{[]string{"--rate=7"}, "rate", 7},
		{[]string{"-rate=7"}, "rate", 7},
		{[]string{"-rate", "7"}, "rate", 7},
		{[]string{"--no-rollback"}, "rollback-on-error", false},
		{[]string{"--no-rollback=false"}, "rollback-on-error", true},
		{[]string{"--rollback-on-error", "false"}, "rollback-on-error", false},
		{[]string{"--dry-run"}, "dry-run", true},
		{[]string{"--plan"}, "dry-run", true},
		{[]string{"-plan=true"}, "dry-run", true},
		{[]string{"--dry-run", "web:1"}, "image", "web:1"},
		{[]string{"web:1", "--dry-run"}, "image", "web:1"},
		{[]string{"--limit=2.5%"}, "limit", 2.5},
		{[]string{"--slow=1500"}, "slow", 1500 * time.Millisecond},
		{[]string{"--hosts=a\n\n b "}, "hosts", []string{"a", "b"}},
		{[]string{"--steps", "10%, 100%"}, "steps", []Step{{Weight: 10}, {Weight: 100}}},
		{[]string{"--steps", "10:pause, 50:pause=1h, 100"}, "steps", []Step{{Weight: 10, UntilPromoted: true}, {Weight: 50, Pause: time.Hour}, {Weight: 100}}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			v, err := testSpec().Parse(tt.args, env())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, v.settings[tt.name].value); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args []string
		want string // the whole message
	}{
		{[]string{"--strategy=rolling"}, `strategy (flag --strategy): "rolling": rolling is planned, not available yet; allowed: canary`},
		{[]string{"--strategy=shadow"}, `strategy (flag --strategy): "shadow": unknown value; allowed: canary`},
		{[]string{"--image", "web"}, `image (flag --image): "web": invalid format; allowed: an image with a tag or digest, such as registry.example/website:1.4.2`},
		{[]string{"--image", "--dry-run"}, `image (flag --image): has no value; allowed: an image with a tag or digest, such as registry.example/website:1.4.2`},
		{[]string{"--dry_run"}, `--dry_run: is not a flag of demo; allowed: see --help`},
		{[]string{"--tokne=hunter2"}, `--tokne: is not a flag of demo; allowed: see --help`},
		{[]string{"---rate=1"}, `---rate: is not a flag of demo; allowed: see --help`},
		{[]string{"--"}, `--: is not an argument of demo; allowed: see --help`},
		{[]string{"web:1", "web:2"}, `image (argument): is given twice with different values, first by argument`},
		{[]string{"canary"}, `image (argument): "canary": invalid format; did you mean --strategy canary?`},
		{[]string{"canary", "--image=web:1"}, `image (argument): "canary": invalid format; did you mean --strategy canary?`},
		{[]string{"plan"}, `image (argument): "plan": invalid format; did you mean --plan?`},
		{[]string{"rate"}, `image (argument): "rate": invalid format; allowed: an image with a tag or digest, such as registry.example/website:1.4.2`},
		{[]string{"--rate=5", "--rate=6"}, `rate (flag --rate): is given twice with different values, first by flag --rate`},
		{[]string{"--no-rollback", "--rollback-on-error"}, `rollback-on-error (flag --rollback-on-error): is given twice with different values, first by flag --no-rollback`},
		{[]string{"--rate=0"}, `rate (flag --rate): "0": out of range; allowed: a whole number from 1 to 1000`},
		{[]string{"--rate=1e3"}, `rate (flag --rate): "1e3": not a whole number; allowed: a whole number from 1 to 1000`},
		{[]string{"--limit=NaN"}, `limit (flag --limit): "NaN": not a number; allowed: a number from 0 to 100`},
		{[]string{"--dry-run=yes"}, `dry-run (flag --dry-run): "yes": not a boolean; allowed: true or false`},
		{[]string{"--step-duration", "-5"}, `step-duration (flag --step-duration): "-5": negative; allowed: a duration such as 30s or 5m, or a whole number of seconds`},
		{[]string{"--step-duration", "soon"}, `step-duration (flag --step-duration): "soon": not a duration; allowed: a duration such as 30s or 5m, or a whole number of seconds`},
		{[]string{"--slow=2m"}, `slow (flag --slow): "2m": out of range; allowed: a duration such as 30s or 5m, or a whole number of milliseconds, from 1ms to 1m0s`},
		{[]string{"--url=candlefish.ai"}, `url (flag --url): "candlefish.ai": not an absolute http or https URL; allowed: an absolute http or https URL`},
		{[]string{"--pattern=("}, `pattern (flag --pattern): "(": not a regular expression; allowed: a regular expression in Go's syntax`},
		{[]string{"--token=two words"}, `token (flag --token): invalid format; allowed: the name of an HTTP header`},
		{[]string{"--steps=5,5,100"}, `steps (flag --steps): "5,5,100": the weights do not rise: 5 follows 5; allowed: rising whole percents from 1 to 100 that end at 100, such as 5,25,50,100; a pause may follow one: 25:pause or 25:pause=1h`},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			_, err := testSpec().Parse(tt.args, env())
			if err == nil || err.Error() != tt.want {
				t.Errorf("Parse error\n got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	getenv := env("STEP_DURATION", "-1s", "INPUT_STEPS", "50,101", "DEMO_TOKEN", "a b")
	v, err := testSpec().Parse([]string{"--nope", "--rate=x", "stray"}, getenv)
	var ps Problems
	if !errors.As(err, &ps) {
		t.Fatalf("Parse error = %v, want Problems", err)
	}
	var names []string
	for _, p := range ps {
		names = append(names, p.Name)
	}
	want := []string{"--nope", "image", "steps", "step-duration", "rate", "token"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if strings.Contains(err.Error(), "a b") {
		t.Errorf("the secret is in the message: %s", err)
	}
	if diff := cmp.Diff([]string{"a b"}, v.Secrets()); diff != "" {
		t.Errorf("Secrets after an error (-want +got):\n%s", diff)
	}
}

func TestRequired(t *testing.T) {
	t.Parallel()
	s := Spec{Name: "demo", Inputs: []Def{{Name: "image", Env: "IMAGE", Required: true, Form: FormImage}}}
	_, err := s.Parse(nil, env())
	if err == nil || !strings.Contains(err.Error(), "image: is required") || !strings.Contains(err.Error(), "--image, the action input or IMAGE") {
		t.Errorf("Parse error = %v", err)
	}
}

func TestMisplacedIsNotMissing(t *testing.T) {
	t.Parallel()
	s := testSpec()
	s.Inputs[0].Required = true
	_, err := s.Parse([]string{"canary"}, env())
	if want := `image (argument): "canary": invalid format; did you mean --strategy canary?`; err == nil || err.Error() != want {
		t.Errorf("Parse error\n got %v\nwant %s", err, want)
	}
}

func TestHelpIsNotAnError(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{"-h", "-help", "--help"} {
		if _, err := testSpec().Parse([]string{arg, "--nope"}, env()); !errors.Is(err, ErrHelp) {
			t.Errorf("Parse(%s) error = %v, want ErrHelp", arg, err)
		}
	}
}

func TestGettersPanicOnMistakes(t *testing.T) {
	t.Parallel()
	v, err := testSpec().Parse(nil, env())
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(){
		"undeclared":   func() { v.String("nope") },
		"another kind": func() { v.Int("steps") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

func TestUnsetIsZero(t *testing.T) {
	t.Parallel()
	v, err := testSpec().Parse(nil, env())
	if err != nil {
		t.Fatal(err)
	}
	if v.URL("url") != nil || v.Regexp("pattern") != nil || v.List("hosts") != nil || v.Duration("slow") != 0 || v.IsSet("url") {
		t.Errorf("unset inputs are not zero: %v", v.All())
	}
}

func TestFormImage(t *testing.T) {
	t.Parallel()
	sum := "@sha256:" + strings.Repeat("a", 64)
	for image, want := range map[string]bool{
		"web:1": true, "web" + sum: true, "web:1" + sum: true, "localhost:5000/shop/web:1.2.3": true,
		"ghcr.io/a/b_c/d-e:v1": true, "stage.local/web:1": true,
		"web": false, "localhost:5000/web": false, "-web:1": false, "web:": false, "web@sha256:abc": false,
		"Web:1": false, "web :1": false, "/web:1": false, "web:1;reboot": false,
	} {
		if got := FormImage.match(image); got != want {
			t.Errorf("match(%q) = %v, want %v", image, got, want)
		}
	}
}

func TestCheckFindsContradictions(t *testing.T) {
	t.Parallel()
	s := Spec{Name: "demo", Inputs: []Def{
		{Name: "a", Kind: Int, Default: "x", Help: "h"},
		{Name: "b", Kind: Enum, Help: "h"},
		{Name: "c", Alias: "a", Help: "h"},
		{Name: "D", Off: "no-d"},
	}}
	err := s.Check()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"x"`, "allowed values belong", `"a" is taken by a`, "kebab", "only a bool", "no help"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
}
