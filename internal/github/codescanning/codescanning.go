// Package codescanning shows SARIF in the Security tab of a repository: it uploads
// files and waits until GitHub has processed them.
//
// An accepted upload is not a processed one: GitHub looks into the file afterwards,
// and may refuse it then.
package codescanning

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/github"
)

// Options configure an Uploader.
type Options struct {
	Client     *github.Client
	Repository string // owner/name
	After      func(time.Duration) <-chan time.Time
}

// An Uploader uploads to one repository.
type Uploader struct {
	client     *github.Client
	repository string
	after      func(time.Duration) <-chan time.Time
}

// New returns an Uploader. It sends no request.
func New(o Options) (*Uploader, error) {
	if !github.IsRepository(o.Repository) {
		return nil, fmt.Errorf("repository %q: want owner/name", o.Repository)
	}
	u := &Uploader{client: o.Client, repository: o.Repository, after: o.After}
	if u.after == nil {
		u.after = time.After
	}
	return u, nil
}

// A Scan is one file and what it is of.
type Scan struct {
	Commit string // that was scanned, 40 hexadecimal digits
	Ref    string // "refs/heads/main", "refs/pull/7/merge"
	Gzip   []byte // the SARIF file, with gzip
	// CheckoutURI is where the repository was, "file:///home/runner/work/shop/shop"; ""
	// if the file has relative places only.
	CheckoutURI string
	Tool        string // for GitHub's records; "" for none
}

// MaxBytes is how large a file with gzip may be.
const MaxBytes = 10_000_000

// A State is what became of an upload.
type State string

// States.
const (
	Complete State = "complete"
	Pending  State = "pending" // GitHub has not processed it yet: it may still refuse it
)

// An Upload is a file that GitHub took.
type Upload struct {
	ID       string
	State    State
	Analyses string // an API URL of what it made of it; "" while pending
	Waited   time.Duration
}

var (
	commitID = regexp.MustCompile(`^[0-9a-f]{40}$`)
	fullRef  = regexp.MustCompile(`^refs/(heads/.+|tags/.+|pull/[1-9][0-9]*/(merge|head))$`)
)

// Upload uploads a file and waits until GitHub has processed it. An *Error says why
// GitHub does not show it. An upload that is pending after the last look is no error
// and no success.
func (u *Uploader) Upload(ctx context.Context, s Scan) (Upload, error) {
	if err := s.check(); err != nil {
		return Upload{}, fmt.Errorf("upload SARIF to %s: %w", u.repository, err)
	}
	body := map[string]any{"commit_sha": s.Commit, "ref": s.Ref, "sarif": base64.StdEncoding.EncodeToString(s.Gzip)}
	if s.CheckoutURI != "" {
		body["checkout_uri"] = s.CheckoutURI
	}
	if s.Tool != "" {
		body["tool_name"] = s.Tool
	}
	var got struct{ ID string }
	// The same file of the same commit takes the place of the one before, so that the
	// request may be repeated.
	err := u.client.Send(ctx, github.Request{
		What: "upload SARIF to " + u.repository, Needs: "security-events: write", Method: http.MethodPost,
		Path: "repos/" + u.repository + "/code-scanning/sarifs", Body: body, Accepted: true,
	}, &got)
	if err != nil {
		return Upload{}, classify(err)
	}
	if got.ID == "" {
		return Upload{}, fmt.Errorf("upload SARIF to %s: the response has no id", u.repository)
	}
	return u.wait(ctx, got.ID)
}

// check refuses what GitHub would, before anything is sent.
func (s Scan) check() error {
	switch {
	case !commitID.MatchString(s.Commit):
		return fmt.Errorf("the commit %q is none: want 40 hexadecimal digits", s.Commit)
	case !fullRef.MatchString(s.Ref):
		return fmt.Errorf("the ref %q is none: want refs/heads/..., refs/tags/... or refs/pull/N/merge", s.Ref)
	case len(s.Gzip) == 0:
		return errors.New("there is no file")
	case len(s.Gzip) > MaxBytes:
		return &Error{Kind: TooLarge, Err: fmt.Errorf("the file has %d bytes with gzip, %d are allowed", len(s.Gzip), MaxBytes)}
	}
	if s.CheckoutURI != "" {
		if uri, err := url.Parse(s.CheckoutURI); err != nil || uri.Scheme != "file" || !strings.HasPrefix(uri.Path, "/") {
			return fmt.Errorf("the checkout URI %q is none: want file:///FOLDER", s.CheckoutURI)
		}
	}
	return nil
}

const (
	firstPause = 5 * time.Second // before the first look; doubled each time
	looks      = 5
)

// wait looks at an upload until it is processed: after 5, 10, 20, 40 and 80 seconds.
// GitHub tells about an upload only by being asked.
func (u *Uploader) wait(ctx context.Context, id string) (Upload, error) {
	up := Upload{ID: id, State: Pending}
	for i := range looks {
		pause := firstPause << i
		select {
		case <-u.after(pause):
		case <-ctx.Done():
			return up, fmt.Errorf("wait until %s has processed the SARIF upload %s: %w", u.repository, id, context.Cause(ctx))
		}
		up.Waited += pause
		var got struct {
			Status   string   `json:"processing_status"`
			Analyses string   `json:"analyses_url"`
			Errors   []string `json:"errors"`
		}
		err := u.client.Send(ctx, github.Request{
			What: fmt.Sprintf("look at the SARIF upload %s to %s", id, u.repository), Needs: "security-events: read", Method: http.MethodGet,
			Path: "repos/" + u.repository + "/code-scanning/sarifs/" + url.PathEscape(id),
		}, &got)
		switch {
		case errors.Is(err, github.ErrNotFound): // right after the upload GitHub may not know it yet
			continue
		case err != nil:
			return up, classify(err)
		}
		switch got.Status {
		case "complete":
			up.State, up.Analyses = Complete, got.Analyses
			return up, nil
		case "failed":
			return up, &Error{Kind: Invalid, Err: fmt.Errorf("%s refuses the SARIF upload %s after it looked into it: %s", u.repository, id, reasons(got.Errors))}
		case "pending":
		default:
			return up, fmt.Errorf("look at the SARIF upload %s to %s: the status is %q", id, u.repository, got.Status)
		}
	}
	return up, nil
}

const maxReasons = 5

func reasons(all []string) string {
	if len(all) == 0 {
		return "it gives no reason"
	}
	text := strings.Join(all[:min(len(all), maxReasons)], "; ")
	if n := len(all) - maxReasons; n > 0 {
		text += fmt.Sprintf("; and %d more", n)
	}
	return text
}
