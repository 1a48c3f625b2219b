package stack

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// maxAttempts bounds the operations before a change set can begin: wait, delete, wait
// again. It also bounds the names of change sets that are tried.
const maxAttempts = 8

// settle brings a stack to a state in which a change set can be created, and returns
// it; the zero Stack is none.
func (a *application) settle(ctx context.Context) (current Stack, left []string, err error) {
	checked := "" // id of the stack whose owner was checked
	for range maxAttempts {
		st, err := a.s.read.find(ctx, a.spec.Name)
		if err != nil || !st.exists() {
			return Stack{}, left, err
		}
		if st.ID != checked {
			if err := a.s.read.checkOwner(ctx, st, a.spec.Owned); err != nil {
				return st, left, err
			}
			checked = st.ID
		}
		ready, more, err := a.repair(ctx, st)
		left = append(left, more...)
		if ready || err != nil {
			return st, left, err
		}
	}
	return Stack{}, left, fmt.Errorf("stack %s: it does not settle: still busy after %d operations", a.spec.Name, maxAttempts)
}

// repair takes the next step towards a state in which a change set can be created;
// ready means that there is none to take.
func (a *application) repair(ctx context.Context, st Stack) (ready bool, left []string, err error) {
	switch status := types.StackStatus(st.Status); {
	case status == types.StackStatusReviewInProgress:
		return true, nil, nil // nothing was ever created: the next set is a CREATE again
	case st.Hopeless():
		a.s.emit(a.s.note(st, "it can only be deleted: deleting it first"))
		deleted, err := a.s.delete(ctx, st)
		return false, deleted.Left, err
	case status == types.StackStatusUpdateRollbackFailed:
		return false, nil, a.continueRollback(ctx, st)
	case status == types.StackStatusImportRollbackFailed:
		return false, nil, fmt.Errorf("stack %s: it is in %s, which can only be resolved by hand", st.Name, status)
	default:
		if st.inProgress() {
			return false, nil, a.s.awaitIdle(ctx, st)
		}
		return true, nil, nil
	}
}

// continueRollback finishes the rollback of an update that failed to roll back.
func (a *application) continueRollback(ctx context.Context, st Stack) error {
	a.s.emit(a.s.note(st, "continuing its rollback"))
	w := a.s.watch(st.ID, st.Name, setName(a.spec.Token)+"-continue")
	if err := w.prime(ctx); err != nil {
		return err
	}
	if _, err := a.s.cf.ContinueUpdateRollback(ctx, &cloudformation.ContinueUpdateRollbackInput{StackName: &st.ID, ClientRequestToken: &w.token}); err != nil {
		return fmt.Errorf("stack %s: continue its rollback: %w", st.Name, err)
	}
	status, err := w.operation(ctx, types.ResourceStatus(types.StackStatusUpdateRollbackInProgress))
	if err == nil && status != types.StackStatusUpdateRollbackComplete {
		err = w.failure(ctx, status)
	}
	return err
}
