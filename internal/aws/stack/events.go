package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/candlefish/deploy-action/internal/aws"
)

// stackType is the resource type of a stack in its own events, and of a nested one.
const stackType = "AWS::CloudFormation::Stack"

// An Event is a change of one resource of a stack, or of the stack itself, whose
// LogicalID is then its name. While another operation is awaited, an event says so
// in its reason.
type Event struct {
	At        time.Time
	LogicalID string
	Type      string // such as AWS::S3::Bucket
	Status    string // such as CREATE_IN_PROGRESS
	Reason    string // often empty
}

func (e Event) String() string {
	s := fmt.Sprintf("%s %s %s", e.Status, e.Type, e.LogicalID)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// An Error is why an operation on a stack failed: the first resource that did,
// without those that were only cancelled because of it.
type Error struct {
	Stack    string // its name
	Status   string // the operation's last
	Resource string // logical id; the stack's name if no resource failed
	Type     string
	Reason   string // as CloudFormation gives it
}

func (e *Error) Error() string {
	return fmt.Sprintf("stack %s: %s: %s (%s): %s", e.Stack, e.Status, e.Resource, e.Type, cmp.Or(e.Reason, "no reason given"))
}

// cancelled matches the reason of resources that CloudFormation stopped because
// another one failed.
var cancelled = regexp.MustCompile(`(?i)^resource (creation|update|deletion) cancell?ed`)

// A watch follows the operations of one stack by its events. Events from before it
// began are ignored.
type watch struct {
	cf    *cloudformation.Client
	clock aws.Clock
	id    string // of the stack
	name  string
	token string // of the operation; "" for any
	until time.Time
	emit  func(Event)
	seen  map[string]bool    // by event id
	done  []types.StackEvent // of the operation, oldest first
}

// prime marks all events so far as seen.
func (w *watch) prime(ctx context.Context) error {
	return w.poll(ctx, "read the events", func(ctx context.Context) (bool, bool, error) {
		_, err := w.newEvents(ctx, true)
		return true, false, err
	})
}

// newEvents returns the events that were not seen before, oldest first.
// CloudFormation lists the newest first, and many may share one timestamp, so they
// are compared by id. With all, every page is read; otherwise the first page with a
// seen event is the last one.
func (w *watch) newEvents(ctx context.Context, all bool) ([]types.StackEvent, error) {
	var news []types.StackEvent
	pages := cloudformation.NewDescribeStackEventsPaginator(w.cf, &cloudformation.DescribeStackEventsInput{StackName: &w.id})
	for more := true; more && pages.HasMorePages(); {
		page, err := pages.NextPage(ctx, noRetry)
		if err != nil {
			return nil, err // nothing is marked, so the next call sees all of them
		}
		for _, e := range page.StackEvents {
			if w.seen[sdk.ToString(e.EventId)] {
				more = all
				continue
			}
			news = append(news, e)
		}
	}
	for _, e := range news {
		w.seen[sdk.ToString(e.EventId)] = true
	}
	slices.Reverse(news)
	return news, nil
}

// noRetry leaves retries to poll, which knows for how long.
func noRetry(o *cloudformation.Options) { o.Retryer = sdk.NopRetryer{} }

// operation waits for an operation that begins with the given status of the stack,
// such as UPDATE_IN_PROGRESS, and returns its last status. A status from before it
// began does not count, nor does one of a nested stack.
func (w *watch) operation(ctx context.Context, begin types.ResourceStatus) (types.StackStatus, error) {
	var ended types.StackStatus
	started := false
	err := w.poll(ctx, "wait for its events", func(ctx context.Context) (bool, bool, error) {
		news, err := w.newEvents(ctx, false)
		if err != nil {
			if begin == types.ResourceStatusDeleteInProgress && notExist(err) {
				ended = types.StackStatusDeleteComplete
				return true, true, nil
			}
			return false, false, err
		}
		for _, e := range news {
			own := w.own(e)
			if !started && own && e.ResourceStatus == begin && w.matches(e) {
				started = true
			}
			if !started {
				continue
			}
			w.done = append(w.done, e)
			w.emit(event(e))
			if own && isLast(e.ResourceStatus) {
				ended = types.StackStatus(e.ResourceStatus)
			}
		}
		return ended != "", len(news) > 0, nil
	})
	return ended, err
}

// own reports whether the event is the stack's, not a nested stack's.
func (w *watch) own(e types.StackEvent) bool {
	return sdk.ToString(e.ResourceType) == stackType && sdk.ToString(e.PhysicalResourceId) == w.id
}

// matches reports whether the event may be of the watched operation.
func (w *watch) matches(e types.StackEvent) bool {
	got := sdk.ToString(e.ClientRequestToken)
	return w.token == "" || got == "" || got == w.token
}

// isLast reports whether a status ends an operation. The clean-up after an update
// works on resources that are no longer in use: the update is done.
func isLast(s types.ResourceStatus) bool {
	return !strings.HasSuffix(string(s), "_IN_PROGRESS") || string(s) == string(types.StackStatusUpdateCompleteCleanupInProgress)
}

func event(e types.StackEvent) Event {
	return Event{
		At: sdk.ToTime(e.Timestamp), LogicalID: sdk.ToString(e.LogicalResourceId), Type: sdk.ToString(e.ResourceType),
		Status: string(e.ResourceStatus), Reason: sdk.ToString(e.ResourceStatusReason),
	}
}

// failure returns the operation's root cause.
func (w *watch) failure(ctx context.Context, status types.StackStatus) *Error {
	e := w.cause(ctx, w.done, w.own, maxDepth)
	return &Error{Stack: w.name, Status: string(status), Resource: cmp.Or(e.LogicalID, w.name), Type: cmp.Or(e.Type, stackType), Reason: e.Reason}
}

// cause returns the first failure that is not a cancellation; for a nested stack,
// that stack's own cause, if it can be read.
func (w *watch) cause(ctx context.Context, all []types.StackEvent, own func(types.StackEvent) bool, depth int) Event {
	i := slices.IndexFunc(all, func(e types.StackEvent) bool { return eventFailed(e) && !own(e) })
	if i < 0 {
		i = slices.IndexFunc(all, func(e types.StackEvent) bool {
			return eventFailed(e) || strings.Contains(string(e.ResourceStatus), "ROLLBACK_IN_PROGRESS")
		})
	}
	if i < 0 {
		return Event{}
	}
	nested := sdk.ToString(all[i].PhysicalResourceId)
	if sdk.ToString(all[i].ResourceType) != stackType || own(all[i]) || nested == "" || depth == 0 {
		return event(all[i])
	}
	inner := &watch{cf: w.cf, clock: w.clock, id: nested, seen: map[string]bool{}}
	events, err := inner.newEvents(ctx, true)
	if err != nil {
		return event(all[i])
	}
	// The nested stack may have earlier events; those of this operation are not
	// older than the outer one's first.
	events = slices.DeleteFunc(events, func(e types.StackEvent) bool { return sdk.ToTime(e.Timestamp).Before(sdk.ToTime(all[0].Timestamp)) })
	e := w.cause(ctx, events, inner.own, depth-1)
	if e.Reason == "" {
		return event(all[i])
	}
	return e
}

func eventFailed(e types.StackEvent) bool {
	return strings.HasSuffix(string(e.ResourceStatus), "_FAILED") && !cancelled.MatchString(sdk.ToString(e.ResourceStatusReason))
}

const (
	minPoll     = 2 * time.Second
	maxPoll     = 15 * time.Second
	maxThrottle = time.Minute // between polls that AWS throttles
	maxFailures = 10          // of polls in a row
	maxDepth    = 20          // of stacks in stacks
)

// ErrRunning is in the error of a wait that ended before the operation did.
var ErrRunning = errors.New("still running")

// poll calls look until it is done: every 2 s at first, up to every 15 s while there
// is nothing new, and half as often after each transient failure, of which ten in a
// row are tolerated.
func (w *watch) poll(ctx context.Context, what string, look func(ctx context.Context) (done, news bool, err error)) error {
	wait, failures := minPoll, 0
	for {
		done, news, err := look(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return w.stillRunning(ctx.Err())
		case err != nil && (!isTransient(err) || failures >= maxFailures):
			return fmt.Errorf("stack %s: %s: %w", w.name, what, err)
		case err != nil:
			failures++
			wait = min(2*wait, maxThrottle)
		case done:
			return nil
		case news:
			wait, failures = minPoll, 0
		default:
			wait, failures = min(wait*3/2, maxPoll), 0
		}
		if w.clock.Now().Add(wait).After(w.until) {
			return w.stillRunning(context.DeadlineExceeded)
		}
		if err := w.clock.Sleep(ctx, wait); err != nil {
			return w.stillRunning(err)
		}
	}
}

func (w *watch) stillRunning(err error) error {
	return fmt.Errorf("stack %s: %w, no longer waited for: %s: %w", w.name, ErrRunning, w.id, err)
}

// isTransient reports whether the same call may succeed later.
func isTransient(err error) bool {
	return retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == sdk.TrueTernary ||
		retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == sdk.TrueTernary
}
