package stack

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"

	"github.com/candlefish/deploy-action/internal/aws/bucket"
)

// CloudFormation's limits of a template, in bytes.
const (
	templateInline = 51_200
	templateMost   = 1 << 20
)

// setType is the resource type in errors about a change set.
const setType = "AWS::CloudFormation::ChangeSet"

// A source is where CloudFormation reads the template: one of its fields is set.
type source struct{ body, url *string }

// place uploads a template that is too long for a request to the bucket.
func (s *session) place(ctx context.Context, spec Spec) (source, error) {
	size := len(spec.Template)
	switch {
	case size <= templateInline:
		return source{body: sdk.String(string(spec.Template))}, nil
	case size > templateMost:
		return source{}, fmt.Errorf("stack %s: the template has %d bytes, CloudFormation takes %d", spec.Name, size, templateMost)
	case spec.Bucket == "":
		return source{}, fmt.Errorf("stack %s: the template has %d bytes: over %d it needs a bucket, and none is given", spec.Name, size, templateInline)
	}
	key := fmt.Sprintf("templates/%x.template", sha256.Sum256(spec.Template))
	b := bucket.Of(s.account, spec.Bucket)
	if err := b.Put(ctx, key, bytes.NewReader(spec.Template)); err != nil {
		return source{}, fmt.Errorf("stack %s: the template: %w", spec.Name, err)
	}
	return source{url: sdk.String(b.URL(key))}, nil
}

// A set is a change set.
type set struct {
	id, stack string // ids
	create    bool
	empty     bool // there is nothing to change, and the set is deleted
	changes   []Change
}

// token marks the operation that executes the set: it differs between the sets of a
// run, and is the same when a call is repeated.
func (m set) token(run string) string {
	unique := notInName.ReplaceAllString(m.id[strings.LastIndex(m.id, "/")+1:], "-")
	return setName(run) + "-" + unique[:min(len(unique), 40)]
}

var notInName = regexp.MustCompile(`[^a-zA-Z0-9-]`)

// setName is the name of a token's change set. It begins with a letter.
func setName(token string) string {
	name := "run-" + notInName.ReplaceAllString(token, "-")
	return name[:min(len(name), 80)]
}

// prepare creates the change set and waits for it. When a CREATE set fails, the
// empty stack that it created is deleted with it.
func (s *session) prepare(ctx context.Context, spec Spec, from source, current Stack) (set, error) {
	create := current.ID == "" || current.Status == string(types.StackStatusReviewInProgress)
	made, err := s.createSet(ctx, spec, from, create)
	if err != nil {
		if unchanged(message(err)) {
			return set{stack: current.ID, empty: true}, nil
		}
		return set{}, fmt.Errorf("stack %s: create a change set: %w", spec.Name, err)
	}
	made.create = create
	out, err := s.awaitSet(ctx, spec, made)
	if err != nil {
		return made, err
	}
	if out.Status == types.ChangeSetStatusFailed {
		return s.failedSet(ctx, spec, made, out)
	}
	made.changes, err = s.changes(ctx, made.id)
	return made, err
}

// message returns AWS's own message, without the SDK's context.
func message(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorMessage()
	}
	return ""
}

// unchanged reports whether CloudFormation says that there is nothing to do. It has
// two texts for that and no code.
func unchanged(reason string) bool {
	return strings.Contains(reason, "didn't contain changes") || strings.Contains(reason, "No updates are to be performed")
}

// createSet creates the set. One of the same name is left from an attempt with the
// same token; it is deleted. Its name is not used again, since CloudFormation
// remembers the token as well.
func (s *session) createSet(ctx context.Context, spec Spec, from source, create bool) (made set, err error) {
	for i := range maxAttempts {
		name := setName(spec.Token)
		if i > 0 {
			name = fmt.Sprintf("%s-%d", name, i+1)
		}
		made, err = s.requestSet(ctx, spec, from, create, name)
		if _, taken := errors.AsType[*types.AlreadyExistsException](err); !taken {
			return made, err
		}
		if err := s.deleteSet(ctx, spec.Name, name); err != nil {
			return set{}, err
		}
	}
	return set{}, err
}

