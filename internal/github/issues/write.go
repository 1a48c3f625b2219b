package issues

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/github"
)

// outcome edits an issue and says so.
func (t Tracker) outcome(ctx context.Context, did string, one issue, body map[string]any) (Outcome, error) {
	if err := t.edit(ctx, one.Number, body); err != nil {
		return Outcome{}, err
	}
	return Outcome{Did: did, Number: one.Number, URL: one.URL}, nil
}

// create creates the issue. A create that failed may have been done, so the issue is
// looked for before it is created again; and since another scan may create one at the
// same moment, it is looked for afterwards too. Both keep the oldest.
func (t Tracker) create(ctx context.Context, w Want) (Outcome, error) {
	labels, notes, err := t.labels(ctx, w.Labels)
	if err != nil {
		return Outcome{}, err
	}
	assignees, more, err := t.assignees(ctx, w.Assignees)
	if err != nil {
		return Outcome{}, err
	}
	notes = append(notes, more...)
	body := map[string]any{"title": w.Title, "body": compose(w, recordOf(w, w.Depth)), "labels": labels, "assignees": assignees}
	const attempts = 3
	for attempt := 1; ; attempt++ {
		var made issue
		err := t.send(ctx, http.MethodPost, "/issues", "issues: write", body, &made, "create an issue")
		if err != nil && (attempt == attempts || !temporary(err)) {
			return Outcome{}, err
		}
		f, findErr := t.find(ctx, w)
		switch {
		case findErr != nil && err == nil:
			return Outcome{}, findErr
		case findErr != nil:
			return Outcome{}, errors.Join(err, findErr)
		case f.open != nil:
			return Outcome{Did: Created, Number: f.open.Number, URL: f.open.URL, Notes: append(notes, lacking(*f.open, labels)...)}, nil
		case err == nil: // lists lag behind
			return Outcome{Did: Created, Number: made.Number, URL: made.URL, Notes: append(notes, lacking(made, labels)...)}, nil
		}
	}
}

func temporary(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}

// lacking notes the labels that GitHub dropped.
func lacking(one issue, labels []string) []string {
	var notes []string
	for _, l := range labels {
		if !slices.ContainsFunc(one.Labels, func(has struct {
			Name string `json:"name"`
		}) bool {
			return strings.EqualFold(has.Name, l)
		}) {
			notes = append(notes, fmt.Sprintf("GitHub dropped the label %s", l))
		}
	}
	return notes
}

// labels creates the labels that are not there. One that can't be created is left
// out, with a note.
func (t Tracker) labels(ctx context.Context, all []Label) (names, notes []string, err error) {
	for _, l := range all {
		err := t.send(ctx, http.MethodGet, "/labels/"+url.PathEscape(l.Name), "issues: read", nil, nil, "read the label %s", l.Name)
		if errors.Is(err, github.ErrNotFound) && !errors.Is(err, ErrDisabled) {
			body := map[string]any{"name": l.Name, "color": l.Colour, "description": l.Description}
			err = t.send(ctx, http.MethodPost, "/labels", "issues: write", body, nil, "create the label %s", l.Name)
			if s, ok := errors.AsType[*github.StatusError](err); ok && strings.Contains(s.Said, "already_exists") {
				err = nil // by another scan
			}
			if err != nil && ctx.Err() == nil {
				notes = append(notes, fmt.Sprintf("without the label %s: %v", l.Name, err))
				continue
			}
		}
		if err != nil {
			return nil, nil, err
		}
		names = append(names, l.Name)
	}
	return names, notes, nil
}

// assignees returns those of the users who can be assigned, and a note for each who
// can't: GitHub refuses the whole issue because of one.
func (t Tracker) assignees(ctx context.Context, all []string) (users, notes []string, err error) {
	for _, login := range all {
		login = strings.TrimPrefix(login, "@")
		if !loginForm.MatchString(login) {
			notes = append(notes, fmt.Sprintf("%q is not assigned: it is no user; a team can't be assigned to an issue", login))
			continue
		}
		err := t.send(ctx, http.MethodGet, "/assignees/"+url.PathEscape(login), "issues: read", nil, nil, "ask whether %s can be assigned to issues", login)
		switch {
		case err == nil:
			users = append(users, login)
		case errors.Is(err, github.ErrNotFound):
			notes = append(notes, fmt.Sprintf("%s is not assigned: no user with access to %s; a team can't be assigned to an issue", login, t.repo))
		default:
			return nil, nil, err
		}
	}
	return users, notes, nil
}

// add comments on what is new, after it recorded that: a comment is written once.
func (t Tracker) add(ctx context.Context, w Want, one issue, d decision) (Outcome, error) {
	o, err := t.outcome(ctx, Added, one, map[string]any{"body": d.body})
	if err != nil {
		return Outcome{}, err
	}
	return o, t.comment(ctx, one.Number, "Found by a scan that saw less than the one behind this issue"+w.by()+":\n\n"+list(d.news))
}

func (t Tracker) reopen(ctx context.Context, w Want, one issue, d decision) (Outcome, error) {
	o, err := t.outcome(ctx, Reopened, one, map[string]any{"state": "open", "state_reason": "reopened", "body": d.body})
	if err != nil {
		return Outcome{}, err
	}
	what := "New since it was closed"
	if len(d.news) == 0 {
		what, d.news = "Found again", w.Problems
	}
	return o, t.comment(ctx, one.Number, what+w.by()+":\n\n"+list(d.news))
}

// close closes the issue first: if the run ends in between, the body says the same as
// the comment.
func (t Tracker) close(ctx context.Context, w Want, one issue, d decision) (Outcome, error) {
	o, err := t.outcome(ctx, Closed, one, map[string]any{"state": "closed", "state_reason": "completed", "body": d.body})
	if err != nil {
		return Outcome{}, err
	}
	return o, t.comment(ctx, one.Number, "Closed: a complete scan finds none of these"+w.by()+".\n")
}

// by links the scan.
func (w Want) by() string {
	if !strings.HasPrefix(w.Run, "https://") || strings.ContainsAny(w.Run, " ()<>\n") {
		return ""
	}
	return " ([run](" + w.Run + "))"
}
