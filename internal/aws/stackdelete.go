package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// Deleted is what DeleteStack did.
type Deleted struct {
	Existed bool
	Gone    bool // looked at by its id afterwards
	// Retained are resources that could not be deleted and still exist, each as
	// its logical id, type and physical id.
	Retained []string
	// Swept are things of the stack that outlived it and were deleted then, and
	// Left those that could not be, with the reason: a function's log group may
	// come back with its last request.
	Swept, Left []string
	// Emptied are the buckets and how many objects, versions, delete markers
	// and unfinished uploads were deleted in each.
	Emptied map[string]int
}

// DeleteStack deletes a stack with all in it and looks whether it is gone. That
// there is none is fine. One that owned refuses is left alone. Termination
// protection is ours to remove then; buckets are emptied, other than those that the
// template says to retain. What CloudFormation cannot delete is retained, and said.
func (a *Account) DeleteStack(ctx context.Context, name string, owned func(tags map[string]string) error, event func(StackEvent)) (Deleted, error) {
	s := a.stacks(0, event, nil)
	if owned == nil {
		return Deleted{}, errors.New("deleting a stack needs a check of ownership")
	}
	st, err := s.find(ctx, name)
	if err != nil {
		return Deleted{}, err
	}
	if !st.exists() {
		return Deleted{Gone: true}, nil
	}
	if err := s.owned(ctx, st, owned); err != nil {
		return Deleted{Existed: true}, err
	}
	return s.delete(ctx, st)
}

// delete is DeleteStack for a stack that is ours.
func (s *stacks) delete(ctx context.Context, st Stack) (Deleted, error) {
	d := Deleted{Existed: true, Emptied: map[string]int{}}
	// A creation can be cut short by a deletion, nothing else can.
	uncut := !slices.Contains([]types.StackStatus{types.StackStatusReviewInProgress, types.StackStatusCreateInProgress}, types.StackStatus(st.Status))
	if strings.HasSuffix(st.Status, "_IN_PROGRESS") && uncut {
		if err := s.rest(ctx, st); err != nil {
			return d, err
		}
		now, err := s.find(ctx, st.ID)
		if err != nil || !now.exists() {
			d.Gone = err == nil
			return d, err
		}
		st = now
	}
	if st.Protected {
		if err := s.protect(ctx, st.ID, false); err != nil {
			return d, err
		}
	}
	return d, s.deleteAll(ctx, st, &d)
}

// deleteAll empties and deletes. What was written to a bucket meanwhile is worth
// a second time; after that, what still cannot be deleted is retained.
func (s *stacks) deleteAll(ctx context.Context, st Stack, d *Deleted) error {
	parts, err := s.outliving(ctx, st.ID)
	if err != nil {
		return err
	}
	if _, err := s.emptyBuckets(ctx, st.ID, d.Emptied, deepest); err != nil {
		return err
	}
	failure, err := s.deleteOnce(ctx, st, nil)
	if failure != nil && err == nil {
		var again int
		if again, err = s.emptyBuckets(ctx, st.ID, d.Emptied, deepest); err == nil && again > 0 {
			failure, err = s.deleteOnce(ctx, st, nil)
		}
	}
	if failure != nil && err == nil {
		failure, err = s.deleteRest(ctx, st, d, failure)
	}
	if failure != nil && err == nil {
		err = failure
	}
	if err != nil {
		return err
	}
	now, err := s.find(ctx, st.ID)
	if err != nil {
		return err
	}
	d.Gone = !now.exists()
	if !d.Gone {
		return fmt.Errorf("stack %s: it was deleted and is %s: %s", st.Name, now.Status, st.ID)
	}
	s.sweep(ctx, parts, d)
	return nil
}

// deleteRest retains what failed.
func (s *stacks) deleteRest(ctx context.Context, st Stack, d *Deleted, failure *StackError) (*StackError, error) {
	all, err := s.list(ctx, st.ID)
	if err != nil {
		return nil, err
	}
	var retain, said []string
	for _, r := range all {
		if r.ResourceStatus == types.ResourceStatusDeleteFailed {
			retain = append(retain, aws.ToString(r.LogicalResourceId))
			said = append(said, fmt.Sprintf("%s %s %s", aws.ToString(r.LogicalResourceId), aws.ToString(r.ResourceType), aws.ToString(r.PhysicalResourceId)))
		}
	}
	if len(retain) == 0 {
		return failure, nil
	}
	failure, err = s.deleteOnce(ctx, st, retain)
	if failure == nil && err == nil {
		d.Retained = said
	}
	return failure, err
}

// deleteOnce asks for the deletion and waits for its end. failure is why it did
// not work.
func (s *stacks) deleteOnce(ctx context.Context, st Stack, retain []string) (failure *StackError, err error) {
	w := s.watch(st.ID, st.Name, "")
	if err := w.prime(ctx); err != nil {
		return nil, err
	}
	if _, err := s.cf.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &st.ID, RetainResources: retain}); err != nil {
		return nil, fmt.Errorf("delete stack %s: %w", st.Name, err)
	}
	status, err := w.operation(ctx, types.ResourceStatusDeleteInProgress)
	if err == nil && status != types.StackStatusDeleteComplete {
		failure = w.failure(ctx, status)
	}
	return failure, err
}

// emptyBuckets empties the buckets that will be deleted with the stack, those of
// stacks in it too, and counts what was deleted now.
func (s *stacks) emptyBuckets(ctx context.Context, id string, emptied map[string]int, depth int) (int, error) {
	all, err := s.list(ctx, id)
	if err != nil {
		return 0, err
	}
	buckets, nested := map[string]string{}, []string(nil)
	for _, r := range all {
		physical := aws.ToString(r.PhysicalResourceId)
		switch {
		case physical == "" || r.ResourceStatus == types.ResourceStatusDeleteComplete:
		case aws.ToString(r.ResourceType) == "AWS::S3::Bucket":
			buckets[aws.ToString(r.LogicalResourceId)] = physical
		case aws.ToString(r.ResourceType) == stackType && depth > 0:
			nested = append(nested, physical)
		}
	}
	now, err := s.emptyOwn(ctx, id, buckets, emptied)
	for _, inner := range nested {
		if err != nil {
			break
		}
		var n int
		n, err = s.emptyBuckets(ctx, inner, emptied, depth-1)
		now += n
	}
	return now, err
}

// emptyOwn empties buckets by their logical ids. One that the template retains
// keeps what is in it.
func (s *stacks) emptyOwn(ctx context.Context, id string, buckets map[string]string, emptied map[string]int) (now int, err error) {
	if len(buckets) == 0 {
		return 0, nil
	}
	t, err := s.processed(ctx, id, nil)
	if err != nil {
		return 0, err
	}
	for _, logical := range slices.Sorted(maps.Keys(buckets)) {
		if t.resources[logical].retained {
			continue
		}
		n, err := s.account.emptyBucket(ctx, buckets[logical])
		now += n
		emptied[buckets[logical]] += n
		if err != nil {
			return now, err
		}
	}
	return now, nil
}
