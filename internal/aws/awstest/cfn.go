package awstest

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
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

type cfnEvent struct {
	Step
	id   string
	at   time.Time
	name string
}

// A CFNSet is the outcome of a change set.
type CFNSet struct {
	Status, Reason, Execution string
	Changes                   []CFNChange // made from the template if nil
	Pending                   int         // how often it is still CREATE_PENDING when asked
	Validation                []string    // reasons of early validation
}

// A CFNChange is one change of a set.
type CFNChange struct{ Action, Logical, Type, Replacement string }

type cfnSet struct {
	CFNSet
	id, name, stack, kind, template string
	parameters, tags                map[string]string
	deleting                        int
}

// A CFN is a CloudFormation on loopback, for what moto_server does not imitate: it
// implements the documented query protocol and goes through the states that a test
// scripts. Time passes only with polls: each DescribeStackEvents returns one more batch
// of steps. An unknown or invalid call fails the test.
//
// Change its settings before using it.
type CFN struct {
	URL string
	// Lag is how many polls see nothing after an operation was requested.
	Lag int
	// SameTime gives all events one timestamp.
	SameTime bool
	// Page is the number of items per page; 0 means 100.
	Page int
	// Else answers the requests of other services, such as S3.
	Else http.Handler
	// Unprotectable accepts termination protection and forgets it.
	Unprotectable bool
	// NoSetTags hides the tags of a stack that is only reviewed.
	NoSetTags bool

	t         testing.TB
	mu        sync.Mutex
	n         int
	stacks    []*CFNStack
	sets      []*cfnSet
	scripts   map[string][][][]Step
	outcomes  []CFNSet
	throttles map[string]int
	calls     []string
}

// NewCFN runs a CFN until the test ends.
func NewCFN(t testing.TB) *CFN {
	t.Helper()
	c := &CFN{t: t, scripts: map[string][][][]Step{}, throttles: map[string]int{}}
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
	st.ID = cmp.Or(st.ID, c.stackID(st.Name))
	st.created = begin
	for _, e := range st.Events {
		c.record(st, e)
	}
	c.stacks = append(c.stacks, st)
	return st.ID
}

// Script sets the steps of the next operation of a kind: CREATE, UPDATE, DELETE or
// CONTINUE. Each poll sees one batch. Without a script an operation succeeds.
func (c *CFN) Script(kind string, batches ...[]Step) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scripts[kind] = append(c.scripts[kind], batches)
}

// Outcome sets the outcome of the next change set.
func (c *CFN) Outcome(s CFNSet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outcomes = append(c.outcomes, s)
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
	s := c.stack(name)
	s.pending, s.outside = batches, true
}

// Stack returns a stack, by name or id.
func (c *CFN) Stack(name string) CFNStack {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.stack(name); s != nil {
		return *s
	}
	return CFNStack{}
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

// begin is the time of the first event.
var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (c *CFN) next() int { c.n++; return c.n }

func (c *CFN) stackID(name string) string {
	return fmt.Sprintf("arn:aws:cloudformation:eu-central-1:123456789012:stack/%s/%08d", name, c.next())
}

// stack finds by id, or by the name of one that is not deleted.
func (c *CFN) stack(name string) *CFNStack {
	for _, s := range c.stacks {
		if s.ID == name || s.Name == name && s.Status != "DELETE_COMPLETE" {
			return s
		}
	}
	return nil
}

// record adds a step as an event, and sets the resource's status.
func (c *CFN) record(s *CFNStack, e Step) {
	n := c.next()
	at := begin.Add(time.Duration(n) * time.Second)
	if c.SameTime {
		at = begin
	}
	if e.Resource == "" {
		e.Resource, e.Type, e.Physical = s.Name, "AWS::CloudFormation::Stack", s.ID
		s.Status = e.Status
	} else {
		e.Physical = cmp.Or(e.Physical, s.Name+"-"+e.Resource)
		i := slices.IndexFunc(s.Resources, func(r CFNResource) bool { return r.Logical == e.Resource })
		if i < 0 {
			s.Resources = append(s.Resources, CFNResource{Logical: e.Resource, Physical: e.Physical, Type: e.Type})
			i = len(s.Resources) - 1
		}
		s.Resources[i].Status = e.Status
	}
	e.Token = cmp.Or(e.Token, s.token)
	s.events = append(s.events, cfnEvent{e, fmt.Sprintf("event-%d", n), at, s.Name})
}

// start starts an operation.
func (c *CFN) start(s *CFNStack, kind, token string) {
	s.token, s.outside = token, false
	batches := c.success(s, kind)
	if q := c.scripts[kind]; len(q) > 0 {
		batches, c.scripts[kind] = q[0], q[1:]
	}
	s.pending = slices.Concat(make([][]Step, c.Lag), batches)
}

// success returns the steps of an operation without a script.
func (c *CFN) success(s *CFNStack, kind string) [][]Step {
	verb, end := kind, kind+"_COMPLETE"
	if kind == "CONTINUE" {
		return [][]Step{{{Status: "UPDATE_ROLLBACK_IN_PROGRESS"}}, {{Status: "UPDATE_ROLLBACK_COMPLETE"}}}
	}
	resources := s.Resources
	if kind != "DELETE" {
		resources = nil
		t, _ := parse(s.Template)
		for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
			resources = append(resources, CFNResource{Logical: id, Type: t.Resources[id].Type})
		}
	}
	var begun, done []Step
	for _, r := range resources {
		begun = append(begun, Step{Resource: r.Logical, Type: r.Type, Physical: r.Physical, Status: verb + "_IN_PROGRESS"})
		done = append(done, Step{Resource: r.Logical, Type: r.Type, Physical: r.Physical, Status: end})
	}
	return [][]Step{{{Status: verb + "_IN_PROGRESS", Reason: "User Initiated"}}, begun, append(done, Step{Status: end})}
}

