package probe

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/candlefish/deploy-action/internal/probe/expect"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A Page is one of the requests of a Stream.
type Page struct {
	URL  string // absolute; a fragment is not sent
	Host string // the Host header and TLS server name, "" for those of the Target
	Path expect.Path
	// Before is what stable answered before the change, zero if unknown.
	Before release.Answers
}

// A choice decides what the next request of a stream asks for, and whom. The fragment
// of the URL, which no client sends, tells it from an answer again.
type choice struct {
	pages   []Page
	weights int                    // the sum of the pages'
	targets [][sides]vegeta.Target // by page and the index of whom they are pinned to
	rand    func(n int) int        // 0 to n, n excluded

	mu      sync.Mutex
	pinning Pinning
	credit  float64 // of a pinned request, due from 1 on
	turn    int

	open [sides]atomic.Int64 // pinned requests without an answer yet
}

func newChoice(c Config) *choice {
	k := &choice{pages: c.Pages, rand: rand.IntN}
	if len(k.pages) == 0 {
		k.pages = []Page{{URL: c.Target.URL, Path: expect.Path{Weight: 1}, Before: release.Answers{Status: c.Baseline}}}
	}
	for i, page := range k.pages {
		k.weights += page.Path.Weight
		address, _, _ := strings.Cut(page.URL, "#")
		var to [sides]vegeta.Target
		for _, side := range []rollout.Side{"", rollout.SideStable, rollout.SideCanary} {
			header := c.Target.header(c.Version)
			maps.Copy(header, c.Pins[side])
			if page.Host != "" {
				header.Set("Host", page.Host) // vegeta moves it to Request.Host
			}
			n := index(side)
			to[n] = vegeta.Target{Method: http.MethodGet, URL: address + "#" + strconv.Itoa(i*sides+n), Header: header}
		}
		k.targets = append(k.targets, to)
	}
	return k
}

// A Pinning is the part of a stream's requests that goes to single versions. The zero
// value is none.
type Pinning struct {
	PerSecond float64 // part of the stream's rate
	To        []rollout.Side
	// Evenly asks for every page as often as for the others, whatever their weights.
	Evenly bool
}

// Pin sends requests to single versions from now on, in turn. The stream must have the
// versions' Pins.
func (s *Stream) Pin(p Pinning) {
	k := s.choice
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pinning = p; len(p.To) == 0 {
		k.pinning, k.credit = Pinning{}, 0
	}
}

// Open returns how many requests that were sent to one version alone have no answer
// yet.
func (s *Stream) Open(side rollout.Side) int64 { return s.choice.open[index(side)].Load() }

// next returns the next request of a stream with this rate per second.
func (k *choice) next(rate int) vegeta.Target {
	k.mu.Lock()
	defer k.mu.Unlock()
	page, to := k.page(), 0
	// The accumulated share gives each version its number; at random, a version could
	// get none for a while.
	if k.credit += min(1, k.pinning.PerSecond/float64(rate)); k.credit >= 1 {
		k.credit--
		k.turn++
		to = index(k.pinning.To[k.turn%len(k.pinning.To)])
		k.open[to].Add(1)
		if k.pinning.Evenly {
			page = k.turn / len(k.pinning.To) % len(k.pages)
		}
	}
	return k.targets[page][to]
}

// page chooses at random: a fixed order could keep step with a gateway that sends
// every second request to each version.
func (k *choice) page() int {
	if len(k.pages) == 1 {
		return 0
	}
	n := k.rand(k.weights)
	for i := range k.pages {
		if n -= k.pages[i].Path.Weight; n < 0 {
			return i
		}
	}
	return 0 // cannot be: n is below the sum
}

// take completes an answer with what was asked for, and returns the page.
func (k *choice) take(a *Answer, url string) *Page {
	n, _ := strconv.Atoi(url[strings.LastIndexByte(url, '#')+1:])
	a.Page = n / sides
	switch to := n % sides; to {
	case index(rollout.SideStable):
		a.Pinned = rollout.SideStable
		k.open[to].Add(-1)
	case index(rollout.SideCanary):
		a.Pinned = rollout.SideCanary
		k.open[to].Add(-1)
	}
	return &k.pages[a.Page]
}
