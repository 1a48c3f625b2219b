package awstest

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A stackAPI answers the actions on stacks.
type stackAPI struct{ cloud *cloud }

// answer answers an action on one stack.
func (a stackAPI) answer(action string, q query) (any, *refusal) {
	s := a.cloud.stack(q.Get("StackName"))
	if s == nil {
		return nil, invalid("Stack with id %s does not exist", q.Get("StackName"))
	}
	switch action {
	case "DescribeStackEvents":
		return a.events(s, q)
	case "ListStackResources":
		return a.resources(s, q)
	case "GetTemplate":
		return struct{ TemplateBody string }{s.Template}, nil
	case "UpdateTerminationProtection":
		s.Protected = q.Get("EnableTerminationProtection") == "true" && !a.cloud.settings.Unprotectable
		return struct{ StackId string }{s.ID}, nil
	case "ContinueUpdateRollback":
		if s.Status != "UPDATE_ROLLBACK_FAILED" {
			return nil, invalid("Stack %s is in %s state and can not continue rollback", s.ID, s.Status)
		}
		a.cloud.start(s, "CONTINUE", q.Get("ClientRequestToken"))
		return struct{}{}, nil
	case "DeleteStack":
		return a.delete(s, q)
	}
	a.cloud.t.Errorf("cfn: unexpected action %s", action)
	return nil, &refusal{http.StatusBadRequest, "InvalidAction", action}
}

func (a stackAPI) delete(s *CFNStack, q query) (any, *refusal) {
	retain := q.list("RetainResources")
	switch {
	case !strings.HasPrefix(q.Get("StackName"), "arn:"):
		a.cloud.t.Errorf("cfn: DeleteStack by the name %q: another stack of that name may be there by now", q.Get("StackName"))
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
	a.cloud.sets = slices.DeleteFunc(a.cloud.sets, func(o *cfnSet) bool { return o.stack == s.ID })
	a.cloud.start(s, "DELETE", q.Get("ClientRequestToken"))
	return struct{}{}, nil
}

func (a stackAPI) describe(q query) (any, *refusal) {
	type result struct {
		Stacks    member[stackXML]
		NextToken string `xml:",omitempty"`
	}
	var all []stackXML
	for _, s := range a.cloud.stacks {
		name := q.Get("StackName")
		if s.ID == name && s.outside {
			a.cloud.tick(s)
		}
		if name == "" && s.Status != "DELETE_COMPLETE" || name != "" && a.cloud.stack(name) == s {
			all = append(all, a.xml(s))
		}
	}
	if len(all) == 0 && q.Get("StackName") != "" {
		return nil, invalid("Stack with id %s does not exist", q.Get("StackName"))
	}
	page, token := page(a.cloud, all, q)
	return result{member[stackXML]{page}, token}, nil
}

func (a stackAPI) xml(s *CFNStack) stackXML {
	x := stackXML{StackId: s.ID, StackName: s.Name, StackStatus: s.Status, CreationTime: s.created.Format(time.RFC3339), EnableTerminationProtection: s.Protected}
	if a.cloud.settings.NoSetTags && s.Status == "REVIEW_IN_PROGRESS" {
		return x
	}
	x.Tags.Members = tagsXML(s.Tags)
	for _, k := range slices.Sorted(maps.Keys(s.Outputs)) {
		x.Outputs.Members = append(x.Outputs.Members, output{k, s.Outputs[k]})
	}
	return x
}

func (a stackAPI) events(s *CFNStack, q query) (any, *refusal) {
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
		a.cloud.tick(s)
	}
	var all []event
	for _, e := range slices.Backward(s.events) {
		all = append(all, event{e.id, s.ID, e.name, e.Resource, e.Physical, e.Type, e.at.Format(time.RFC3339), e.Status, e.Reason, e.Token})
	}
	part, token := page(a.cloud, all, q)
	return result{member[event]{part}, token}, nil
}

func (a stackAPI) resources(s *CFNStack, q query) (any, *refusal) {
	type summary struct{ LogicalResourceId, PhysicalResourceId, ResourceType, ResourceStatus, LastUpdatedTimestamp string }
	type result struct {
		StackResourceSummaries member[summary]
		NextToken              string `xml:",omitempty"`
	}
	var all []summary
	for _, r := range s.Resources {
		all = append(all, summary{r.Logical, r.Physical, r.Type, cmp.Or(r.Status, "CREATE_COMPLETE"), begin.Format(time.RFC3339)})
	}
	part, token := page(a.cloud, all, q)
	return result{member[summary]{part}, token}, nil
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

func tagsXML(tags map[string]string) (all []keyValue) {
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		all = append(all, keyValue{k, tags[k]})
	}
	return all
}

// page returns the page of a list that the token names.
func page[T any](c *cloud, all []T, q query) (part []T, token string) {
	size := cmp.Or(c.settings.Page, 100)
	from, _ := strconv.Atoi(q.Get("NextToken"))
	from = min(from, len(all))
	to := min(from+size, len(all))
	if to < len(all) {
		token = strconv.Itoa(to)
	}
	return all[from:to], token
}
