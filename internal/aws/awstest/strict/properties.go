package strict

import (
	"context"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A textRule is the rule of one property: its length, in characters, and its form.
type textRule struct {
	property string
	least    int
	most     int
	form     *regexp.Regexp
}

// A numberRule bounds a number.
type numberRule struct {
	property    string
	least, most float64
}

// A schema is what CloudFormation's schema of a type demands, as far as a template of a
// preview can break it. The pages are
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-lambda-function.html
// and its neighbours.
type schema struct {
	required []string
	texts    []textRule
	numbers  []numberRule
}

var schemas = map[string]schema{
	"AWS::Lambda::Function": {required: []string{"Code", "Role"},
		texts:   []textRule{{"FunctionName", 1, maxFunctionName, functionName}, {"Description", 0, 256, nil}, {"Handler", 1, 128, regexp.MustCompile(`^\S+$`)}},
		numbers: []numberRule{{"Timeout", 1, 900}, {"MemorySize", 128, 10240}}},
	"AWS::Lambda::Permission": {required: []string{"Action", "FunctionName", "Principal"}},
	"AWS::IAM::Role": {required: []string{"AssumeRolePolicyDocument"},
		texts: []textRule{{"RoleName", 1, 64, regexp.MustCompile(`^[\w+=,.@-]+$`)}, {"Description", 0, 1000, nil}}},
	"AWS::DynamoDB::Table": {required: []string{"KeySchema"},
		texts: []textRule{{"TableName", 3, 255, regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`)}}},
	"AWS::S3::Bucket":               {texts: []textRule{{"BucketName", 3, 63, bucketName}}},
	"AWS::Logs::LogGroup":           {texts: []textRule{{"LogGroupName", 1, 512, regexp.MustCompile(`^[.\-_/#A-Za-z0-9]+$`)}}},
	"AWS::ApiGateway::Resource":     {required: []string{"ParentId", "PathPart", "RestApiId"}},
	"AWS::ApiGateway::Method":       {required: []string{"HttpMethod", "ResourceId", "RestApiId"}},
	"AWS::ApiGateway::Deployment":   {required: []string{"RestApiId"}},
	"AWS::ApiGatewayV2::Api":        {texts: []textRule{{"Name", 1, 128, nil}, {"ProtocolType", 1, 9, regexp.MustCompile(`^(HTTP|WEBSOCKET)$`)}}},
	"AWS::ApiGatewayV2::Route":      {required: []string{"ApiId", "RouteKey"}},
	"AWS::ApiGatewayV2::Stage":      {required: []string{"ApiId", "StageName"}, texts: []textRule{{"StageName", 1, 128, regexp.MustCompile(`^(\$default|[a-zA-Z0-9_-]+)$`)}}},
	"AWS::ApiGatewayV2::DomainName": {required: []string{"DomainName"}},
	"AWS::ApiGatewayV2::ApiMapping": {required: []string{"ApiId", "DomainName", "Stage"}},
	"AWS::ApiGatewayV2::Integration": {required: []string{"ApiId", "IntegrationType"},
		texts: []textRule{{"PayloadFormatVersion", 3, 3, regexp.MustCompile(`^(1\.0|2\.0)$`)}}},
}

// retention are the days that a log group takes.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
var retention = regexp.MustCompile(`^(1|3|5|7|14|30|60|90|120|150|180|365|400|545|731|1096|1827|2192|2557|2922|3288|3653)$`)

// propertyFindings holds the resources that would be made against their schemas.
func (f *Front) propertyFindings(ctx context.Context, t cfnTemplate, given map[string]string) []finding {
	s := t.scope(given)
	var all []finding
	for id, r := range t.resources {
		if holds, known := s.condition(r.condition, 0); r.condition != "" && known && !holds {
			continue
		}
		all = append(all, s.schemaFindings(id, r)...)
		switch r.kind {
		case "AWS::Lambda::Function":
			all = append(all, f.functionFindings(ctx, s, id, r)...)
		case "AWS::Logs::LogGroup":
			if days, known := s.text(get(r.properties, "RetentionInDays")); known && days != noValue && !retention.MatchString(days) {
				all = append(all, describe(id, "/RetentionInDays", "#/RetentionInDays: %s is not a valid enum value", days))
			}
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].path < all[j].path })
	return all
}

func (s scope) schemaFindings(id string, r cfnResource) (all []finding) {
	rules := schemas[r.kind]
	for _, name := range rules.required {
		if !s.present(r.properties, name) {
			all = append(all, describe(id, "", "#: required key [%s] not found", name))
		}
	}
	for _, rule := range rules.texts {
		text, known := s.text(get(r.properties, rule.property))
		switch {
		case !known || text == noValue:
		case len(text) < rule.least:
			all = append(all, describe(id, "/"+rule.property, "#/%s: expected minLength: %d, actual: %d", rule.property, rule.least, len(text)))
		case len(text) > rule.most:
			all = append(all, describe(id, "/"+rule.property, "#/%s: expected maxLength: %d, actual: %d", rule.property, rule.most, len(text)))
		case rule.form != nil && !rule.form.MatchString(text):
			all = append(all, describe(id, "/"+rule.property, "#/%s: failed validation constraint for keyword [pattern]", rule.property))
		}
	}
	for _, rule := range rules.numbers {
		if text, known := s.text(get(r.properties, rule.property)); known && text != noValue {
			if n, err := strconv.ParseFloat(text, 64); err != nil || n < rule.least || n > rule.most {
				all = append(all, describe(id, "/"+rule.property, "#/%s: %s is not between %g and %g", rule.property, text, rule.least, rule.most))
			}
		}
	}
	return all
}

// functionFindings are Lambda's own rules. AWS says some of them only when it makes the
// function; the front says them with the change set, which is earlier.
func (f *Front) functionFindings(ctx context.Context, s scope, id string, r cfnResource) (all []finding) {
	code := s.node(get(r.properties, "Code"))
	image := get(code, "ImageUri") != nil
	for _, name := range []string{"Runtime", "Handler"} {
		if !image && !s.present(r.properties, name) {
			all = append(all, describe(id, "", "Resource handler returned message: \"%s is mandatory for functions created with deployment packages of Zip type.\"", name))
		}
	}
	variables := map[string]string{}
	for name, n := range entries(get(s.node(get(r.properties, "Environment")), "Variables")) {
		variables[name], _ = s.text(n) // of what is unknown at least the name counts
	}
	if reason := environmentRule(variables); reason != "" {
		all = append(all, describe(id, "/Environment", "Resource handler returned message: \"%s\"", reason))
	}
	if reason := f.codeReason(ctx, s, code); reason != "" {
		all = append(all, describe(id, "/Code", "Resource handler returned message: \"%s\"", reason))
	}
	return all
}

func (f *Front) codeReason(ctx context.Context, s scope, code *yaml.Node) string {
	bucket, _ := s.text(get(code, "S3Bucket"))
	key, known := s.text(get(code, "S3Key"))
	if !known || bucket == "" {
		return ""
	}
	zipped, err := f.object(ctx, bucket, key)
	if err != nil || zipped == nil {
		return "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
	}
	return strings.TrimSpace(zipRule(zipped))
}
