package aws

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

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"
)

// CloudFormation's limits of a template, in bytes.
const (
	templateInline = 51_200
	templateMost   = 1 << 20
)

// setType is the type that errors about a change set name.
const setType = "AWS::CloudFormation::ChangeSet"

// A source is where CloudFormation reads the template: one of the two.
type source struct{ body, url *string }

// place puts a template that is too long for a request into the bucket.
func (s *stacks) place(ctx context.Context, spec StackSpec) (source, error) {
	size := len(spec.Template)
	switch {
	case size <= templateInline:
		return source{body: aws.String(string(spec.Template))}, nil
	case size > templateMost:
		return source{}, fmt.Errorf("stack %s: the template has %d bytes, CloudFormation takes %d", spec.Name, size, templateMost)
	case spec.Bucket == "":
		return source{}, fmt.Errorf("stack %s: the template has %d bytes: over %d it needs a bucket, and none is given", spec.Name, size, templateInline)
	}
	key := fmt.Sprintf("templates/%x.template", sha256.Sum256(spec.Template))
	if err := s.account.PutArtifact(ctx, spec.Bucket, key, bytes.NewReader(spec.Template)); err != nil {
		return source{}, fmt.Errorf("stack %s: the template: %w", spec.Name, err)
	}
	return source{url: aws.String(s.account.objectURL(spec.Bucket, key))}, nil
}

// A set is a change set that was made.
type set struct {
	id, stack string // ids
	create    bool
	empty     bool // nothing is to change; the set is gone again
	changes   []StackChange
}

// token marks the operation that executes the set: another one for each set of a
// run, the same when a call is repeated.
func (m set) token(run string) string {
	unique := notInName.ReplaceAllString(m.id[strings.LastIndex(m.id, "/")+1:], "-")
	return setName(run) + "-" + unique[:min(len(unique), 40)]
}

var notInName = regexp.MustCompile(`[^a-zA-Z0-9-]`)

// setName is the name of a token's change set: it begins with a letter.
func setName(token string) string {
	name := "run-" + notInName.ReplaceAllString(token, "-")
	return name[:min(len(name), 80)]
}

