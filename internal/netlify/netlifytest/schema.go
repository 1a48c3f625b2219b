package netlifytest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
)

// A schema is what a JSON value must be, as far as Netlify's swagger says: null is none
// of its types, and a field that it does not name is refused, which the swagger leaves
// open: such a field is a misspelt one.
type schema struct {
	kind     string             // string, boolean, integer, number, array, object or map; empty for anything
	fields   map[string]*schema // of an object
	required []string           // of an object
	items    *schema            // of an array, or of a map's values
	enum     []string           // of a string
	form     *regexp.Regexp     // of a string
	keys     func(string) error // of a map
}

var (
	text     = &schema{kind: "string"}
	boolean  = &schema{kind: "boolean"}
	integer  = &schema{kind: "integer"}
	anything = &schema{}
)

func object(fields map[string]*schema, required ...string) *schema {
	return &schema{kind: "object", fields: fields, required: required}
}

func array(items *schema) *schema { return &schema{kind: "array", items: items} }

func digest(digits int) *schema {
	return &schema{kind: "string", form: regexp.MustCompile(fmt.Sprintf("^[0-9a-f]{%d}$", digits))}
}

var excludedRoute = map[string]*schema{"pattern": text, "literal": text, "expression": text}

var route = func() map[string]*schema {
	fields := maps.Clone(excludedRoute)
	fields["methods"] = array(&schema{kind: "string", enum: []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}})
	fields["prefer_static"] = boolean
	return fields
}()

var functionsConfig = object(map[string]*schema{
	"display_name": text, "generator": text, "build_data": {kind: "object"}, "priority": integer,
	"routes": array(object(route)), "excluded_routes": array(object(excludedRoute)),
	"traffic_rules": object(map[string]*schema{"action": object(map[string]*schema{"type": text, "config": object(map[string]*schema{
		"to": text,
		"rate_limit_config": object(map[string]*schema{
			"algorithm": {kind: "string", enum: []string{"sliding_window"}}, "window_size": integer, "window_limit": integer,
		}),
		"aggregate": object(map[string]*schema{"keys": array(object(map[string]*schema{"type": {kind: "string", enum: []string{"ip", "domain"}}}))}),
	})})}),
	"memory": integer, "region": text, "vcpu": {kind: "number"}, "event_subscriptions": array(text),
})

// deployFiles is the body that creates and updates a deploy.
var deployFiles = object(map[string]*schema{
	"files":  {kind: "map", items: digest(40), keys: checkPath},
	"draft":  boolean,
	"async":  boolean,
	"branch": {kind: "string", form: regexp.MustCompile(`^[a-z0-9-]{1,37}$`)}, // netlify-cli's limit of an alias

	"functions":          {kind: "map", items: digest(64), keys: checkFunction},
	"function_schedules": array(object(map[string]*schema{"name": text, "cron": text}, "name", "cron")),
	"functions_config":   {kind: "map", items: functionsConfig},

	"framework": text, "framework_version": text,
	"environment": array(object(map[string]*schema{"key": text, "value": text, "is_secret": boolean, "scopes": array(text)}, "key", "value", "is_secret", "scopes")),
})

// fromCLI are fields that netlify-cli sends and the swagger of the Go client lacks.
var fromCLI = map[string]*schema{
	"deploy_source": text, "build_version": text, "include_upload_url": boolean, "agent_runner_id": text, "agent_runner_session_id": text,
	"edge_functions": {kind: "map", items: text}, "server": object(map[string]*schema{"sha": text, "region": text}, "sha"),
}

func checkPath(path string) error {
	for _, r := range path {
		if r == '#' || r == '?' {
			return fmt.Errorf("the path %q has a # or ?", path)
		}
	}
	return nil
}

var functionName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func checkFunction(name string) error {
	if !functionName.MatchString(name) {
		return fmt.Errorf("the function name %q has other characters than letters, digits, - and _", name)
	}
	return nil
}

// check returns an error if a decoded JSON value, found at a place, is not as the schema
// says.
func (s *schema) check(at string, v any) error {
	if s.kind == "" {
		return nil
	}
	if kind := kindOf(v); kind != s.kind && (s.kind != "map" || kind != "object") && (s.kind != "number" || kind != "integer") {
		return fmt.Errorf("%s is %s, want %s", at, kind, s.kind)
	}
	switch v := v.(type) {
	case string:
		if s.enum != nil && !slices.Contains(s.enum, v) || s.form != nil && !s.form.MatchString(v) {
			return fmt.Errorf("%s is %q", at, v)
		}
	case []any:
		for i, item := range v {
			if err := s.items.check(fmt.Sprintf("%s[%d]", at, i), item); err != nil {
				return err
			}
		}
	case map[string]any:
		return s.checkFields(at, v)
	}
	return nil
}

func (s *schema) checkFields(at string, v map[string]any) error {
	for _, name := range s.required {
		if _, ok := v[name]; !ok {
			return fmt.Errorf("%s has no %q", at, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		field := s.items
		if s.fields != nil {
			if field = s.fields[name]; field == nil {
				return fmt.Errorf("%s has the unknown field %q", at, name)
			}
		}
		if s.keys != nil {
			if err := s.keys(name); err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
		}
		if field == nil {
			field = anything
		}
		if err := field.check(at+"."+name, v[name]); err != nil {
			return err
		}
	}
	return nil
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// checkBody returns an error for the body of a request that Netlify's swagger does not
// describe. With cli, it may hold netlify-cli's own fields.
func checkBody(raw []byte, cli bool) error {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	s := deployFiles
	if cli {
		fields := maps.Clone(deployFiles.fields)
		maps.Copy(fields, fromCLI)
		s = object(fields)
	}
	return s.check("the body", v)
}
