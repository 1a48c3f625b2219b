package netlifytest

import (
	"strings"
	"testing"
)

// The server refuses what Netlify's swagger does not describe.
func TestBodies(t *testing.T) {
	t.Parallel()
	sha1, sha256 := strings.Repeat("a", 40), strings.Repeat("b", 64)
	for body, want := range map[string]string{
		`{}`: "",
		`{"files":{"a/b.html":"` + sha1 + `"},"functions":{"f":"` + sha256 + `"},"draft":false,"async":true,"branch":"pr-1","environment":[],"function_schedules":[{"name":"f","cron":"@daily"}]}`: "",
		`{"functions_config":{"f":{"routes":[{"pattern":"/x","methods":["GET"]}],"excluded_routes":[],"build_data":{"a":null,"b":[1]},"vcpu":1.5,"memory":1024}}}`:                                 "",
		`{"functions_config":{"f":{"routes":[{"pattern":"/x","methods":["GET"]}],"excluded_routes":[],"build_data":{"b":{}},"vcpu":2,"memory":1024}}}`:                                             "",
		`null`:                                       "the body is null",
		`{`:                                          "unexpected end",
		`[]`:                                         "the body is array",
		`{"environment":null}`:                       "environment is null, want array",
		`{"function_schedules":null}`:                "function_schedules is null, want array",
		`{"environment":[{"key":"A"}]}`:              `has no "value"`,
		`{"file":{}}`:                                `unknown field "file"`,
		`{"deploy_source":"cli"}`:                    `unknown field "deploy_source"`,
		`{"files":{"a":"` + sha256 + `"}}`:           "files.a is",
		`{"files":{"a":1}}`:                          "files.a is integer, want string",
		`{"files":{"a#b":"` + sha1 + `"}}`:           "# or ?",
		`{"functions":{"f":"` + sha1 + `"}}`:         "functions.f is",
		`{"functions":{"a b":"` + sha256 + `"}}`:     "function name",
		`{"draft":"no"}`:                             "draft is string, want boolean",
		`{"branch":"PR_1"}`:                          "branch is",
		`{"branch":"` + sha1 + `"}`:                  "branch is",
		`{"function_schedules":[{"name":"f"}]}`:      `has no "cron"`,
		`{"functions_config":{"f":{"routes":null}}}`: "routes is null",
		`{"functions_config":{"f":{"routes":[{"methods":null}]}}}`:                   "methods is null",
		`{"functions_config":{"f":{"routes":[{"methods":["HEAD"]}]}}}`:               `methods[0] is "HEAD"`,
		`{"functions_config":{"f":{"priority":1.5}}}`:                                "priority is number, want integer",
		`{"functions_config":{"f":{"excluded_routes":[{"methods":[]}]}}}`:            `unknown field "methods"`,
		`{"functions_config":{"f":{"traffic_rules":{"action":{"config":{"x":1}}}}}}`: `unknown field "x"`,
	} {
		err := checkBody([]byte(body), false)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
	if err := checkBody([]byte(`{"deploy_source":"cli","edge_functions":{}}`), true); err != nil {
		t.Errorf("netlify-cli's fields: %v", err)
	}
}
