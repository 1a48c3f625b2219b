package sarif

import (
	"strings"

	gosarif "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/candlefish/deploy-action/internal/sarif/ids"
)

// rules are the rules of a run's tool and of its extensions.
type rules struct {
	driver     component
	extensions []component
}

// A component is one part of a tool with rules.
type component struct {
	name, guid string
	list       []*gosarif.ReportingDescriptor
	byID       map[string]*gosarif.ReportingDescriptor
	byGUID     map[string]*gosarif.ReportingDescriptor
}

func newRules(t *gosarif.Tool) rules {
	r := rules{driver: newComponent(t.Driver)}
	for _, e := range t.Extensions {
		r.extensions = append(r.extensions, newComponent(e))
	}
	return r
}

func newComponent(t *gosarif.ToolComponent) component {
	c := component{byID: map[string]*gosarif.ReportingDescriptor{}, byGUID: map[string]*gosarif.ReportingDescriptor{}}
	if t == nil {
		return c
	}
	c.name, c.guid, c.list = value(t.Name), value(t.GuID), t.Rules
	for _, rule := range t.Rules {
		if rule == nil {
			continue
		}
		if id := value(rule.ID); c.byID[id] == nil {
			c.byID[id] = rule // ids need not be unique (section 3.49.3): the first
		}
		if guid := value(rule.GuID); guid != "" {
			c.byGUID[guid] = rule
		}
	}
	return c
}

// A reference points at a rule or at a taxon. An index of nil is none, 0 is the first.
type reference struct {
	ID            string `json:"id"`
	GUID          string `json:"guid"`
	Index         *int   `json:"index"`
	ToolComponent *struct {
		Name  string `json:"name"`
		GUID  string `json:"guid"`
		Index *int   `json:"index"`
	} `json:"toolComponent"`
}

// of returns the rule of a result, nil if the run does not describe it (sections
// 3.27.5 to 3.27.7, 3.52). A rule's index without the id that the result has is a
// contradiction, in which the id counts.
func (r rules) of(res *result) *gosarif.ReportingDescriptor {
	id, index := value(res.RuleID), res.RuleIndex
	where := &r.driver
	if ref := res.Rule; ref != nil {
		where = r.component(ref)
		if ref.GUID != "" && where.byGUID[ref.GUID] != nil {
			return where.byGUID[ref.GUID]
		}
		if id == "" {
			id = ref.ID
		}
		if ref.Index != nil {
			index = ref.Index
		}
	}
	if index != nil && *index >= 0 && *index < len(where.list) {
		if rule := where.list[*index]; rule != nil && (id == "" || within(id, value(rule.ID))) {
			return rule
		}
	}
	if rule := where.named(id); rule != nil {
		return rule
	}
	for i := range r.extensions {
		if rule := r.extensions[i].named(id); rule != nil {
			return rule
		}
	}
	return r.driver.named(id)
}

// component returns the part of the tool that a reference names; the driver, if it
// names none.
func (r rules) component(ref *reference) *component {
	named := ref.ToolComponent
	if named == nil {
		return &r.driver
	}
	for i := range r.extensions {
		e := &r.extensions[i]
		if named.GUID != "" && named.GUID == e.guid || named.GUID == "" && named.Name != "" && named.Name == e.name {
			return e
		}
	}
	if named.Index != nil && *named.Index >= 0 && *named.Index < len(r.extensions) {
		return &r.extensions[*named.Index]
	}
	return &r.driver
}

// named returns a rule by a result's id, which may have more parts than the rule's
// own: "CA1000/1" is of the rule CA1000 (section 3.5.4).
func (c *component) named(id string) *gosarif.ReportingDescriptor {
	for id != "" {
		if rule := c.byID[id]; rule != nil {
			return rule
		}
		i := strings.LastIndexByte(id, '/')
		if i < 0 {
			break
		}
		id = id[:i]
	}
	return nil
}

// within reports whether a result's id is the rule's own or below it.
func within(id, rule string) bool { return id == rule || strings.HasPrefix(id, rule+"/") }

// levels of section 3.27.10.
var levels = map[string]bool{"error": true, "warning": true, "note": true, "none": true}

// level is the level of a result that is a problem: its own, that of the invocation's
// settings, that of the rule, else warning (section 3.27.10).
func (c *context) level(res *result, rule *gosarif.ReportingDescriptor) string {
	if res.Level != "" {
		return res.Level
	}
	if rule == nil {
		return "warning"
	}
	if p := res.Provenance; p != nil && p.InvocationIndex != nil && *p.InvocationIndex >= 0 && *p.InvocationIndex < len(c.overrides) {
		if level := c.overrides[*p.InvocationIndex][value(rule.ID)]; level != "" {
			return level
		}
	}
	if d := rule.DefaultConfiguration; d != nil && d.Level != "" {
		return d.Level
	}
	return "warning"
}

// A taxonomy knows which taxa are of the Common Weakness Enumeration.
type taxonomy struct{ names []string }

func newTaxonomy(r *gosarif.Run) taxonomy {
	var t taxonomy
	for _, one := range r.Taxonomies {
		name := ""
		if one != nil {
			name = value(one.Name)
		}
		t.names = append(t.names, name)
	}
	return t
}

// weakness returns the CWE that a reference names, "" if it is of another taxonomy.
func (t taxonomy) weakness(ref reference) string {
	c := ref.ToolComponent
	if c == nil {
		return ""
	}
	name := c.Name
	if name == "" && c.Index != nil && *c.Index >= 0 && *c.Index < len(t.names) {
		name = t.names[*c.Index]
	}
	if !strings.EqualFold(name, "CWE") {
		return ""
	}
	return ids.Weakness("cwe-" + strings.TrimPrefix(strings.ToLower(ref.ID), "cwe-"))
}