// changeSet makes the set and waits for it. The stack that a CREATE set made and
// nothing will ever be in goes with it.
func (s *stacks) changeSet(ctx context.Context, spec StackSpec, from source, current Stack) (set, error) {
	create := current.ID == "" || current.Status == string(types.StackStatusReviewInProgress)
	made, err := s.createSet(ctx, spec, from, create)
	if err != nil {
		if unchanged(message(err)) {
			return set{stack: current.ID, empty: true}, nil
		}
		return set{}, fmt.Errorf("stack %s: make a change set: %w", spec.Name, err)
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

// message is what AWS said, without the words around it.
func message(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorMessage()
	}
	return ""
}

// unchanged knows the two texts by which CloudFormation says that there is
// nothing to do.
func unchanged(reason string) bool {
	return strings.Contains(reason, "didn't contain changes") || strings.Contains(reason, "No updates are to be performed")
}

// createSet makes the set. One of the same name is from a run of the same token
// that ended in between, or was done again; it is deleted. Its name is not used
// again, since CloudFormation remembers the token too.
func (s *stacks) createSet(ctx context.Context, spec StackSpec, from source, create bool) (made set, err error) {
	for i := range most {
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

func (s *stacks) requestSet(ctx context.Context, spec StackSpec, from source, create bool, name string) (set, error) {
	in := &cloudformation.CreateChangeSetInput{
		StackName: &spec.Name, ChangeSetName: &name, ClientToken: &name, ChangeSetType: types.ChangeSetTypeUpdate,
		TemplateBody: from.body, TemplateURL: from.url,
	}
	if create {
		in.ChangeSetType, in.OnStackFailure = types.ChangeSetTypeCreate, types.OnStackFailureRollback
	}
	for _, k := range slices.Sorted(maps.Keys(spec.Parameters)) {
		in.Parameters = append(in.Parameters, types.Parameter{ParameterKey: aws.String(k), ParameterValue: aws.String(spec.Parameters[k])})
	}
	for _, k := range slices.Sorted(maps.Keys(spec.Tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(k), Value: aws.String(spec.Tags[k])})
	}
	for _, c := range spec.Capabilities {
		in.Capabilities = append(in.Capabilities, types.Capability(c))
	}
	out, err := s.cf.CreateChangeSet(ctx, in)
	if err != nil {
		return set{}, err
	}
	return set{id: aws.ToString(out.Id), stack: aws.ToString(out.StackId)}, nil
}

func (s *stacks) awaitSet(ctx context.Context, spec StackSpec, made set) (*cloudformation.DescribeChangeSetOutput, error) {
	var out *cloudformation.DescribeChangeSetOutput
	w := s.watch(made.stack, spec.Name, "")
	err := w.poll(ctx, "wait for its change set", func(ctx context.Context) (bool, bool, error) {
		var err error
		out, err = s.cf.DescribeChangeSet(ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: &made.id}, once)
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

// failedSet tells a set without changes from one that could not be made, and
// deletes it.
func (s *stacks) failedSet(ctx context.Context, spec StackSpec, made set, out *cloudformation.DescribeChangeSetOutput) (set, error) {
	reason := aws.ToString(out.StatusReason)
	if unchanged(reason) && !made.create {
		made.empty = true
		return made, s.deleteSet(ctx, made.stack, made.id)
	}
	if details := s.validation(ctx, made.id); details != "" {
		reason += ": " + details
	}
	failure := &StackError{Stack: spec.Name, Status: string(out.Status), Resource: spec.Name, Type: setType, Reason: reason}
	if made.create {
		return made, errors.Join(failure, s.deleteShell(ctx, made.stack))
	}
	return made, errors.Join(failure, s.deleteSet(ctx, made.stack, made.id))
}

// deleteShell removes a stack that only a failed CREATE set made.
func (s *stacks) deleteShell(ctx context.Context, id string) error {
	st, err := s.find(ctx, id)
	if err != nil || st.Status != string(types.StackStatusReviewInProgress) {
		return err
	}
	_, err = s.delete(ctx, st)
	return err
}

// validation is what CloudFormation's checks before any creation found. It is an
// addition to a reason: that it cannot be read is no news.
func (s *stacks) validation(ctx context.Context, id string) string {
	out, err := s.cf.DescribeEvents(ctx, &cloudformation.DescribeEventsInput{ChangeSetName: &id}, once)
	if err != nil {
		return ""
	}
	var found []string
	for _, e := range out.OperationEvents {
		if e.EventType == types.EventTypeValidationError {
			found = append(found, fmt.Sprintf("%s %s: %s", aws.ToString(e.LogicalResourceId), aws.ToString(e.ValidationPath), aws.ToString(e.ValidationStatusReason)))
		}
	}
	return strings.Join(found, "; ")
}

// deleteSet deletes a change set and waits until it is gone. name may be an id.
func (s *stacks) deleteSet(ctx context.Context, stack, name string) error {
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
		out, err := s.cf.DescribeChangeSet(ctx, &ask, once)
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
			return false, false, fmt.Errorf("it is %s: %s", out.Status, aws.ToString(out.StatusReason))
		default:
			return false, false, nil
		}
	})
}

// changes are those of all pages.
func (s *stacks) changes(ctx context.Context, id string) ([]StackChange, error) {
	var all []StackChange
	pages := cloudformation.NewDescribeChangeSetPaginator(s.cf, &cloudformation.DescribeChangeSetInput{ChangeSetName: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read change set %s: %w", id, err)
		}
		for _, c := range page.Changes {
			if r := c.ResourceChange; r != nil {
				all = append(all, StackChange{string(r.Action), aws.ToString(r.LogicalResourceId), aws.ToString(r.ResourceType), string(r.Replacement)})
			}
		}
	}
	return all, nil
}

// execute does what the set says and waits for its end.
func (s *stacks) execute(ctx context.Context, spec StackSpec, made set) error {
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
		return s.caughtUp(ctx, w, status)
	default:
		return w.failure(ctx, status)
	}
}

// caughtUp waits until the stack says what its events have said, so that its
// outputs are the new ones.
func (s *stacks) caughtUp(ctx context.Context, w *watch, ended types.StackStatus) error {
	return w.poll(ctx, "wait for its status", func(ctx context.Context) (bool, bool, error) {
		st, err := s.find(ctx, w.id, once)
		if err != nil {
			return false, false, err
		}
		if !st.exists() {
			return false, false, fmt.Errorf("it was deleted by somebody else: %s", cmp.Or(st.Status, "it does not exist"))
		}
		complete := st.Status == string(types.StackStatusUpdateComplete)
		return st.Status == string(ended) || ended == types.StackStatusUpdateCompleteCleanupInProgress && complete, false, nil
	})
}
