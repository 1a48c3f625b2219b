package awstest

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Step is one event: of a resource, or with an empty Resource of the stack itself,
// whose status it sets.
type Step struct {
	Resource, Type, Status, Reason string
	// Physical is the resource's physical id; empty means one made from its
	// logical id.
	Physical string
	// Token overrides the operation's.
	Token string
}

// A CFNStack is a stack in a CFN.
type CFNStack struct {
	ID, Name, Status string
	Tags, Parameters map[string]string
	Outputs          map[string]string // replace what the template says
	Protected        bool
	Template         string
	Resources        []CFNResource
	// Events are the stack's events, oldest first.
	Events []Step

	events  []cfnEvent
	pending [][]Step
	token   string
	outside bool // nobody asked for what is pending
	created time.Time
}

// A CFNResource is a resource of a stack.
type CFNResource struct{ Logical, Physical, Type, Status string }

// A CFNSet is the outcome of a change set.
type CFNSet struct {
	Status, Reason, Execution string
	Changes                   []CFNChange // made from the template if nil
	Pending                   int         // how often it is still CREATE_PENDING when asked
	Validation                []string    // reasons of early validation
}

// A CFNChange is one change of a set.
type CFNChange struct{ Action, Logical, Type, Replacement string }

// A CFN is a CloudFormation on loopback, for what moto_server does not imitate: it
// implements the documented query protocol and goes through the states that a test
// scripts. Time passes only with polls: each DescribeStackEvents returns one more batch
// of steps. An unknown or invalid call fails the test.
//
// Change its settings before using it.
type CFN struct {
	URL string
	CFNSettings
	// Else answers the requests of other services, such as S3.
	Else http.Handler

	t         testing.TB
	mu        sync.Mutex
	cloud     cloud
	throttles map[string]int
	calls     []string
}

// CFNSettings are how a CFN behaves.
type CFNSettings struct {
	// Lag is how many polls see nothing after an operation was requested.
	Lag int
	// SameTime gives all events one timestamp.
	SameTime bool
	// Page is the number of items per page; 0 means 100.
	Page int
	// Unprotectable accepts termination protection and forgets it.
	Unprotectable bool
	// NoSetTags hides the tags of a stack that is only reviewed.
	NoSetTags bool
}

// NewCFN runs a CFN until the test ends.
func NewCFN(t testing.TB) *CFN {
	t.Helper()
	c := &CFN{t: t, throttles: map[string]int{}}
	c.cloud = cloud{t: t, settings: &c.CFNSettings, scripts: map[string][][][]Step{}}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	c.URL = s.URL
	return c
}

// Put adds a stack.
func (c *CFN) Put(s CFNStack) (id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := &s
	st.ID = cmp.Or(st.ID, c.cloud.stackID(st.Name))
	st.created = begin
	for _, e := range st.Events {
		c.cloud.record(st, e)
	}
	c.cloud.stacks = append(c.cloud.stacks, st)
	return st.ID
}

// PutSet adds a change set to a stack.
func (c *CFN) PutSet(stack, name string, tags map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.cloud.stack(stack)
	c.cloud.sets = append(c.cloud.sets, &cfnSet{
		CFNSet: CFNSet{Status: "CREATE_COMPLETE"}, id: fmt.Sprintf("arn:aws:cloudformation:eu-central-1:123456789012:changeSet/%s/%08d", name, c.cloud.next()),
		name: name, stack: s.ID, kind: "CREATE", template: s.Template, tags: tags,
	})
}

// Script sets the steps of the next operation of a kind: CREATE, UPDATE, DELETE or
// CONTINUE. Each poll sees one batch. Without a script an operation succeeds.
func (c *CFN) Script(kind string, batches ...[]Step) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cloud.scripts[kind] = append(c.cloud.scripts[kind], batches)
}

// Outcome sets the outcome of the next change set.
func (c *CFN) Outcome(s CFNSet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cloud.outcomes = append(c.cloud.outcomes, s)
}

// Throttle refuses the next n calls of an action.
func (c *CFN) Throttle(action string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.throttles[action] = n
}

