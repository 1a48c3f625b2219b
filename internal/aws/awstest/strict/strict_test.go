package strict

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// A caller sends calls to a front as the wire has them.
type caller struct {
	t        *testing.T
	endpoint string
}

func (c caller) send(method, path, service string, header http.Header, body []byte) (int, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.endpoint+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(all)
}

// cfn sends one of CloudFormation's calls: key, value, key, value.
func (c caller) cfn(action string, pairs ...string) (int, string) {
	c.t.Helper()
	q := url.Values{"Action": {action}, "Version": {"2010-05-15"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return c.send(http.MethodPost, "/", "cloudformation", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(q.Encode()))
}

// set asks for a change set that is right but for what the pairs say.
func (c caller) set(stack, name, template string, pairs ...string) (int, string) {
	c.t.Helper()
	base := []string{"StackName", stack, "ChangeSetName", name, "ChangeSetType", "CREATE", "TemplateBody", template}
	return c.cfn("CreateChangeSet", append(base, pairs...)...)
}

const (
	queue = "Resources: {Q: {Type: 'AWS::SQS::Queue'}}\n"
	word  = "Parameters: {Word: {Type: String, AllowedPattern: '[a-z]+'}, Size: {Type: Number, Default: 1}, Kind: {Type: String, Default: a, AllowedValues: [a, b]}}\n" + queue
	role  = "Resources: {R: {Type: 'AWS::IAM::Role', Properties: {AssumeRolePolicyDocument: {}%s}}}\n"
)

func param(i int, name, value string) []string {
	return []string{fmt.Sprintf("Parameters.member.%d.ParameterKey", i), name, fmt.Sprintf("Parameters.member.%d.ParameterValue", i), value}
}

func tagged(i int, key, value string) []string {
	return []string{fmt.Sprintf("Tags.member.%d.Key", i), key, fmt.Sprintf("Tags.member.%d.Value", i), value}
}

// TestRequestRules has one request for each rule of a change set, with the documented
// code and message. None of them reaches moto.
func TestRequestRules(t *testing.T) {
	t.Parallel()
	front, err := New("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	c := caller{t, serve(t, front)}
	many := func(n int, f func(int, string, string) []string) (all []string) {
		for i := 1; i <= n; i++ {
			all = append(all, f(i, fmt.Sprint("K", i), "v")...)
		}
		return all
	}
	for _, tt := range []struct {
		name, stack, set, template string
		pairs                      []string
		code, message              string
	}{
		{"no stack name", "", "s", queue, nil, "ValidationError", "Value null at 'stackName'"},
		{"stack name", "my_stack", "s", queue, nil, "ValidationError", "Value 'my_stack' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"},
		{"long stack name", strings.Repeat("a", 129), "s", queue, nil, "ValidationError", "Member must have length less than or equal to 128"},
		{"no set name", "a", "", queue, nil, "ValidationError", "Value null at 'changeSetName'"},
		{"set name", "a", "1st", queue, nil, "ValidationError", "Value '1st' at 'changeSetName' failed to satisfy constraint"},
		{"token", "a", "s", queue, []string{"ClientToken", "1.2"}, "ValidationError", "Value '1.2' at 'clientToken'"},
		{"no template", "a", "s", "", nil, "ValidationError", "at 'templateBody'"},
		{"two templates", "a", "s", queue, []string{"TemplateURL", "https://b.s3.us-east-1.amazonaws.com/k"}, "ValidationError", "Either Template URL or Template Body must be specified."},
		{"long template", "a", "s", queue + "#" + strings.Repeat("x", 51200), nil, "ValidationError", "at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200"},
		{"no YAML", "a", "s", "a: [", nil, "ValidationError", "Template format error: YAML not well-formed."},
		{"no resources", "a", "s", "Parameters: {}", nil, "ValidationError", "At least one Resources member must be defined."},
		{"no type", "a", "s", "Resources: {Q: {}}", nil, "ValidationError", "Every Resources object must contain a Type member."},
		{"unknown type", "a", "s", "Resources: {Q: {Type: Queue}}", nil, "ValidationError", "Unrecognized resource types: [Queue]"},
		{"unknown condition", "a", "s", "Resources: {Q: {Type: 'AWS::SQS::Queue', Condition: C}}", nil, "ValidationError", "Unresolved condition dependency C"},
		{"unresolved", "a", "s", "Resources: {Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: !Sub '${A}-${B.Arn}', X: !GetAtt C.Arn}}}", nil, "ValidationError", "Unresolved resource dependencies [A, B, C] in the Resources block of the template"},
		{"unresolved output", "a", "s", queue + "Outputs: {O: {Value: !Ref D}}", nil, "ValidationError", "Unresolved resource dependencies [D] in the Outputs block of the template"},
		{"undeclared parameters", "a", "s", word, append(param(1, "Word", "x"), append(param(2, "Zeta", "1"), param(3, "Alpha", "1")...)...), "ValidationError", "Parameters: [Alpha, Zeta] do not exist in the template"},
		{"missing parameter", "a", "s", word, nil, "ValidationError", "Parameters: [Word] must have values"},
		{"parameter twice", "a", "s", word, append(param(1, "Word", "x"), param(2, "Word", "y")...), "ValidationError", "Duplicate parameter key: Word"},
		{"pattern", "a", "s", word, param(1, "Word", "X1"), "ValidationError", "Parameter 'Word' must match pattern [a-z]+"},
		{"number", "a", "s", word, append(param(1, "Word", "x"), param(2, "Size", "big")...), "ValidationError", "Parameter 'Size' must be a number."},
		{"allowed values", "a", "s", word, append(param(1, "Word", "x"), param(2, "Kind", "c")...), "ValidationError", "Parameter 'Kind' must be one of AllowedValues"},
		{"long value", "a", "s", word, param(1, "Word", strings.Repeat("x", 4097)), "ValidationError", "less than or equal to 4096"},
		{"many parameters", "a", "s", queue, many(201, param), "ValidationError", "less than or equal to 200"},
		{"many tags", "a", "s", queue, many(51, tagged), "ValidationError", "at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50"},
		{"tag characters", "a", "s", queue, tagged(1, "Owner", "a&b"), "ValidationError", "The TagValue you have provided is invalid"},
		{"tag key", "a", "s", queue, tagged(1, "Own*er", "a"), "ValidationError", "The TagKey you have provided is invalid"},
		{"reserved tag", "a", "s", queue, tagged(1, "aws:mine", "a"), "ValidationError", "aws: prefixed tag key names are not allowed for external use."},
		{"long tag key", "a", "s", queue, tagged(1, strings.Repeat("k", 129), "a"), "ValidationError", "between 1 and 128 characters"},
		{"long tag value", "a", "s", queue, tagged(1, "k", strings.Repeat("é", 257)), "ValidationError", "at most 256 characters"},
		{"tag twice", "a", "s", queue, append(tagged(1, "k", "a"), tagged(2, "k", "b")...), "ValidationError", "multiple Tags with the same key"},
		{"a role", "a", "s", fmt.Sprintf(role, ""), nil, "InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]"},
		{"a named role", "a", "s", fmt.Sprintf(role, ", RoleName: r"), []string{"Capabilities.member.1", "CAPABILITY_IAM"}, "InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_NAMED_IAM]"},
		{"capability", "a", "s", queue, []string{"Capabilities.member.1", "CAPABILITY_ALL"}, "ValidationError", "Member must satisfy enum value set"},
		{"no URL of S3", "a", "s", "", []string{"TemplateURL", "https://example.com/t"}, "ValidationError", "TemplateURL must be a supported URL."},
	} {
		pairs := append([]string{"StackName", tt.stack, "ChangeSetName", tt.set, "ChangeSetType", "CREATE"}, tt.pairs...)
		if tt.template != "" || tt.name == "no template" {
			pairs = append(pairs, "TemplateBody", tt.template)
		}
		status, said := c.cfn("CreateChangeSet", pairs...)
		if status != http.StatusBadRequest || element(said, "Code") != tt.code || !strings.Contains(unescape(element(said, "Message")), tt.message) {
			t.Errorf("%s: %d %s, want %s %q", tt.name, status, said, tt.code, tt.message)
		}
	}
}

var unescape = strings.NewReplacer("&#39;", "'", "&#34;", `"`, "&amp;", "&", "&#xA;", "\n").Replace

// TestStates goes through the states of stacks and change sets.
func TestStates(t *testing.T) {
	t.Parallel()
	c := caller{t, Start(t)}
	refused := func(want string, status int, said string) {
		t.Helper()
		if status != http.StatusBadRequest || !strings.Contains(unescape(said), want) {
			t.Errorf("%d %s, want %q", status, said, want)
		}
	}
	done := func(status int, said string) string {
		t.Helper()
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, said)
		}
		return said
	}
	const what = "Parameters: {Name: {Type: String}}\nResources: {Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: !Ref Name}}}\n"
	name := param(1, "Name", "one")

	status, said := c.set("a", "s", what, append(name, "ChangeSetType", "UPDATE")...)
	refused("Stack [a] does not exist", status, said)
	first := element(done(c.set("a", "s", what, name...)), "Id")
	status, said = c.set("a", "s", what, name...)
	refused("AlreadyExistsException", status, said)
	done(c.cfn("ExecuteChangeSet", "ChangeSetName", first))
	status, said = c.cfn("ExecuteChangeSet", "ChangeSetName", first)
	refused("<Code>InvalidChangeSetStatus</Code>", status, said)
	status, said = c.set("a", "t", what, name...)
	refused("Stack [a] already exists and cannot be created again with the changeSet [t].", status, said)

	same := element(done(c.set("a", "u", what, append(name, "ChangeSetType", "UPDATE")...)), "Id")
	if said := done(c.cfn("DescribeChangeSet", "ChangeSetName", same)); element(said, "Status") != "FAILED" || !strings.Contains(unescape(said), reasonUnchanged) || element(said, "ExecutionStatus") != "UNAVAILABLE" {
		t.Errorf("a set without changes: %s", said)
	}
	status, said = c.cfn("ExecuteChangeSet", "ChangeSetName", same)
	refused("cannot be executed in its current status of [FAILED]", status, said)
	done(c.cfn("DeleteChangeSet", "ChangeSetName", same))
	if status, said := c.cfn("DescribeChangeSet", "ChangeSetName", same); status != http.StatusNotFound || element(said, "Code") != "ChangeSetNotFound" {
		t.Errorf("a deleted set: %d %s", status, said)
	}
	other := element(done(c.set("a", "v", what, append(param(1, "Name", "two"), "ChangeSetType", "UPDATE")...)), "Id")
	if said := done(c.cfn("DescribeChangeSet", "ChangeSetName", other)); element(said, "Status") == "FAILED" {
		t.Errorf("a set with a change: %s", said)
	}

	status, said = c.cfn("DeleteStack", "StackName", "a", "RetainResources.member.1", "Q")
	refused("DELETE_FAILED", status, said)
	done(c.cfn("CreateStack", "StackName", "kept", "TemplateBody", queue, "EnableTerminationProtection", "true"))
	status, said = c.cfn("DeleteStack", "StackName", "kept")
	refused("cannot be deleted while TerminationProtection is enabled", status, said)
	done(c.cfn("DeleteStack", "StackName", "none"))
	done(c.set("b", "s", what, param(1, "Name", "three")...))
	status, said = c.set("b", "t", what, append(param(1, "Name", "three"), "ChangeSetType", "UPDATE")...)
	refused("is in REVIEW_IN_PROGRESS state and can not be updated.", status, said)
}

// TestPropertyRules has one template for each rule of a resource; the set is made and
// fails, with the rule in its events.
func TestPropertyRules(t *testing.T) {
	t.Parallel()
	c := caller{t, Start(t)}
	function := func(properties string) string {
		return "Parameters: {Name: {Type: String, Default: ''}}\nConditions: {Named: !Not [!Equals [!Ref Name, '']]}\nResources: {F: {Type: 'AWS::Lambda::Function', Properties: {Role: r, Handler: h, Runtime: nodejs22.x, Code: {ZipFile: x}, " + properties + "}}}"
	}
	one := func(kind, properties string) string {
		return "Resources: {R: {Type: '" + kind + "', Properties: {" + properties + "}}}"
	}
	c.putZip("code", "big.zip", 251)
	for i, tt := range []struct {
		template string
		pairs    []string
		want     string
	}{
		{function("FunctionName: !Sub 'f-${Name}'"), param(1, "Name", strings.Repeat("x", 63)), "#/FunctionName: expected maxLength: 64, actual: 65"},
		{function("FunctionName: 'a b'"), nil, "#/FunctionName: failed validation constraint for keyword [pattern]"},
		{function("Timeout: 901"), nil, "#/Timeout: 901 is not between 1 and 900"},
		{function("MemorySize: !If [Named, 64, 64]"), nil, "#/MemorySize: 64 is not between 128 and 10240"},
		{function("Environment: {Variables: {A: '" + strings.Repeat("x", 4096) + "'}}"), nil, "exceeded the 4KB limit"},
		{function("Environment: {Variables: {AWS_REGION: x}}"), nil, "reserved keys"},
		{one("AWS::Lambda::Function", "Role: r, Code: {ZipFile: x}, Handler: h"), nil, "Runtime is mandatory for functions created with deployment packages of Zip type."},
		{one("AWS::Lambda::Function", "Role: r, Handler: h, Runtime: nodejs22.x"), nil, "#: required key [Code] not found"},
		{one("AWS::Lambda::Function", "Role: !Ref 'AWS::NoValue', Code: {ImageUri: i}"), nil, "#: required key [Role] not found"},
		{one("AWS::Lambda::Function", "Role: r, Handler: h, Runtime: nodejs22.x, Code: {S3Bucket: code, S3Key: none.zip}"), nil, "S3 Error Code: NoSuchKey"},
		{one("AWS::Lambda::Function", "Role: r, Handler: h, Runtime: nodejs22.x, Code: {S3Bucket: code, S3Key: big.zip}"), nil, "Unzipped size must be smaller than 262144000 bytes"},
		{one("AWS::S3::Bucket", "BucketName: My_Bucket"), nil, "#/BucketName: failed validation constraint for keyword [pattern]"},
		{one("AWS::S3::Bucket", "BucketName: "+strings.Repeat("b", 64)), nil, "#/BucketName: expected maxLength: 63, actual: 64"},
		{one("AWS::DynamoDB::Table", "TableName: ab, KeySchema: []"), nil, "#/TableName: expected minLength: 3, actual: 2"},
		{one("AWS::DynamoDB::Table", "TableName: abc"), nil, "#: required key [KeySchema] not found"},
		{one("AWS::IAM::Role", "RoleName: "+strings.Repeat("r", 65)+", AssumeRolePolicyDocument: {}"), []string{"Capabilities.member.1", "CAPABILITY_NAMED_IAM"}, "#/RoleName: expected maxLength: 64"},
		{one("AWS::Logs::LogGroup", "RetentionInDays: 8"), nil, "#/RetentionInDays: 8 is not a valid enum value"},
		{one("AWS::ApiGatewayV2::Integration", "ApiId: a, IntegrationType: AWS_PROXY, PayloadFormatVersion: '3.0'"), nil, "#/PayloadFormatVersion: failed validation"},
		{one("AWS::ApiGatewayV2::Route", "ApiId: a"), nil, "#: required key [RouteKey] not found"},
	} {
		status, said := c.set(fmt.Sprint("p", i), "s", tt.template, tt.pairs...)
		id := element(said, "Id")
		if status != http.StatusOK || id == "" {
			t.Errorf("%s: %d %s", tt.want, status, said)
			continue
		}
		if _, said = c.cfn("DescribeChangeSet", "ChangeSetName", id); element(said, "Status") != "FAILED" || !strings.Contains(said, "AWS::EarlyValidation::PropertyValidation") {
			t.Errorf("%s: %s", tt.want, said)
		}
		if _, said = c.cfn("DescribeEvents", "ChangeSetName", id); !strings.Contains(unescape(said), tt.want) || element(said, "EventType") != "VALIDATION_ERROR" {
			t.Errorf("events: %s, want %q", said, tt.want)
		}
	}
	if _, said := c.set("fine", "s", one("AWS::S3::Bucket", "BucketName: fine-bucket")); element(said, "Id") == "" {
		t.Errorf("a good one: %s", said)
	}
}

// putZip stores a zip of so many MiB of zeros, unpacked.
func (c caller) putZip(bucket, key string, mib int) {
	c.t.Helper()
	if status, said := c.send(http.MethodPut, "/"+bucket, "s3", nil, nil); status != http.StatusOK {
		c.t.Fatalf("%d %s", status, said)
	}
	if status, said := c.send(http.MethodPut, "/"+bucket+"/"+key, "s3", nil, zipped(c.t, mib)); status != http.StatusOK {
		c.t.Fatalf("%d %s", status, said)
	}
}

func zipped(t *testing.T, mib int) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("index.js")
	for range mib {
		if err == nil {
			_, err = w.Write(make([]byte, 1<<20))
		}
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestS3Rules(t *testing.T) {
	t.Parallel()
	c := caller{t, Start(t)}
	owner := func(id string) http.Header { return http.Header{"X-Amz-Expected-Bucket-Owner": {id}} }
	tags := func(n int, key string) []byte {
		return []byte("<Tagging><TagSet>" + strings.Repeat("<Tag><Key>"+key+"</Key><Value>v</Value></Tag>", n) + "</TagSet></Tagging>")
	}
	c.putZip("mine", "k", 0)
	for _, tt := range []struct {
		name, method, path string
		header             http.Header
		body               []byte
		status             int
		code               string
	}{
		{"own", http.MethodGet, "/mine?tagging", owner(AccountID), nil, 404, "NoSuchTagSet"},
		{"another owner", http.MethodGet, "/mine?tagging", owner("210987654321"), nil, 403, "AccessDenied"},
		{"no owner", http.MethodGet, "/mine?tagging", owner("me"), nil, 400, "InvalidBucketOwnerAWSAccountID"},
		{"foreign", http.MethodGet, "/" + ForeignBucket + "/k", nil, nil, 403, "AccessDenied"},
		{"foreign head", http.MethodHead, "/" + ForeignBucket, nil, nil, 403, ""},
		{"make foreign", http.MethodPut, "/" + ForeignBucket, nil, nil, 409, "BucketAlreadyExists"},
		{"name", http.MethodPut, "/My_Bucket", nil, nil, 400, "InvalidBucketName"},
		{"address", http.MethodPut, "/192.168.0.1", nil, nil, 400, "InvalidBucketName"},
		{"key", http.MethodPut, "/mine/" + strings.Repeat("k", 1025), nil, nil, 400, "KeyTooLongError"},
		{"size", http.MethodPut, "/mine/k", http.Header{"X-Amz-Decoded-Content-Length": {fmt.Sprint(5<<30 + 1)}}, nil, 400, "EntityTooLarge"},
		{"condition", http.MethodPut, "/mine/k", http.Header{"If-None-Match": {`"0"`}}, nil, 501, "NotImplemented"},
		{"no deletes", http.MethodPost, "/mine?delete", nil, []byte("<Delete></Delete>"), 400, "MalformedXML"},
		{"deletes", http.MethodPost, "/mine?delete", nil, []byte("<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 1001) + "</Delete>"), 400, "MalformedXML"},
		{"tags", http.MethodPut, "/mine?tagging", nil, tags(51, "k"), 400, "BadRequest"},
		{"tag twice", http.MethodPut, "/mine?tagging", nil, tags(2, "k"), 400, "InvalidTag"},
		{"tag", http.MethodPut, "/mine?tagging", nil, tags(1, "a*b"), 400, "InvalidTag"},
	} {
		status, said := c.send(tt.method, tt.path, "s3", tt.header, tt.body)
		if status != tt.status || element(said, "Code") != tt.code {
			t.Errorf("%s: %d %s, want %d %s", tt.name, status, said, tt.status, tt.code)
		}
	}
}

func TestLambdaRules(t *testing.T) {
	t.Parallel()
	front, err := New("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	c := caller{t, serve(t, front)}
	for _, tt := range []struct {
		name, function string
		zip            []byte
		variables      map[string]string
		status         int
		code, message  string
	}{
		{"name", strings.Repeat("f", 65), nil, nil, 400, "ValidationException", "less than or equal to 64"},
		{"characters", "a.b", nil, nil, 400, "ValidationException", "regular expression pattern"},
		{"environment", "f", nil, map[string]string{"A": strings.Repeat("x", 4096)}, 400, "InvalidParameterValueException", "4KB limit"},
		{"reserved", "f", nil, map[string]string{"AWS_LAMBDA_X": "x"}, 400, "InvalidParameterValueException", "reserved keys"},
		{"direct zip", "f", make([]byte, 50<<20+1), nil, 413, "RequestEntityTooLargeException", "69905067 bytes"},
		{"no zip", "f", []byte("x"), nil, 400, "InvalidParameterValueException", "Could not unzip"},
		{"unzipped", "f", zipped(t, 251), nil, 400, "InvalidParameterValueException", "Unzipped size must be smaller than 262144000 bytes"},
	} {
		body, err := json.Marshal(map[string]any{"FunctionName": tt.function, "Code": map[string]any{"ZipFile": tt.zip}, "Environment": map[string]any{"Variables": tt.variables}})
		if err != nil {
			t.Fatal(err)
		}
		status, said := c.send(http.MethodPost, "/2015-03-31/functions", "lambda", nil, body)
		if status != tt.status || !strings.Contains(said, tt.message) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, status, said, tt.status, tt.message)
		}
	}
	if status, said := c.send(http.MethodPut, "/2015-03-31/functions/f/code", "lambda", nil, []byte(`{"ZipFile":"eA=="}`)); status != 400 || !strings.Contains(said, "Could not unzip") {
		t.Errorf("update: %d %s", status, said)
	}
}

// serve runs a front that has no moto behind it.
func serve(t *testing.T, f *Front) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}
