package awstest

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// noChange is one of CloudFormation's two texts.
const noChange = "The submitted information didn't contain changes. Submit different information to create a change set."

// A setAPI answers the actions on change sets.
type setAPI struct{ cloud *cloud }

// create creates a change set, and for a CREATE its stack. It refuses what
// CloudFormation refuses: a type that does not match the stack's state, a name that is
// taken, missing capabilities.
func (a setAPI) create(q query) (any, *refusal) {
	s, no := a.stackOf(q)
	if no != nil {
		return nil, no
	}
	body := q.Get("TemplateBody")
	if body == "" {
		a.cloud.t.Errorf("cfn: CreateChangeSet without a TemplateBody: %q is not read here", q.Get("TemplateURL"))
	}
	if len(body) > 51_200 {
		return nil, invalid("1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200")
	}
	t, err := parse(body)
	if err != nil {
		return nil, invalid("Template format error: %v", err)
	}
	for _, r := range t.Resources {
		if r.Type == "AWS::IAM::Role" && !slices.Contains(q.list("Capabilities"), "CAPABILITY_NAMED_IAM") {
			return nil, &refusal{http.StatusBadRequest, "InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_NAMED_IAM]"}
		}
	}
	set := a.newSet(s, q, t)
	if slices.ContainsFunc(a.cloud.sets, func(o *cfnSet) bool { return o.name == set.name && o.stack == set.stack }) {
		return nil, &refusal{http.StatusBadRequest, "AlreadyExistsException", fmt.Sprintf("ChangeSet %s already exists", set.name)}
	}
	a.cloud.sets = append(a.cloud.sets, set)
	return struct{ Id, StackId string }{set.id, s.ID}, nil
}

// stackOf returns the stack of a new set.
func (a setAPI) stackOf(q query) (*CFNStack, *refusal) {
	name := q.Get("StackName")
	s := a.cloud.stack(name)
	if q.Get("ChangeSetType") != "CREATE" {
		switch {
		case s == nil:
			return nil, invalid("Stack [%s] does not exist", name)
		case !strings.HasSuffix(s.Status, "_COMPLETE") && s.Status != "UPDATE_FAILED" || s.Status == "ROLLBACK_COMPLETE":
			return nil, invalid("Stack:%s is in %s state and can not be updated.", s.ID, s.Status)
		}
		return s, nil
	}
	if s == nil {
		s = &CFNStack{ID: a.cloud.stackID(name), Name: name, created: begin, Tags: q.pairs("Tags", "Key", "Value")}
		a.cloud.stacks = append(a.cloud.stacks, s)
		a.cloud.record(s, Step{Status: "REVIEW_IN_PROGRESS", Reason: "User Initiated"})
	}
	if s.Status != "REVIEW_IN_PROGRESS" {
		return nil, invalid("Stack [%s] already exists and cannot be created again with the changeSet [%s].", name, q.Get("ChangeSetName"))
	}
	return s, nil
}

func (a setAPI) newSet(s *CFNStack, q query, t cfnTemplate) *cfnSet {
	set := &cfnSet{
		CFNSet: CFNSet{Status: "CREATE_COMPLETE"},
		id:     fmt.Sprintf("arn:aws:cloudformation:eu-central-1:123456789012:changeSet/%s/%08d", q.Get("ChangeSetName"), a.cloud.next()),
		name:   q.Get("ChangeSetName"), stack: s.ID, kind: cmp.Or(q.Get("ChangeSetType"), "UPDATE"), template: q.Get("TemplateBody"),
		parameters: q.pairs("Parameters", "ParameterKey", "ParameterValue"), tags: q.pairs("Tags", "Key", "Value"),
	}
	if len(a.cloud.outcomes) > 0 {
		set.CFNSet, a.cloud.outcomes = a.cloud.outcomes[0], a.cloud.outcomes[1:]
	} else if set.kind == "UPDATE" && s.Template == set.template && maps.Equal(s.Parameters, set.parameters) && maps.Equal(s.Tags, set.tags) {
		set.CFNSet = CFNSet{Status: "FAILED", Reason: noChange, Execution: "UNAVAILABLE"}
	}
	if set.Changes == nil && set.Status != "FAILED" {
		action := map[string]string{"CREATE": "Add", "UPDATE": "Modify"}[set.kind]
		for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
			set.Changes = append(set.Changes, CFNChange{Action: action, Logical: id, Type: t.Resources[id].Type})
		}
	}
	return set
}