// tick records the next batch.
func (c *CFN) tick(s *CFNStack) {
	if len(s.pending) == 0 {
		return
	}
	batch := s.pending[0]
	s.pending = s.pending[1:]
	for _, e := range batch {
		c.record(s, e)
	}
}

type cfnTemplate struct {
	Resources map[string]struct {
		Type string `yaml:"Type"`
	} `yaml:"Resources"`
	Outputs map[string]struct {
		Value any `yaml:"Value"`
	} `yaml:"Outputs"`
}

func parse(text string) (t cfnTemplate, err error) {
	err = yaml.Unmarshal([]byte(text), &t)
	return t, err
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
	switch action {
	case "DescribeStacks":
		return c.describeStacks(q)
	case "CreateChangeSet":
		return c.createSet(q)
	case "ListChangeSets":
		return c.listSets(q)
	}
	if strings.HasSuffix(action, "ChangeSet") {
		return c.setAction(action, q)
	}
	if action == "DescribeEvents" {
		return c.validation(q)
	}
	s := c.stack(q.Get("StackName"))
	if s == nil {
		return nil, invalid("Stack with id %s does not exist", q.Get("StackName"))
	}
	switch action {
	case "DescribeStackEvents":
		return c.stackEvents(s, q)
	case "ListStackResources":
		return c.resources(s, q)
	case "GetTemplate":
		return struct{ TemplateBody string }{s.Template}, nil
	case "UpdateTerminationProtection":
		s.Protected = q.Get("EnableTerminationProtection") == "true" && !c.Unprotectable
		return struct{ StackId string }{s.ID}, nil
	case "ContinueUpdateRollback":
		if s.Status != "UPDATE_ROLLBACK_FAILED" {
			return nil, invalid("Stack %s is in %s state and can not continue rollback", s.ID, s.Status)
		}
		c.start(s, "CONTINUE", q.Get("ClientRequestToken"))
		return struct{}{}, nil
	case "DeleteStack":
		return c.deleteStack(s, q)
	}
	c.t.Errorf("cfn: unexpected action %s", action)
	return nil, &refusal{http.StatusBadRequest, "InvalidAction", action}
}

func (c *CFN) deleteStack(s *CFNStack, q query) (any, *refusal) {
	retain := q.list("RetainResources")
	switch {
	case !strings.HasPrefix(q.Get("StackName"), "arn:"):
		c.t.Errorf("cfn: DeleteStack by the name %q: another stack of that name may be there by now", q.Get("StackName"))
	case s.Protected:
		return nil, invalid("Stack [%s] cannot be deleted while TerminationProtection is enabled", s.Name)
	case len(retain) > 0 && s.Status != "DELETE_FAILED":
		return nil, invalid("Invalid operation on stack [%s]. RetainResources can only be specified when the stack is in DELETE_FAILED", s.ID)
	case strings.HasPrefix(s.Status, "UPDATE_") && strings.HasSuffix(s.Status, "_IN_PROGRESS"):
		return nil, invalid("Stack [%s] cannot be deleted while in status %s", s.ID, s.Status)
	}
	s.Resources = slices.DeleteFunc(s.Resources, func(r CFNResource) bool { return slices.Contains(retain, r.Logical) })
	if s.Status == "DELETE_COMPLETE" {
		return struct{}{}, nil
	}
	c.sets = slices.DeleteFunc(c.sets, func(o *cfnSet) bool { return o.stack == s.ID })
	c.start(s, "DELETE", q.Get("ClientRequestToken"))
	return struct{}{}, nil
}

