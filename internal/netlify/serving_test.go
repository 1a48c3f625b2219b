package netlify

import (
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
)

// An alias serves the deploy that became ready last, whoever made it.
func TestServing(t *testing.T) {
	t.Parallel()
	s, a, c := setup(t, netlifytest.Behaviour{Fallback: true})
	none, err := a.Serving(t.Context(), "site", "pr-12", s.SiteURL("pr-12"))
	if err != nil || !none.None() {
		t.Fatalf("before any deploy: %+v, %v", none, err)
	}
	u := small(t)
	u.Title, u.Commit = "Preview of a/one", "abc1234"
	first, _, err := a.Publish(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	<-c.After(time.Minute)
	u.Title = "Preview of b/two"
	second, _, err := a.Publish(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Serving(t.Context(), "site", "pr-12", "")
	if err != nil || got.Deploy.ID != second.ID || got.Deploy.Title != "Preview of b/two" || got.Deploy.CommitRef != "abc1234" || got.Status != 200 || got.None() {
		t.Errorf("after both: %+v, %v", got, err)
	}
	for _, next := range []struct {
		remove Deploy
		left   string
	}{{second, first.ID}, {first, ""}} {
		if err := a.Delete(t.Context(), next.remove); err != nil {
			t.Fatal(err)
		}
		got, err := a.Serving(t.Context(), "site", "pr-12", second.AliasURL)
		if err != nil || got.Deploy.ID != next.left || got.None() != (next.left == "") {
			t.Errorf("after %s: %+v, %v", next.remove.ID, got, err)
		}
	}
	if _, err := a.Serving(t.Context(), "site", "pr-12", "nowhere"); err == nil {
		t.Error("an address that can't be asked: no error")
	}
	if got, err := a.Serving(t.Context(), "site", "pr-77", ""); err != nil || got.None() || got.Status != 0 {
		t.Errorf("no deploy and no address: %+v, %v", got, err)
	}
}

// Drafts and deploys that are not ready are served by no alias.
func TestServingIgnoresUnfinished(t *testing.T) {
	t.Parallel()
	s, a, c := setup(t, netlifytest.Behaviour{Fail: "no"})
	s.Add("pr-12", "ready", c.Now())
	if _, _, err := a.Publish(t.Context(), small(t)); err == nil {
		t.Fatal("no error")
	}
	got, err := a.Serving(t.Context(), "site", "pr-12", s.SiteURL("pr-12"))
	if err != nil || got.Deploy.Title != "ready" {
		t.Errorf("%+v, %v", got, err)
	}
}