// answer is an action on an existing set. A deletion takes a moment: the set is
// returned once more after it.
func (a setAPI) answer(action string, q query) (any, *refusal) {
	set := a.cloud.set(q)
	if set == nil {
		return nil, &refusal{http.StatusNotFound, "ChangeSetNotFound", fmt.Sprintf("ChangeSet [%s] does not exist", q.Get("ChangeSetName"))}
	}
	switch action {
	case "DescribeChangeSet":
		return a.describe(set, q)
	case "DeleteChangeSet":
		set.Status, set.deleting = "DELETE_IN_PROGRESS", 1
		return struct{}{}, nil
	case "ExecuteChangeSet":
		return a.execute(set, q)
	}
	a.cloud.t.Errorf("cfn: unexpected action %s", action)
	return nil, &refusal{http.StatusBadRequest, "InvalidAction", action}
}

func (a setAPI) execute(set *cfnSet, q query) (any, *refusal) {
	if set.Status != "CREATE_COMPLETE" {
		return nil, &refusal{http.StatusBadRequest, "InvalidChangeSetStatus", fmt.Sprintf("ChangeSet [%s] cannot be executed in its current status of [%s]", set.id, set.Status)}
	}
	s := a.cloud.stack(set.stack)
	s.Template, s.Parameters, s.Tags = set.template, set.parameters, set.tags
	if t, _ := parse(set.template); len(t.Outputs) > 0 {
		outputs := map[string]string{}
		for k, o := range t.Outputs {
			outputs[k] = fmt.Sprint(o.Value)
		}
		maps.Copy(outputs, s.Outputs)
		s.Outputs = outputs
	}
	a.cloud.start(s, set.kind, q.Get("ClientRequestToken"))
	a.cloud.sets = slices.DeleteFunc(a.cloud.sets, func(o *cfnSet) bool { return o.stack == set.stack })
	return struct{}{}, nil
}

func (a setAPI) describe(set *cfnSet, q query) (any, *refusal) {
	type resourceChange struct {
		Action, LogicalResourceId, ResourceType string
		Replacement                             string `xml:",omitempty"`
	}
	type change struct {
		Type           string
		ResourceChange resourceChange
	}
	type result struct {
		ChangeSetId, ChangeSetName, StackId, Status string
		StatusReason, ExecutionStatus               string `xml:",omitempty"`
		Tags                                        member[keyValue]
		Changes                                     member[change]
		NextToken                                   string `xml:",omitempty"`
	}
	r := result{ChangeSetId: set.id, ChangeSetName: set.name, StackId: set.stack, Status: set.Status, StatusReason: set.Reason, ExecutionStatus: set.Execution}
	r.Tags.Members = tagsXML(set.tags)
	switch {
	case set.Status == "DELETE_IN_PROGRESS" && set.deleting == 0:
		a.cloud.sets = slices.DeleteFunc(a.cloud.sets, func(o *cfnSet) bool { return o == set })
		return nil, &refusal{http.StatusNotFound, "ChangeSetNotFound", fmt.Sprintf("ChangeSet [%s] does not exist", set.id)}
	case set.Status == "DELETE_IN_PROGRESS":
		set.deleting--
		return r, nil
	case set.Pending > 0:
		set.Pending--
		r.Status = "CREATE_PENDING"
		return r, nil
	}
	var all []change
	for _, ch := range set.Changes {
		all = append(all, change{"Resource", resourceChange{ch.Action, ch.Logical, ch.Type, ch.Replacement}})
	}
	r.Changes.Members, r.NextToken = page(a.cloud, all, q)
	return r, nil
}

func (a setAPI) list(q query) (any, *refusal) {
	type summary struct{ ChangeSetId, ChangeSetName, StackId, Status string }
	type result struct{ Summaries member[summary] }
	s := a.cloud.stack(q.Get("StackName"))
	if s == nil {
		return nil, invalid("Stack [%s] does not exist", q.Get("StackName"))
	}
	var r result
	for _, set := range a.cloud.sets {
		if set.stack == s.ID {
			r.Summaries.Members = append(r.Summaries.Members, summary{set.id, set.name, set.stack, set.Status})
		}
	}
	return r, nil
}

// validation answers DescribeEvents of a change set.
func (a setAPI) validation(q query) (any, *refusal) {
	type event struct{ EventType, LogicalResourceId, ValidationPath, ValidationStatusReason string }
	type result struct{ OperationEvents member[event] }
	set := a.cloud.set(q)
	if set == nil {
		return nil, &refusal{http.StatusNotFound, "ChangeSetNotFound", "no such change set"}
	}
	r := result{member[event]{[]event{{EventType: "STACK_EVENT", ValidationStatusReason: "not a finding"}}}}
	for _, v := range set.Validation {
		r.OperationEvents.Members = append(r.OperationEvents.Members, event{"VALIDATION_ERROR", "Assets", "/Resources/Assets/Properties", v})
	}
	return r, nil
}