// Run starts an operation of another process. Reading the stack by its id advances it
// too.
func (c *CFN) Run(name string, batches ...[]Step) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.cloud.stack(name)
	s.pending, s.outside = batches, true
}

// Stack returns a stack, by name or id.
func (c *CFN) Stack(name string) CFNStack {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.cloud.stack(name); s != nil {
		return *s
	}
	return CFNStack{}
}

// Sets returns the names of a stack's change sets.
func (c *CFN) Sets(stack string) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, set := range c.cloud.sets {
		if s := c.cloud.stack(set.stack); s != nil && (s.Name == stack || s.ID == stack) {
			names = append(names, set.name)
		}
	}
	return names
}

// Calls returns the called actions in order, including polls.
func (c *CFN) Calls() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

// Called counts the calls of an action.
func (c *CFN) Called(action string) int {
	n := 0
	for _, a := range c.Calls() {
		if a == action {
			n++
		}
	}
	return n
}

// A refusal is an error of CloudFormation's.
type refusal struct {
	status        int
	code, message string
}

func invalid(format string, args ...any) *refusal {
	return &refusal{http.StatusBadRequest, "ValidationError", fmt.Sprintf(format, args...)}
}

func (c *CFN) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("Version") != "2010-05-15" {
		c.other(w, r, body)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	action := form.Get("Action")
	c.calls = append(c.calls, action)
	if c.throttles[action] > 0 {
		c.throttles[action]--
		refuse(w, &refusal{http.StatusBadRequest, "Throttling", "Rate exceeded"})
		return
	}
	result, no := c.answer(action, query{form})
	if no != nil {
		refuse(w, no)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, `<%sResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">`, action)
	if err := xml.NewEncoder(w).EncodeElement(result, xml.StartElement{Name: xml.Name{Local: action + "Result"}}); err != nil {
		c.t.Errorf("cfn: %s: %v", action, err)
	}
	fmt.Fprintf(w, `<ResponseMetadata><RequestId>r-%d</RequestId></ResponseMetadata></%sResponse>`, len(c.calls), action)
}

func (c *CFN) other(w http.ResponseWriter, r *http.Request, body []byte) {
	if c.Else == nil {
		c.t.Errorf("cfn: unexpected %s %s", r.Method, r.URL.Path)
		refuse(w, &refusal{http.StatusNotImplemented, "NotImplemented", "not CloudFormation"})
		return
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	c.Else.ServeHTTP(w, r)
}

func refuse(w http.ResponseWriter, no *refusal) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(no.status)
	var message strings.Builder
	_ = xml.EscapeText(&message, []byte(no.message))
	fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>r</RequestId></ErrorResponse>`, no.code, message.String())
}

func (c *CFN) answer(action string, q query) (any, *refusal) {
	stacks, sets := stackAPI{&c.cloud}, setAPI{&c.cloud}
	switch {
	case action == "DescribeStacks":
		return stacks.describe(q)
	case action == "CreateChangeSet":
		return sets.create(q)
	case action == "ListChangeSets":
		return sets.list(q)
	case action == "DescribeEvents":
		return sets.validation(q)
	case strings.HasSuffix(action, "ChangeSet"):
		return sets.answer(action, q)
	}
	return stacks.answer(action, q)
}

// query are the parameters of a call.
type query struct{ url.Values }

func (q query) list(name string) (all []string) {
	for i := 1; q.Has(fmt.Sprintf("%s.member.%d", name, i)); i++ {
		all = append(all, q.Get(fmt.Sprintf("%s.member.%d", name, i)))
	}
	return all
}

// pairs are a list of keys and values.
func (q query) pairs(name, key, value string) map[string]string {
	m := map[string]string{}
	for i := 1; q.Has(fmt.Sprintf("%s.member.%d.%s", name, i, key)); i++ {
		m[q.Get(fmt.Sprintf("%s.member.%d.%s", name, i, key))] = q.Get(fmt.Sprintf("%s.member.%d.%s", name, i, value))
	}
	return m
}
