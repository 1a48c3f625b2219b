package strict

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// The reasons of change sets that CloudFormation makes and then fails.
const (
	reasonUnchanged  = "The submitted information didn't contain changes. Submit different information to create a change set."
	reasonProperties = "The following hook(s)/validation failed: [AWS::EarlyValidation::PropertyValidation]. To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information."
)

// A changeSet is one that moto has too, unless there is nothing to change: moto makes no
// set then, where CloudFormation makes one and fails it.
type changeSet struct {
	own                      bool // moto does not have it
	id, name, stackID, stack string
	reason                   string // why it is FAILED; empty if it is not
	findings                 []finding
	executed, deleted        bool
	content                  content
}

// A content is what a stack is made of.
type content struct {
	template string
	values   map[string]string
	tags     []tag
}

func (c content) equal(o content) bool {
	return c.template == o.template && maps.Equal(c.values, o.values) && slices.Equal(c.tags, o.tags)
}

// changeSets are the change sets of a Front, and the rules of stacks.
type changeSets struct {
	front   *Front
	mu      sync.Mutex
	sets    []*changeSet
	applied map[string]content // by stack id
}

func newChangeSets(f *Front) *changeSets { return &changeSets{front: f, applied: map[string]content{}} }

func (c *changeSets) serve(w http.ResponseWriter, r *http.Request) {
	all, err := body(r)
	if err != nil {
		return // the client is gone
	}
	values, err := url.ParseQuery(string(all))
	if err != nil {
		writeRefusal(w, refuse(http.StatusBadRequest, "MalformedQueryString", "%v", err))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	q := form{values}
	if no := c.answer(w, r, q); no != nil {
		writeRefusal(w, no)
	}
}

// answer answers a call or hands it to moto.
func (c *changeSets) answer(w http.ResponseWriter, r *http.Request, q form) *refusal {
	set := c.find(q)
	switch action := q.Get("Action"); {
	case action == "CreateStack" || action == "UpdateStack":
		if _, no := c.content(r.Context(), q); no != nil {
			return no
		}
	case action == "CreateChangeSet":
		return c.create(w, r, q)
	case action == "DescribeChangeSet" && set != nil && set.reason != "":
		writeXML(w, http.StatusOK, set.describe())
		return nil
	case action == "DescribeEvents":
		writeXML(w, http.StatusOK, set.events())
		return nil
	case action == "ExecuteChangeSet" && set != nil:
		return c.execute(w, r, set)
	case action == "DeleteChangeSet" && set != nil:
		set.deleted = true
		if set.own {
			writeXML(w, http.StatusOK, fmt.Sprintf(`<DeleteChangeSetResponse %s><DeleteChangeSetResult></DeleteChangeSetResult>%s</DeleteChangeSetResponse>`, namespace, metadata))
			return nil
		}
	case action == "DescribeChangeSet" && c.gone(q):
		return refuse(http.StatusNotFound, "ChangeSetNotFound", "ChangeSet [%s] does not exist", q.Get("ChangeSetName"))
	case action == "DeleteStack":
		if no := c.deletable(r, q); no != nil {
			return no
		}
	}
	c.front.proxy.ServeHTTP(w, r)
	return nil
}

// find returns the change set that a call names, nil for none.
func (c *changeSets) find(q form) *changeSet {
	for _, s := range c.sets {
		name, stack := q.Get("ChangeSetName"), q.Get("StackName")
		if !s.deleted && (s.id == name || s.name == name && (s.stack == stack || s.stackID == stack)) {
			return s
		}
	}
	return nil
}

// content reads what a call asks for and holds it against all rules but those of states.
func (c *changeSets) content(ctx context.Context, q form) (cfnTemplate, *refusal) {
	if no := requestRules(q); no != nil {
		return cfnTemplate{}, no
	}
	text := q.Get("TemplateBody")
	if q.Has("TemplateURL") {
		var no *refusal
		if text, no = c.fetch(ctx, q.Get("TemplateURL")); no != nil {
			return cfnTemplate{}, no
		}
	}
	t, no := parseTemplate(text)
	if no == nil {
		no = parameterRules(q, t)
	}
	if no == nil {
		no = capabilityRules(q, t)
	}
	return t, no
}

// fetch reads a template in S3.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
func (c *changeSets) fetch(ctx context.Context, address string) (string, *refusal) {
	u, err := url.Parse(address)
	if err != nil || !strings.Contains(u.Host, ".s3.") {
		return "", invalid("TemplateURL must be a supported URL.")
	}
	bucket, _, _ := strings.Cut(u.Host, ".s3.")
	text, err := c.front.object(ctx, bucket, strings.TrimPrefix(u.Path, "/"))
	if err != nil || text == nil {
		return "", invalid("S3 error: The specified key does not exist.\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html")
	}
	return string(text), nil
}

func (c *changeSets) create(w http.ResponseWriter, r *http.Request, q form) *refusal {
	t, no := c.content(r.Context(), q)
	if no != nil {
		return no
	}
	st, err := c.stack(r, q.Get("StackName"))
	if err != nil {
		return refuse(http.StatusInternalServerError, "InternalFailure", "%v", err)
	}
	if no := st.takes(q); no != nil {
		return no
	}
	if c.find(q) != nil {
		return refuse(http.StatusBadRequest, "AlreadyExistsException", "ChangeSet %s cannot be created because it already exists", q.Get("ChangeSetName"))
	}
	values, _, _ := q.parameters()
	set := &changeSet{name: q.Get("ChangeSetName"), stackID: st.id, stack: q.Get("StackName"), content: content{t.text, values, q.tags()}}
	if was, known := c.applied[st.id]; known && q.Get("ChangeSetType") != "CREATE" && was.equal(set.content) {
		c.unchanged(w, set)
		return nil
	}
	set.findings = c.front.propertyFindings(r.Context(), t, values)
	answer := httptest.NewRecorder()
	c.front.proxy.ServeHTTP(answer, r)
	said := answer.Body.String()
	if answer.Code == http.StatusBadRequest && strings.Contains(said, "No updates are to be performed") {
		c.unchanged(w, set) // moto sees no change of tags
		return nil
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = io.WriteString(w, said)
	if answer.Code != http.StatusOK {
		return nil
	}
	set.id, set.stackID = element(said, "Id"), element(said, "StackId")
	if len(set.findings) > 0 {
		set.reason = reasonProperties
	}
	c.sets = append(c.sets, set)
	return nil
}

// unchanged makes a set that has nothing to change.
func (c *changeSets) unchanged(w http.ResponseWriter, set *changeSet) {
	set.own, set.reason = true, reasonUnchanged
	set.id = fmt.Sprintf("arn:aws:cloudformation:us-east-1:%s:changeSet/%s/%08d", AccountID, set.name, len(c.sets))
	c.sets = append(c.sets, set)
	writeXML(w, http.StatusOK, fmt.Sprintf(`<CreateChangeSetResponse %s><CreateChangeSetResult><Id>%s</Id><StackId>%s</StackId></CreateChangeSetResult>%s</CreateChangeSetResponse>`,
		namespace, escape(set.id), escape(set.stackID), metadata))
}

// gone reports whether a call names a set that only this front had.
func (c *changeSets) gone(q form) bool {
	return slices.ContainsFunc(c.sets, func(s *changeSet) bool { return s.own && s.deleted && s.id == q.Get("ChangeSetName") })
}

// execute lets a set be executed that is available: complete, and only once.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ExecuteChangeSet.html
func (c *changeSets) execute(w http.ResponseWriter, r *http.Request, set *changeSet) *refusal {
	switch {
	case set.reason != "":
		return refuse(http.StatusBadRequest, "InvalidChangeSetStatus", "ChangeSet [%s] cannot be executed in its current status of [FAILED]", set.id)
	case set.executed:
		return refuse(http.StatusBadRequest, "InvalidChangeSetStatus", "ChangeSet [%s] cannot be executed in its current execution status of [EXECUTE_COMPLETE]", set.id)
	}
	c.front.proxy.ServeHTTP(w, r)
	set.executed = true
	c.applied[set.stackID] = set.content
	return nil
}

// A state is a stack as moto has it; the zero value is none.
type state struct {
	id, status string
	protected  bool
}

// updatable are the states in which a stack takes a change.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
var updatable = []string{"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}

// takes refuses a change set that the stack's state does not allow.
func (s state) takes(q form) *refusal {
	exists := s.id != "" && s.status != "DELETE_COMPLETE"
	if q.Get("ChangeSetType") == "CREATE" {
		if exists && s.status != "REVIEW_IN_PROGRESS" {
			return invalid("Stack [%s] already exists and cannot be created again with the changeSet [%s].", q.Get("StackName"), q.Get("ChangeSetName"))
		}
		return nil
	}
	switch {
	case !exists:
		return invalid("Stack [%s] does not exist", q.Get("StackName"))
	case !slices.Contains(updatable, s.status):
		return invalid("Stack:%s is in %s state and can not be updated.", s.id, s.status)
	}
	return nil
}

// deletable refuses what DeleteStack refuses.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteStack.html
func (c *changeSets) deletable(r *http.Request, q form) *refusal {
	st, err := c.stack(r, q.Get("StackName"))
	switch {
	case err != nil:
		return refuse(http.StatusInternalServerError, "InternalFailure", "%v", err)
	case st.id == "":
		return nil // deleting what does not exist is no error
	case st.protected:
		return invalid("Stack [%s] cannot be deleted while TerminationProtection is enabled", st.id)
	case len(q.list("RetainResources")) > 0 && st.status != "DELETE_FAILED":
		return invalid("Invalid operation on stack [%s]. RetainResources can only be specified for a stack in the DELETE_FAILED state", st.id)
	}
	return nil
}

// stack asks moto for a stack, with the signature of the call that needs it.
func (c *changeSets) stack(r *http.Request, name string) (state, error) {
	ask := url.Values{"Action": {"DescribeStacks"}, "Version": {"2010-05-15"}, "StackName": {name}}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, c.front.moto.String()+"/", strings.NewReader(ask.Encode()))
	if err != nil {
		return state{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", r.Header.Get("Authorization"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return state{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	var text bytes.Buffer
	if _, err := io.Copy(&text, resp.Body); err != nil {
		return state{}, err
	}
	switch said := text.String(); {
	case resp.StatusCode == http.StatusOK:
		return state{element(said, "StackId"), element(said, "StackStatus"), element(said, "EnableTerminationProtection") == "true"}, nil
	case strings.Contains(said, "does not exist"):
		return state{}, nil
	default:
		return state{}, errors.New(resp.Status + ": " + said)
	}
}

// element returns the text of the first element of that name.
func element(text, name string) string {
	m := regexp.MustCompile("<" + name + ">([^<]*)</" + name + ">").FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

const (
	namespace = `xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"`
	metadata  = `<ResponseMetadata><RequestId>strict</RequestId></ResponseMetadata>`
)

// describe is the answer of DescribeChangeSet about a failed set.
func (s *changeSet) describe() string {
	return fmt.Sprintf(`<DescribeChangeSetResponse %s><DescribeChangeSetResult><ChangeSetName>%s</ChangeSetName><ChangeSetId>%s</ChangeSetId><StackId>%s</StackId><StackName>%s</StackName>`+
		`<ExecutionStatus>UNAVAILABLE</ExecutionStatus><Status>FAILED</Status><StatusReason>%s</StatusReason><Changes></Changes></DescribeChangeSetResult>%s</DescribeChangeSetResponse>`,
		namespace, escape(s.name), escape(s.id), escape(s.stackID), escape(s.stack), escape(s.reason), metadata)
}

// events is the answer of DescribeEvents about a set, which may be nil.
func (s *changeSet) events() string {
	var b strings.Builder
	if s != nil {
		for i, f := range s.findings {
			fmt.Fprintf(&b, `<member><EventId>strict-%d</EventId><EventType>VALIDATION_ERROR</EventType><LogicalResourceId>%s</LogicalResourceId><ValidationPath>%s</ValidationPath><ValidationStatusReason>%s</ValidationStatusReason></member>`,
				i, escape(f.resource), escape(f.path), escape(f.reason))
		}
	}
	return fmt.Sprintf(`<DescribeEventsResponse %s><DescribeEventsResult><OperationEvents>%s</OperationEvents></DescribeEventsResult>%s</DescribeEventsResponse>`, namespace, b.String(), metadata)
}

func writeRefusal(w http.ResponseWriter, no *refusal) {
	writeXML(w, no.status, fmt.Sprintf(`<ErrorResponse %s><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>strict</RequestId></ErrorResponse>`,
		namespace, no.code, escape(no.message)))
}
