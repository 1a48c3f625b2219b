package awstest

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A witness notes failures instead of failing.
type witness struct {
	testing.TB
	failed bool
}

func (w *witness) Errorf(string, ...any) { w.failed = true }

// call sends one call, as the query protocol has it, and returns the answer.
func call(t *testing.T, c *CFN, form url.Values) string {
	t.Helper()
	form.Set("Version", "2010-05-15")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.URL, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestUnexpected are the calls that fail the test which makes them.
func TestUnexpected(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]url.Values{
		"unknown action":        {"Action": {"CreateStack"}, "StackName": {"here"}},
		"unknown set action":    {"Action": {"ListenToChangeSet"}, "ChangeSetName": {"set"}, "StackName": {"here"}},
		"deletion by name":      {"Action": {"DeleteStack"}, "StackName": {"here"}},
		"template by reference": {"Action": {"CreateChangeSet"}, "ChangeSetName": {"other"}, "StackName": {"here"}, "TemplateURL": {"https://x"}},
	} {
		w := &witness{TB: t}
		c := NewCFN(w)
		c.Put(CFNStack{Name: "here", Status: "CREATE_COMPLETE"})
		c.PutSet("here", "set", nil)
		if call(t, c, form); !w.failed {
			t.Errorf("%s: the test went on", name)
		}
	}
	w := &witness{TB: t}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, NewCFN(w).URL+"/bucket/key", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if !w.failed {
		t.Error("another service: the test went on")
	}
}

// TestRefused are answers that CloudFormation gives to what it will not do.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status, action, kind, want string
	}{
		{"REVIEW_IN_PROGRESS", "CreateChangeSet", "UPDATE", "REVIEW_IN_PROGRESS state and can not be updated"},
		{"ROLLBACK_COMPLETE", "CreateChangeSet", "UPDATE", "ROLLBACK_COMPLETE state and can not be updated"},
		{"UPDATE_IN_PROGRESS", "CreateChangeSet", "UPDATE", "UPDATE_IN_PROGRESS state and can not be updated"},
		{"CREATE_COMPLETE", "CreateChangeSet", "CREATE", "already exists"},
		{"CREATE_COMPLETE", "ContinueUpdateRollback", "", "can not continue rollback"},
	} {
		c := NewCFN(t)
		c.Put(CFNStack{Name: "here", Status: tt.status})
		got := call(t, c, url.Values{"Action": {tt.action}, "StackName": {"here"}, "ChangeSetName": {"set"}, "ChangeSetType": {tt.kind}, "TemplateBody": {"{}"}})
		if !strings.Contains(got, tt.want) {
			t.Errorf("%s %s of a stack in %s: %s, want %q", tt.action, tt.kind, tt.status, got, tt.want)
		}
	}
	c := NewCFN(t)
	id := c.Put(CFNStack{Name: "here", Status: "CREATE_COMPLETE", Protected: true})
	if got := call(t, c, url.Values{"Action": {"DeleteStack"}, "StackName": {id}}); !strings.Contains(got, "TerminationProtection is enabled") {
		t.Errorf("deletion of a protected stack: %s", got)
	}
	id = c.Put(CFNStack{Name: "free", Status: "CREATE_COMPLETE"})
	if got := call(t, c, url.Values{"Action": {"DeleteStack"}, "StackName": {id}, "RetainResources.member.1": {"One"}}); !strings.Contains(got, "can only be specified when the stack is in DELETE_FAILED") {
		t.Errorf("retaining before a failure: %s", got)
	}
}
