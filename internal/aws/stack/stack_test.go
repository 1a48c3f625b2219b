package stack_test

import (
	"context"
	"errors"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/awstest"
	"github.com/candlefish/deploy-action/internal/aws/stack"
)

const (
	topics = `{"Resources": {"One": {"Type": "AWS::SNS::Topic"}, "Two": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"ApiUrl": {"Value": "https://planted-output.example"}}}`
	topic  = "AWS::SNS::Topic"

	stackType = "AWS::CloudFormation::Stack"
	setType   = "AWS::CloudFormation::ChangeSet"
)

// A fakeClock passes time without waiting.
type fakeClock struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
}

func (c *fakeClock) clock() aws.Clock {
	return aws.Clock{
		Now: func() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now },
		Sleep: func(ctx context.Context, d time.Duration) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.now = c.now.Add(d)
			c.slept = append(c.slept, d)
			return ctx.Err()
		},
	}
}

// cfn is a CloudFormation of a test, an account in it, and what it said.
type cfn struct {
	*awstest.CFN
	a      *aws.Account
	time   *fakeClock
	events []stack.Event
}

func newCFN(t *testing.T) *cfn {
	t.Helper()
	c := &cfn{CFN: awstest.NewCFN(t), time: &fakeClock{now: time.Unix(1_800_000_000, 0)}}
	c.a = connect(t, c.URL, c.time.clock())
	return c
}

func (c *cfn) spec() stack.Spec {
	s := spec(&c.events)
	s.Name, s.Template, s.Capabilities, s.Token = "pr-7", []byte(topics), nil, "42-1"
	return s
}

// planted is a stack of ours in a state.
func planted(status string) awstest.CFNStack {
	return awstest.CFNStack{Name: "pr-7", Status: status, Tags: ours, Template: `{"Resources": {"One": {"Type": "AWS::SNS::Topic"}}}`,
		Events: []awstest.Step{{Status: "CREATE_IN_PROGRESS"}, {Resource: "One", Type: topic, Status: "CREATE_COMPLETE"}, {Status: status, Reason: "long ago"}}}
}

// asked are the calls that change something.
func (c *cfn) asked() []string {
	return slices.DeleteFunc(c.Calls(), func(a string) bool {
		return strings.HasPrefix(a, "Describe") || strings.HasPrefix(a, "List") || strings.HasPrefix(a, "Get")
	})
}

// statuses are the events as "logical id status".
func (c *cfn) statuses() (all []string) {
	for _, e := range c.events {
		all = append(all, e.LogicalID+" "+e.Status)
	}
	return all
}

var (
	updated = []string{"CreateChangeSet", "ExecuteChangeSet"}
	remade  = []string{"DeleteStack", "CreateChangeSet", "ExecuteChangeSet"}
)

