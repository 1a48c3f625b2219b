package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// most bounds how many states are left behind on the way to one that a change
// set can begin from: wait, delete, wait again.
const most = 8

// settle brings a stack to a state that a change set can begin from, and returns
// it; the zero Stack is none.
func (s *stacks) settle(ctx context.Context, spec StackSpec) (current Stack, retained []string, err error) {
	owned := ""
	for range most {
		st, err := s.find(ctx, spec.Name)
		if err != nil || !st.exists() {
			return Stack{}, retained, err
		}
		if st.ID != owned {
			if err := s.owned(ctx, st, spec.Owned); err != nil {
				return st, retained, err
			}
			owned = st.ID
		}
		ready, left, err := s.mend(ctx, st, spec)
		retained = append(retained, left...)
		if ready || err != nil {
			return st, retained, err
		}
	}
	return Stack{}, retained, fmt.Errorf("stack %s: it does not come to rest: %d operations were waited for or done", spec.Name, most)
}

// mend does the next thing for a stack that no change set can begin from; ready
// says that one can.
func (s *stacks) mend(ctx context.Context, st Stack, spec StackSpec) (ready bool, retained []string, err error) {
	switch status := types.StackStatus(st.Status); status {
	case types.StackStatusReviewInProgress:
		return true, nil, nil // nothing was ever created: the set is a CREATE again
	case types.StackStatusRollbackComplete, types.StackStatusCreateFailed, types.StackStatusRollbackFailed, types.StackStatusDeleteFailed:
		s.emit(s.note(st, "it can only be deleted: that comes first"))
		deleted, err := s.delete(ctx, st)
		return false, deleted.Retained, err
	case types.StackStatusUpdateRollbackFailed:
		return false, nil, s.continueRollback(ctx, st, spec.Token)
	case types.StackStatusImportRollbackFailed:
		return false, nil, fmt.Errorf("stack %s: it is in %s, which only a person can end", st.Name, status)
	default:
		if strings.HasSuffix(st.Status, "_IN_PROGRESS") {
			return false, nil, s.rest(ctx, st)
		}
		return true, nil, nil
	}
}

func (s *stacks) note(st Stack, text string) StackEvent {
	return StackEvent{At: s.account.clock.Now(), LogicalID: st.Name, Type: stackType, Status: st.Status, Reason: text}
}

// continueRollback finishes the rollback of an update that failed to roll back.
func (s *stacks) continueRollback(ctx context.Context, st Stack, token string) error {
	s.emit(s.note(st, "its rollback is continued"))
	w := s.watch(st.ID, st.Name, setName(token)+"-continue")
	if err := w.prime(ctx); err != nil {
		return err
	}
	if _, err := s.cf.ContinueUpdateRollback(ctx, &cloudformation.ContinueUpdateRollbackInput{StackName: &st.ID, ClientRequestToken: &w.token}); err != nil {
		return fmt.Errorf("stack %s: continue its rollback: %w", st.Name, err)
	}
	status, err := w.operation(ctx, types.ResourceStatus(types.StackStatusUpdateRollbackInProgress))
	if err == nil && status != types.StackStatusUpdateRollbackComplete {
		err = w.failure(ctx, status)
	}
	return err
}

// rest waits until the operation that is under way has ended, whatever it was.
func (s *stacks) rest(ctx context.Context, st Stack) error {
	w := s.watch(st.ID, st.Name, "")
	s.emit(s.note(st, "another operation is under way: waiting for its end until "+w.until.UTC().Format("15:04:05 MST")))
	last := st.Status
	return w.poll(ctx, "wait for another operation", func(ctx context.Context) (bool, bool, error) {
		now, err := s.find(ctx, st.ID, once)
		if err != nil {
			return false, false, err
		}
		news := now.Status != last
		last = now.Status
		return !now.exists() || !strings.HasSuffix(now.Status, "_IN_PROGRESS"), news, nil
	})
}

// ErrNotOurs is in the errors that refuse a stack or a bucket for its tags.
var ErrNotOurs = errors.New("it is not ours")

// owned asks whether a stack is ours. One that has only been reviewed may have no
// tags yet: its change sets have them.
func (s *stacks) owned(ctx context.Context, st Stack, check func(map[string]string) error) error {
	tags := []map[string]string{st.Tags}
	if st.Status == string(types.StackStatusReviewInProgress) && len(st.Tags) == 0 {
		of, err := s.setTags(ctx, st.ID)
		if err != nil {
			return err
		}
		if len(of) > 0 {
			tags = of
		}
	}
	for _, t := range tags {
		if err := check(t); err != nil {
			return fmt.Errorf("stack %s: %w: %w", st.Name, ErrNotOurs, err)
		}
	}
	return nil
}

// setTags are the tags of each change set of a stack.
func (s *stacks) setTags(ctx context.Context, id string) ([]map[string]string, error) {
	var tags []map[string]string
	pages := cloudformation.NewListChangeSetsPaginator(s.cf, &cloudformation.ListChangeSetsInput{StackName: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the change sets of %s: %w", id, err)
		}
		for _, sum := range page.Summaries {
			set, err := s.cf.DescribeChangeSet(ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: sum.ChangeSetId})
			if err != nil {
				return nil, fmt.Errorf("look at change set %s: %w", aws.ToString(sum.ChangeSetId), err)
			}
			tags = append(tags, stackTags(set.Tags))
		}
	}
	return tags, nil
}
