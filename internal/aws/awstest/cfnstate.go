package awstest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// begin is the time of the first event.
var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

type cfnEvent struct {
	Step
	id   string
	at   time.Time
	name string
}

type cfnSet struct {
	CFNSet
	id, name, stack, kind, template string
	parameters, tags                map[string]string
	deleting                        int
}

// A cloud is the state of a CFN: its stacks and change sets, and the steps and outcomes
// that a test scripted for what comes next. The CFN locks it.
type cloud struct {
	t        testing.TB
	settings *CFNSettings
	n        int // of the last id
	stacks   []*CFNStack
	sets     []*cfnSet
	scripts  map[string][][][]Step
	outcomes []CFNSet
}

func (c *cloud) next() int { c.n++; return c.n }

func (c *cloud) stackID(name string) string {
	return fmt.Sprintf("arn:aws:cloudformation:eu-central-1:123456789012:stack/%s/%08d", name, c.next())
}

// stack finds by id, or by the name of one that is not deleted.
func (c *cloud) stack(name string) *CFNStack {
	for _, s := range c.stacks {
		if s.ID == name || s.Name == name && s.Status != "DELETE_COMPLETE" {
			return s
		}
	}
	return nil
}

func (c *cloud) set(q query) *cfnSet {
	for _, s := range c.sets {
		named := s.name == q.Get("ChangeSetName") && c.stack(q.Get("StackName")) == c.stack(s.stack)
		if s.id == q.Get("ChangeSetName") || named {
			return s
		}
	}
	return nil
}

// record adds a step as an event, and sets the resource's status.
func (c *cloud) record(s *CFNStack, e Step) {
	n := c.next()
	at := begin.Add(time.Duration(n) * time.Second)
	if c.settings.SameTime {
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
func (c *cloud) start(s *CFNStack, kind, token string) {
	s.token, s.outside = token, false
	batches := success(s, kind)
	if q := c.scripts[kind]; len(q) > 0 {
		batches, c.scripts[kind] = q[0], q[1:]
	}
	s.pending = slices.Concat(make([][]Step, c.settings.Lag), batches)
}

// tick records the next batch.
func (c *cloud) tick(s *CFNStack) {
	if len(s.pending) == 0 {
		return
	}
	batch := s.pending[0]
	s.pending = s.pending[1:]
	for _, e := range batch {
		c.record(s, e)
	}
}

// success returns the steps of an operation without a script.
func success(s *CFNStack, kind string) [][]Step {
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
