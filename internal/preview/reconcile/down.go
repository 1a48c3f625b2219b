package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/preview/result"
)

// openReason is the reason of a removal that its pull request overtook: it is open, or open
// again.
const openReason = "the pull request is open"

// Down removes the preview of a closed pull request and verifies that it is gone. It needs
// nothing but the key, and may be repeated. An event says what was, so GitHub is asked now:
// if the pull request is open, nothing is removed and the result is superseded, unless
// EvenOpen is set.
func (k *Reconciler) Down(ctx context.Context, key Key, runID, runURL string) (result.Result, error) {
	return k.remove(ctx, key, runID, runURL, k.EvenOpen)
}

// remove is Down; always is whether it asks for no closed pull request.
func (k *Reconciler) remove(ctx context.Context, key Key, runID, runURL string, always bool) (result.Result, error) {
	m := &removal{Reconciler: k, key: key, always: always, r: k.begin(key, result.GoalDown, runURL)}
	if err := m.run(ctx); err != nil || m.r.Superseded != "" {
		m.r.EndedAt = k.Now().UTC()
		return m.r, err
	}
	m.r.EndedAt = k.Now().UTC()
	if m.nothing() && m.previous == "" {
		return m.r, nil // there never was a preview: nothing to report
	}
	k.comment(ctx, runID, &m.r)
	return m.r, nil
}

// A removal is one run that removes a preview.
type removal struct {
	*Reconciler
	key      Key
	always   bool
	r        result.Result
	previous string // the comment
}

// run removes the parts. Before each one it asks whether the pull request is still closed: it
// may be reopened while this run works.
func (m *removal) run(ctx context.Context) error {
	if open, err := m.reopened(ctx); err != nil || open {
		return err
	}
	var err error
	if m.previous, err = m.Forge.PreviousComment(ctx, m.key, result.Marker); err != nil {
		m.r.Warnings = append(m.r.Warnings, "what earlier runs left behind is not known: "+err.Error())
	}
	// First, since no sweep would find it alone: a run may end at any line.
	m.environment(ctx)
	if m.Host != nil {
		if open, err := m.frontend(ctx); err != nil || open {
			return err
		}
	}
	if open, err := m.reopened(ctx); err != nil || open {
		return err
	}
	if m.Backend != nil {
		m.api(ctx)
	}
	return nil
}

// reopened reads the pull request and reports whether it is open, which ends the removal.
func (m *removal) reopened(ctx context.Context) (bool, error) {
	if m.always {
		return false, nil
	}
	pr, err := m.Forge.PullRequest(ctx, m.key)
	if err != nil {
		return false, fmt.Errorf("check whether %s is closed before its preview is removed: %w", m.key, err)
	}
	if pr.Open {
		m.Logf("not removed: %s", openReason)
		m.r.Superseded = openReason
	}
	return pr.Open, nil
}

// nothing reports whether there was nothing to remove.
func (m *removal) nothing() bool {
	return !slices.ContainsFunc(m.r.Parts(), func(p result.Part) bool { return p.Status != result.StatusAbsent && p.Status != result.StatusUnused })
}

// frontend deletes the deploys of the preview's alias that are ours. It lists them before it
// asks whether the pull request is closed: whatever a reopened one publishes afterwards is
// not on the list.
func (m *removal) frontend(ctx context.Context) (open bool, err error) {
	began := m.Now()
	p := result.Part{Name: result.Frontend, Status: result.StatusAbsent, ID: m.key.Alias()}
	defer func() {
		p.Took = m.Now().Sub(began)
		m.r.Frontend = p
	}()
	sites, err := m.Host.Sites(ctx, m.key.Alias())
	if err != nil {
		p.Status, p.Detail = result.StatusRemaining, err.Error()
		return false, nil
	}
	if open, err := m.reopened(ctx); err != nil || open {
		return open, err
	}
	ours, foreign := m.key.split(sites)
	for _, s := range foreign {
		m.r.Foreign = append(m.r.Foreign, s.ID)
	}
	last := result.StateOf(m.previous).Part(result.Frontend)
	m.deploys(ctx, ours, last, &p)
	m.address(ctx, sites, ours, last, &p)
	return false, nil
}

