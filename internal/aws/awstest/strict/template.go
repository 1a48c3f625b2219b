package strict

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A cfnTemplate is a template as far as the rules need it.
type cfnTemplate struct {
	text       string
	parameters map[string]parameter
	conditions *yaml.Node
	resources  map[string]cfnResource
	transform  bool
}

type parameter struct {
	kind, pattern string
	hasDefault    bool
	value         string // the default
	allowed       []string
	minimum, most int // of the length of a string; 0 is none
}

type cfnResource struct {
	kind       string
	condition  string
	properties *yaml.Node
}

// iamTypes need a capability, and named ones a stronger one, by the property of the name.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-capabilities.html
var iamTypes = map[string]string{
	"AWS::IAM::AccessKey": "", "AWS::IAM::Group": "GroupName", "AWS::IAM::InstanceProfile": "InstanceProfileName", "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
	"AWS::IAM::Policy": "", "AWS::IAM::Role": "RoleName", "AWS::IAM::User": "UserName", "AWS::IAM::UserToGroupAddition": "",
}

// resourceType is the form of a type.
var resourceType = regexp.MustCompile(`^(AWS::[A-Za-z0-9]+::[A-Za-z0-9]+(::MODULE)?|Custom::[A-Za-z0-9_@-]+|[A-Za-z0-9]{2,64}::[A-Za-z0-9]{2,64}::[A-Za-z0-9]{2,64}(::MODULE)?)$`)