func (s *session) requestSet(ctx context.Context, spec Spec, from source, create bool, name string) (set, error) {
	in := &cloudformation.CreateChangeSetInput{
		StackName: &spec.Name, ChangeSetName: &name, ClientToken: &name, ChangeSetType: types.ChangeSetTypeUpdate,
		TemplateBody: from.body, TemplateURL: from.url,
	}
	if create {
		in.ChangeSetType, in.OnStackFailure = types.ChangeSetTypeCreate, types.OnStackFailureRollback
	}
	for _, k := range slices.Sorted(maps.Keys(spec.Parameters)) {
		in.Parameters = append(in.Parameters, types.Parameter{ParameterKey: sdk.String(k), ParameterValue: sdk.String(spec.Parameters[k])})
	}
	for _, k := range slices.Sorted(maps.Keys(spec.Tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: sdk.String(k), Value: sdk.String(spec.Tags[k])})
	}
	for _, c := range spec.Capabilities {
		in.Capabilities = append(in.Capabilities, types.Capability(c))
	}
	out, err := s.cf.CreateChangeSet(ctx, in)
	if err != nil {
		return set{}, err
	}
	return set{id: sdk.ToString(out.Id), stack: sdk.ToString(out.StackId)}, nil
}

func (s *session) awaitSet(ctx context.Context, spec Spec, made set) (*cloudformation.DescribeChangeSetOutput, error) {
	var out *cloudformation.DescribeChangeSetOutput
	w := s.watch(made.stack, spec.Name, "")
	err := w.poll(ctx, "wait for its change set", func(ctx context.Context) (bool, bool, error) {
		var err error
		out, err = s.cf.DescribeChangeSet(ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: &made.id}, noRetry)
		if err != nil {
			return false, false, err
		}
		switch out.Status {
		case types.ChangeSetStatusCreatePending, types.ChangeSetStatusCreateInProgress:
			return false, false, nil
		case types.ChangeSetStatusCreateComplete, types.ChangeSetStatusFailed:
			return true, false, nil
		default:
			return false, false, fmt.Errorf("change set %s is %s", made.id, out.Status)
		}
	})
	return out, err
}

// failedSet deletes a failed set, which is either empty or an error.
func (s *session) failedSet(ctx context.Context, spec Spec, made set, out *cloudformation.DescribeChangeSetOutput) (set, error) {
	reason := sdk.ToString(out.StatusReason)
	if unchanged(reason) && !made.create {
		made.empty = true
		return made, s.deleteSet(ctx, made.stack, made.id)
	}
	if details := s.validation(ctx, made.id); details != "" {
		reason += ": " + details
	}
	failure := &Error{Stack: spec.Name, Status: string(out.Status), Resource: spec.Name, Type: setType, Reason: reason}
	if made.create {
		return made, errors.Join(failure, s.deleteEmptyStack(ctx, made.stack))
	}
	return made, errors.Join(failure, s.deleteSet(ctx, made.stack, made.id))
}

// deleteEmptyStack deletes the stack that a failed CREATE set created.
func (s *session) deleteEmptyStack(ctx context.Context, id string) error {
	st, err := s.find(ctx, id)
	if err != nil || st.Status != string(types.StackStatusReviewInProgress) {
		return err
	}
	_, err = s.delete(ctx, st)
	return err
}

// validation returns what CloudFormation's validation before creation found. It only
// completes a reason, so that it could not be read is not an error.
func (s *session) validation(ctx context.Context, id string) string {
	out, err := s.cf.DescribeEvents(ctx, &cloudformation.DescribeEventsInput{ChangeSetName: &id}, noRetry)
	if err != nil {
		return ""
	}
	var found []string
	for _, e := range out.OperationEvents {
		if e.EventType == types.EventTypeValidationError {
			found = append(found, fmt.Sprintf("%s %s: %s", sdk.ToString(e.LogicalResourceId), sdk.ToString(e.ValidationPath), sdk.ToString(e.ValidationStatusReason)))
		}
	}
	return strings.Join(found, "; ")
}

