// Package netlify publishes a folder on Netlify under an alias, finds and deletes
// what was published, and looks whether it answers or is gone.
//
// The flow is ours, on the plumbing of Netlify's own client: its porcelain sends no
// alias, hides why a deploy failed and leaves behind what it could not finish. What
// is sent, in which order, and what is left out follows netlify-cli, so that a
// preview is what `netlify deploy --alias` would have made:
//
//  1. all files are hashed, on all cores, and no file is held in memory;
//  2. a deploy is created under the alias and told all names and digests, and for
//     more than 100 files Netlify is asked to compare them on its own time;
//  3. only what Netlify lacks is uploaded, each content once, five at a time;
//  4. the deploy is waited for until Netlify says that it is ready. Whether it also
//     answers with the right commit is what [Account.Serves] looks at.
//
// Three rules. A deploy that does not become ready is cancelled, on a context that
// the caller's end does not reach, and the error says whether that worked. Whatever
// may succeed the next time is tried again, within one deadline, and no more often
// than Netlify's rate limit lets us. No error holds the token.
//
// # Files
//
// All regular files below the folder are published, but for names that begin with a
// dot (other than .well-known) or with __MACOSX, and node_modules where the folder
// is the project's root: where it holds the netlify.toml, a .git or a package.json.
// A link is followed where it leads to something inside the folder, and refused
// otherwise, as are all absolute ones. Names that hold # or ?, or are not UTF-8, can't
// be published; the error names all of them.
//
// # Redirects and headers
//
// Files named _redirects and _headers are not published, at whatever depth. Those at
// the top, and the redirects, headers and images of netlify.toml, become one
// generated netlify.toml, _redirects and _headers first, which is published in
// their place. Nothing else of netlify.toml is sent: it may hold the build's
// environment. Its edge_functions are refused, since a preview without them would be
// another site. A line or an entry that can't be understood is an error, where
// netlify-cli would go on without it.
//
// # Functions
//
// Of a folder of functions, .zip files are published as they are, and .js, .mjs and
// .cjs files as functions of one file without dependencies. A manifest.json that
// zip-it-and-ship-it left there says more of its .zip files: runtime, routes,
// schedule, timeout. Anything else there that does not begin with a dot is an error:
// other functions have to be bundled first.
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

// An Account is who publishes. It may be used by several goroutines.
type Account struct {
	// Token is a personal access token.
	Token string
	// BaseURL of the API; DefaultURL if "".
	BaseURL string
	// Client to ask with; nil for one that is made for this. Redirects are not
	// followed by the API's requests, whatever it says about them.
	Client *http.Client
	// Now and After are the clock; nil for the system's.
	Now   func() time.Time
	After func(time.Duration) <-chan time.Time
	// Rand is how far into its range a random pause lies, from 0 to 1; nil
	// for a source of its own.
	Rand func() float64
	// Log gets each request, at debug level; nil for none.
	Log *slog.Logger
}

// An Upload is what to publish, and as what.
type Upload struct {
	SiteID string
	// Dir is the built folder.
	Dir string
	// Functions is a folder of functions, "" for none.
	Functions string
	// Config is the path of a netlify.toml; "" for the one in Dir, if any.
	Config string
	// Alias is the name that the deploy answers by: at most 37 of a-z, 0-9
	// and -, such as pr-12.
	Alias string
	Title string
	// Progress is told how far it is, at each change of phase and then every
	// three seconds, by one goroutine at a time; nil for none.
	Progress func(Progress)
}

// A Phase is what a publication is at.
type Phase string

// The phases, in their order.
const (
	PhaseHashing   Phase = "hashing"   // reading all files
	PhaseComparing Phase = "comparing" // Netlify looks for what it lacks
	PhaseUploading Phase = "uploading"
	PhaseWaiting   Phase = "waiting" // until it is live
)

// A Progress is how far a phase is. Totals are 0 where they can't be known.
type Progress struct {
	Phase             Phase
	Files, TotalFiles int
	Bytes, TotalBytes int64
	State             string // Netlify's word for the deploy, "" before it is created
}

// A Deploy is one publication of a site.
type Deploy struct {
	ID     string
	SiteID string
	Alias  string
	Title  string
	// URL is this deploy's own, AliasURL that of whichever deploy the alias
	// is at.
	URL      string
	AliasURL string
	// State is Netlify's word: ready, error, uploading, and so on.
	State     string
	Error     string // why its state is error
	CommitRef string
	Created   time.Time
}

// Stats are what a publication took.
type Stats struct {
	Files         int // of the folder, the generated netlify.toml among them
	Functions     int
	Bytes         int64
	Required      int // contents and functions that Netlify lacked
	Uploads       int // files and functions that were uploaded
	UploadedBytes int64
	Requests      map[string]int // by kind: create, update, poll, file, function, cancel; repeated ones too
	Retries       int
	Hashing       time.Duration
	Uploading     time.Duration
}

// errToken is returned before anything is asked.
var errToken = errors.New("netlify: no token")

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

// base is the API's address.
func (a *Account) base() (*url.URL, error) {
	u, err := url.Parse(cmp.Or(a.BaseURL, DefaultURL))
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("netlify: the API's URL is none of http or https with nothing but a host and a path")
	}
	return u, nil
}
