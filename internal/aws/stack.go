package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"

	"github.com/candlefish/deploy-action/internal/redact"
)

// stackLimit is how long one operation on a stack may take: an image function or
// a certificate needs minutes, a stuck custom resource an hour.
const stackLimit = 30 * time.Minute

// A StackSpec is what a stack should be.
type StackSpec struct {
	Name         string
	Template     []byte // YAML or JSON
	Parameters   map[string]string
	Tags         map[string]string
	Capabilities []string // such as CAPABILITY_NAMED_IAM, which named roles need
	// Bucket takes templates over 51,200 bytes, keyed by the hash of their
	// content. Without it such a template is an error.
	Bucket string
	// Protect turns termination protection on. False leaves it as it is.
	Protect bool
	// Token tells this run from all others, such as run id and attempt. It
	// names the change set and marks the events.
	Token string
	// Event is told what happens as it happens, each thing once, oldest first;
	// may be nil.
	Event func(StackEvent)
	// Owned refuses, with a reason, a stack that is there and not ours, by its
	// tags. It is required.
	Owned func(tags map[string]string) error
	// Wait is how long one operation may take; 30 minutes if 0.
	Wait time.Duration
}

// A Stack is a CloudFormation stack.
type Stack struct {
	ID, Name, Status string
	// Outputs are the template's; they may be secret and are in no error and
	// no event.
	Outputs, Tags    map[string]string
	Created, Updated time.Time // Updated is Created until the first update
	Protected        bool      // from termination
}

// A StackChange is one change of a change set.
type StackChange struct {
	Action      string // Add, Modify, Remove
	LogicalID   string
	Type        string
	Replacement string // True, False, Conditional, or ""
}

// Applied is what ApplyStack did.
type Applied struct {
	Stack
	Changed bool
	Changes []StackChange
	// Missing are resources of the template, by their logical ids, that do not
	// exist although the stack says that it is complete.
	Missing []string
	// Resources are the physical ids of what exists by the logical ones.
	Resources map[string]string
	// Retained are resources of a dead stack of the same name, deleted first,
	// that could not be deleted with it.
	Retained []string
}

// ApplyStack brings a stack to what spec says, from whatever state it is in: it
// waits for an operation that is under way, finishes a rollback or a deletion that
// failed, and deletes what a failed creation left. All it does is done by a change
// set; that nothing is to change is success.
//
// A creation that fails is rolled back and not deleted at once: the shell that is
// left holds no resources, keeps its events for whoever wants to know why, and is
// deleted by the next run. An update that fails is rolled back to what was there.
//
// It returns a *StackError when CloudFormation could not do it, and an error that
// says "still running" when the wait for it ended first.
func (a *Account) ApplyStack(ctx context.Context, spec StackSpec) (Applied, error) {
	if spec.Name == "" || spec.Token == "" || spec.Owned == nil {
		return Applied{}, errors.New("a stack needs a name, a token and a check of ownership")
	}
	t, err := parseTemplate(spec.Template, spec.Parameters)
	if err != nil {
		return Applied{}, fmt.Errorf("stack %s: %w", spec.Name, err)
	}
	s := a.stacks(spec.Wait, spec.Event, t.secrets(spec.Parameters))
	applied, err := s.apply(ctx, spec, t)
	return applied, s.masked(err)
}

// stacks is the work on one stack.
type stacks struct {
	account *Account
	cf      *cloudformation.Client
	wait    time.Duration
	secrets *redact.Redactor
	emit    func(StackEvent)
}

func (a *Account) stacks(wait time.Duration, emit func(StackEvent), secrets []string) *stacks {
	s := &stacks{account: a, cf: cloudformation.NewFromConfig(a.config), wait: cmp.Or(wait, stackLimit), secrets: redact.New(secrets...)}
	s.emit = func(e StackEvent) {
		if emit != nil {
			e.Reason = s.secrets.String(e.Reason)
			emit(e)
		}
	}
	return s
}

// masked is an error without the secret parameters, which CloudFormation may
// repeat in a reason.
func (s *stacks) masked(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*StackError](err); ok {
		e.Reason = s.secrets.String(e.Reason)
	}
	if text := s.secrets.String(err.Error()); text != err.Error() {
		return &maskedError{text, err}
	}
	return err
}

// A maskedError is err under another text. It matches what err matches.
type maskedError struct {
	text string
	err  error
}

func (e *maskedError) Error() string        { return e.text }
func (e *maskedError) Is(target error) bool { return errors.Is(e.err, target) }
func (e *maskedError) As(target any) bool   { return errors.As(e.err, target) }

// watch begins to follow a stack.
func (s *stacks) watch(id, name, token string) *watch {
	return &watch{
		cf: s.cf, clock: s.account.clock, id: id, name: name, token: token, emit: s.emit,
		until: s.account.clock.Now().Add(s.wait), seen: map[string]bool{},
	}
}

func (s *stacks) apply(ctx context.Context, spec StackSpec, t template) (Applied, error) {
	var applied Applied
	source, err := s.place(ctx, spec)
	if err != nil {
		return applied, err
	}
	current, retained, err := s.settle(ctx, spec)
	applied.Retained = retained
	if err != nil {
		return applied, err
	}
	set, err := s.changeSet(ctx, spec, source, current)
	if err != nil {
		return applied, err
	}
	applied.Changes = set.changes
	if !set.empty {
		applied.Changed = true
		if err := s.execute(ctx, spec, set); err != nil {
			st, unseen := s.find(ctx, set.stack)
			if unseen != nil || st.ID == "" { // err is what matters
				st = Stack{ID: set.stack, Name: spec.Name}
			}
			applied.Stack = st
			return applied, err
		}
	}
	return s.complete(ctx, spec, t, set.stack, applied)
}