// parseTemplate reads a template and holds it against the rules of its format.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
func parseTemplate(text string) (cfnTemplate, *refusal) {
	t := cfnTemplate{text: text, parameters: map[string]parameter{}, resources: map[string]cfnResource{}}
	if len(text) > maxTemplate {
		return t, invalid("Template may not exceed %d bytes in size.", maxTemplate)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil || len(doc.Content) == 0 {
		return t, invalid("Template format error: YAML not well-formed.")
	}
	root := doc.Content[0]
	t.conditions, t.transform = get(root, "Conditions"), get(root, "Transform") != nil
	for name, n := range entries(get(root, "Parameters")) {
		t.parameters[name] = parameterOf(n)
	}
	for id, n := range entries(get(root, "Resources")) {
		t.resources[id] = cfnResource{scalar(get(n, "Type")), scalar(get(n, "Condition")), get(n, "Properties")}
	}
	return t, t.formatRules(root)
}

func parameterOf(n *yaml.Node) parameter {
	p := parameter{kind: scalar(get(n, "Type")), pattern: scalar(get(n, "AllowedPattern")), hasDefault: get(n, "Default") != nil, value: scalar(get(n, "Default"))}
	if a := get(n, "AllowedValues"); a != nil {
		for _, v := range a.Content {
			p.allowed = append(p.allowed, v.Value)
		}
	}
	p.minimum, _ = strconv.Atoi(scalar(get(n, "MinLength")))
	p.most, _ = strconv.Atoi(scalar(get(n, "MaxLength")))
	return p
}

func (t cfnTemplate) formatRules(root *yaml.Node) *refusal {
	if len(t.resources) == 0 {
		return invalid("Template format error: At least one Resources member must be defined.")
	}
	var unknown []string
	for id, r := range t.resources {
		if r.kind == "" {
			return invalid("Template format error: [/Resources/%s] Every Resources object must contain a Type member.", id)
		}
		if !resourceType.MatchString(r.kind) {
			unknown = append(unknown, r.kind)
		}
		if r.condition != "" && get(t.conditions, r.condition) == nil {
			return invalid("Template format error: Unresolved condition dependency %s in the Resources block of the template", r.condition)
		}
	}
	if len(unknown) > 0 {
		sort.Strings(unknown)
		return invalid("Template format error: Unrecognized resource types: [%s]", strings.Join(unknown, ", "))
	}
	for _, block := range []string{"Resources", "Outputs"} {
		if names := t.unresolved(get(root, block)); len(names) > 0 && !t.transform {
			return invalid("Template format error: Unresolved resource dependencies [%s] in the %s block of the template", strings.Join(names, ", "), block)
		}
	}
	return nil
}

// unresolved lists what is referred to and is neither a resource nor a parameter.
func (t cfnTemplate) unresolved(n *yaml.Node) []string {
	var missing []string
	for _, name := range references(n) {
		_, isResource := t.resources[name]
		_, isParameter := t.parameters[name]
		if !isResource && !isParameter && !strings.HasPrefix(name, "AWS::") && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	sort.Strings(missing)
	return missing
}

// rule is a parameter's own constraint.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
func (p parameter) rule(name, value string) *refusal {
	switch {
	case p.kind == "Number" && !isNumber(value):
		return invalid("Parameter '%s' must be a number.", name)
	case len(p.allowed) > 0 && !slices.Contains(p.allowed, value):
		return invalid("Parameter '%s' must be one of AllowedValues", name)
	case p.pattern != "" && !regexp.MustCompile("^(?:"+p.pattern+")$").MatchString(value):
		return invalid("Parameter '%s' must match pattern %s", name, p.pattern)
	case len(value) < p.minimum:
		return invalid("Parameter '%s' must contain at least %d characters", name, p.minimum)
	case p.most > 0 && len(value) > p.most:
		return invalid("Parameter '%s' must contain at most %d characters", name, p.most)
	}
	return nil
}

func isNumber(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

// capability is the one that the template needs, empty for none.
func (t cfnTemplate) capability() string {
	needed := ""
	for _, r := range t.resources {
		name, iam := iamTypes[r.kind]
		switch {
		case iam && name != "" && get(r.properties, name) != nil:
			return "CAPABILITY_NAMED_IAM"
		case iam:
			needed = "CAPABILITY_IAM"
		}
	}
	return needed
}

func get(n *yaml.Node, key string) *yaml.Node { return entries(n)[key] }

func entries(n *yaml.Node) map[string]*yaml.Node {
	m := map[string]*yaml.Node{}
	if n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = n.Content[i+1]
		}
	}
	return m
}

func scalar(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// intrinsic returns the name of a function without Fn::, in either spelling, and its
// argument.
func intrinsic(n *yaml.Node) (string, *yaml.Node) {
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return n.Tag[1:], n
	}
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && (n.Content[0].Value == "Ref" || strings.HasPrefix(n.Content[0].Value, "Fn::")) {
		return strings.TrimPrefix(n.Content[0].Value, "Fn::"), n.Content[1]
	}
	return "", n
}

var subVariable = regexp.MustCompile(`\$\{([^!}][^}]*)\}`)

// references lists what Ref, GetAtt and Sub refer to within a node.
func references(n *yaml.Node) (names []string) {
	if n == nil {
		return nil
	}
	own := map[string]*yaml.Node{}
	switch name, arg := intrinsic(n); name {
	case "Ref":
		return []string{arg.Value}
	case "GetAtt":
		first := arg.Value
		if arg.Kind == yaml.SequenceNode && len(arg.Content) > 0 {
			first = arg.Content[0].Value
		}
		return []string{strings.Split(first, ".")[0]}
	case "Sub":
		text := arg
		if arg.Kind == yaml.SequenceNode && len(arg.Content) == 2 {
			text, own = arg.Content[0], entries(arg.Content[1])
			names = references(arg.Content[1])
		}
		for _, m := range subVariable.FindAllStringSubmatch(text.Value, -1) {
			if base := strings.Split(strings.TrimSpace(m[1]), ".")[0]; own[base] == nil {
				names = append(names, base)
			}
		}
		return names
	}
	for _, c := range n.Content {
		names = append(names, references(c)...)
	}
	return names
}

// A scope evaluates what a template says with its parameters; what depends on resources
// is unknown.
type scope struct {
	t      cfnTemplate
	values map[string]string
}

func (t cfnTemplate) scope(given map[string]string) scope {
	s := scope{t, map[string]string{"AWS::AccountId": AccountID, "AWS::Region": "us-east-1", "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"}}
	for name, p := range t.parameters {
		s.values[name] = p.value
	}
	for name, value := range given {
		s.values[name] = value
	}
	return s
}

// noValue is what AWS::NoValue evaluates to: the property is as good as absent.
const noValue = "\x00none"

// text evaluates a node to a string.
func (s scope) text(n *yaml.Node) (text string, known bool) {
	if n == nil {
		return "", false
	}
	switch name, arg := intrinsic(n); name {
	case "Ref":
		if arg.Value == "AWS::NoValue" {
			return noValue, true
		}
		text, known = s.values[arg.Value]
		return text, known
	case "If":
		if branch := s.branch(arg); branch != nil {
			return s.text(branch)
		}
		return "", false
	case "Sub":
		if arg.Kind != yaml.ScalarNode {
			return "", false
		}
		known = true
		text = subVariable.ReplaceAllStringFunc(arg.Value, func(v string) string {
			value, ok := s.values[strings.TrimSpace(v[2:len(v)-1])]
			known = known && ok
			return value
		})
		return text, known
	case "":
		return n.Value, n.Kind == yaml.ScalarNode
	}
	return "", false
}

// branch is the one that Fn::If takes, nil if that is unknown.
func (s scope) branch(arg *yaml.Node) *yaml.Node {
	if len(arg.Content) != 3 {
		return nil
	}
	holds, known := s.condition(arg.Content[0].Value, 0)
	switch {
	case !known:
		return nil
	case holds:
		return arg.Content[1]
	}
	return arg.Content[2]
}

// node follows Fn::If to the node that counts; nil is unknown or absent.
func (s scope) node(n *yaml.Node) *yaml.Node {
	for n != nil {
		name, arg := intrinsic(n)
		if name != "If" {
			return n
		}
		n = s.branch(arg)
	}
	return nil
}

func (s scope) condition(name string, depth int) (holds, known bool) {
	if n := get(s.t.conditions, name); n != nil && depth < 20 {
		return s.evaluate(n, depth+1)
	}
	return false, false
}

func (s scope) evaluate(n *yaml.Node, depth int) (holds, known bool) {
	if c := get(n, "Condition"); c != nil {
		return s.condition(c.Value, depth)
	}
	name, arg := intrinsic(n)
	switch name {
	case "Condition":
		return s.condition(arg.Value, depth)
	case "Equals":
		if len(arg.Content) == 2 {
			a, knownA := s.text(arg.Content[0])
			b, knownB := s.text(arg.Content[1])
			return a == b, knownA && knownB
		}
	case "Not":
		if len(arg.Content) == 1 {
			holds, known = s.evaluate(arg.Content[0], depth)
			return !holds, known
		}
	case "And", "Or":
		holds, known = name == "And", true
		for _, c := range arg.Content {
			h, k := s.evaluate(c, depth)
			known = known && k
			if name == "And" {
				holds = holds && h
			} else {
				holds = holds || h
			}
		}
		return holds, known
	}
	return false, false
}

// present reports whether a property is there and not AWS::NoValue.
func (s scope) present(properties *yaml.Node, name string) bool {
	n := get(properties, name)
	if n == nil {
		return false
	}
	text, known := s.text(n)
	return !known || text != noValue
}

func describe(id, path, format string, args ...any) finding {
	return finding{id, "/Resources/" + id + "/Properties" + path, fmt.Sprintf(format, args...)}
}

// A finding is what is wrong with one property of one resource.
type finding struct{ resource, path, reason string }
