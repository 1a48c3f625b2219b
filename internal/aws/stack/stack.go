// Package stack applies and deletes CloudFormation stacks, from whatever state a
// stack is in, and reports what CloudFormation really did.
//
// Three rules. A stack that its caller does not own is never touched. The outcome
// of an operation is read from the events of that operation, not from a status that
// may be older. What could not be deleted is listed, and what the stack claims to
// have is compared with its template.
//
// An operation that is still running when the wait for it ends is ErrRunning; one
// that CloudFormation failed is an *Error with the first cause.
package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/redact"
)

// defaultWait is the limit of one operation on a stack: a function from an image or
// a certificate takes minutes, a stuck custom resource an hour.
const defaultWait = 30 * time.Minute

// A Stack is a CloudFormation stack.
type Stack struct {
	ID, Name, Status string
	// Outputs are the template's. They may be secret, and are in no error and
	// no event.
	Outputs, Tags    map[string]string
	Parameters       map[string]string // those marked NoEcho as asterisks
	Created, Updated time.Time         // Updated is Created until the first update
	Protected        bool              // from termination
}

// exists reports whether there is a stack and it is not deleted.
func (s Stack) exists() bool {
	return s.ID != "" && s.Status != string(types.StackStatusDeleteComplete)
}

// inProgress reports whether an operation is running.
func (s Stack) inProgress() bool { return strings.HasSuffix(s.Status, "_IN_PROGRESS") }

// Hopeless reports whether the stack can only be deleted.
func (s Stack) Hopeless() bool {
	return slices.Contains([]types.StackStatus{types.StackStatusRollbackComplete, types.StackStatusCreateFailed, types.StackStatusRollbackFailed, types.StackStatusDeleteFailed}, types.StackStatus(s.Status))
}

// Find returns the stack of that name; the zero Stack is none.
func Find(ctx context.Context, a *aws.Account, name string) (Stack, error) {
	st, err := reader{cloudformation.NewFromConfig(a.Config())}.find(ctx, name)
	if err != nil || !st.exists() {
		return Stack{}, err
	}
	return st, nil
}

// List returns the stacks whose names begin with prefix, with their tags, without
// the deleted ones.
func List(ctx context.Context, a *aws.Account, prefix string) ([]Stack, error) {
	var all []Stack
	pages := cloudformation.NewDescribeStacksPaginator(cloudformation.NewFromConfig(a.Config()), &cloudformation.DescribeStacksInput{})
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

// A session is one call of Apply or Delete: what both need to act on stacks, to wait for
// CloudFormation and to report its events.
type session struct {
	account *aws.Account
	cf      *cloudformation.Client
	read    reader
	wait    time.Duration
	secrets *redact.Redactor
	emit    func(Event)
}

func newSession(a *aws.Account, wait time.Duration, emit func(Event), secrets []string) *session {
	cf := cloudformation.NewFromConfig(a.Config())
	s := &session{account: a, cf: cf, read: reader{cf}, wait: cmp.Or(wait, defaultWait), secrets: redact.New(secrets...)}
	s.emit = func(e Event) {
		if emit != nil {
			e.Reason = s.secrets.String(e.Reason)
			emit(e)
		}
	}
	return s
}

// masked returns an error without the secret parameters, which CloudFormation may
// repeat in a reason.
func (s *session) masked(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		e.Reason = s.secrets.String(e.Reason)
	}
	if text := s.secrets.String(err.Error()); text != err.Error() {
		return &maskedError{text, err}
	}
	return err
}

// A maskedError is err with another text. It matches what err matches.
type maskedError struct {
	text string
	err  error
}

func (e *maskedError) Error() string        { return e.text }
func (e *maskedError) Is(target error) bool { return errors.Is(e.err, target) }
func (e *maskedError) As(target any) bool   { return errors.As(e.err, target) }

// watch follows the operations of one stack.
func (s *session) watch(id, name, token string) *watch {
	clock := s.account.Clock()
	return &watch{
		cf: s.cf, clock: clock, id: id, name: name, token: token, emit: s.emit,
		until: clock.Now().Add(s.wait), seen: map[string]bool{},
	}
}

func stackOf(s types.Stack) Stack {
	st := Stack{
		ID: sdk.ToString(s.StackId), Name: sdk.ToString(s.StackName), Status: string(s.StackStatus),
		Created: sdk.ToTime(s.CreationTime), Protected: sdk.ToBool(s.EnableTerminationProtection),
		Outputs: map[string]string{}, Tags: tagMap(s.Tags), Parameters: map[string]string{},
	}
	for _, p := range s.Parameters {
		st.Parameters[sdk.ToString(p.ParameterKey)] = sdk.ToString(p.ParameterValue)
	}
	st.Updated = st.Created
	if s.LastUpdatedTime != nil {
		st.Updated = *s.LastUpdatedTime
	}
	for _, o := range s.Outputs {
		st.Outputs[sdk.ToString(o.OutputKey)] = sdk.ToString(o.OutputValue)
	}
	return st
}

func tagMap(all []types.Tag) map[string]string {
	m := map[string]string{}
	for _, t := range all {
		m[sdk.ToString(t.Key)] = sdk.ToString(t.Value)
	}
	return m
}

// notExist reports whether CloudFormation knows no such stack. It has no error code
// of its own for that.
func notExist(err error) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	return ok && e.ErrorCode() == "ValidationError" && strings.Contains(e.ErrorMessage(), "does not exist")
}

// protect turns termination protection on or off, which no change set carries.
func (s *session) protect(ctx context.Context, id string, on bool) error {
	_, err := s.cf.UpdateTerminationProtection(ctx, &cloudformation.UpdateTerminationProtectionInput{StackName: &id, EnableTerminationProtection: &on})
	if err != nil {
		return fmt.Errorf("turn termination protection of %s to %t: %w", id, on, err)
	}
	return nil
}

// note is an event that says what this call does, on the stack itself.
func (s *session) note(st Stack, text string) Event {
	return Event{At: s.account.Clock().Now(), LogicalID: st.Name, Type: stackType, Status: st.Status, Reason: text}
}

// awaitIdle waits until the running operation has ended, whatever it is.
func (s *session) awaitIdle(ctx context.Context, st Stack) error {
	w := s.watch(st.ID, st.Name, "")
	s.emit(s.note(st, "another operation is running: waiting for its end until "+w.until.UTC().Format("15:04:05 MST")))
	last := st.Status
	return w.poll(ctx, "wait for another operation", func(ctx context.Context) (bool, bool, error) {
		now, err := s.read.find(ctx, st.ID, noRetry)
		if err != nil {
			return false, false, err
		}
		news := now.Status != last
		last = now.Status
		return !now.exists() || !now.inProgress(), news, nil
	})
}
