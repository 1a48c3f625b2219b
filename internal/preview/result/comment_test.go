package result

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	sha1 = "1111111111111111111111111111111111111111"
	sha2 = "2222222222222222222222222222222222222222"
)

func TestCommentsKeepTheirOrderAndSize(t *testing.T) {
	t.Parallel()
	l := StateOf(Body(Result{Goal: GoalUp, Commit: sha1}, "100.2", State{}))
	if l.Commit != sha1 || l.Run != "100.2" {
		t.Fatalf("%+v", l)
	}
	for run, newer := range map[string]bool{"99.9": true, "100.1": true, "100.2": false, "100.3": false, "101.1": false, "local": false} {
		if l.NewerThan(run) != newer {
			t.Errorf("a comment by 100.2 is newer than run %s: %t, want %t", run, !newer, newer)
		}
	}
	r := Result{Goal: GoalUp, Commit: sha1, Frontend: Part{Name: "Frontend", Status: StatusReady}}
	for i := range 3000 {
		r.Frontend.Checks = append(r.Frontend.Checks, Check{fmt.Sprint("check ", i), true, strings.Repeat("ü|", 30)})
	}
	text := Body(r, "1.1", State{})
	if n := utf8.RuneCountInString(text); n > maxComment || !strings.HasPrefix(text, Marker) || !strings.Contains(text, "longer than GitHub allows") {
		t.Errorf("%d characters, beginning %q", n, text[:40])
	}
}

func FuzzBody(f *testing.F) {
	f.Add("detail", "https://x", "<!-- candlefish:pr-preview -->")
	f.Add("|\n`--><script>", "", "a--b")
	f.Fuzz(func(t *testing.T, detail, url, run string) {
		r := Result{Goal: GoalUp, Commit: sha1, Frontend: Part{Name: "Frontend", Status: StatusFailed, URL: url, Detail: detail, Checks: []Check{{detail, false, detail}}}}
		text := Body(r, run, State{Version: 1, Commit: sha2, Goal: GoalUp})
		if !strings.HasPrefix(text, Marker+"\n") || strings.Count(text, "<!--") != 2 || utf8.RuneCountInString(text) > maxComment {
			t.Errorf("Body(%q, %q, %q):\n%s", detail, url, run, text)
		}
	})
}

// A comment promises to remove only what there is, or may be.
func TestNothingWasDeployed(t *testing.T) {
	t.Parallel()
	failed := Part{Name: Frontend, Status: StatusFailed, Detail: "Netlify answers 401"}
	made := failed
	made.ID = "d1"
	ready := State{Version: 1, Goal: GoalUp, Commit: sha2, Parts: []Seen{{Name: Frontend, Status: StatusReady, URL: "https://x"}}}
	removed := ready
	removed.Goal = GoalDown
	for name, c := range map[string]struct {
		frontend, api Part
		before        State
		nothing       bool
	}{
		"nothing":             {failed, Unused(API), State{}, true},
		"a deploy":            {made, Unused(API), State{}, false},
		"perhaps a stack":     {failed, Part{Name: API, Status: StatusFailed}, State{}, false},
		"the earlier preview": {failed, Unused(API), ready, false},
		"a removed preview":   {failed, Unused(API), removed, true},
	} {
		text := Body(Result{Goal: GoalUp, Commit: sha1, Frontend: c.frontend, API: c.api}, "1.1", c.before)
		if strings.Contains(text, "Nothing was deployed.") != c.nothing || strings.Contains(text, "It is removed when") == c.nothing {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

// A state survives its way through a comment, whatever its texts are.
func TestStateInAComment(t *testing.T) {
	t.Parallel()
	r := Result{Goal: GoalUp, Commit: sha1, Changes: []string{"a--b", "--->", "<!-- x -->"},
		Frontend: Part{Name: Frontend, Status: StatusRemaining, URL: "https://pr-7--shop.netlify.app", ID: "---", Left: []Left{{"d1", "https://d1--shop.netlify.app"}}}, API: Unused(API)}
	got := StateOf(Body(r, "1.1", State{}))
	if p := got.Part(Frontend); p.URL != r.Frontend.URL || p.ID != "---" || len(p.Left) != 1 || p.Left[0].URL != "https://d1--shop.netlify.app" || len(got.Changes) != 3 || got.Changes[1] != "--->" {
		t.Errorf("%+v", got)
	}
	for _, text := range []string{"", Marker, Marker + "\n<!-- candlefish:pr-preview:state {} -->", "<!-- candlefish:pr-preview:state {\"v\":2} -->", "<!-- candlefish:pr-preview:state {\"v\": -->"} {
		if got := StateOf(text); got.Version != 0 {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
