package stack

import (
	"context"
	"fmt"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/candlefish/deploy-action/internal/aws"
)

// maxAttempts bounds the operations before a change set can begin: wait, delete, wait
// again. It also bounds the names of change sets that are tried.
const maxAttempts = 8

// settle brings a stack to a state in which a change set can be created, and returns
// it; the zero Stack is none.
func (s *session) settle(ctx context.Context, spec Spec) (current Stack, retained []string, err error) {
	checked := "" // id of the stack whose owner was checked
	for range maxAttempts {
		st, err := s.find(ctx, spec.Name)
		if err != nil || !st.exists() {
			return Stack{}, retained, err
		}
		if st.ID != checked {
			if err := s.checkOwner(ctx, st, spec.Owned); err != nil {
				return st, retained, err
			}
			checked = st.ID
		}
		ready, left, err := s.repair(ctx, st, spec)
		retained = append(retained, left...)
		if ready || err != nil {
			return st, retained, err
		}
	}
	return Stack{}, retained, fmt.Errorf("stack %s: it does not settle: still busy after %d operations", spec.Name, maxAttempts)
}

// repair takes the next step towards a state in which a change set can be created;
// ready means that there is none to take.
func (s *session) repair(ctx context.Context, st Stack, spec Spec) (ready bool, retained []string, err error) {
	switch status := types.StackStatus(st.Status); status {
	case types.StackStatusReviewInProgress:
		return true, nil, nil // nothing was ever created: the next set is a CREATE again
	case types.StackStatusRollbackComplete, types.StackStatusCreateFailed, types.StackStatusRollbackFailed, types.StackStatusDeleteFailed:
		s.emit(s.note(st, "it can only be deleted: deleting it first"))
		deleted, err := s.delete(ctx, st)
		return false, deleted.Retained, err
	case types.StackStatusUpdateRollbackFailed:
		return false, nil, s.continueRollback(ctx, st, spec.Token)
	case types.StackStatusImportRollbackFailed:
		return false, nil, fmt.Errorf("stack %s: it is in %s, which can only be resolved by hand", st.Name, status)
	default:
		if st.inProgress() {
			return false, nil, s.awaitIdle(ctx, st)
		}
		return true, nil, nil
	}
}

func (s *session) note(st Stack, text string) Event {
	return Event{At: s.account.Clock().Now(), LogicalID: st.Name, Type: stackType, Status: st.Status, Reason: text}
}

// continueRollback finishes the rollback of an update that failed to roll back.
func (s *session) continueRollback(ctx context.Context, st Stack, token string) error {
	s.emit(s.note(st, "continuing its rollback"))
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

// awaitIdle waits until the running operation has ended, whatever it is.
func (s *session) awaitIdle(ctx context.Context, st Stack) error {
	w := s.watch(st.ID, st.Name, "")
	s.emit(s.note(st, "another operation is running: waiting for its end until "+w.until.UTC().Format("15:04:05 MST")))
	last := st.Status
	return w.poll(ctx, "wait for another operation", func(ctx context.Context) (bool, bool, error) {
		now, err := s.find(ctx, st.ID, noRetry)
		if err != nil {
			return false, false, err
		}
		news := now.Status != last
		last = now.Status
		return !now.exists() || !now.inProgress(), news, nil
	})
}

// checkOwner refuses a stack that is not ours. One that was only reviewed may have no
// tags yet: its change sets have them.
func (s *session) checkOwner(ctx context.Context, st Stack, check func(map[string]string) error) error {
	tags := []map[string]string{st.Tags}
	if st.Status == string(types.StackStatusReviewInProgress) && len(st.Tags) == 0 {
		proposed, err := s.setTags(ctx, st.ID)
		if err != nil {
			return err
		}
		if len(proposed) > 0 {
			tags = proposed
		}
	}
	for _, t := range tags {
		if err := check(t); err != nil {
			return fmt.Errorf("stack %s: %w: %w", st.Name, aws.ErrNotOurs, err)
		}
	}
	return nil
}

// setTags reads the tags of each change set of a stack.
func (s *session) setTags(ctx context.Context, id string) ([]map[string]string, error) {
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
				return nil, fmt.Errorf("read change set %s: %w", sdk.ToString(sum.ChangeSetId), err)
			}
			tags = append(tags, tagMap(set.Tags))
		}
	}
	return tags, nil
}
