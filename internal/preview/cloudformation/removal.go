package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/aws/resource"
	"github.com/candlefish/deploy-action/internal/aws/stack"
	"github.com/candlefish/deploy-action/internal/preview/reconcile"
)

// rolePrefix begins the names of the roles of previews: those of our template, and those
// that CloudFormation makes of the stack's name.
const rolePrefix = "candlefish-api-preview-"

// Remove implements reconcile.Backend. It deletes the preview's objects in the bucket of
// artifacts too, and the bucket itself if it is ours and nobody's objects are in it.
func (c *Backend) Remove(ctx context.Context, k reconcile.Key, logf reconcile.Logf) (reconcile.Removal, error) {
	removed, err := c.removeStack(ctx, k, logf)
	if err != nil {
		return removed, err
	}
	return removed, c.removeArtifacts(ctx, k)
}

// removeStack deletes the stack, and what is left of earlier ones.
func (c *Backend) removeStack(ctx context.Context, k reconcile.Key, logf reconcile.Logf) (reconcile.Removal, error) {
	if err := c.release(ctx, k); err != nil {
		return reconcile.Removal{Existed: true}, err
	}
	deleted, err := stack.Delete(ctx, c.Account, k.Stack(), k.Owns, logEvent(logf))
	removed := reconcile.Removal{Existed: deleted.Existed, Asked: deleted.Asked, Left: deleted.Left, Kept: deleted.Kept, Unasked: deleted.Unasked}
	if err != nil {
		return removed, err
	}
	if !deleted.Gone {
		return removed, errors.New("the stack was deleted and still exists")
	}
	return removed, c.removeRemains(ctx, k, &removed, logf)
}

// release takes the preview's tag of clean-up from what the template keeps when the stack
// is deleted, so that nobody takes it for a left-over afterwards. It happens before the
// deletion: a run that ends in between must not lose it.
func (c *Backend) release(ctx context.Context, k reconcile.Key) error {
	kept, err := stack.Kept(ctx, c.Account, k.Stack(), k.Owns)
	if err != nil || len(kept) == 0 {
		return err
	}
	tagged, err := resource.Tagged(ctx, c.Account, reconcile.CleanupTags(), rolePrefix)
	if err != nil {
		return err
	}
	tagged = slices.DeleteFunc(tagged, func(r resource.Resource) bool {
		return k.Owns(r.Tags) != nil || !slices.ContainsFunc(kept, func(o resource.Resource) bool { return r.Is(o.Type, o.ID) })
	})
	return resource.Tag(ctx, c.Account, tagged, reconcile.ReleasedTags())
}

// removeRemains deletes what exists of the preview without a stack.
func (c *Backend) removeRemains(ctx context.Context, k reconcile.Key, removed *reconcile.Removal, logf reconcile.Logf) error {
	remains, err := c.remains(ctx)
	if err != nil {
		return err
	}
	for _, r := range remains {
		if r.owner.Key != k || mentions(removed.Left, r.what()) || r.Type == "" && mentionsID(removed.Unasked, r.ARN) {
			continue
		}
		exists := true
		if r.Type != "" { // the list of tags may be older than the deletion
			if exists, _, err = resource.Exists(ctx, c.Account, r.Resource); err != nil {
				return err
			}
		}
		if !exists {
			continue
		}
		logf("deleting %s, which an earlier removal left", r.what())
		removed.Existed = true
		if err := resource.Delete(ctx, c.Account, r.Resource); err != nil {
			removed.Left = append(removed.Left, fmt.Sprintf("%s: %v", r.what(), err))
			continue
		}
		removed.Asked++
	}
	return nil
}

// mentions reports whether a line is about a resource: what it is, and a reason.
func mentions(lines []string, what string) bool {
	return slices.ContainsFunc(lines, func(line string) bool { return line == what || strings.HasPrefix(line, what+": ") })
}

// mentionsID reports whether one of some resources, each as its type and its id, has an
// ARN: the list of tags may still have what CloudFormation has just deleted.
func mentionsID(resources []string, arn string) bool {
	return slices.ContainsFunc(resources, func(text string) bool {
		kind, id, _ := strings.Cut(text, " ")
		return resource.Resource{ARN: arn}.Is(kind, id)
	})
}

// removeArtifacts deletes the preview's own objects, and our bucket if that leaves it
// empty: S3 itself refuses if another preview has put its code there a moment ago.
func (c *Backend) removeArtifacts(ctx context.Context, k reconcile.Key) error {
	artifacts, err := c.artifacts(ctx)
	if err != nil {
		return err
	}
	if artifacts.own {
		if err := artifacts.Use(ctx); err != nil {
			return err
		}
	}
	if _, err := artifacts.EmptyBelow(ctx, artifactsPrefix(k)); err != nil || artifacts.own {
		return err
	}
	_, err = artifacts.DeleteEmpty(ctx, reconcile.SharedTags())
	return err
}

// A remain is a resource of a preview whose stack does not exist.
type remain struct {
	resource.Resource
	owner reconcile.Owner
}

func (r remain) what() string { return r.String() }

// remains lists them for all previews of the account, by their tags: they carry
// everything that is needed to remove them, and nobody can edit or lose them as the text
// of a comment.
func (c *Backend) remains(ctx context.Context) ([]remain, error) {
	tagged, err := resource.Tagged(ctx, c.Account, reconcile.CleanupTags(), rolePrefix)
	if err != nil {
		return nil, err
	}
	stacks, err := stack.List(ctx, c.Account, reconcile.StackPrefix)
	if err != nil {
		return nil, err
	}
	var all []remain
	for _, r := range tagged {
		o, err := reconcile.OwnerOf(r.Tags)
		if err != nil {
			continue // the shared bucket, or somebody else's
		}
		id := r.Tags[resource.TagStackID]
		alive := slices.ContainsFunc(stacks, func(s stack.Stack) bool { return s.ID == id || id == "" && s.Name == o.Stack() })
		if !alive {
			all = append(all, remain{r, o})
		}
	}
	return all, nil
}

// Remains implements reconcile.Backend.
func (c *Backend) Remains(ctx context.Context) ([]reconcile.Remain, error) {
	all, err := c.remains(ctx)
	var list []reconcile.Remain
	for _, r := range all {
		exists := true
		if err == nil && r.Type != "" { // the list of tags may be older than the deletion
			exists, _, err = resource.Exists(ctx, c.Account, r.Resource)
		}
		if exists {
			list = append(list, reconcile.Remain{Owner: r.owner, What: r.what()})
		}
	}
	return list, err
}
