package stack

import (
	"context"
	"fmt"
	"slices"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/resource"
)

// A member is a resource of a stack that is about to be deleted.
type member struct {
	resource.Resource
	logical  string
	retained bool // by the template
}

// members lists the resources of a stack and of its nested stacks, and the log groups
// that Lambda makes for functions without one.
func (s *session) members(ctx context.Context, id string, depth int) ([]member, error) {
	all, err := s.read.list(ctx, id)
	if err != nil {
		return nil, err
	}
	var found []member
	for _, r := range all {
		m := member{Resource: resource.Resource{Type: sdk.ToString(r.ResourceType), ID: sdk.ToString(r.PhysicalResourceId)}, logical: sdk.ToString(r.LogicalResourceId)}
		if m.Type == "" || m.ID == "" || r.ResourceStatus == types.ResourceStatusDeleteComplete {
			continue
		}
		found = append(found, m)
	}
	if len(found) == 0 {
		return nil, nil
	}
	t, err := s.read.processed(ctx, id, nil)
	if err != nil {
		return nil, err
	}
	var nested []member
	for i := range found {
		found[i].retained = t.Resources[found[i].logical].Retained
		if found[i].Type == stackType && !found[i].retained && depth > 0 {
			inner, err := s.members(ctx, found[i].ID, depth-1)
			if err != nil {
				return nil, err
			}
			nested = append(nested, inner...)
		}
	}
	return withLogGroups(append(found, nested...)), nil
}

// withLogGroups adds the log group of each function that is not listed already.
func withLogGroups(all []member) []member {
	for _, m := range slices.Clone(all) {
		group := resource.Resource{Type: resource.TypeLogGroup, ID: "/aws/lambda/" + m.ID}
		if m.Type != resource.TypeFunction || slices.ContainsFunc(all, func(o member) bool { return o.Is(group.Type, group.ID) }) {
			continue
		}
		all = append(all, member{Resource: group, retained: m.retained})
	}
	return all
}

// Kept lists the resources that the template of a stack keeps when the stack is
// deleted. A stack that does not exist has none; one that owned refuses is
// aws.ErrNotOurs.
func Kept(ctx context.Context, a *aws.Account, name string, owned func(tags map[string]string) error) ([]resource.Resource, error) {
	s := newSession(a, 0, nil, nil)
	st, err := s.read.find(ctx, name)
	if err != nil || !st.exists() {
		return nil, err
	}
	if err := s.read.checkOwner(ctx, st, owned); err != nil {
		return nil, err
	}
	all, err := s.members(ctx, st.ID, maxDepth)
	var kept []resource.Resource
	for _, m := range all {
		if m.retained {
			kept = append(kept, m.Resource)
		}
	}
	return kept, err
}

// verify asks for each resource of the deleted stack, and deletes what outlived it.
func (d *deletion) verify(ctx context.Context, all []member) {
	for _, m := range all {
		switch reason := d.failed[m.logical]; {
		case m.retained:
			d.did.Kept = append(d.did.Kept, m.String())
		case resource.IsPart(m.Type):
		case m.Type == stackType:
			d.verifyNested(ctx, m)
		default:
			d.verifyOne(ctx, m, reason)
		}
	}
}

func (d *deletion) verifyNested(ctx context.Context, m member) {
	st, err := d.s.read.find(ctx, m.ID)
	switch {
	case err != nil:
		d.did.Left = append(d.did.Left, fmt.Sprintf("%s: %v", m, err))
	case st.exists():
		d.did.Left = append(d.did.Left, fmt.Sprintf("%s: it is %s", m, st.Status))
	default:
		d.did.Asked++
	}
}

// verifyOne asks for one resource. reason is why CloudFormation could not delete it,
// empty if it says that it did.
func (d *deletion) verifyOne(ctx context.Context, m member, reason string) {
	ours := func(stack string) bool { return stack == d.stack.ID || d.nested[stack] }
	switch outcome, why := resource.Confirm(ctx, d.s.account, m.Resource, ours, reason); outcome {
	case resource.Unasked:
		d.did.Unasked = append(d.did.Unasked, m.String())
	case resource.Left:
		d.did.Left = append(d.did.Left, fmt.Sprintf("%s: %s", m, why))
	case resource.Swept:
		d.did.Swept = append(d.did.Swept, m.String())
		d.did.Asked++
	case resource.Gone:
		d.did.Asked++
	}
}
