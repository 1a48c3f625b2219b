package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v62/github"
)

// actionsBot is the author of what GITHUB_TOKEN writes.
const actionsBot = "github-actions" + bot

const bot = "[bot]"

// Viewer returns the login of the token: a user's, or an app's with the suffix [bot]. It
// sends one request per Client.
func (c *Client) Viewer(ctx context.Context) (string, error) {
	c.mu.Lock()
	known := c.viewer
	c.mu.Unlock()
	if known != "" {
		return known, nil
	}
	login, err := c.askViewer(ctx)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.viewer = login
	return login, nil
}

// askViewer requests the token's user. GitHub refuses that for an app's token, and names
// the app only by GraphQL.
func (c *Client) askViewer(ctx context.Context) (string, error) {
	o := op{what: "read the token's user"}
	user, _, err := call(ctx, c, o, func() (*gh.User, *gh.Response, error) { return c.gh.Users.Get(ctx, "") })
	if err == nil && user.GetLogin() == "" {
		return "", fmt.Errorf("%s: the response has no login", o.what)
	}
	if err == nil {
		return user.GetLogin(), nil
	}
	if _, ok := errors.AsType[*ForbiddenError](err); !ok {
		return "", err
	}
	app, err := query[struct{ Viewer struct{ Login string } }](ctx, c, o, "query{viewer{login}}", nil)
	switch {
	case refused(err) || err == nil && app.Viewer.Login == "":
		return actionsBot, nil
	case err != nil:
		return "", err
	}
	return strings.TrimSuffix(app.Viewer.Login, bot) + bot, nil
}

// isViewer compares logins without [bot], which one of GitHub's APIs omits. A user with the
// name of an app is not that app.
func isViewer(me string, author *gh.User) bool {
	login := author.GetLogin()
	isBot := author.GetType() == "Bot" || strings.HasSuffix(login, bot)
	return strings.EqualFold(strings.TrimSuffix(login, bot), strings.TrimSuffix(me, bot)) && isBot == strings.HasSuffix(me, bot)
}

// minimized sets which comments are hidden. Only GraphQL knows, and if the token may not
// use it they count as shown.
func (c *Client) minimized(ctx context.Context, o op, comments []Comment) error {
	const text = "query($ids:[ID!]!){nodes(ids:$ids){... on IssueComment{id isMinimized}}}"
	type nodes struct {
		Nodes []*struct {
			ID          string
			IsMinimized bool
		}
	}
	for begin := 0; begin < len(comments); begin += perPage {
		some := comments[begin:min(begin+perPage, len(comments))]
		byNode, ids := map[string]*Comment{}, []string{}
		for i := range some {
			byNode[some[i].node] = &some[i]
			ids = append(ids, some[i].node)
		}
		answer, err := query[nodes](ctx, c, o, text, map[string]any{"ids": ids})
		if refused(err) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, n := range answer.Nodes {
			if n != nil && byNode[n.ID] != nil {
				byNode[n.ID].Minimized = n.IsMinimized
			}
		}
	}
	return nil
}

// refused reports that the token or the server has no GraphQL API.
func refused(err error) bool {
	_, forbidden := errors.AsType[*ForbiddenError](err)
	return forbidden || errors.Is(err, ErrNotFound)
}

// A graphQLError is a refusal with status 200.
type graphQLError struct{ kind, said string }

// Error implements error.
func (e *graphQLError) Error() string { return e.said }

func (t translator) graphQL(o op, e *graphQLError) error {
	switch e.kind {
	case "RATE_LIMITED":
		return &RateLimitError{What: o.what}
	case "FORBIDDEN", "INSUFFICIENT_SCOPES":
		return &ForbiddenError{What: o.what, Said: t.words(e.said), Hint: hint(o, e.said)}
	}
	return fmt.Errorf("%s: %s", o.what, t.words(e.said))
}

// query sends a GraphQL query. Deleted nodes are null beside their errors, so errors count
// only without data.
func query[T any](ctx context.Context, c *Client, o op, text string, variables map[string]any) (*T, error) {
	data, _, err := call(ctx, c, o, func() (*T, *gh.Response, error) {
		req, err := c.gh.NewRequest(http.MethodPost, c.graphQL, map[string]any{"query": text, "variables": variables})
		if err != nil {
			return nil, nil, err
		}
		var answer struct {
			Data   *T
			Errors []struct{ Type, Message string }
		}
		resp, err := c.gh.Do(ctx, req, &answer)
		if err == nil && answer.Data == nil {
			e := &graphQLError{}
			if len(answer.Errors) > 0 {
				e.kind, e.said = answer.Errors[0].Type, answer.Errors[0].Message
			}
			err = e
		}
		return answer.Data, resp, err
	})
	return data, err
}