// deploys removes deploys, and looks again for those that an earlier run deleted and that
// still answered.
func (m *removal) deploys(ctx context.Context, ours []Site, last result.Seen, p *result.Part) {
	var failures []string
	done := func(s Site, err error) {
		c := result.Check{Name: "deploy " + s.ID, OK: err == nil, Detail: "deleted; Netlify does not know it any more, and its address answers 404"}
		if err != nil {
			c.Detail = err.Error()
			failures = append(failures, s.ID+": "+c.Detail)
			p.Left = append(p.Left, result.Left{ID: s.ID, URL: s.URL})
		}
		p.Checks = append(p.Checks, c)
	}
	for _, s := range ours {
		m.Logf("removing deploy %s", s.ID)
		done(s, m.removeSite(ctx, s))
	}
	for _, l := range last.Left {
		if !slices.ContainsFunc(ours, func(s Site) bool { return s.ID == l.ID }) {
			s := Site{ID: l.ID, URL: l.URL, Alias: m.key.Alias()}
			done(s, m.verifyGone(ctx, s))
		}
	}
	switch {
	case len(failures) > 0:
		p.Status, p.Detail = result.StatusRemaining, strings.Join(failures, "; ")
	case len(p.Checks) > 0:
		p.Status, p.Detail = result.StatusRemoved, fmt.Sprintf("deploys removed and verified as gone: %d", len(p.Checks))
	default:
		p.Detail = "Netlify lists no deploy of this pull request"
	}
}

// split tells the preview's own deploys from others under its alias.
func (k Key) split(sites []Site) (ours, foreign []Site) {
	for _, s := range sites {
		if o, err := OwnerOfTitle(s.Title, s.Alias); err == nil && o.Key == k {
			ours = append(ours, s)
		} else {
			foreign = append(foreign, s)
		}
	}
	return ours, foreign
}

func (m *removal) removeSite(ctx context.Context, s Site) error {
	if err := m.Host.Remove(ctx, s); err != nil {
		return err
	}
	return m.verifyGone(ctx, s)
}

func (m *removal) verifyGone(ctx context.Context, s Site) error {
	gone, why, err := m.Host.Gone(ctx, s)
	if err != nil {
		return fmt.Errorf("it was deleted, but could not be verified as gone: %w", err)
	}
	if !gone {
		return errors.New("it was deleted, but " + why)
	}
	return nil
}

// address visits the address that people have, which belongs to no single deploy. If no
// deploy of the preview ever had one, there is none to visit.
func (m *removal) address(ctx context.Context, sites, ours []Site, last result.Seen, p *result.Part) {
	address := last.URL
	for _, s := range sites {
		if s.AliasURL != "" {
			address = s.AliasURL
		}
	}
	if address == "" {
		return
	}
	p.URL = address
	commits := []string{last.Commit}
	for _, s := range ours {
		if o, err := OwnerOfTitle(s.Title, s.Alias); err == nil {
			commits = append(commits, o.Commit)
		}
	}
	c, answers := m.visitor().Ended(ctx, address, commits, len(sites) > len(ours))
	p.Checks = append(p.Checks, c)
	if !c.OK {
		p.Status, p.Detail = result.StatusRemaining, strings.TrimPrefix(p.Detail+"; "+c.Detail, "; ")
	}
	if answers {
		m.r.Address = c.Detail
	}
}

// api removes the stack, and what an earlier removal left of it.
func (m *removal) api(ctx context.Context) {
	p := result.Part{Name: result.API, Status: result.StatusAbsent, ID: m.key.Stack()}
	began := m.Now()
	removed, err := m.Backend.Remove(ctx, m.key, m.Logf)
	p.Took = m.Now().Sub(began)
	m.r.Kept, m.r.Unasked = removed.Kept, removed.Unasked
	last := result.StateOf(m.previous)
	switch {
	case err != nil:
		p.Status, p.Detail = result.StatusRemaining, err.Error()
	case len(removed.Left) > 0:
		p.Status, p.Detail = result.StatusRemaining, "AWS did not delete "+strings.Join(removed.Left, ", ")
	case removed.Existed:
		p.Status, p.Detail = result.StatusRemoved, removed.detail()
	default:
		p.Detail = "AWS has no stack of this name, and no resource with the tags of this preview"
		if last.Goal == result.GoalDown && last.Part(result.API).Status == result.StatusRemoved {
			p.Status, p.Detail = result.StatusRemoved, "removed earlier, and looked for again: "+p.Detail
		}
	}
	m.r.API = p
}

// environment ends the preview's deployments on GitHub.
func (m *removal) environment(ctx context.Context) {
	began := m.Now()
	e, err := m.Forge.RetireEnvironment(ctx, m.key)
	p := result.Part{Name: result.Environment, Status: result.StatusAbsent, ID: e.Name, Took: m.Now().Sub(began)}
	switch {
	case err != nil:
		p.Status, p.ID, p.Detail = result.StatusRemaining, m.key.Environment(), err.Error()
	case e.Name == "":
		p.Status = result.StatusUnused
	case e.Kept != "":
		p.Status, p.Detail = result.StatusKept, fmt.Sprintf("%s; its deployments, %d, are inactive", e.Kept, e.Deployments)
	case e.Gone:
		p.Status, p.Detail = result.StatusRemoved, fmt.Sprintf("deployments of this pull request ended: %d; GitHub was asked again and has nothing of it", e.Deployments)
	default:
		p.Detail = "GitHub lists no deployment of this pull request"
	}
	m.r.Environment = p
}