// complete does what is left when the stack is there: protection, a look at all
// of its resources.
func (s *stacks) complete(ctx context.Context, spec StackSpec, t template, id string, applied Applied) (Applied, error) {
	st, err := s.find(ctx, id)
	if err == nil && spec.Protect && !st.Protected {
		if err = s.protect(ctx, id, true); err == nil {
			st, err = s.find(ctx, id)
		}
		if err == nil && !st.Protected {
			err = fmt.Errorf("stack %s: termination protection was turned on and is off", spec.Name)
		}
	}
	applied.Stack = st
	if err != nil {
		return applied, err
	}
	applied.Resources, applied.Missing, err = s.resources(ctx, spec, t, id)
	return applied, err
}

// protect turns termination protection on or off: a change set does not carry
// it.
func (s *stacks) protect(ctx context.Context, id string, on bool) error {
	_, err := s.cf.UpdateTerminationProtection(ctx, &cloudformation.UpdateTerminationProtectionInput{StackName: &id, EnableTerminationProtection: &on})
	if err != nil {
		return fmt.Errorf("turn termination protection of %s to %t: %w", id, on, err)
	}
	return nil
}

// resources lists what is there and what of the template is not.
func (s *stacks) resources(ctx context.Context, spec StackSpec, t template, id string) (there map[string]string, missing []string, err error) {
	if t.transform {
		if t, err = s.processed(ctx, id, spec.Parameters); err != nil {
			return nil, nil, err
		}
	}
	all, err := s.list(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	there = map[string]string{}
	for _, r := range all {
		if made(r) {
			there[aws.ToString(r.LogicalResourceId)] = aws.ToString(r.PhysicalResourceId)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(t.resources)) {
		if _, ok := there[id]; !ok && !t.resources[id].absent {
			missing = append(missing, id)
		}
	}
	return there, missing, nil
}

// made says that a listed resource exists. One that the server did not understand
// is listed without a type; moto_server lists some that exist, such as the methods
// of an API, without an id, and says that they are complete.
func made(r types.StackResourceSummary) bool {
	complete := strings.HasSuffix(string(r.ResourceStatus), "_COMPLETE") && r.ResourceStatus != types.ResourceStatusDeleteComplete
	identified := aws.ToString(r.PhysicalResourceId) != "" && r.ResourceStatus != types.ResourceStatusDeleteComplete
	return aws.ToString(r.ResourceType) != "" && (complete || identified)
}

// processed is the template as the stack has it, its macros replaced.
func (s *stacks) processed(ctx context.Context, id string, parameters map[string]string) (template, error) {
	out, err := s.cf.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: &id, TemplateStage: types.TemplateStageProcessed})
	if err != nil {
		return template{}, fmt.Errorf("read the template of %s: %w", id, err)
	}
	return parseTemplate([]byte(aws.ToString(out.TemplateBody)), parameters)
}

func (s *stacks) list(ctx context.Context, id string) ([]types.StackResourceSummary, error) {
	var all []types.StackResourceSummary
	pages := cloudformation.NewListStackResourcesPaginator(s.cf, &cloudformation.ListStackResourcesInput{StackName: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the resources of %s: %w", id, err)
		}
		all = append(all, page.StackResourceSummaries...)
	}
	return all, nil
}

// find reads a stack by its name or id; Status is DELETE_COMPLETE, or the whole
// empty, when there is none.
func (s *stacks) find(ctx context.Context, id string, options ...func(*cloudformation.Options)) (Stack, error) {
	out, err := s.cf.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &id}, options...)
	switch {
	case notExist(err):
		return Stack{}, nil
	case err != nil:
		return Stack{}, fmt.Errorf("look at stack %s: %w", id, err)
	case len(out.Stacks) != 1:
		return Stack{}, fmt.Errorf("look at stack %s: %d answers", id, len(out.Stacks))
	}
	return stackOf(out.Stacks[0]), nil
}

func stackOf(s types.Stack) Stack {
	st := Stack{
		ID: aws.ToString(s.StackId), Name: aws.ToString(s.StackName), Status: string(s.StackStatus),
		Created: aws.ToTime(s.CreationTime), Protected: aws.ToBool(s.EnableTerminationProtection),
		Outputs: map[string]string{}, Tags: stackTags(s.Tags),
	}
	st.Updated = st.Created
	if s.LastUpdatedTime != nil {
		st.Updated = *s.LastUpdatedTime
	}
	for _, o := range s.Outputs {
		st.Outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return st
}

func stackTags(all []types.Tag) map[string]string {
	m := map[string]string{}
	for _, t := range all {
		m[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return m
}

// exists says that there is a stack and it is not deleted.
func (s Stack) exists() bool {
	return s.ID != "" && s.Status != string(types.StackStatusDeleteComplete)
}

// notExist says that CloudFormation knows no such stack. It has no code of its
// own for that.
func notExist(err error) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	return ok && e.ErrorCode() == "ValidationError" && strings.Contains(e.ErrorMessage(), "does not exist")
}

// Stacks lists the stacks whose names begin with prefix, with their tags. Deleted
// ones are not among them.
func (a *Account) Stacks(ctx context.Context, prefix string) ([]Stack, error) {
	var all []Stack
	pages := cloudformation.NewDescribeStacksPaginator(cloudformation.NewFromConfig(a.config), &cloudformation.DescribeStacksInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the stacks: %w", err)
		}
		for _, s := range page.Stacks {
			if st := stackOf(s); strings.HasPrefix(st.Name, prefix) && st.exists() {
				all = append(all, st)
			}
		}
	}
	return all, nil
}