// TestStates begins from each state that a stack can be in.
func TestStates(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status string
		then   [][]awstest.Step // what happens by itself
		asked  []string
		want   string
		same   bool // stack as before
	}{
		{status: "", asked: updated, want: "CREATE_COMPLETE"},
		{status: "DELETE_COMPLETE", asked: updated, want: "CREATE_COMPLETE"},
		{status: "REVIEW_IN_PROGRESS", asked: updated, want: "CREATE_COMPLETE", same: true},
		{status: "ROLLBACK_COMPLETE", asked: remade, want: "CREATE_COMPLETE"},
		{status: "ROLLBACK_FAILED", asked: remade, want: "CREATE_COMPLETE"},
		{status: "CREATE_FAILED", asked: remade, want: "CREATE_COMPLETE"},
		{status: "DELETE_FAILED", asked: remade, want: "CREATE_COMPLETE"},
		{status: "CREATE_COMPLETE", asked: updated, want: "UPDATE_COMPLETE", same: true},
		{status: "UPDATE_COMPLETE", asked: updated, want: "UPDATE_COMPLETE", same: true},
		{status: "UPDATE_FAILED", asked: updated, want: "UPDATE_COMPLETE", same: true},
		{status: "UPDATE_ROLLBACK_COMPLETE", asked: updated, want: "UPDATE_COMPLETE", same: true},
		{status: "UPDATE_ROLLBACK_FAILED", asked: []string{"ContinueUpdateRollback", "CreateChangeSet", "ExecuteChangeSet"}, want: "UPDATE_COMPLETE", same: true},
		{status: "UPDATE_IN_PROGRESS", then: [][]awstest.Step{nil, nil, {{Status: "UPDATE_COMPLETE"}}}, asked: updated, want: "UPDATE_COMPLETE", same: true},
		{status: "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", then: [][]awstest.Step{nil, {{Status: "UPDATE_COMPLETE"}}}, asked: updated, want: "UPDATE_COMPLETE", same: true},
		{status: "CREATE_IN_PROGRESS", then: [][]awstest.Step{nil, {{Status: "ROLLBACK_IN_PROGRESS"}}, {{Status: "ROLLBACK_COMPLETE"}}}, asked: remade, want: "CREATE_COMPLETE"},
		{status: "DELETE_IN_PROGRESS", then: [][]awstest.Step{nil, {{Status: "DELETE_COMPLETE"}}}, asked: updated, want: "CREATE_COMPLETE"},
		{status: "DELETE_IN_PROGRESS", then: [][]awstest.Step{{{Status: "DELETE_FAILED"}}}, asked: remade, want: "CREATE_COMPLETE"},
	} {
		t.Run(tt.status, func(t *testing.T) {
			t.Parallel()
			c, before := newCFN(t), ""
			if tt.status != "" {
				before = c.Put(planted(tt.status))
				if tt.then != nil {
					c.Run(before, tt.then...)
				}
			}
			got, err := stack.Apply(t.Context(), c.a, c.spec())
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != tt.want || !got.Changed || len(got.Missing) > 0 || got.Outputs["ApiUrl"] == "" {
				t.Errorf("got %+v, want %s", got, tt.want)
			}
			if (got.ID == before) != tt.same {
				t.Errorf("stack %s, before %s", got.ID, before)
			}
			if diff := cmp.Diff(tt.asked, c.asked()); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if said := strings.Contains(lines(c.events), "waiting for its end until"); said != (tt.then != nil) {
				t.Errorf("the wait was said: %t\n%s", said, lines(c.events))
			}
		})
	}
}

func lines(events []stack.Event) string {
	var b strings.Builder
	for _, e := range events {
		b.WriteString(e.String() + "\n")
	}
	return b.String()
}

// TestReviewOfOthers looks at the change sets of a stack that has no tags yet.
func TestReviewOfOthers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		sets []map[string]string
		ok   bool
	}{{"ours", []map[string]string{ours}, true}, {"theirs", []map[string]string{{"ManagedBy": "them"}}, false}, {"both", []map[string]string{ours, nil}, false}, {"nobody's", nil, false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCFN(t)
			c.NoSetTags = true
			id := c.Put(planted("REVIEW_IN_PROGRESS"))
			for i, tags := range tt.sets {
				c.PutSet(id, "set"+string(rune('a'+i)), tags)
			}
			_, err := stack.Apply(t.Context(), c.a, c.spec())
			if (err == nil) != tt.ok || !tt.ok && (!errors.Is(err, aws.ErrNotOurs) || len(c.asked()) > 0) {
				t.Errorf("%v, asked %q", err, c.asked())
			}
		})
	}
}

// TestNewOperation is not taken in by the UPDATE_COMPLETE of the time before,
// and tells each event once, in order, though all have one timestamp and come in
// pages of two.
func TestNewOperation(t *testing.T) {
	t.Parallel()
	c := newCFN(t)
	c.Lag, c.SameTime, c.Page = 4, true, 2
	c.Put(planted("UPDATE_COMPLETE"))
	got, err := stack.Apply(t.Context(), c.a, c.spec())
	if err != nil || got.Status != "UPDATE_COMPLETE" {
		t.Fatalf("%+v, %v", got, err)
	}
	want := []string{"pr-7 UPDATE_IN_PROGRESS", "One UPDATE_IN_PROGRESS", "Two UPDATE_IN_PROGRESS", "One UPDATE_COMPLETE", "Two UPDATE_COMPLETE", "pr-7 UPDATE_COMPLETE"}
	if diff := cmp.Diff(want, c.statuses()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]stack.Change{{"Modify", "One", topic, ""}, {"Modify", "Two", topic, ""}}, got.Changes); diff != "" {
		t.Errorf("changes of both pages (-want +got):\n%s", diff)
	}
	// 2 s, more seldom without news, 2 s again with it.
	s := time.Second
	if diff := cmp.Diff([]time.Duration{3 * s, 4500 * time.Millisecond, 6750 * time.Millisecond, 10125 * time.Millisecond, 2 * s, 2 * s}, c.time.slept); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
}

