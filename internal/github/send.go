package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	gh "github.com/google/go-github/v62/github"
)

// A Request is a request to the REST API that has no method of its own here.
type Request struct {
	What   string // the operation, for errors: "read the file web.yaml of acme/config"
	Needs  string // the permission, as in a workflow: "contents: write"
	Method string
	Path   string // below the API's URL, escaped: "repos/acme/config/contents/web.yaml"
	Body   any    // nil for none
	// Once: the request creates something, and is repeated only if GitHub did not
	// process it.
	Once bool
	// Accepted: 202 is the response of a request that went well. Without it 202 is an
	// error, as GitHub then did something else than was asked for.
	Accepted bool
}

// Send sends a request and decodes the response into v, with the retries and errors
// of all requests of a Client.
func (c *Client) Send(ctx context.Context, r Request, v any) error {
	_, _, err := call(ctx, c, op{what: r.What, needs: r.Needs, once: r.Once}, func() (struct{}, *gh.Response, error) {
		req, err := c.gh.NewRequest(r.Method, r.Path, r.Body)
		if err != nil {
			return struct{}{}, nil, err
		}
		resp, err := c.gh.Do(ctx, req, v)
		if later, ok := errors.AsType[*gh.AcceptedError](err); ok && r.Accepted {
			err = nil
			if v != nil && len(later.Raw) > 0 {
				err = json.Unmarshal(later.Raw, v)
			}
		}
		return struct{}{}, resp, err
	})
	return err
}

// A StatusError is a refusal of GitHub that is neither a missing permission nor
// something that does not exist.
type StatusError struct {
	What   string
	Status int
	Said   string // GitHub's reason, without secrets
}

// Error implements error.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %d %s: %s", e.What, e.Status, http.StatusText(e.Status), e.Said)
}

// IsRepository reports whether a name has the form owner/name.
func IsRepository(name string) bool { return isRepo(name) }