type member[T any] struct {
	Members []T `xml:"member"`
}

type keyValue struct{ Key, Value string }

type output struct{ OutputKey, OutputValue string }

type stackXML struct {
	StackId, StackName, StackStatus string
	CreationTime                    string
	LastUpdatedTime                 string `xml:",omitempty"`
	EnableTerminationProtection     bool
	Tags                            member[keyValue]
	Outputs                         member[output]
}

func (c *CFN) describeStacks(q query) (any, *refusal) {
	type result struct {
		Stacks    member[stackXML]
		NextToken string `xml:",omitempty"`
	}
	var all []stackXML
	for _, s := range c.stacks {
		name := q.Get("StackName")
		if s.ID == name && s.outside {
			c.tick(s)
		}
		if name == "" && s.Status != "DELETE_COMPLETE" || name != "" && c.stack(name) == s {
			all = append(all, c.stackXML(s))
		}
	}
	if len(all) == 0 && q.Get("StackName") != "" {
		return nil, invalid("Stack with id %s does not exist", q.Get("StackName"))
	}
	page, token := page(c, all, q)
	return result{member[stackXML]{page}, token}, nil
}

func (c *CFN) stackXML(s *CFNStack) stackXML {
	x := stackXML{StackId: s.ID, StackName: s.Name, StackStatus: s.Status, CreationTime: s.created.Format(time.RFC3339), EnableTerminationProtection: s.Protected}
	if c.NoSetTags && s.Status == "REVIEW_IN_PROGRESS" {
		return x
	}
	x.Tags.Members = tagsXML(s.Tags)
	for _, k := range slices.Sorted(maps.Keys(s.Outputs)) {
		x.Outputs.Members = append(x.Outputs.Members, output{k, s.Outputs[k]})
	}
	return x
}

func tagsXML(tags map[string]string) (all []keyValue) {
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		all = append(all, keyValue{k, tags[k]})
	}
	return all
}

// page returns the page of a list that the token names.
func page[T any](c *CFN, all []T, q query) (part []T, token string) {
	size := cmp.Or(c.Page, 100)
	from, _ := strconv.Atoi(q.Get("NextToken"))
	from = min(from, len(all))
	to := min(from+size, len(all))
	if to < len(all) {
		token = strconv.Itoa(to)
	}
	return all[from:to], token
}

func (c *CFN) stackEvents(s *CFNStack, q query) (any, *refusal) {
	type event struct {
		EventId, StackId, StackName, LogicalResourceId, PhysicalResourceId, ResourceType string
		Timestamp, ResourceStatus                                                        string
		ResourceStatusReason, ClientRequestToken                                         string `xml:",omitempty"`
	}
	type result struct {
		StackEvents member[event]
		NextToken   string `xml:",omitempty"`
	}
	if q.Get("NextToken") == "" {
		c.tick(s)
	}
	var all []event
	for _, e := range slices.Backward(s.events) {
		all = append(all, event{e.id, s.ID, e.name, e.Resource, e.Physical, e.Type, e.at.Format(time.RFC3339), e.Status, e.Reason, e.Token})
	}
	part, token := page(c, all, q)
	return result{member[event]{part}, token}, nil
}

func (c *CFN) resources(s *CFNStack, q query) (any, *refusal) {
	type summary struct{ LogicalResourceId, PhysicalResourceId, ResourceType, ResourceStatus, LastUpdatedTimestamp string }
	type result struct {
		StackResourceSummaries member[summary]
		NextToken              string `xml:",omitempty"`
	}
	var all []summary
	for _, r := range s.Resources {
		all = append(all, summary{r.Logical, r.Physical, r.Type, cmp.Or(r.Status, "CREATE_COMPLETE"), begin.Format(time.RFC3339)})
	}
	part, token := page(c, all, q)
	return result{member[summary]{part}, token}, nil
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
