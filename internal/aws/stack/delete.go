package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/bucket"
)

// Deleted is the result of Delete.
type Deleted struct {
	Existed bool
	Gone    bool // verified by its id afterwards
	// Retained are resources that could not be deleted and still exist, each as
	// its logical id, type and physical id.
	Retained []string
	// Swept are resources that outlived the stack and were deleted afterwards:
	// a function's log group may come back with its last request. Left are
	// those that could not be deleted, with the reason.
	Swept, Left []string
	// Emptied counts the objects, versions, delete markers and unfinished
	// uploads deleted in each bucket.
	Emptied map[string]int
}

// Delete deletes a stack with all its resources and verifies that it is gone. A stack
// that does not exist is no error; one that owned refuses is aws.ErrNotOurs and left
// alone. Delete removes termination protection and empties buckets, other than those
// that the template retains. What CloudFormation cannot delete is retained and
// listed.
func Delete(ctx context.Context, a *aws.Account, name string, owned func(tags map[string]string) error, event func(Event)) (Deleted, error) {
	if owned == nil {
		return Deleted{}, errors.New("deleting a stack needs a check of ownership")
	}
	s := newSession(a, 0, event, nil)
	st, err := s.find(ctx, name)
	if err != nil {
		return Deleted{}, err
	}
	if !st.exists() {
		return Deleted{Gone: true}, nil
	}
	if err := s.checkOwner(ctx, st, owned); err != nil {
		return Deleted{Existed: true}, err
	}
	return s.delete(ctx, st)
}

// delete deletes a stack that is ours.
func (s *session) delete(ctx context.Context, st Stack) (Deleted, error) {
	d := Deleted{Existed: true, Emptied: map[string]int{}}
	// A deletion can interrupt a creation, and nothing else.
	interruptible := slices.Contains([]types.StackStatus{types.StackStatusReviewInProgress, types.StackStatusCreateInProgress}, types.StackStatus(st.Status))
	if st.inProgress() && !interruptible {
		if err := s.awaitIdle(ctx, st); err != nil {
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

// deleteAll empties buckets and deletes the stack. If a bucket was written to in the
// meantime it tries a second time; after that, what cannot be deleted is retained.
func (s *session) deleteAll(ctx context.Context, st Stack, d *Deleted) error {
	outliving, err := s.outliving(ctx, st.ID)
	if err != nil {
		return err
	}
	if _, err := s.emptyBuckets(ctx, st.ID, d.Emptied, maxDepth); err != nil {
		return err
	}
	failure, err := s.deleteOnce(ctx, st, nil)
	if failure != nil && err == nil {
		var again int
		if again, err = s.emptyBuckets(ctx, st.ID, d.Emptied, maxDepth); err == nil && again > 0 {
			failure, err = s.deleteOnce(ctx, st, nil)
		}
	}
	if failure != nil && err == nil {
		failure, err = s.deleteRetaining(ctx, st, d, failure)
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
	s.deleteLeftovers(ctx, outliving, d)
	return nil
}

// deleteRetaining deletes the stack without the resources that could not be deleted.
func (s *session) deleteRetaining(ctx context.Context, st Stack, d *Deleted, failure *Error) (*Error, error) {
	all, err := s.list(ctx, st.ID)
	if err != nil {
		return nil, err
	}
	var retain, described []string
	for _, r := range all {
		if r.ResourceStatus == types.ResourceStatusDeleteFailed {
			retain = append(retain, sdk.ToString(r.LogicalResourceId))
			described = append(described, fmt.Sprintf("%s %s %s", sdk.ToString(r.LogicalResourceId), sdk.ToString(r.ResourceType), sdk.ToString(r.PhysicalResourceId)))
		}
	}
	if len(retain) == 0 {
		return failure, nil
	}
	failure, err = s.deleteOnce(ctx, st, retain)
	if failure == nil && err == nil {
		d.Retained = described
	}
	return failure, err
}

// deleteOnce requests the deletion and waits for its end. failure is why CloudFormation
// failed.
func (s *session) deleteOnce(ctx context.Context, st Stack, retain []string) (failure *Error, err error) {
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

// emptyBuckets empties the buckets that will be deleted with the stack, including those
// of nested stacks, and counts what this call deleted.
func (s *session) emptyBuckets(ctx context.Context, id string, emptied map[string]int, depth int) (int, error) {
	all, err := s.list(ctx, id)
	if err != nil {
		return 0, err
	}
	buckets, nested := map[string]string{}, []string(nil)
	for _, r := range all {
		physical := sdk.ToString(r.PhysicalResourceId)
		switch {
		case physical == "" || r.ResourceStatus == types.ResourceStatusDeleteComplete:
		case sdk.ToString(r.ResourceType) == "AWS::S3::Bucket":
			buckets[sdk.ToString(r.LogicalResourceId)] = physical
		case sdk.ToString(r.ResourceType) == stackType && depth > 0:
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

// emptyOwn empties buckets, given by logical id, except those that the template
// retains.
func (s *session) emptyOwn(ctx context.Context, id string, buckets map[string]string, emptied map[string]int) (now int, err error) {
	if len(buckets) == 0 {
		return 0, nil
	}
	t, err := s.processed(ctx, id, nil)
	if err != nil {
		return 0, err
	}
	for _, logical := range slices.Sorted(maps.Keys(buckets)) {
		if t.Resources[logical].Retained {
			continue
		}
		n, err := bucket.Of(s.account, buckets[logical]).Empty(ctx)
		now += n
		emptied[buckets[logical]] += n
		if err != nil {
			return now, err
		}
	}
	return now, nil
}
