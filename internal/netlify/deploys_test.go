package netlify

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/netlify/open-api/v2/go/models"

	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
)

func TestDeploysOfAllPages(t *testing.T) {
	t.Parallel()
	s, a, c := setup(t, netlifytest.Behaviour{})
	for i := range 250 {
		s.Add(fmt.Sprintf("pr-%d", i%5), fmt.Sprint("title ", i), c.Now())
	}
	all, err := a.Deploys(t.Context(), "site", "")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 250 || all[0].Title != "title 249" || all[249].Title != "title 0" || !all[0].Created.Equal(c.Now()) {
		t.Errorf("%d deploys, the first %+v", len(all), all[0])
	}
	if n := s.Requests()["list"]; n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
	some, err := a.Deploys(t.Context(), "site", "pr-3")
	if err != nil || len(some) != 50 || some[0].Alias != "pr-3" {
		t.Errorf("%d deploys of an alias, %v", len(some), err)
	}
	if _, err := a.Deploys(t.Context(), "other", ""); err == nil || !strings.Contains(err.Error(), "no such site") {
		t.Errorf("a site that is not there: %v", err)
	}
	s.Inject(netlifytest.Fault{Op: "list", From: 7, Times: 99, Status: 500})
	if _, err := a.Deploys(t.Context(), "site", ""); err == nil || !strings.Contains(err.Error(), "page 2") {
		t.Errorf("a page that fails: %v", err)
	}
}

func TestLifeAndEnd(t *testing.T) {
	t.Parallel()
	_, a, _ := setup(t, netlifytest.Behaviour{})
	d, _, err := a.Publish(t.Context(), small(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Serves(t.Context(), d, "", "commit abc"); err != nil {
		t.Error(err)
	}
	gone, why, err := a.Gone(t.Context(), d)
	if gone || err != nil {
		t.Errorf("before its end: gone %v, %v", gone, err)
	}
	has(t, why, "API still has", "still answers 200")
	for range 2 { // the second finds nothing
		if err := a.Delete(t.Context(), d); err != nil {
			t.Error(err)
		}
	}
	if gone, why, err = a.Gone(t.Context(), d); !gone || why != "" || err != nil {
		t.Errorf("after its end: gone %v, %q, %v", gone, why, err)
	}
	if _, _, err := a.Gone(t.Context(), Deploy{}); err == nil {
		t.Error("nothing to look for, no error")
	}
}

func TestGoneFailsClosed(t *testing.T) {
	t.Parallel()
	s, a, _ := setup(t, netlifytest.Behaviour{})
	d, _, err := a.Publish(t.Context(), small(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Delete(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	d.URL = "http://127.0.0.1:1/"
	if gone, _, err := a.Gone(t.Context(), d); gone || err == nil {
		t.Errorf("an address that can't be asked: gone %v, %v", gone, err)
	}
	s.Inject(netlifytest.Fault{Op: "poll", Times: 999, Status: 403})
	if gone, _, err := a.Gone(t.Context(), d); gone || err == nil {
		t.Errorf("an API that does not say: gone %v, %v", gone, err)
	}
	s.Inject(netlifytest.Fault{Op: "delete", Times: 999, Status: 403, Message: "not yours"})
	if err := a.Delete(t.Context(), d); err == nil || !strings.Contains(err.Error(), "not yours") {
		t.Errorf("a refused deletion: %v", err)
	}
}

func TestServes(t *testing.T) {
	t.Parallel()
	s, a, _ := setup(t, netlifytest.Behaviour{})
	d, _, err := a.Publish(t.Context(), small(t))
	if err != nil {
		t.Fatal(err)
	}
	err = a.Serves(t.Context(), d, "/", "another commit")
	if err == nil {
		t.Fatal("no error")
	}
	has(t, err.Error(), s.SiteURL("pr-12"), "last answered 200", "another commit")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := a.Serves(ctx, d, "/", "x"); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("%v", err)
	}
	if err := a.Serves(t.Context(), d, "/", ""); err == nil {
		t.Error("nothing to look for, no error")
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		m          models.Deploy
		own, alias string
	}{
		{models.Deploy{ID: "5f", Name: "shop", DeploySslURL: "https://pr-12--shop.netlify.app"}, "https://5f--shop.netlify.app", "https://pr-12--shop.netlify.app"},
		{models.Deploy{ID: "5f", Name: "shop", DeployURL: "http://pr-12--shop.netlify.app"}, "http://5f--shop.netlify.app", "http://pr-12--shop.netlify.app"},
		{models.Deploy{ID: "5f", Name: "shop", DeploySslURL: "https://pr-12.preview.example.com"}, "https://5f--shop.netlify.app", "https://pr-12.preview.example.com"},
		{models.Deploy{ID: "5f", DeploySslURL: "https://pr-12.preview.example.com"}, "", "https://pr-12.preview.example.com"},
		{models.Deploy{ID: "5f", DeploySslURL: "http://127.0.0.1:7", DeployURL: "http://127.0.0.1:8/5f/"}, "http://127.0.0.1:8/5f/", "http://127.0.0.1:7"},
		{models.Deploy{ID: "5f"}, "", ""},
		{models.Deploy{ID: "5f", DeploySslURL: "::"}, "", ""},
	} {
		if own, alias := addresses(&c.m); own != c.own || alias != c.alias {
			t.Errorf("%+v: %q, %q", c.m, own, alias)
		}
	}
}
