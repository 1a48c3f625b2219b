package stack_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/awstest/strict"
	"github.com/candlefish/deploy-action/internal/aws/bucket"
	"github.com/candlefish/deploy-action/internal/aws/inventory"
	"github.com/candlefish/deploy-action/internal/aws/stack"
	"github.com/candlefish/deploy-action/internal/preview/api"
)

// previewSpec packs a small function and fills the template with it.
func previewSpec(t *testing.T, a *aws.Account, kind, commit, body string) stack.Spec {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.js"), []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
	code, err := api.Package(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = code.Close() }()
	if err := bucket.Of(a, "artifacts").Put(t.Context(), code.Hash+".zip", code); err != nil {
		t.Fatal(err)
	}
	parameters, err := api.Parameters(api.Settings{Number: 7, Commit: commit, Bucket: "artifacts", Key: code.Hash + ".zip", Type: kind, AllowedOrigin: "https://pr-7.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	var events []stack.Event
	s := spec(&events)
	s.Template, s.Parameters, s.Capabilities, s.Token = api.Template(), parameters, []string{api.Capability}, commit
	return s
}

// TestPreviewOnMoto makes the template's resources for real, with either kind of API,
// changes the code, and deletes all of it.
func TestPreviewOnMoto(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind    string
		logical string
		check   func(*testing.T, *aws.Account, string)
		asked   int // table, bucket, log group, role, function, API
	}{{"http", "HttpApi", checkHTTPAPI, 6}, {"rest", "Api", checkAPI, 6}} {
		t.Run(tt.kind, func(t *testing.T) {
			t.Parallel()
			a := connectQuick(t, strict.Start(t))
			if err := bucket.Of(a, "artifacts").Ensure(t.Context(), map[string]string{"ManagedBy": "us"}); err != nil {
				t.Fatal(err)
			}
			first, second := strings.Repeat("a", 40), strings.Repeat("b", 40)
			made, err := stack.Apply(t.Context(), a, previewSpec(t, a, tt.kind, first, "exports.handler = async () => 1"))
			if err != nil {
				t.Fatal(err)
			}
			if made.Status != "CREATE_COMPLETE" || len(made.Missing) > 0 {
				t.Errorf("made: %+v", made)
			}
			checkFunction(t, a, first)
			tt.check(t, a, made.Resources[tt.logical])
			checkStores(t, a)

			if same, err := stack.Apply(t.Context(), a, previewSpec(t, a, tt.kind, first, "exports.handler = async () => 1")); err != nil || same.Changed {
				t.Errorf("same: %+v, %v", same, err)
			}
			changed, err := stack.Apply(t.Context(), a, previewSpec(t, a, tt.kind, second, "exports.handler = async () => 2"))
			if err != nil || changed.ID != made.ID || !changed.Changed {
				t.Errorf("changed: %+v, %v", changed, err)
			}
			checkFunction(t, a, second)

			// moto does not find out a second time that nothing changed: it forgets the
			// parameters of an executed change set.

			things := fill(t, a, assets)
			gone, err := stack.Delete(t.Context(), a, made.Name, owned, nil)
			if err != nil || !gone.Gone || len(gone.Left)+len(gone.Unasked)+len(gone.Kept) > 0 || gone.Emptied[assets] != things || gone.Asked != tt.asked {
				t.Errorf("gone: %+v, %v", gone, err)
			}
			left, err := inventory.Take(t.Context(), a, func(_ map[string]string, name string) bool { return strings.Contains(name, "pr-7") })
			if err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// assets is the bucket of the preview's stack.
const assets = "candlefish-preview-assets-pr-7-123456789012"

// checkHTTPAPI finds the route to the function, and the stage.
func checkHTTPAPI(t *testing.T, a *aws.Account, id string) {
	t.Helper()
	c := apigatewayv2.NewFromConfig(a.Config())
	routes, err := c.GetRoutes(t.Context(), &apigatewayv2.GetRoutesInput{ApiId: &id})
	if err != nil || len(routes.Items) != 1 || *routes.Items[0].RouteKey != "$default" {
		t.Fatalf("routes: %+v, %v", routes, err)
	}
	_, integration, _ := strings.Cut(*routes.Items[0].Target, "/")
	to, err := c.GetIntegration(t.Context(), &apigatewayv2.GetIntegrationInput{ApiId: &id, IntegrationId: &integration})
	if err != nil || !strings.HasSuffix(*to.IntegrationUri, "function:candlefish-api-preview-pr-7") || *to.PayloadFormatVersion != "1.0" {
		t.Errorf("integration: %+v, %v", to, err)
	}
	stages, err := c.GetStages(t.Context(), &apigatewayv2.GetStagesInput{ApiId: &id})
	if err != nil || len(stages.Items) != 1 || *stages.Items[0].StageName != "$default" {
		t.Errorf("stages: %+v, %v", stages, err)
	}
}

func checkFunction(t *testing.T, a *aws.Account, commit string) {
	t.Helper()
	f, err := lambda.NewFromConfig(a.Config()).GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: sdk.String("candlefish-api-preview-pr-7")})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"ENVIRONMENT": "preview", "TABLE_NAME": "candlefish-preview-data-pr-7", "BUCKET_NAME": "candlefish-preview-assets-pr-7-123456789012",
		"PR_NUMBER": "7", "COMMIT_SHA": commit, "ALLOWED_ORIGIN": "https://pr-7.example.com",
	}
	if diff := cmp.Diff(want, f.Environment.Variables); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if string(f.Runtime) != "nodejs22.x" || *f.Handler != "index.handler" || !strings.HasSuffix(*f.Role, ":role/candlefish-api-preview-role-pr-7") {
		t.Errorf("function: %s %s %s", f.Runtime, *f.Handler, *f.Role)
	}
	policy, err := iam.NewFromConfig(a.Config()).GetRolePolicy(t.Context(), &iam.GetRolePolicyInput{RoleName: sdk.String("candlefish-api-preview-role-pr-7"), PolicyName: sdk.String("own-resources")})
	if err != nil {
		t.Fatal(err)
	}
	if text := *policy.PolicyDocument; strings.Contains(text, "CreateLogGroup") || !strings.Contains(text, "table/candlefish-preview-data-pr-7") {
		t.Errorf("policy: %s", text)
	}
}

// checkAPI finds ANY on both resources, and the stage.
func checkAPI(t *testing.T, a *aws.Account, id string) {
	t.Helper()
	api := apigateway.NewFromConfig(a.Config())
	out, err := api.GetResources(t.Context(), &apigateway.GetResourcesInput{RestApiId: &id, Embed: []string{"methods"}})
	if err != nil {
		t.Fatal(err)
	}
	integrated := map[string]bool{}
	for _, r := range out.Items {
		m, ok := r.ResourceMethods["ANY"]
		integrated[*r.Path] = ok && m.MethodIntegration != nil && strings.Contains(*m.MethodIntegration.Uri, "function:candlefish-api-preview-pr-7/invocations")
	}
	if diff := cmp.Diff(map[string]bool{"/": true, "/{proxy+}": true}, integrated); diff != "" {
		t.Errorf("methods (-want +got):\n%s", diff)
	}
	stages, err := api.GetStages(t.Context(), &apigateway.GetStagesInput{RestApiId: &id})
	if err != nil || len(stages.Item) != 1 || *stages.Item[0].StageName != "preview" {
		t.Errorf("stages: %+v, %v", stages, err)
	}
}

func checkStores(t *testing.T, a *aws.Account) {
	t.Helper()
	table, err := dynamodb.NewFromConfig(a.Config()).DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: sdk.String("candlefish-preview-data-pr-7")})
	if err != nil || table.Table.BillingModeSummary.BillingMode != "PAY_PER_REQUEST" || *table.Table.KeySchema[0].AttributeName != "id" {
		t.Errorf("table: %+v, %v", table, err)
	}
	encryption, err := objects(a).GetBucketEncryption(t.Context(), &s3.GetBucketEncryptionInput{Bucket: sdk.String(assets)})
	if err != nil || encryption.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm != "AES256" {
		t.Errorf("encryption: %+v, %v", encryption, err)
	}
	groups, err := cloudwatchlogs.NewFromConfig(a.Config()).DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: sdk.String("/aws/lambda/candlefish-api-preview-pr-7")})
	if err != nil || len(groups.LogGroups) != 1 || *groups.LogGroups[0].RetentionInDays != 7 {
		t.Errorf("log groups: %+v, %v", groups, err)
	}
}
