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
)

// CloudFormation's limits of a template and its parameters, in bytes.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const (
	MaxParameter   = 4096   // the value of one
	InlineTemplate = 51_200 // of one in a request; a longer one goes through a bucket
	templateMost   = 1 << 20
)

// setType is the resource type in errors about a change set.
const setType = "AWS::CloudFormation::ChangeSet"

// A source is where CloudFormation reads the template: one of its fields is set.
type source struct{ body, url *string }

// sets are the change sets of one Spec: created, executed and deleted.
type sets struct {
	s    *session
	spec Spec
}

// place uploads a template that is too long for a request to the bucket.
func (c sets) place(ctx context.Context) (source, error) {
	size := len(c.spec.Template)
	switch {
	case size <= InlineTemplate:
		return source{body: sdk.String(string(c.spec.Template))}, nil
	case size > templateMost:
		return source{}, fmt.Errorf("stack %s: the template has %d bytes, CloudFormation takes %d", c.spec.Name, size, templateMost)
	case c.spec.Bucket == nil:
		return source{}, fmt.Errorf("stack %s: the template has %d bytes: over %d it needs a bucket, and none is given", c.spec.Name, size, InlineTemplate)
	}
	key := fmt.Sprintf("%stemplates/%x.template", c.spec.Prefix, sha256.Sum256(c.spec.Template))
	if err := c.spec.Bucket.Put(ctx, key, bytes.NewReader(c.spec.Template)); err != nil {
		return source{}, fmt.Errorf("stack %s: the template: %w", c.spec.Name, err)
	}
	return source{url: sdk.String(c.spec.Bucket.URL(key))}, nil
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
func (c sets) prepare(ctx context.Context, from source, current Stack) (set, error) {
	create := current.ID == "" || current.Status == string(types.StackStatusReviewInProgress)
	made, err := c.create(ctx, from, create)
	if err != nil {
		if unchanged(message(err)) {
			return set{stack: current.ID, empty: true}, nil
		}
		return set{}, fmt.Errorf("stack %s: create a change set: %w", c.spec.Name, err)
	}
	made.create = create
	out, err := c.await(ctx, made)
	if err != nil {
		return made, err
	}
	if out.Status == types.ChangeSetStatusFailed {
		return c.failed(ctx, made, out)
	}
	made.changes, err = c.s.read.changes(ctx, made.id)
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

// create creates the set. One of the same name is left from an attempt with the
// same token; it is deleted. Its name is not used again, since CloudFormation
// remembers the token as well.
func (c sets) create(ctx context.Context, from source, create bool) (made set, err error) {
	for i := range maxAttempts {
		name := setName(c.spec.Token)
		if i > 0 {
			name = fmt.Sprintf("%s-%d", name, i+1)
		}
		made, err = c.request(ctx, from, create, name)
		if _, taken := errors.AsType[*types.AlreadyExistsException](err); !taken {
			return made, err
		}
		if err := c.delete(ctx, c.spec.Name, name); err != nil {
			return set{}, err
		}
	}
	return set{}, err
}

func (c sets) request(ctx context.Context, from source, create bool, name string) (set, error) {
	in := &cloudformation.CreateChangeSetInput{
		StackName: &c.spec.Name, ChangeSetName: &name, ClientToken: &name, ChangeSetType: types.ChangeSetTypeUpdate,
		TemplateBody: from.body, TemplateURL: from.url,
	}
	if create {
		in.ChangeSetType, in.OnStackFailure = types.ChangeSetTypeCreate, types.OnStackFailureRollback
	}
	for _, k := range slices.Sorted(maps.Keys(c.spec.Parameters)) {
		in.Parameters = append(in.Parameters, types.Parameter{ParameterKey: sdk.String(k), ParameterValue: sdk.String(c.spec.Parameters[k])})
	}
	for _, k := range slices.Sorted(maps.Keys(c.spec.Tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: sdk.String(k), Value: sdk.String(c.spec.Tags[k])})
	}
	for _, name := range c.spec.Capabilities {
		in.Capabilities = append(in.Capabilities, types.Capability(name))
	}
	out, err := c.s.cf.CreateChangeSet(ctx, in)
	if err != nil {
		return set{}, err
	}
	return set{id: sdk.ToString(out.Id), stack: sdk.ToString(out.StackId)}, nil
}

func (c sets) await(ctx context.Context, made set) (*cloudformation.DescribeChangeSetOutput, error) {
	var out *cloudformation.DescribeChangeSetOutput
	w := c.s.watch(made.stack, c.spec.Name, "")
	err := w.poll(ctx, "wait for its change set", func(ctx context.Context) (bool, bool, error) {
		var err error
		out, err = c.s.cf.DescribeChangeSet(ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: &made.id}, noRetry)
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

// failed deletes a failed set, which is either empty or an error.
func (c sets) failed(ctx context.Context, made set, out *cloudformation.DescribeChangeSetOutput) (set, error) {
	reason := sdk.ToString(out.StatusReason)
	if unchanged(reason) && !made.create {
		made.empty = true
		return made, c.delete(ctx, made.stack, made.id)
	}
	if details := c.s.read.validation(ctx, made.id); details != "" {
		reason += ": " + details
	}
	failure := &Error{Stack: c.spec.Name, Status: string(out.Status), Resource: c.spec.Name, Type: setType, Reason: reason}
	if made.create {
		return made, errors.Join(failure, c.deleteEmptyStack(ctx, made.stack))
	}
	return made, errors.Join(failure, c.delete(ctx, made.stack, made.id))
}

// deleteEmptyStack deletes the stack that a failed CREATE set created.
func (c sets) deleteEmptyStack(ctx context.Context, id string) error {
	st, err := c.s.read.find(ctx, id)
	if err != nil || st.Status != string(types.StackStatusReviewInProgress) {
		return err
	}
	_, err = c.s.delete(ctx, st)
	return err
}

// delete deletes a change set and waits until it is gone. name may be an id.
func (c sets) delete(ctx context.Context, stack, name string) error {
	ask := cloudformation.DescribeChangeSetInput{ChangeSetName: &name}
	in := cloudformation.DeleteChangeSetInput{ChangeSetName: &name}
	if !strings.HasPrefix(name, "arn:") {
		ask.StackName, in.StackName = &stack, &stack
	}
	if _, err := c.s.cf.DeleteChangeSet(ctx, &in); err != nil {
		return fmt.Errorf("delete change set %s: %w", name, err)
	}
	w := c.s.watch(stack, stack, "")
	return w.poll(ctx, "wait until change set "+name+" is deleted", func(ctx context.Context) (bool, bool, error) {
		out, err := c.s.cf.DescribeChangeSet(ctx, &ask, noRetry)
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

// execute executes the set and waits for its end.
func (c sets) execute(ctx context.Context, made set) error {
	w := c.s.watch(made.stack, c.spec.Name, made.token(c.spec.Token))
	if err := w.prime(ctx); err != nil {
		return err
	}
	_, err := c.s.cf.ExecuteChangeSet(ctx, &cloudformation.ExecuteChangeSetInput{ChangeSetName: &made.id, ClientRequestToken: &w.token})
	if err != nil {
		return fmt.Errorf("stack %s: execute change set %s: %w", c.spec.Name, made.id, err)
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
		return c.awaitStatus(ctx, w, status)
	default:
		return w.failure(ctx, status)
	}
}

// awaitStatus waits until the stack's status agrees with its events: only then are
// its outputs the new ones.
func (c sets) awaitStatus(ctx context.Context, w *watch, ended types.StackStatus) error {
	return w.poll(ctx, "wait for its status", func(ctx context.Context) (bool, bool, error) {
		st, err := c.s.read.find(ctx, w.id, noRetry)
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
