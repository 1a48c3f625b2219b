package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/bucket"
	"github.com/candlefish/deploy-action/internal/aws/resource"
)

// Deleted is the result of Delete.
type Deleted struct {
	Existed bool
	Gone    bool // the stack, verified by its id afterwards
	// Asked counts the resources that were asked for afterwards and do not exist.
	Asked int
	// Left are resources that still exist, each with the reason. They keep their
	// tags, by which resource.Tagged finds them.
	Left []string
	// Kept are resources that the template keeps: DeletionPolicy Retain.
	Kept []string
	// Unasked are resources of types that nobody here can ask for: that they are
	// gone is CloudFormation's word alone.
	Unasked []string
	// Swept are resources that outlived the stack and were deleted afterwards: a
	// function's log group may come back with its last request.
	Swept []string
	// Emptied counts the objects, versions, delete markers and unfinished
	// uploads deleted in each bucket.
	Emptied map[string]int
}

// Delete deletes a stack with all its resources and asks for each of them afterwards. A
// stack that does not exist is no error; one that owned refuses is aws.ErrNotOurs and
// left alone. Delete removes termination protection and empties buckets, other than those
// that the template retains. What CloudFormation cannot delete is deleted after the
// stack, or listed.
func Delete(ctx context.Context, a *aws.Account, name string, owned func(tags map[string]string) error, event func(Event)) (Deleted, error) {
	if owned == nil {
		return Deleted{}, errors.New("deleting a stack needs a check of ownership")
	}
	s := newSession(a, 0, event, nil)
	st, err := s.read.find(ctx, name)
	if err != nil {
		return Deleted{}, err
	}
	if !st.exists() {
		return Deleted{Gone: true}, nil
	}
	if err := s.read.checkOwner(ctx, st, owned); err != nil {
		return Deleted{Existed: true}, err
	}
	return s.delete(ctx, st)
}

// delete deletes a stack that is ours.
func (s *session) delete(ctx context.Context, st Stack) (Deleted, error) {
	d := &deletion{s: s, stack: st, did: Deleted{Existed: true, Emptied: map[string]int{}}}
	err := d.run(ctx)
	return d.did, err
}

// A deletion is the deletion of one stack that is ours, with all that would keep it from
// being deleted or outlive it.
type deletion struct {
	s      *session
	stack  Stack
	did    Deleted
	failed map[string]string // why CloudFormation could not delete a resource, by logical id
	nested map[string]bool   // ids of the nested stacks
}

func (d *deletion) run(ctx context.Context) error {
	// A deletion can interrupt a creation, and nothing else.
	interruptible := slices.Contains([]types.StackStatus{types.StackStatusReviewInProgress, types.StackStatusCreateInProgress}, types.StackStatus(d.stack.Status))
	if d.stack.inProgress() && !interruptible {
		if err := d.s.awaitIdle(ctx, d.stack); err != nil {
			return err
		}
		now, err := d.s.read.find(ctx, d.stack.ID)
		if err != nil || !now.exists() {
			d.did.Gone = err == nil
			return err
		}
		d.stack = now
	}
	if d.stack.Protected {
		if err := d.s.protect(ctx, d.stack.ID, false); err != nil {
			return err
		}
	}
	return d.all(ctx)
}

// all empties buckets and deletes the stack. If a bucket was written to in the
// meantime it tries a second time; after that, what cannot be deleted is retained.
func (d *deletion) all(ctx context.Context) error {
	members, err := d.s.members(ctx, d.stack.ID, maxDepth)
	if err != nil {
		return err
	}
	d.nested = map[string]bool{}
	for _, m := range members {
		d.nested[m.ID] = m.Type == stackType
	}
	if _, err := d.emptyBuckets(ctx, members); err != nil {
		return err
	}
	failure, err := d.once(ctx, nil)
	if failure != nil && err == nil {
		var again int
		if again, err = d.emptyBuckets(ctx, members); err == nil && again > 0 {
			failure, err = d.once(ctx, nil)
		}
	}
	if failure != nil && err == nil {
		failure, err = d.retaining(ctx, failure)
	}
	if failure != nil && err == nil {
		err = failure
	}
	if err != nil {
		return err
	}
	now, err := d.s.read.find(ctx, d.stack.ID)
	if err != nil {
		return err
	}
	d.did.Gone = !now.exists()
	if !d.did.Gone {
		return fmt.Errorf("stack %s: it was deleted and is %s: %s", d.stack.Name, now.Status, d.stack.ID)
	}
	d.verify(ctx, members)
	return nil
}

// retaining deletes the stack without the resources that could not be deleted.
func (d *deletion) retaining(ctx context.Context, failure *Error) (*Error, error) {
	all, err := d.s.read.list(ctx, d.stack.ID)
	if err != nil {
		return nil, err
	}
	var retain []string
	failed := map[string]string{}
	for _, r := range all {
		if r.ResourceStatus == types.ResourceStatusDeleteFailed {
			logical := sdk.ToString(r.LogicalResourceId)
			retain = append(retain, logical)
			failed[logical] = cmp.Or(sdk.ToString(r.ResourceStatusReason), "CloudFormation could not delete it")
		}
	}
	if len(retain) == 0 {
		return failure, nil
	}
	failure, err = d.once(ctx, retain)
	if failure == nil && err == nil {
		d.failed = failed
	}
	return failure, err
}

// once requests the deletion and waits for its end. failure is why CloudFormation
// failed.
func (d *deletion) once(ctx context.Context, retain []string) (failure *Error, err error) {
	w := d.s.watch(d.stack.ID, d.stack.Name, "")
	if err := w.prime(ctx); err != nil {
		return nil, err
	}
	if _, err := d.s.cf.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &d.stack.ID, RetainResources: retain}); err != nil {
		return nil, fmt.Errorf("delete stack %s: %w", d.stack.Name, err)
	}
	status, err := w.operation(ctx, types.ResourceStatusDeleteInProgress)
	if err == nil && status != types.StackStatusDeleteComplete {
		failure = w.failure(ctx, status)
	}
	return failure, err
}

// emptyBuckets empties the buckets that will be deleted with the stack and its nested
// stacks, and counts what this call deleted.
func (d *deletion) emptyBuckets(ctx context.Context, all []member) (now int, err error) {
	for _, m := range all {
		if m.Type != resource.TypeBucket || m.retained {
			continue
		}
		n, err := bucket.Of(d.s.account, m.ID).Empty(ctx)
		now += n
		d.did.Emptied[m.ID] += n
		if err != nil {
			return now, err
		}
	}
	return now, nil
}
