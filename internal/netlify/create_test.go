package netlify

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
)

// A create request that took effect without an answer is not made again, and what it
// made does not stay beside the deploy that is used.
func TestCreateOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		fault         netlifytest.Fault
		creates, made int
		twins         int
		fails         bool
	}{
		{"the answer is cut", netlifytest.Fault{Op: "create", Reset: true, Done: true}, 1, 1, 0, false},
		{"500 although it was made", netlifytest.Fault{Op: "create", Status: 500, Done: true}, 1, 1, 0, false},
		{"500 and nothing was made", netlifytest.Fault{Op: "create", Status: 500}, 2, 1, 0, false},
		{"it appears after the next one", netlifytest.Fault{Op: "create", Status: 502, Done: true, Lists: 1}, 2, 2, 1, false},
		{"the first appears after the second", netlifytest.Fault{Op: "create", Times: 2, Status: 502, Done: true, Lists: 1}, 2, 2, 1, false},
		{"429 makes none", netlifytest.Fault{Op: "create", Times: 3, Status: 429}, 4, 1, 0, false},
		{"they appear after the last try", netlifytest.Fault{Op: "create", Times: 9, Status: 500, Done: true, Lists: 4}, 5, 5, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, a, clock := setup(t, netlifytest.Behaviour{}, c.fault)
			s.Add("pr-12", "Preview", clock.Now().Add(-time.Hour))
			d, stats, err := a.Publish(t.Context(), small(t))
			if (err != nil) != c.fails {
				t.Fatalf("error %v", err)
			}
			if got := s.Requests()["create"]; got != c.creates {
				t.Errorf("%d create requests, want %d", got, c.creates)
			}
			if n := len(s.Deploys()) - 1; n != c.made || stats.Twins != c.twins {
				t.Errorf("%d deploys were made and %d cancelled, want %d and %d", n, stats.Twins, c.made, c.twins)
			}
			for _, other := range s.Deploys()[1:] {
				if want := map[bool]string{true: "ready", false: "error"}[other.ID == d.ID]; !c.fails && other.State != want {
					t.Errorf("deploy %s, of which %s is used: %q", other.ID, d.ID, other.State)
				}
			}
		})
	}
}

// What was there before, what is somebody else's and what is finished is not adopted.
func TestCreateAdoptsOnlyItsOwn(t *testing.T) {
	t.Parallel()
	s, a, clock := setup(t, netlifytest.Behaviour{}, netlifytest.Fault{Op: "create", From: 2, Status: 500})
	u := small(t)
	if _, _, err := a.Publish(t.Context(), u); err != nil { // the same title and alias, ready
		t.Fatal(err)
	}
	u.Title = "another"
	<-clock.After(time.Minute)
	if _, _, err := a.Publish(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if n := len(s.Deploys()); n != 2 {
		t.Errorf("%d deploys", n)
	}
}

// A run that ends while its create request is under way cancels what the request made.
func TestCreateInterrupted(t *testing.T) {
	t.Parallel()
	s, a, _ := setup(t, netlifytest.Behaviour{}, netlifytest.Fault{Op: "create", Status: 500, Done: true})
	ctx, stop := context.WithCancelCause(t.Context())
	a.After = func(time.Duration) <-chan time.Time {
		stop(errors.New("signal"))
		return nil
	}
	if _, stats, err := a.Publish(ctx, small(t)); err == nil || stats.Twins != 1 {
		t.Errorf("%+v, %v", stats, err)
	}
	if d := s.Deploys(); len(d) != 1 || d[0].State != "error" {
		t.Errorf("%+v", d)
	}
}

// A rate limit ends by Netlify's clock, whatever ours says.
func TestRateLimitByTheServersClock(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{-10 * time.Minute, 0, 5 * time.Minute} {
		for _, header := range []string{"X-Ratelimit-Reset", "Retry-After"} {
			c := newClock()
			netlifys := func() time.Time { return c.Now().Add(-ahead) }
			s := netlifytest.NewT(t, netlifytest.Options{Token: token, Now: netlifys})
			end := netlifys().Add(20 * time.Second)
			value := strconv.FormatInt(end.Unix(), 10)
			if header == "Retry-After" {
				value = end.Format(http.TimeFormat)
			}
			s.Inject(netlifytest.Fault{Op: "create", Status: 429, Header: http.Header{header: {value}}})
			a := &Account{Token: token, BaseURL: s.URL(), Now: c.Now, After: c.After, Rand: func() float64 { return .5 }}
			if _, _, err := a.Publish(t.Context(), small(t)); err != nil {
				t.Fatal(err)
			}
			if want := 20*time.Second + 250*time.Millisecond; c.longest() != want || s.Requests()["create"] != 2 {
				t.Errorf("%s, our clock ahead by %s: waited %s, %d creates; want %s", header, ahead, c.longest(), s.Requests()["create"], want)
			}
		}
	}
}

// Adopting uses Netlify's clock too.
func TestCreateOnceWithAWrongClock(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{-time.Hour, time.Hour} {
		c := newClock()
		s := netlifytest.NewT(t, netlifytest.Options{Token: token, Now: func() time.Time { return c.Now().Add(-ahead) }})
		s.Inject(netlifytest.Fault{Op: "create", Status: 500, Done: true})
		a := &Account{Token: token, BaseURL: s.URL(), Now: c.Now, After: c.After, Rand: func() float64 { return .5 }}
		if _, _, err := a.Publish(t.Context(), small(t)); err != nil {
			t.Fatal(err)
		}
		if n := len(s.Deploys()); n != 1 {
			t.Errorf("our clock ahead by %s: %d deploys", ahead, n)
		}
	}
}

// What Netlify says reaches terminals and comments.
func TestNoControlCharacters(t *testing.T) {
	t.Parallel()
	evil := "bad\x1b[2J\x1b]0;title\a \u202egnp.exe\r\nnext\x00"
	for _, c := range []struct {
		behave netlifytest.Behaviour
		fault  netlifytest.Fault
	}{
		{netlifytest.Behaviour{Fail: evil}, netlifytest.Fault{}},
		{netlifytest.Behaviour{}, netlifytest.Fault{Op: "create", Times: 9, Status: 422, Message: evil}},
	} {
		_, a, _ := setup(t, c.behave, c.fault)
		d, _, err := a.Publish(t.Context(), small(t))
		if err == nil {
			t.Fatal("no error")
		}
		for _, text := range []string{err.Error(), d.Error} {
			if strings.ContainsAny(text, "\x1b\a\x00\r\n\u202e") {
				t.Errorf("%q", text)
			}
		}
		has(t, err.Error(), "bad[2J]0;title gnp.exe next")
	}
}
