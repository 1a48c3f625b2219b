package deployments

import (
	"context"
	"errors"
	"slices"
)

// ErrNone says that the commit has no deployment to the environment whose state is
// known. One that is still in progress has none yet: another job is about to set it.
var ErrNone = errors.New("the commit has no finished deployment to the environment")

// Describe adds a description to the newest deployment of a commit that has ended, as a
// status of the same state: a result about what is deployed does not make it deployed
// or not. Nothing is written if the description is there already. The link, "" for the
// one that is there, is where the status leads to.
func (e Environment) Describe(ctx context.Context, commit, description, link string) (changed bool, err error) {
	all, err := e.Newest(ctx, commit)
	if err != nil {
		return false, err
	}
	for _, d := range all {
		s, err := e.status(ctx, d.ID)
		if err != nil {
			return false, err
		}
		if !slices.Contains([]State{Success, Failure, Error}, s.State) {
			continue
		}
		if s.Description == cut(description) && (link == "" || s.LogURL == link) {
			return false, nil
		}
		s.Description = description
		if link != "" {
			s.LogURL = link
		}
		err = e.SetStatus(ctx, d.ID, s)
		return err == nil, err
	}
	return false, ErrNone
}
