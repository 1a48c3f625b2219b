package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// stackType is the type of a stack among the resources of its own events, and of
// a nested one.
const stackType = "AWS::CloudFormation::Stack"

// A StackEvent is what happened to one resource of a stack, or to the stack
// itself, whose LogicalID is then its name. While nothing happens because another
// operation is under way, an event says so in its reason.
type StackEvent struct {
	At        time.Time
	LogicalID string
	Type      string // such as AWS::S3::Bucket
	Status    string // such as CREATE_IN_PROGRESS
	Reason    string // often empty
}

func (e StackEvent) String() string {
	s := fmt.Sprintf("%s %s %s", e.Status, e.Type, e.LogicalID)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// A StackError is why an operation on a stack failed: the first resource that
// did. Those that were only cancelled because of it are not meant.
type StackError struct {
	Stack    string // its name
	Status   string // how the operation ended
	Resource string // logical id; the stack's name if nothing in it is to blame
	Type     string
	Reason   string // as CloudFormation gives it
}

func (e *StackError) Error() string {
	return fmt.Sprintf("stack %s: %s: %s (%s): %s", e.Stack, e.Status, e.Resource, e.Type, cmp.Or(e.Reason, "no reason given"))
}

// cancelled is what CloudFormation says of resources it stopped because another
// one failed.
var cancelled = regexp.MustCompile(`(?i)^resource (creation|update|deletion) cancell?ed`)

// A watch follows the operations of one stack by its events: what was there
// when it began is never taken for news.
type watch struct {
	cf    *cloudformation.Client
	clock Clock
	id    string // of the stack
	name  string
	token string // of the operation; "" for any
	until time.Time
	emit  func(StackEvent)
	seen  map[string]bool
	done  []types.StackEvent // of the operation, oldest first
}

// prime remembers all events there are.
func (w *watch) prime(ctx context.Context) error {
	return w.poll(ctx, "read the events", func(ctx context.Context) (bool, bool, error) {
		_, err := w.fresh(ctx, true)
		return true, false, err
	})
}

// fresh are the events that were not there before, oldest first. CloudFormation
// lists the newest first, and many may have one timestamp: what is known is known
// by its id. With all, every page is read; otherwise the first page with a known
// event is the last one.
func (w *watch) fresh(ctx context.Context, all bool) ([]types.StackEvent, error) {
	var news []types.StackEvent
	pages := cloudformation.NewDescribeStackEventsPaginator(w.cf, &cloudformation.DescribeStackEventsInput{StackName: &w.id})
	for more := true; more && pages.HasMorePages(); {
		page, err := pages.NextPage(ctx, once)
		if err != nil {
			return nil, err // and nothing is marked, so that the next call sees all
		}
		for _, e := range page.StackEvents {
			if w.seen[aws.ToString(e.EventId)] {
				more = all
				continue
			}
			news = append(news, e)
		}
	}
	for _, e := range news {
		w.seen[aws.ToString(e.EventId)] = true
	}
	slices.Reverse(news)
	return news, nil
}

// once leaves repeating to the polls, which know for how long.
func once(o *cloudformation.Options) { o.Retryer = aws.NopRetryer{} }

// operation waits until one that begins with the given status of the stack, such
// as UPDATE_IN_PROGRESS, has ended, and returns the status it ended with. A status
// from before it began does not count, nor does one of a nested stack.
func (w *watch) operation(ctx context.Context, begin types.ResourceStatus) (types.StackStatus, error) {
	var ended types.StackStatus
	begun := false
	err := w.poll(ctx, "wait for its events", func(ctx context.Context) (bool, bool, error) {
		news, err := w.fresh(ctx, false)
		if err != nil {
			if begin == types.ResourceStatusDeleteInProgress && notExist(err) {
				ended = types.StackStatusDeleteComplete
				return true, true, nil
			}
			return false, false, err
		}
		for _, e := range news {
			own := w.own(e)
			if !begun && own && e.ResourceStatus == begin && w.ours(e) {
				begun = true
			}
			if !begun {
				continue
			}
			w.done = append(w.done, e)
			w.emit(event(e))
			if own && ends(e.ResourceStatus) {
				ended = types.StackStatus(e.ResourceStatus)
			}
		}
		return ended != "", len(news) > 0, nil
	})
	return ended, err
}

// own says that the event is the stack's and not that of a stack in it.
func (w *watch) own(e types.StackEvent) bool {
	return aws.ToString(e.ResourceType) == stackType && aws.ToString(e.PhysicalResourceId) == w.id
}

func (w *watch) ours(e types.StackEvent) bool {
	got := aws.ToString(e.ClientRequestToken)
	return w.token == "" || got == "" || got == w.token
}

// ends says that a status is an operation's last. Cleaning up what an update
// replaced is work on things no longer in use: the update is done.
func ends(s types.ResourceStatus) bool {
	return !strings.HasSuffix(string(s), "_IN_PROGRESS") || string(s) == string(types.StackStatusUpdateCompleteCleanupInProgress)
}

func event(e types.StackEvent) StackEvent {
	return StackEvent{
		At: aws.ToTime(e.Timestamp), LogicalID: aws.ToString(e.LogicalResourceId), Type: aws.ToString(e.ResourceType),
		Status: string(e.ResourceStatus), Reason: aws.ToString(e.ResourceStatusReason),
	}
}

// failure is the operation's root cause.
func (w *watch) failure(ctx context.Context, status types.StackStatus) *StackError {
	e := w.cause(ctx, w.done, w.own, deepest)
	return &StackError{Stack: w.name, Status: string(status), Resource: cmp.Or(e.LogicalID, w.name), Type: cmp.Or(e.Type, stackType), Reason: e.Reason}
}

// cause is the first failure that is not a cancellation; below a nested stack,
// that stack's. Failing to read the latter leaves what the outer one says.
func (w *watch) cause(ctx context.Context, all []types.StackEvent, own func(types.StackEvent) bool, depth int) StackEvent {
	i := slices.IndexFunc(all, func(e types.StackEvent) bool { return eventFailed(e) && !own(e) })
	if i < 0 {
		i = slices.IndexFunc(all, func(e types.StackEvent) bool {
			return eventFailed(e) || strings.Contains(string(e.ResourceStatus), "ROLLBACK_IN_PROGRESS")
		})
	}
	if i < 0 {
		return StackEvent{}
	}
	nested := aws.ToString(all[i].PhysicalResourceId)
	if aws.ToString(all[i].ResourceType) != stackType || own(all[i]) || nested == "" || depth == 0 {
		return event(all[i])
	}
	inner := &watch{cf: w.cf, clock: w.clock, id: nested, seen: map[string]bool{}}
	events, err := inner.fresh(ctx, true)
	if err != nil {
		return event(all[i])
	}
	// The nested stack may have a past; its first event of this operation is
	// not older than the outer one's.
	events = slices.DeleteFunc(events, func(e types.StackEvent) bool { return aws.ToTime(e.Timestamp).Before(aws.ToTime(all[0].Timestamp)) })
	e := w.cause(ctx, events, inner.own, depth-1)
	if e.Reason == "" {
		return event(all[i])
	}
	return e
}

func eventFailed(e types.StackEvent) bool {
	return strings.HasSuffix(string(e.ResourceStatus), "_FAILED") && !cancelled.MatchString(aws.ToString(e.ResourceStatusReason))
}

const (
	shortest    = 2 * time.Second
	longest     = 15 * time.Second
	patience    = 10 // unanswered polls in a row
	throttleCap = time.Minute
)

// ErrRunning says that a wait ended before the operation that it waited for.
var ErrRunning = errors.New("still running")

// poll asks until look is done: after 2 s at first, more seldom while there is no
// news, up to every 15 s, and half as often after each answer that asks for less.
// An answer that cannot be had is asked for again, ten times in a row.
func (w *watch) poll(ctx context.Context, what string, look func(ctx context.Context) (done, news bool, err error)) error {
	wait, unanswered := shortest, 0
	for {
		done, news, err := look(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return w.running(ctx.Err())
		case err != nil && (!transient(err) || unanswered >= patience):
			return fmt.Errorf("stack %s: %s: %w", w.name, what, err)
		case err != nil:
			unanswered++
			wait = min(2*wait, throttleCap)
		case done:
			return nil
		case news:
			wait, unanswered = shortest, 0
		default:
			wait, unanswered = min(wait*3/2, longest), 0
		}
		if w.clock.Now().Add(wait).After(w.until) {
			return w.running(context.DeadlineExceeded)
		}
		if err := w.clock.Sleep(ctx, wait); err != nil {
			return w.running(err)
		}
	}
}

func (w *watch) running(err error) error {
	return fmt.Errorf("stack %s: %w, no longer waited for: %s: %w", w.name, ErrRunning, w.id, err)
}

// transient says that the same call may succeed later.
func transient(err error) bool {
	return retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary ||
		retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary
}
