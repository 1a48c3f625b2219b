// Package netlify publishes a folder on Netlify under an alias, lists and deletes
// deploys, and verifies that one answers or is gone. What of a folder is published is
// decided by the package site.
//
// The flow is our own, on the plumbing of Netlify's client: its porcelain sends no
// alias, hides why a deploy failed and leaves unfinished deploys behind. Requests and
// their order follow netlify-cli:
//
//  1. hash all files;
//  2. create a deploy under the alias and send all names and digests; with more than
//     100 files Netlify compares them asynchronously;
//  3. upload only what Netlify lacks, each content once, five at a time;
//  4. wait until Netlify says that the deploy is ready. [Account.Serves] checks whether
//     it also answers with the right commit.
//
// Four rules. Creating a deploy is repeated only after looking for the one that a request
// without an answer may have made. A deploy that does not become ready is cancelled, on a context that the
// caller's end does not reach, and the error says whether that worked. Transient
// failures are retried within one deadline, and no more often than Netlify's rate limit
// allows, by the clock of Netlify's Date header. No error contains the token.
package netlify

import (
	"cmp"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

// DefaultURL is Netlify's API.
const DefaultURL = "https://api.netlify.com/api/v1"

// An Account is a Netlify account. It may be used by several goroutines.
type Account struct {
	// Token is a personal access token.
	Token string
	// BaseURL of the API; DefaultURL if "".
	BaseURL string
	// Client sends the requests; nil means one made for parallel uploads. Requests
	// to the API follow no redirects, whatever its settings.
	Client *http.Client
	// Now and After are the clock; nil means the system's.
	Now   func() time.Time
	After func(time.Duration) <-chan time.Time
	// Rand returns the random part of a pause, from 0 to 1; nil means
	// math/rand's.
	Rand func() float64
	// Log receives each request, at debug level; nil means none.
	Log *slog.Logger
}

// An Upload says what to publish, and under which alias.
type Upload struct {
	SiteID string
	// Dir is the built folder.
	Dir string
	// Functions is a folder of functions; empty means none.
	Functions string
	// Project is the folder in whose node_modules Netlify's bundler is, which is run
	// for functions that are not bundled; empty means that they have to be.
	Project string
	// Config is the path of a netlify.toml; empty means the one in Dir, if any.
	Config string
	// Alias is the name in the deploy's address: at most 37 of a-z, 0-9 and -,
	// such as pr-12.
	Alias string
	// Title is kept by Netlify and returned with each deploy: it is what tells whose
	// deploy an alias serves, and whether an unanswered request made a deploy. Make
	// it differ from those of other runs.
	Title string
	// Commit is the hash of the commit that was built; empty means none.
	Commit string
	// Warn is called for what is not published or most likely wrong, such as an
	// unknown key of a rule, before any request; nil means that nobody is told.
	Warn func(string)
	// Progress is called at each change of phase and then every three seconds, by
	// one goroutine at a time; nil means none.
	Progress func(Progress)
}

// A Phase is a phase of a publication.
type Phase string

// The phases, in their order.
const (
	PhaseHashing   Phase = "hashing"   // reading all files
	PhaseComparing Phase = "comparing" // Netlify determines what it lacks
	PhaseUploading Phase = "uploading"
	PhaseWaiting   Phase = "waiting" // until it is live
)

// A Progress says how far a phase is. Totals are 0 where they are unknown.
type Progress struct {
	Phase             Phase
	Files, TotalFiles int
	Bytes, TotalBytes int64
	State             string // of the deploy, as Netlify says; empty before it is created
}

// A Deploy is one publication of a site.
type Deploy struct {
	ID     string
	SiteID string
	Alias  string
	Title  string
	// URL is this deploy's own, AliasURL the alias's, which may serve another
	// deploy.
	URL      string
	AliasURL string
	// State is Netlify's: ready, error, uploading, and so on.
	State     string
	Error     string // the reason if the state is error
	CommitRef string
	Created   time.Time
	Published time.Time // when it became ready; zero if it never did
	Draft     bool      // never served under its alias
}

// Stats count what a publication did.
type Stats struct {
	Files         int // including the generated netlify.toml
	Functions     int
	Bytes         int64
	Required      int // contents and functions that Netlify lacked
	Uploads       int // files and functions that were uploaded
	UploadedBytes int64
	Requests      map[string]int // by kind: create, update, poll, file, function, list, cancel; including retries
	Retries       int
	Twins         int // deploys that unanswered requests made, and that were cancelled
	Hashing       time.Duration
	Uploading     time.Duration
}

// errNoToken is returned before any request.
var errNoToken = errors.New("netlify: no token")

func (a *Account) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

func (a *Account) after(d time.Duration) <-chan time.Time {
	if a.After != nil {
		return a.After(d)
	}
	return time.After(d)
}

func (a *Account) random() float64 {
	if a.Rand != nil {
		return a.Rand()
	}
	return rand.Float64()
}

// base returns the API's URL.
func (a *Account) base() (*url.URL, error) {
	u, err := url.Parse(cmp.Or(a.BaseURL, DefaultURL))
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("netlify: the API's URL must be http or https with only a host and a path")
	}
	return u, nil
}