// TestOthersOperation passes over one that somebody else asked for.
func TestOthersOperation(t *testing.T) {
	t.Parallel()
	c := newCFN(t)
	c.Put(planted("CREATE_COMPLETE"))
	c.Script("UPDATE",
		[]awstest.Step{{Status: "UPDATE_IN_PROGRESS", Token: "theirs"}, {Status: "UPDATE_COMPLETE", Token: "theirs"}},
		[]awstest.Step{{Status: "UPDATE_IN_PROGRESS"}}, []awstest.Step{{Status: "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"}})
	got, err := stack.Apply(t.Context(), c.a, c.spec())
	if err != nil || got.Status != "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" {
		t.Errorf("%+v, %v, want it done while it cleans up", got, err)
	}
	if diff := cmp.Diff([]string{"pr-7 UPDATE_IN_PROGRESS", "pr-7 UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"}, c.statuses()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestRootCause is the first failure that was not a cancellation, down to the
// nested stack in which it was.
func TestRootCause(t *testing.T) {
	t.Parallel()
	nested := "arn:aws:cloudformation:eu-central-1:123456789012:stack/inner/1"
	rolled := []awstest.Step{{Status: "UPDATE_ROLLBACK_IN_PROGRESS", Reason: "The following resource(s) failed to update"}, {Status: "UPDATE_ROLLBACK_COMPLETE"}}
	for _, tt := range []struct {
		name  string
		steps []awstest.Step
		want  stack.Error
	}{
		{"cancelled first", []awstest.Step{
			{Resource: "Two", Type: topic, Status: "UPDATE_FAILED", Reason: "Resource update cancelled"},
			{Resource: "One", Type: topic, Status: "UPDATE_FAILED", Reason: "name is taken"},
			{Resource: "Three", Type: topic, Status: "UPDATE_FAILED", Reason: "later"},
		}, stack.Error{"pr-7", "UPDATE_ROLLBACK_COMPLETE", "One", topic, "name is taken"}},
		{"nested", []awstest.Step{
			{Resource: "Inner", Type: stackType, Physical: nested, Status: "UPDATE_COMPLETE"},
			{Resource: "Inner", Type: stackType, Physical: nested, Status: "UPDATE_FAILED", Reason: "Embedded stack was not successfully updated"},
		}, stack.Error{"pr-7", "UPDATE_ROLLBACK_COMPLETE", "Deep", topic, "deep reason"}},
		{"nested and unreadable", []awstest.Step{
			{Resource: "Inner", Type: stackType, Physical: "arn:aws:cloudformation:eu-central-1:123456789012:stack/none/1", Status: "UPDATE_FAILED", Reason: "Embedded stack failed"},
		}, stack.Error{"pr-7", "UPDATE_ROLLBACK_COMPLETE", "Inner", stackType, "Embedded stack failed"}},
		{"nothing in it", nil, stack.Error{"pr-7", "UPDATE_ROLLBACK_COMPLETE", "pr-7", stackType, "The following resource(s) failed to update"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCFN(t)
			c.SameTime = true
			c.Put(planted("CREATE_COMPLETE"))
			c.Put(awstest.CFNStack{ID: nested, Name: "inner", Status: "UPDATE_ROLLBACK_COMPLETE",
				Events: []awstest.Step{{Status: "UPDATE_IN_PROGRESS"}, {Resource: "Deep", Type: topic, Status: "UPDATE_FAILED", Reason: "deep reason"}, {Status: "UPDATE_ROLLBACK_COMPLETE"}}})
			c.Script("UPDATE", append([]awstest.Step{{Status: "UPDATE_IN_PROGRESS"}}, tt.steps...), nil, rolled)
			got, err := stack.Apply(t.Context(), c.a, c.spec())
			failure, ok := errors.AsType[*stack.Error](err)
			if !ok {
				t.Fatalf("%v, want a *stack.Error", err)
			}
			if diff := cmp.Diff(tt.want, *failure); diff != "" {
				t.Errorf("cause (-want +got):\n%s", diff)
			}
			if got.Status != "UPDATE_ROLLBACK_COMPLETE" || strings.Contains(err.Error(), "planted-output") {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestChangeSets are those that come to nothing.
func TestChangeSets(t *testing.T) {
	t.Parallel()
	nothing := "The submitted information didn't contain changes. Submit different information to create a change set."
	for _, tt := range []struct {
		name, before string
		set          awstest.CFNSet
		want         string // in the error, none if empty
		asked        []string
	}{
		{"no change", "CREATE_COMPLETE", awstest.CFNSet{Status: "FAILED", Reason: nothing, Pending: 2}, "", []string{"CreateChangeSet", "DeleteChangeSet"}},
		{"no updates", "UPDATE_COMPLETE", awstest.CFNSet{Status: "FAILED", Reason: "No updates are to be performed."}, "", []string{"CreateChangeSet", "DeleteChangeSet"}},
		{"refused", "CREATE_COMPLETE", awstest.CFNSet{Status: "FAILED", Reason: "Transform failed", Execution: "UNAVAILABLE", Validation: []string{"name is taken"}},
			"Transform failed: Assets /Resources/Assets/Properties: name is taken", []string{"CreateChangeSet", "DeleteChangeSet"}},
		{"refused creation", "", awstest.CFNSet{Status: "FAILED", Reason: "Transform failed"}, "Transform failed", []string{"CreateChangeSet", "DeleteStack"}},
		{"gone meanwhile", "CREATE_COMPLETE", awstest.CFNSet{Status: "DELETE_COMPLETE"}, "is DELETE_COMPLETE", []string{"CreateChangeSet"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCFN(t)
			if tt.before != "" {
				c.Put(planted(tt.before))
			}
			c.Outcome(tt.set)
			got, err := stack.Apply(t.Context(), c.a, c.spec())
			if tt.want == "" && (err != nil || got.Changed || got.Status != tt.before) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%+v, %v, want %q", got, err, tt.want)
			}
			if diff := cmp.Diff(tt.asked, c.asked()); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if sets := c.Sets("pr-7"); tt.set.Status == "FAILED" && len(sets) > 0 {
				t.Errorf("sets left: %q", sets)
			}
			if st := c.Stack("pr-7"); tt.before == "" && st.ID != "" {
				t.Errorf("a shell is left: %s", st.Status)
			}
		})
	}
}

// TestSetOfTheSameToken is from a run that ended between making and executing it.
func TestSetOfTheSameToken(t *testing.T) {
	t.Parallel()
	c := newCFN(t)
	id := c.Put(planted("CREATE_COMPLETE"))
	c.PutSet(id, "run-42-1", ours)
	c.PutSet(id, "run-42-1-2", ours)
	if got, err := stack.Apply(t.Context(), c.a, c.spec()); err != nil || !got.Changed {
		t.Errorf("%+v, %v", got, err)
	}
	if diff := cmp.Diff([]string{"CreateChangeSet", "DeleteChangeSet", "CreateChangeSet", "DeleteChangeSet", "CreateChangeSet", "ExecuteChangeSet"}, c.asked()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// TestThrottled waits twice as long each time, and gives up in the end.
func TestThrottled(t *testing.T) {
	t.Parallel()
	c := newCFN(t)
	c.Throttle("DescribeStackEvents", 3)
	if _, err := stack.Apply(t.Context(), c.a, c.spec()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]time.Duration{4 * time.Second, 8 * time.Second, 16 * time.Second}, c.time.slept[:3]); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	c.Throttle("DescribeStackEvents", 1000)
	s := c.spec()
	s.Token, s.Template = "43-1", []byte(strings.Replace(topics, "Two", "Three", 1))
	if _, err := stack.Apply(t.Context(), c.a, s); err == nil || !strings.Contains(err.Error(), "Throttling") {
		t.Errorf("%v, want what AWS said", err)
	}
}

// TestStillRunning is never a success.
func TestStillRunning(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"operation", "other operation", "canceled"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			c := newCFN(t)
			status := map[bool]string{true: "UPDATE_IN_PROGRESS", false: "CREATE_COMPLETE"}[where == "other operation"]
			id := c.Put(planted(status))
			c.Script("UPDATE", []awstest.Step{{Status: "UPDATE_IN_PROGRESS"}})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := c.spec()
			wantErr := context.DeadlineExceeded
			if where == "canceled" {
				wantErr = context.Canceled
				s.Event = func(stack.Event) { cancel() }
			}
			got, err := stack.Apply(ctx, c.a, s)
			if where != "other operation" && got.ID != id {
				t.Errorf("stack %q, want %q", got.ID, id)
			}
			if !errors.Is(err, stack.ErrRunning) || !errors.Is(err, wantErr) || !strings.Contains(err.Error(), "still running") || !strings.Contains(err.Error(), id) {
				t.Errorf("%v, want %v with %s", err, wantErr, id)
			}
			if took := c.time.now.Sub(time.Unix(1_800_000_000, 0)); took > 30*time.Minute+15*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestProtection is a call of its own, and checked.
func TestProtection(t *testing.T) {
	t.Parallel()
	c := newCFN(t)
	s := c.spec()
	s.Protect = true
	if got, err := stack.Apply(t.Context(), c.a, s); err != nil || !got.Protected {
		t.Errorf("%+v, %v", got, err)
	}
	if gone, err := stack.Delete(t.Context(), c.a, s.Name, func(map[string]string) error { return errors.New("no") }, nil); !errors.Is(err, aws.ErrNotOurs) || gone.Gone || !c.Stack(s.Name).Protected {
		t.Errorf("refused: %+v, %v", gone, err)
	}
	if gone, err := stack.Delete(t.Context(), c.a, s.Name, owned, nil); err != nil || !gone.Gone {
		t.Errorf("delete: %+v, %v", gone, err)
	}
	c.Unprotectable = true
	if _, err := stack.Apply(t.Context(), c.a, s); err == nil || !strings.Contains(err.Error(), "termination protection was turned on and is off") {
		t.Errorf("unprotectable: %v", err)
	}
}

// TestDeleteFailed retains what cannot be deleted, and says so.
func TestDeleteFailed(t *testing.T) {
	t.Parallel()
	fails := []awstest.Step{{Resource: "One", Type: topic, Status: "DELETE_FAILED", Reason: "it is in use"}, {Status: "DELETE_FAILED"}}
	begins := []awstest.Step{{Status: "DELETE_IN_PROGRESS"}}

	c := newCFN(t)
	c.Put(planted("CREATE_COMPLETE"))
	c.Script("DELETE", begins, nil, fails)
	got, err := stack.Delete(t.Context(), c.a, "pr-7", owned, nil)
	want := stack.Deleted{Existed: true, Gone: true, Left: []string{"AWS::SNS::Topic pr-7-One: CloudFormation could not delete it"}, Emptied: map[string]int{}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if n := c.Called("DeleteStack"); n != 2 {
		t.Errorf("%d deletions, want 2", n)
	}

	c = newCFN(t) // and again, with the rest retained
	c.Put(planted("DELETE_FAILED"))
	c.Script("DELETE", begins, fails)
	c.Script("DELETE", begins, []awstest.Step{{Resource: "Two", Type: topic, Status: "DELETE_FAILED", Reason: "it too"}, {Status: "DELETE_FAILED"}})
	got, err = stack.Delete(t.Context(), c.a, "pr-7", owned, nil)
	failure, ok := errors.AsType[*stack.Error](err)
	if !ok || failure.Resource != "Two" || got.Gone || len(got.Left) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestDeleteBegins waits for an update, cuts short a creation, and finds one that
// somebody else has deleted.
func TestDeleteBegins(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status string
		then   [][]awstest.Step
		asked  []string
	}{
		{"UPDATE_IN_PROGRESS", [][]awstest.Step{nil, {{Status: "UPDATE_COMPLETE"}}}, []string{"DeleteStack"}},
		{"DELETE_IN_PROGRESS", [][]awstest.Step{nil, {{Status: "DELETE_COMPLETE"}}}, []string{}},
		{"CREATE_IN_PROGRESS", nil, []string{"DeleteStack"}},
		{"REVIEW_IN_PROGRESS", nil, []string{"DeleteStack"}},
		{"UPDATE_ROLLBACK_FAILED", nil, []string{"DeleteStack"}},
	} {
		t.Run(tt.status, func(t *testing.T) {
			t.Parallel()
			c := newCFN(t)
			id := c.Put(planted(tt.status))
			if tt.then != nil {
				c.Run(id, tt.then...)
			}
			got, err := stack.Delete(t.Context(), c.a, "pr-7", owned, nil)
			if err != nil || !got.Gone || c.Stack(id).Status != "DELETE_COMPLETE" {
				t.Errorf("%+v, %v", got, err)
			}
			if diff := cmp.Diff(tt.asked, c.asked()); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSecrets keeps what the template says not to show out of all that is said.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const planted0 = "planted-parameter"
	c := newCFN(t)
	s := c.spec()
	s.Template = []byte(`
Parameters: {Password: {Type: String, NoEcho: true}}
Resources: {One: {Type: "AWS::SNS::Topic"}}
Outputs: {Secret: {Value: planted-output}}
`)
	s.Parameters = map[string]string{"Password": planted0}
	c.Script("CREATE", []awstest.Step{{Status: "CREATE_IN_PROGRESS"}},
		[]awstest.Step{{Resource: "One", Type: topic, Status: "CREATE_FAILED", Reason: "Value '" + planted0 + "' is no password"}, {Status: "ROLLBACK_COMPLETE"}})
	_, err := stack.Apply(t.Context(), c.a, s)
	failure, ok := errors.AsType[*stack.Error](err)
	if !ok {
		t.Fatalf("%v, want a *stack.Error", err)
	}
	for _, said := range []string{err.Error(), failure.Reason, lines(c.events)} {
		if strings.Contains(said, planted0) || strings.Contains(said, "planted-output") || !strings.Contains(said, "is no password") {
			t.Errorf("said: %s", said)
		}
	}
	c.Outcome(awstest.CFNSet{Status: "FAILED", Reason: "bad value " + planted0})
	s.Token = "43-1"
	if _, err := stack.Apply(t.Context(), c.a, s); err == nil || strings.Contains(err.Error(), planted0) {
		t.Errorf("change set: %v", err)
	}
}

// TestRefilledBucket empties a bucket again that is written to while it is being
// deleted, and leaves one alone that the template retains.
func TestRefilledBucket(t *testing.T) {
	t.Parallel()
	c := newCFN(t)
	moto, err := url.Parse(awstest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	c.Else = httputil.NewSingleHostReverseProxy(moto)
	put := func(bucket, key string) {
		if _, err := objects(c.a).PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("x")}); err != nil {
			t.Error(err)
		}
	}
	for _, bucket := range []string{"assets", "kept"} {
		if err := createBucket(t, c.a, bucket); err != nil {
			t.Fatal(err)
		}
		put(bucket, "a")
	}
	id := c.Put(awstest.CFNStack{Name: "pr-7", Status: "CREATE_COMPLETE", Tags: ours,
		Template: `{"Resources": {"Assets": {"Type": "AWS::S3::Bucket"}, "Kept": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"}}}`,
		Resources: []awstest.CFNResource{
			{Logical: "Assets", Physical: "assets", Type: "AWS::S3::Bucket"}, {Logical: "Kept", Physical: "kept", Type: "AWS::S3::Bucket"}}})
	c.Script("DELETE", []awstest.Step{{Status: "DELETE_IN_PROGRESS"}},
		[]awstest.Step{{Resource: "Assets", Type: "AWS::S3::Bucket", Physical: "assets", Status: "DELETE_FAILED", Reason: "The bucket is not empty"}, {Status: "DELETE_FAILED"}})
	got, err := stack.Delete(t.Context(), c.a, "pr-7", owned, func(e stack.Event) {
		if e.LogicalID == "Assets" && e.Status == "DELETE_FAILED" {
			put("assets", "late")
		}
	})
	want := stack.Deleted{Existed: true, Gone: true, Asked: 1, Swept: []string{"AWS::S3::Bucket assets"}, Kept: []string{"AWS::S3::Bucket kept"}, Emptied: map[string]int{"assets": 2}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" || c.Stack(id).Status != "DELETE_COMPLETE" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := objects(c.a).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: sdk.String("kept"), Key: sdk.String("a")}); err != nil {
		t.Errorf("the retained bucket: %v", err)
	}
}

// TestBadSpecs ask AWS for nothing.
func TestBadSpecs(t *testing.T) {
	t.Parallel()
	c := newCFN(t)
	for name, spoil := range map[string]func(*stack.Spec){
		"no name": func(s *stack.Spec) { s.Name = "" }, "no token": func(s *stack.Spec) { s.Token = "" }, "no owner": func(s *stack.Spec) { s.Owned = nil },
		"no template": func(s *stack.Spec) { s.Template = nil }, "no YAML": func(s *stack.Spec) { s.Template = []byte("a: [") }, "no resources": func(s *stack.Spec) { s.Template = []byte("a: b") },
	} {
		s := c.spec()
		spoil(&s)
		if _, err := stack.Apply(t.Context(), c.a, s); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := stack.Delete(t.Context(), c.a, "pr-7", nil, nil); err == nil {
		t.Error("deletion without an owner: no error")
	}
	if calls := c.Calls(); len(calls) > 0 {
		t.Errorf("calls %q", calls)
	}
	s := c.spec()
	s.Template = []byte(`{"Resources": {"Role": {"Type": "AWS::IAM::Role"}}}`)
	if _, err := stack.Apply(t.Context(), c.a, s); err == nil || !strings.Contains(err.Error(), "CAPABILITY_NAMED_IAM") {
		t.Errorf("without the capability: %v", err)
	}
}

func TestStacksPages(t *testing.T) {
	t.Parallel()
	c := newCFN(t)
	c.Page = 2
	for _, name := range []string{"pr-1", "pr-2", "else", "pr-3", "pr-4"} {
		c.Put(awstest.CFNStack{Name: name, Status: "CREATE_COMPLETE", Tags: ours})
	}
	c.Put(awstest.CFNStack{Name: "pr-5", Status: "DELETE_COMPLETE"})
	all, err := stack.List(t.Context(), c.a, "pr-")
	if err != nil || len(all) != 4 || all[3].Name != "pr-4" || owned(all[3].Tags) != nil {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestMissing believes no status without a look at the resources: those of the
// template as the macros have left it.
func TestMissing(t *testing.T) {
	t.Parallel()
	c := newCFN(t)
	c.Page = 1
	c.Script("CREATE", []awstest.Step{{Status: "CREATE_IN_PROGRESS"}},
		[]awstest.Step{
			{Resource: "Untyped", Status: "CREATE_COMPLETE"},
			{Resource: "Deleted", Type: topic, Status: "DELETE_COMPLETE"}, {Resource: "There", Type: topic, Status: "CREATE_COMPLETE"},
		}, []awstest.Step{{Status: "CREATE_COMPLETE"}})
	s := c.spec()
	s.Template = []byte(`{"Transform": "AWS::LanguageExtensions", "Resources": {"Untyped": {"Type": "T"}, "Deleted": {"Type": "T"}, "There": {"Type": "T"}, "Unlisted": {"Type": "T"}}}`)
	got, err := stack.Apply(t.Context(), c.a, s)
	if n := c.Called("GetTemplate"); n != 1 {
		t.Errorf("the processed template was read %d times", n)
	}
	if diff := cmp.Diff([]string{"Deleted", "Unlisted", "Untyped"}, got.Missing); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
