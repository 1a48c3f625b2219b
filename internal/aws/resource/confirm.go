package resource

import (
	"context"
	"errors"

	"github.com/candlefish/deploy-action/internal/aws"
)

// An Outcome is the state of a resource after its stack was deleted.
type Outcome int

// The outcomes.
const (
	Gone    Outcome = iota // it was asked for and does not exist
	Swept                  // it outlived its stack and was deleted afterwards
	Left                   // it exists still
	Unasked                // nobody here can ask for its type
)

// Confirm asks for a resource whose stack was deleted, and deletes what exists still.
// ours reports whether a stack, by its id, is the deleted one; a new stack may have taken
// the name already, and what that one has is not touched. failure is why CloudFormation
// could not delete the resource, empty if it says that it did. why says of one that is
// Left what keeps it.
func Confirm(ctx context.Context, a *aws.Account, r Resource, ours func(stackID string) bool, failure string) (o Outcome, why string) {
	gone, tags, err := r.absent(ctx, a, failure == "")
	switch owner := tags[TagStackID]; {
	case errors.Is(err, ErrUnknownType) && failure == "":
		return Unasked, ""
	case errors.Is(err, ErrUnknownType):
		return Left, failure
	case err != nil:
		return Left, err.Error()
	case gone, owner != "" && !ours(owner):
		return Gone, ""
	}
	if err := Delete(ctx, a, r); err != nil {
		return Left, err.Error()
	}
	return Swept, ""
}

// absent asks whether a resource is gone; with patience it asks for a while.
func (r Resource) absent(ctx context.Context, a *aws.Account, patient bool) (gone bool, tags map[string]string, err error) {
	if patient {
		return AwaitGone(ctx, a, r)
	}
	exists, tags, err := Exists(ctx, a, r)
	return err == nil && !exists, tags, err
}
