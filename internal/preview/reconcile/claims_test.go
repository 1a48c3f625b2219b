package reconcile

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/candlefish/deploy-action/internal/preview/result"
	"github.com/candlefish/deploy-action/internal/preview/visit"
)

const (
	nothingLeft = "Nothing is left"
	summaryRun  = "6.1"
)

// inWorld runs a test in a world whose preview is up.
func inWorld(t *testing.T, do func(t *testing.T, w *world, k *Reconciler)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := w.reconciler()
		if r, err := k.Up(t.Context(), desired(t, sha1)); err != nil || len(r.Failed()) > 0 {
			t.Fatalf("up: %v, %+v", err, r.Failed())
		}
		do(t, w, k)
	})
}

func has(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		part, absent := strings.CutPrefix(part, "!")
		if strings.Contains(strings.ReplaceAll(text, `\`, ""), part) == absent {
			t.Errorf("%s: contains %q is %t:\n%s", what, part, absent, text)
		}
	}
}

// What a removal says is what it saw.
func TestRemovalClaims(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(w *world)
		failed int
		wants  []string
	}{
		"all is gone":                         {func(*world) {}, 0, []string{nothingLeft, "https://pr-7.test answers 404", "deploy d1"}},
		"a cached alias":                      {func(w *world) { w.cached = true }, 1, []string{"!" + nothingLeft, "Not everything is gone", "https://pr-7.test still shows commit 1111111"}},
		"a foreign alias":                     {foreign("by hand", sha2), 0, []string{"!" + nothingLeft, "!Not everything", "Not ours and left alone: deploys theirs", "with a deploy that is not this preview's"}},
		"a foreign alias with the same build": {foreign("by hand", sha1), 0, []string{"!" + nothingLeft, "!Not everything", "Not ours and left alone: deploys theirs"}},
		"another repository's":                {foreign(Owner{Key{"other/website", 7}, sha2, time.Now()}.Title(), sha2), 0, []string{"!" + nothingLeft, "left alone: deploys theirs"}},
		"a page without a manifest":           {func(w *world) { w.pages["/"] = 200 }, 0, []string{"!" + nothingLeft, "answers 200 OK, without a manifest of this preview"}},
		"a locked address":                    {func(w *world) { w.pages[visit.ManifestPath] = 401 }, 1, []string{"!" + nothingLeft, "could not be verified: 401"}},
		"a resource that the template keeps":  {func(w *world) { w.keptOnAWS = []string{"AWS::S3::Bucket data"} }, 0, []string{"!" + nothingLeft, "Kept, as the template says: AWS::S3::Bucket data"}},
		"a resource nobody could ask for":     {func(w *world) { w.unasked = []string{"Custom::Thing"} }, 0, []string{"!" + nothingLeft, "Gone by AWS's word alone: Custom::Thing"}},
		"an environment that stays": {func(w *world) {
			w.environment = Retired{Name: "preview/pr-7", Deployments: 3, Kept: "the token may not"}
		}, 0,
			[]string{"!" + nothingLeft, "The environment `preview/pr-7` stays", "the token may not; its deployments, 3, are inactive"}},
		"an environment that is gone":         {func(w *world) { w.environment = Retired{Name: "preview/pr-7", Deployments: 3, Gone: true} }, 0, []string{nothingLeft, "| Environment | removed |"}},
		"an environment nobody could ask for": {func(w *world) { w.retireErr = errors.New("502") }, 1, []string{"!" + nothingLeft, "Not everything is gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world, k *Reconciler) {
				w.pulls[7].Open = false
				c.change(w)
				r, err := k.Down(t.Context(), Key{repo, 7}, summaryRun, "")
				if err != nil || len(r.Failed()) != c.failed {
					t.Errorf("%v, failed %+v", err, r.Failed())
				}
				has(t, "the comment", w.comments[7], append(c.wants, "🧹 Preview Environment Cleaned Up")...)
			})
		})
	}
}

// foreign puts somebody else's deploy under the alias, which shows it once ours are gone.
func foreign(title, commit string) func(*world) {
	return func(w *world) {
		w.sites = append(w.sites, Site{ID: "theirs", Alias: "pr-7", AliasURL: "https://pr-7.test", Title: title})
		w.foreign = commit
	}
}

// A deploy that still answers is looked for again by the next removal, although Netlify does
// not list it any more.
func TestRemovalRemembersWhatIsLeft(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world, k *Reconciler) {
		w.pulls[7].Open, w.gone = false, false
		for range 2 {
			r, err := k.Down(t.Context(), Key{repo, 7}, summaryRun, "")
			if err != nil || r.Frontend.Status != result.StatusRemaining || len(w.sites) != 0 {
				t.Errorf("%v, frontend %+v", err, r.Frontend)
			}
			has(t, "the comment", w.comments[7], "!"+nothingLeft, "d1: it was deleted, but https://d1.test still answers 200")
		}
		w.gone = true
		for range 2 {
			if r, err := k.Down(t.Context(), Key{repo, 7}, summaryRun, ""); err != nil || len(r.Failed()) > 0 {
				t.Errorf("%v, failed %+v", err, r.Failed())
			}
			has(t, "the comment", w.comments[7], nothingLeft)
		}
	})
}

// A late or a repeated job of a closed pull request finds it open again.
func TestReopenedKeepsItsPreview(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		when  func(w *world)
		sites int
	}{
		"before":                     {func(*world) {}, 1},
		"while the deploys are read": {func(w *world) { w.pulls[7].Open = false; w.onSites = reopen }, 1},
		"while the deploys go":       {func(w *world) { w.pulls[7].Open = false; w.onRemove = reopen }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world, k *Reconciler) {
				before := w.comments[7]
				c.when(w)
				r, err := k.Down(t.Context(), Key{repo, 7}, summaryRun, "")
				if err != nil || r.Superseded != openReason || len(w.stacks) != 1 || len(w.sites) != c.sites {
					t.Errorf("%v, superseded by %q, %d stacks, %d deploys", err, r.Superseded, len(w.stacks), len(w.sites))
				}
				if w.comments[7] != before || name == "before" && len(w.retired) > 0 {
					t.Errorf("retired %v; the comment is now\n%s", w.retired, w.comments[7])
				}
				has(t, "the summary", result.Summary(r, summaryRun), "the pull request is open", "!"+nothingLeft, "!Cleaned Up")
			})
		})
	}
	inWorld(t, func(t *testing.T, w *world, k *Reconciler) {
		k.EvenOpen = true
		if r, err := k.Down(t.Context(), Key{repo, 7}, summaryRun, ""); err != nil || r.Superseded != "" || len(w.stacks)+len(w.sites) != 0 {
			t.Errorf("although it is open: %v, %+v", err, r)
		}
		delete(w.pulls, 7)
		k.EvenOpen = false
		if _, err := k.Down(t.Context(), Key{repo, 7}, summaryRun, ""); err == nil || !strings.Contains(err.Error(), "check whether candlefish/website#7 is closed") {
			t.Errorf("a pull request that cannot be read: %v", err)
		}
	})
}

func reopen(w *world) { w.pulls[7].Open = true }

// A run that was overtaken reports nothing of what it saw before.
func TestSupersededSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := w.reconciler()
		k.Fetcher = fetcherAfter{w, func() { w.pulls[7].Head = sha2 }} // when all is ready
		r, err := k.Up(t.Context(), desired(t, sha1))
		if err != nil || r.Superseded == "" || r.Frontend.Status != result.StatusSuperseded || r.API.Status != result.StatusSuperseded {
			t.Errorf("%v, %+v", err, r)
		}
		has(t, "the summary", result.Summary(r, "5.1"), "**Superseded** at `1111111`: commit 2222222 came after 1111111", "its own deploy d1 was deleted again", "!Ready", "!verified", "!passed")
		if w.writes != 0 {
			t.Errorf("it commented: %s", w.comments[7])
		}
	})
}

// The documented workflow has two steps, for the API and then for the site.
func TestTwoSteps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		first, second := w.reconciler(), w.reconciler()
		first.Host, first.Partial = nil, true
		push := func(commit, run string) {
			w.pulls[7].Head = commit
			for i, k := range []*Reconciler{first, second} {
				d := desired(t, commit)
				d.RunID = run
				if r, err := k.Up(t.Context(), d); err != nil || len(r.Failed()) > 0 {
					t.Fatalf("step %d: %v, %+v", i+1, err, r.Failed())
				}
				if i == 0 {
					has(t, "the comment after the API", w.comments[7], "**The API is ready** at `"+result.Short(commit)+"`", "The Frontend was not part of this run", "!**Ready**", "!absent")
				}
			}
		}
		push(sha1, "10.1")
		has(t, "the first push", w.comments[7], "**Ready** at `1111111`", "!Since the last push")
		push(sha2, "11.1")
		has(t, "the second push", w.comments[7], "**Ready** at `2222222`", "Since the last push (`1111111`): API: modify Function; 3 of 120 files uploaded;")
		w.pulls[7].Open = false
		r, err := first.Down(t.Context(), Key{repo, 7}, "12.1", "")
		if err != nil || r.Frontend.Status != result.StatusUnused {
			t.Errorf("down, the API: %v, %+v", err, r)
		}
		has(t, "the API removed", w.comments[7], "!"+nothingLeft, "Verified as gone: API", "The Frontend was not part of this run", "| Frontend | ready (by an earlier step) |")
		r, err = second.Down(t.Context(), Key{repo, 7}, "12.1", "")
		if err != nil || r.Frontend.Status != result.StatusRemoved || len(r.Failed()) > 0 {
			t.Errorf("down, all: %v, %+v", err, r)
		}
		has(t, "all removed", w.comments[7], nothingLeft, "| API | removed |", "removed earlier, and looked for again")
	})
}

// Two repositories share a Netlify site by mistake.
func TestAliasOfAnotherRepository(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		theirs := Owner{Key{"other/website", 7}, sha2, time.Now().Add(time.Hour)}
		w.sites = append(w.sites, Site{ID: "theirs", Alias: "pr-7", Title: theirs.Title(), AliasURL: "https://pr-7.test"})
		w.live["pr-7"] = sha2
		r, err := w.reconciler().Up(t.Context(), desired(t, sha1))
		if err != nil || r.Frontend.Status != result.StatusFailed || len(w.sites) != 1 || w.live["pr-7"] != sha2 {
			t.Errorf("%v, %+v, %d deploys, the alias shows %s", err, r.Frontend, len(w.sites), w.live["pr-7"])
		}
		has(t, "the comment", w.comments[7], "alias pr-7 has the preview of other/website", "!**Ready**")

		w.sites[0].Title = "by hand"
		r, err = w.reconciler().Up(t.Context(), desired(t, sha1))
		if err != nil || len(r.Failed()) > 0 || len(w.sites) != 2 {
			t.Errorf("by hand: %v, %+v", err, r.Failed())
		}
		has(t, "the comment", w.comments[7], "alias pr-7 has deploys that are not ours, left alone: theirs", "**Ready**")
	})
}

// One that cannot be read does not keep the sweep from the others.
func TestSweepGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := w.reconciler()
		for n := 1; n <= 3; n++ {
			o := Owner{Key{repo, n}, sha1, time.Now().Add(time.Hour)}
			w.sites = append(w.sites, Site{ID: "d" + o.Alias(), Alias: o.Alias(), Title: o.Title()})
			if n != 2 {
				w.pulls[n] = &PullRequest{Key: o.Key, Head: sha1}
			}
		}
		w.sites = append(w.sites, Site{ID: "theirs", Alias: "pr-9", Title: "by hand"}, Site{ID: "main", Alias: "main", Title: "by hand"})
		s, err := k.Sweep(t.Context(), repo, true, "1.1", "")
		if err == nil || !strings.Contains(err.Error(), "candlefish/website#2") || len(s.Orphans) != 3 || s.Orphans[1].Error == "" || s.Orphans[1].Removed != nil {
			t.Errorf("%v, %+v", err, s)
		}
		if len(w.sites) != 3 || w.sites[0].Alias != "pr-2" {
			t.Errorf("left are %+v", w.sites)
		}
		if len(s.Foreign) != 1 || !strings.Contains(s.Foreign[0], "deploy theirs under alias pr-9") {
			t.Errorf("foreign %q", s.Foreign)
		}
	})
}

// What nothing lists any more, the comment records: the sweep takes it up until it is gone.
func TestSweepEndsRemovals(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world, k *Reconciler) {
		w.pulls[7].Open, w.gone = false, false
		sweep := func(what string, orphans int, left bool) {
			t.Helper()
			s, err := k.Sweep(t.Context(), repo, true, "9.1", "")
			if err != nil || len(s.Orphans) != orphans || orphans > 0 && (len(s.Orphans[0].Removed.Failed()) > 0) != left {
				t.Errorf("%s: %v, %+v", what, err, s)
			}
		}
		sweep("a deploy that still answers", 1, true)
		sweep("and still", 1, true)
		w.gone = true
		sweep("and then not", 1, false)
		sweep("nothing is left", 0, false)
		// A removal was killed after all was gone, before it could say so.
		w.pulls[7].Open = true
		if _, err := k.Up(t.Context(), desired(t, sha1)); err != nil {
			t.Fatal(err)
		}
		w.pulls[7].Open = false
		w.sites, w.live = nil, map[string]string{}
		clear(w.stacks)
		sweep("a removal that did not end", 1, false)
		has(t, "the comment", w.comments[7], nothingLeft)
		sweep("nothing is left", 0, false)

		w.recentErr = errors.New("502")
		w.sites = append(w.sites, Site{ID: "d9", Alias: "pr-7", Title: Owner{Key{repo, 7}, sha1, time.Now().Add(time.Hour)}.Title()})
		if _, err := k.Sweep(t.Context(), repo, true, "9.1", ""); err == nil || len(w.sites) != 0 {
			t.Errorf("without the comments: %v, left %v", err, w.sites)
		}
	})
}

// The pull request is closed, and cleaned up, while the last lines of a run are written.
func TestClosedWhileTheCommentIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := w.reconciler()
		k.Forge = closingForge{w, k}
		r, err := k.Up(t.Context(), desired(t, sha1))
		if err != nil || r.Superseded != closedReason || len(w.sites)+len(w.stacks) != 0 {
			t.Errorf("%v, superseded by %q, left %v, %v", err, r.Superseded, w.sites, w.stacks)
		}
		has(t, "the comment", w.comments[7], nothingLeft, "!Ready")
	})
}

// closingForge closes the pull request when its deployment is recorded.
type closingForge struct {
	*world
	k *Reconciler
}

func (f closingForge) RecordDeployment(ctx context.Context, o Owner, _, _ string, _ bool) error {
	f.pulls[7].Open = false
	_, err := f.k.Down(ctx, o.Key, "x", "")
	return err
}

// A comment that nobody can read is no success.
func TestCommentThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.commentErr = errors.New("comment on #7: 502 Bad Gateway")
		r, err := w.reconciler().Up(t.Context(), desired(t, sha1))
		if err != nil || r.CommentError != w.commentErr.Error() || r.Frontend.Status != result.StatusReady {
			t.Errorf("%v, %+v", err, r)
		}
	})
}

// Everything may happen twice, and a person may have removed something by hand.
func TestSecondTimes(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world, k *Reconciler) {
		run := 10
		up := func(what string) {
			t.Helper()
			w.pulls[7].Open = true
			d := desired(t, sha1)
			run++
			d.RunID = time.Duration(run).String() // no order
			if r, err := k.Up(t.Context(), d); err != nil || len(r.Failed()) > 0 || r.Superseded != "" {
				t.Errorf("%s: %v, %+v", what, err, r)
			}
			has(t, what, w.comments[7], "**Ready** at `1111111`", "!Cleaned Up")
		}
		down := func(what string, status result.Status) {
			t.Helper()
			w.pulls[7].Open = false
			r, err := k.Down(t.Context(), Key{repo, 7}, "x", "")
			if err != nil || len(r.Failed()) > 0 || r.Frontend.Status != status || len(w.sites)+len(w.stacks) != 0 {
				t.Errorf("%s: %v, %+v", what, err, r)
			}
			has(t, what, w.comments[7], nothingLeft, "!Not everything")
		}
		up("up twice")
		down("down", result.StatusRemoved)
		down("down twice", result.StatusAbsent)
		up("reopened")
		w.sites, w.live = nil, map[string]string{}
		up("after somebody deleted the deploy")
		delete(w.comments, 7)
		up("after somebody deleted the comment")
		clear(w.stacks)
		up("after somebody deleted the stack")
		down("closed again", result.StatusRemoved)
		delete(w.comments, 7)
		w.pulls[7].Open = false
		if r, err := k.Down(t.Context(), Key{repo, 7}, "x", ""); err != nil || len(r.Failed()) > 0 || w.comments[7] != "" {
			t.Errorf("down without a comment: %v, %+v", err, r)
		}
	})
}