// deleteSet deletes a change set and waits until it is gone. name may be an id.
func (s *session) deleteSet(ctx context.Context, stack, name string) error {
	ask := cloudformation.DescribeChangeSetInput{ChangeSetName: &name}
	in := cloudformation.DeleteChangeSetInput{ChangeSetName: &name}
	if !strings.HasPrefix(name, "arn:") {
		ask.StackName, in.StackName = &stack, &stack
	}
	if _, err := s.cf.DeleteChangeSet(ctx, &in); err != nil {
		return fmt.Errorf("delete change set %s: %w", name, err)
	}
	w := s.watch(stack, stack, "")
	return w.poll(ctx, "wait until change set "+name+" is deleted", func(ctx context.Context) (bool, bool, error) {
		out, err := s.cf.DescribeChangeSet(ctx, &ask, noRetry)
		if _, gone := errors.AsType[*types.ChangeSetNotFoundException](err); gone || notExist(err) {
			return true, false, nil
		}
		if err != nil {
			return false, false, err
		}
		switch out.Status {
		case types.ChangeSetStatusDeleteComplete:
			return true, false, nil
		case types.ChangeSetStatusDeleteFailed:
			return false, false, fmt.Errorf("it is %s: %s", out.Status, sdk.ToString(out.StatusReason))
		default:
			return false, false, nil
		}
	})
}

// changes reads all pages of a set's changes.
func (s *session) changes(ctx context.Context, id string) ([]Change, error) {
	var all []Change
	pages := cloudformation.NewDescribeChangeSetPaginator(s.cf, &cloudformation.DescribeChangeSetInput{ChangeSetName: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read change set %s: %w", id, err)
		}
		for _, c := range page.Changes {
			if r := c.ResourceChange; r != nil {
				all = append(all, Change{string(r.Action), sdk.ToString(r.LogicalResourceId), sdk.ToString(r.ResourceType), string(r.Replacement)})
			}
		}
	}
	return all, nil
}

// execute executes the set and waits for its end.
func (s *session) execute(ctx context.Context, spec Spec, made set) error {
	w := s.watch(made.stack, spec.Name, made.token(spec.Token))
	if err := w.prime(ctx); err != nil {
		return err
	}
	_, err := s.cf.ExecuteChangeSet(ctx, &cloudformation.ExecuteChangeSetInput{ChangeSetName: &made.id, ClientRequestToken: &w.token})
	if err != nil {
		return fmt.Errorf("stack %s: execute change set %s: %w", spec.Name, made.id, err)
	}
	begin := types.ResourceStatusUpdateInProgress
	if made.create {
		begin = types.ResourceStatusCreateInProgress
	}
	status, err := w.operation(ctx, begin)
	if err != nil {
		return err
	}
	switch status {
	case types.StackStatusCreateComplete, types.StackStatusUpdateComplete, types.StackStatusUpdateCompleteCleanupInProgress:
		return s.awaitStatus(ctx, w, status)
	default:
		return w.failure(ctx, status)
	}
}

// awaitStatus waits until the stack's status agrees with its events: only then are
// its outputs the new ones.
func (s *session) awaitStatus(ctx context.Context, w *watch, ended types.StackStatus) error {
	return w.poll(ctx, "wait for its status", func(ctx context.Context) (bool, bool, error) {
		st, err := s.find(ctx, w.id, noRetry)
		if err != nil {
			return false, false, err
		}
		if !st.exists() {
			return false, false, fmt.Errorf("it was deleted by another process: %s", cmp.Or(st.Status, "it does not exist"))
		}
		complete := st.Status == string(types.StackStatusUpdateComplete)
		return st.Status == string(ended) || ended == types.StackStatusUpdateCompleteCleanupInProgress && complete, false, nil
	})
}
