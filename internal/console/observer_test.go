package console

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"
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

func at(seconds float64) time.Time { return t0.Add(time.Duration(seconds * float64(time.Second))) }

// story is a canary that fails at its second step.
func story() []Event {
	stable := []Pod{{"web-5c4-aaaaa", "stable", true, 0, ""}, {"web-5c4-bbbbb", "stable", true, 0, ""}}
	with := func(p ...Pod) []Pod { return append(stable[:2:2], p...) }
	ready := Pod{"web-canary-7d9-ccccc", "canary", true, 0, ""}
	es := []Event{
		{At: at(0), Kind: KindStart, Message: "canary of shop/web: ghcr.io/candlefish/web:1.4.0", Steps: 4},
		{At: at(.1), Kind: KindStep, Step: 1, Steps: 4, Weight: 5},
		{At: at(.2), Kind: KindWait, Await: "1 pod of the canary to be ready", Until: at(300)},
		{At: at(.5), Kind: KindState, Share: -1, Pods: with(Pod{"web-canary-7d9-ccccc", "canary", false, 0, "ContainerCreating"})},
	}
	for s := 1.0; s < 7; s++ {
		es = append(es, Event{At: at(s), Kind: KindTick})
	}
	es = append(es,
		Event{At: at(7.1), Kind: KindState, Share: -1, Pods: with(ready)},
		Event{At: at(7.2), Kind: KindWeight, Weight: 5},
		Event{At: at(7.2), Kind: KindWait, Await: "answers to show 5 %", Until: at(67)},
	)
	counts := func(second float64, canary, failed, stable int64, share float64) Event {
		return Event{At: at(second), Kind: KindState, Share: share, Pods: with(ready),
			Canary: Stats{canary, failed, 8100 * time.Microsecond, 14200 * time.Microsecond},
			Stable: Stats{stable, 0, 7900 * time.Microsecond, 13800 * time.Microsecond}}
	}
	es = append(es, counts(8, 3, 0, 77, .0375), counts(8.9, 8, 0, 156, .049))
	es = append(es,
		Event{At: at(8.9), Kind: KindMessage, Message: "5 % seen in 164 answers, 1.7 s after it was written"},
		Event{At: at(8.9), Kind: KindWait, Await: "the dwell to end", Until: at(68.9)},
	)
	for s := 10.0; s <= 68; s += 2 {
		es = append(es, counts(s, int64(5*(s-8)), 0, int64(95*(s-8)), .05))
	}
	bad := counts(73, 40, 12, 122, -1)
	bad.Unattributed = Stats{Total: 2, Failed: 2}
	return append(es,
		Event{At: at(68.9), Kind: KindVerdict, Good: true, Message: "Successful: the canary failed 0 of 300 answers"},
		Event{At: at(69), Kind: KindStep, Step: 2, Steps: 4, Weight: 25},
		Event{At: at(69.1), Kind: KindWeight, Weight: 25},
		Event{At: at(69.1), Kind: KindWait, Await: "answers to show 25 %", Until: at(129)},
		Event{At: at(70), Kind: KindWarning, Message: "\x1b[2J::error::pod says\n##[error]hello\u202e"},
		counts(71, 10, 1, 30, -1), counts(71.2, 12, 2, 36, -1), bad,
		Event{At: at(73), Kind: KindVerdict, Message: "Failed: the canary failed 12 of 40 answers (30 %), limit 5 %"},
		Event{At: at(73), Kind: KindWeight, Weight: 0},
		Event{At: at(73.1), Kind: KindWait, Await: "answers to show 0 %", Until: at(79)},
	)
}

func play(o Observer, es []Event) {
	for _, e := range es {
		o.Observe(e)
	}
	o.End()
}

func TestPlain(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	play(NewPlain(&b, func(s string) { fmt.Fprintln(&b, "::group::"+s) }, func() { fmt.Fprintln(&b, "::endgroup::") }), story())
	golden(t, "plain.txt", b.String())
	var alone bytes.Buffer
	play(NewPlain(&alone, nil, nil), story())
	golden(t, "plain-alone.txt", alone.String())
}

// Whatever the text, no line of a log is a command of the runner.
func TestPlainHasNoCommands(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	play(NewPlain(&b, nil, nil), story())
	for l := range strings.Lines(b.String()) {
		if strings.HasPrefix(strings.TrimSpace(l), "::") || strings.Contains(l, "##[") || strings.ContainsAny(l, "\x1b\r\u202e") {
			t.Errorf("%q", l)
		}
	}
}

func TestPlainIsNeverSilentForLong(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := NewPlain(&b, nil, nil)
	p.Observe(Event{At: at(0), Kind: KindWait, Await: "the gateway", Until: at(30)})
	lines := strings.Count(b.String(), "\n")
	for s := 1; s <= 60; s++ {
		p.Observe(Event{At: at(float64(s)), Kind: KindTick})
		if n := strings.Count(b.String(), "\n"); s%5 == 0 && n != lines+s/5 {
			t.Fatalf("%d lines after %d s, want %d:\n%s", n, s, lines+s/5, b.String())
		}
	}
	if !strings.Contains(b.String(), "waiting for the gateway, until 10:00:30 (25s left)") || !strings.Contains(b.String(), "overdue by 30s") {
		t.Errorf("got:\n%s", b.String())
	}
}

