package strict

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// CloudFormation's limits.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const (
	maxBody       = 51200 // bytes of a template in a request
	maxTemplate   = 1 << 20
	maxParameters = 200
	maxValue      = 4096 // bytes of a parameter's value
	maxStackTags  = 50
	maxName       = 128 // of stacks and change sets
)

// The forms of names, https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
var (
	stackName   = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]*$`)
	clientToken = regexp.MustCompile(`^[a-zA-Z0-9][-a-zA-Z0-9]*$`)
)

// A form is a request of the query protocol.
type form struct{ url.Values }

func (q form) list(name string) (all []string) {
	for i := 1; q.Has(fmt.Sprintf("%s.member.%d", name, i)); i++ {
		all = append(all, q.Get(fmt.Sprintf("%s.member.%d", name, i)))
	}
	return all
}

// parameters are the given ones; those with UsePreviousValue have no value.
func (q form) parameters() (values map[string]string, previous map[string]bool, duplicate string) {
	values, previous = map[string]string{}, map[string]bool{}
	for i := 1; q.Has(fmt.Sprintf("Parameters.member.%d.ParameterKey", i)); i++ {
		at := fmt.Sprintf("Parameters.member.%d.", i)
		name := q.Get(at + "ParameterKey")
		if _, twice := values[name]; twice {
			duplicate = name
		}
		values[name] = q.Get(at + "ParameterValue")
		if q.Get(at+"UsePreviousValue") == "true" {
			previous[name] = true
		}
	}
	return values, previous, duplicate
}

func (q form) tags() (all []tag) {
	for i := 1; q.Has(fmt.Sprintf("Tags.member.%d.Key", i)); i++ {
		at := fmt.Sprintf("Tags.member.%d.", i)
		all = append(all, tag{q.Get(at + "Key"), q.Get(at + "Value")})
	}
	return all
}

// constraint refuses a value by the API's own rules, in AWS's words.
func constraint(field, value string, limit int, pattern *regexp.Regexp) *refusal {
	said := value
	if len(said) > 200 {
		said = said[:200]
	}
	failed := fmt.Sprintf("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must ", said, field)
	switch {
	case value == "":
		return invalid("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", field)
	case len(value) > limit:
		return invalid("%shave length less than or equal to %d", failed, limit)
	case pattern != nil && !pattern.MatchString(value):
		return invalid("%ssatisfy regular expression pattern: %s", failed, strings.Trim(pattern.String(), "^$"))
	}
	return nil
}

// requestRules are the rules of a request that makes or changes a stack, without those
// of its template.
func requestRules(q form) *refusal {
	if no := constraint("stackName", q.Get("StackName"), maxName, stackName); no != nil && !strings.HasPrefix(q.Get("StackName"), "arn:") {
		return no
	}
	if q.Get("Action") == "CreateChangeSet" {
		if no := constraint("changeSetName", q.Get("ChangeSetName"), maxName, stackName); no != nil {
			return no
		}
	}
	for _, name := range []string{"ClientToken", "ClientRequestToken"} {
		if q.Has(name) {
			if no := constraint(strings.ToLower(name[:1])+name[1:], q.Get(name), maxName, clientToken); no != nil {
				return no
			}
		}
	}
	if q.Has("TemplateBody") {
		if no := constraint("templateBody", q.Get("TemplateBody"), maxBody, nil); no != nil {
			return no
		}
	}
	sources := 0
	for _, name := range []string{"TemplateBody", "TemplateURL", "UsePreviousTemplate"} {
		if q.Has(name) && q.Get(name) != "false" {
			sources++
		}
	}
	if sources != 1 {
		return invalid("Either Template URL or Template Body must be specified.")
	}
	tags := q.tags()
	if len(tags) > maxStackTags {
		return invalid("1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to %d", maxStackTags)
	}
	return tagRules(tags)
}

// parameterRules hold the given parameters against those that the template declares.
func parameterRules(q form, t cfnTemplate) *refusal {
	values, previous, duplicate := q.parameters()
	if duplicate != "" {
		return invalid("Duplicate parameter key: %s", duplicate)
	}
	if len(values) > maxParameters {
		return invalid("1 validation error detected: Value at 'parameters' failed to satisfy constraint: Member must have length less than or equal to %d", maxParameters)
	}
	var unknown, missing []string
	for name, value := range values {
		if _, ok := t.parameters[name]; !ok {
			unknown = append(unknown, name)
		}
		if len(value) > maxValue {
			return invalid("1 validation error detected: Value at 'parameters.%s.member.parameterValue' failed to satisfy constraint: Member must have length less than or equal to %d", name, maxValue)
		}
	}
	for name, p := range t.parameters {
		if _, given := values[name]; !given && !p.hasDefault {
			missing = append(missing, name)
		}
	}
	sort.Strings(unknown)
	sort.Strings(missing)
	switch {
	case len(unknown) > 0:
		return invalid("Parameters: [%s] do not exist in the template", strings.Join(unknown, ", "))
	case len(missing) > 0:
		return invalid("Parameters: [%s] must have values", strings.Join(missing, ", "))
	}
	for name, value := range values {
		if no := t.parameters[name].rule(name, value); no != nil && !previous[name] {
			return no
		}
	}
	return nil
}

// capabilityRules demand what the resources of the template need.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
func capabilityRules(q form, t cfnTemplate) *refusal {
	given := q.list("Capabilities")
	for _, c := range given {
		if !slices.Contains([]string{"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"}, c) {
			return invalid("1 validation error detected: Value '[%s]' at 'capabilities' failed to satisfy constraint: Member must satisfy enum value set: [CAPABILITY_IAM, CAPABILITY_NAMED_IAM, CAPABILITY_AUTO_EXPAND]", c)
		}
	}
	needed := t.capability()
	if needed == "" || slices.Contains(given, "CAPABILITY_NAMED_IAM") || needed == "CAPABILITY_IAM" && slices.Contains(given, needed) {
		return nil
	}
	return refuse(http.StatusBadRequest, "InsufficientCapabilitiesException", "Requires capabilities : [%s]", needed)
}