func TestPlainGroupsAreClosed(t *testing.T) {
	t.Parallel()
	open := 0
	p := NewPlain(&bytes.Buffer{}, func(string) {
		if open++; open != 1 {
			t.Errorf("%d groups are open", open)
		}
	}, func() { open-- })
	play(p, story())
	if open != 0 {
		t.Errorf("%d groups are open at the end", open)
	}
}

func modelOf(es []Event, color bool) model {
	m := newModel(color)
	for _, e := range es {
		m = m.apply(e)
	}
	return m
}

func TestRender(t *testing.T) {
	t.Parallel()
	es := story()
	many := modelOf(es, false)
	for i := range 12 {
		many.pods = append(many.pods, Pod{fmt.Sprintf("web-canary-7d9-%05d", i), "canary", i > 1, i % 4, "CrashLoopBackOff"})
	}
	done := modelOf(es, false)
	done.ended = true
	for name, c := range map[string]struct {
		m     model
		width int
	}{
		"start":     {modelOf(es[:1], false), 80},
		"pods":      {modelOf(es[:7], false), 80},
		"dwell":     {modelOf(es[:30], false), 100},
		"failed":    {modelOf(es, false), 80},
		"color":     {modelOf(es, true), 80},
		"narrow":    {modelOf(es, false), 40},
		"tiny":      {modelOf(es, false), 12},
		"many-pods": {many, 80},
		"ended":     {done, 80},
		"wide":      {modelOf(es, false), 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, name+".txt", render(c.m, c.width))
		})
	}
}

func TestRenderFits(t *testing.T) {
	t.Parallel()
	es := story()
	for _, color := range []bool{false, true} {
		for n := range es {
			m := modelOf(es[:n+1], color)
			for _, width := range []int{1, 20, 59, 60, 61, 80, 200} {
				got := render(m, width)
				for l := range strings.Lines(got) {
					if w := lipgloss.Width(strings.TrimSuffix(l, "\n")); w > width {
						t.Fatalf("after %d events, width %d: %q is %d wide", n+1, width, l, w)
					}
				}
				if !color && strings.Contains(got, "\x1b") {
					t.Fatalf("escape codes without colour: %q", got)
				}
				if rows := strings.Count(got, "\n"); rows > 24 {
					t.Fatalf("%d rows are too many for a screen", rows)
				}
			}
		}
	}
}

// screen plays what Live writes the way a terminal does.
func screen(s string) string {
	rows, y := []string{""}, 0
	for s != "" {
		switch {
		case strings.HasPrefix(s, "\x1b["):
			end := strings.IndexAny(s, "AJ")
			if s[end] == 'A' {
				n, _ := strconv.Atoi(s[2:end])
				y = max(0, y-n)
			} else {
				rows = append(rows[:y], "")
			}
			s = s[end+1:]
			continue
		case s[0] == '\n':
			if y++; y == len(rows) {
				rows = append(rows, "")
			}
		case s[0] == '\r':
		default:
			_, n := utf8.DecodeRuneInString(s)
			rows[y] += s[:n]
			s = s[n:]
			continue
		}
		s = s[1:]
	}
	return strings.Join(rows, "\n")
}

func TestLiveLeavesTheLastPicture(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	play(NewLive(&b, func() int { return 80 }, false), story())
	m := modelOf(story(), false)
	m.ended = true
	if diff := cmp.Diff(render(m, 80), screen(b.String())); diff != "" {
		t.Errorf("screen at the end (-want +got):\n%s", diff)
	}
}

func TestLiveDrawsSeldom(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	l := NewLive(&b, func() int { return 0 }, false)
	for i := range 1000 { // one second
		l.Observe(Event{At: at(float64(i) / 1000), Kind: KindState, Share: -1})
	}
	if n := strings.Count(b.String(), "requests"); n > 11 {
		t.Errorf("%d pictures in a second", n)
	}
}

func TestNewChooses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		env   map[string]string
		width int
		want  string
	}{
		{"terminal", nil, 80, "live with colour"},
		{"no colour", map[string]string{"NO_COLOR": "1"}, 80, "live"},
		{"no terminal", nil, 0, "plain"},
		{"dumb terminal", map[string]string{"TERM": "dumb"}, 80, "plain"},
		{"runner", map[string]string{"GITHUB_ACTIONS": "true"}, 80, "plain"},
	} {
		got := "plain"
		if l, ok := New(Options{Out: &bytes.Buffer{}, Getenv: func(k string) string { return c.env[k] }, Width: func() int { return c.width }}).(*Live); ok {
			got = "live"
			if l.m.color {
				got += " with colour"
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if _, ok := New(Options{Out: &bytes.Buffer{}, Getenv: func(string) string { return "" }}).(*Plain); !ok {
		t.Error("without a width: want plain")
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if w := TerminalWidth(f)(); w != 0 {
		t.Errorf("the null device is %d wide", w)
	}
}

// TestDemo prints the whole story with -v, for a visual check.
func TestDemo(t *testing.T) {
	t.Parallel()
	es := story()
	for _, n := range []int{4, 12, 30, len(es)} {
		t.Logf("after %d events\n%s", n, render(modelOf(es[:n], testing.Verbose()), 100))
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"a\x1b[2Jb", "##[error]", "####[[", "\xff", "\u2028", "#\x00#["} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := clean(s); !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\n\r\x00\u009b\u202e") || strings.Contains(got, "##[") {
			t.Errorf("clean(%q) = %q", s, got)
		}
	})
}
