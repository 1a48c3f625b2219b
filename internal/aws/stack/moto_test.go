package stack_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/awstest/strict"
	"github.com/candlefish/deploy-action/internal/aws/bucket"
	"github.com/candlefish/deploy-action/internal/aws/inventory"
	"github.com/candlefish/deploy-action/internal/aws/stack"
)

var ours = map[string]string{"ManagedBy": "candlefish-deploy-action", "PRNumber": "7"}

// owned refuses what has not our tags.
func owned(tags map[string]string) error {
	for k, v := range ours {
		if tags[k] != v {
			return fmt.Errorf("tag %s is %q", k, tags[k])
		}
	}
	return nil
}

// motoTemplate has one of each service that moto makes. The function's
// description is what an update changes.
const motoTemplate = `
Parameters:
  What: {Type: String, Default: first}
  Extra: {Type: String, Default: ""}
Conditions:
  HasExtra: !Not [!Equals [!Ref Extra, ""]]
Resources:
  Bucket: {Type: "AWS::S3::Bucket", Properties: {BucketName: stack-bucket}}
  Other: {Type: "AWS::S3::Bucket", Condition: HasExtra, Properties: {BucketName: other-bucket}}
  Logs: {Type: "AWS::Logs::LogGroup", Properties: {LogGroupName: /stack/logs}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: stack-table
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: stack-role
      AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: "sts:AssumeRole"}]}
  Function:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: stack-function
      Description: !Ref What
      Role: !GetAtt Role.Arn
      Runtime: nodejs22.x
      Handler: index.handler
      Code: {ZipFile: "exports.handler = async () => 1"}
  Api: {Type: "AWS::ApiGateway::RestApi", Properties: {Name: stack-api}}
`

func spec(events *[]stack.Event) stack.Spec {
	return stack.Spec{
		Name: "candlefish-api-preview-pr-7", Template: []byte(motoTemplate), Tags: ours, Capabilities: []string{"CAPABILITY_NAMED_IAM"},
		Token: "1-1", Owned: owned, Event: func(e stack.Event) { *events = append(*events, e) },
	}
}

// quick lets moto's polls follow each other at once.
var quick = aws.Clock{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}

func connect(t *testing.T, endpoint string, clock aws.Clock) *aws.Account {
	t.Helper()
	a, err := aws.Connect(t.Context(), aws.ConnectOptions{Region: "eu-central-1", Endpoint: endpoint, Clock: clock,
		Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
			return sdk.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// objects is a client for what the tests put into buckets themselves.
func objects(a *aws.Account) *s3.Client {
	return s3.NewFromConfig(a.Config(), func(o *s3.Options) { o.UsePathStyle = true })
}

func createBucket(t *testing.T, a *aws.Account, name string) error {
	t.Helper()
	_, err := objects(a).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(a.Region())}})
	return err
}

func connectQuick(t *testing.T, endpoint string) *aws.Account {
	t.Helper()
	return connect(t, endpoint, quick)
}

// stock is what the account holds of the stack, by name alone.
func stock(t *testing.T, a *aws.Account) []string {
	t.Helper()
	all, err := inventory.Take(t.Context(), a, func(tags map[string]string, name string) bool {
		return strings.Contains(name, "stack-") || strings.Contains(name, "/stack/") || owned(tags) == nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range all {
		id, name, two := strings.Cut(r.ID, " ") // the id of an API is random
		if two {
			id = name
		}
		names = append(names, r.Service+" "+id)
	}
	return names
}

// fill puts versions, delete markers and an unfinished upload into a bucket.
func fill(t *testing.T, a *aws.Account, bucket string) (things int) {
	t.Helper()
	ctx, c := t.Context(), objects(a)
	_, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		for _, text := range []string{"one", "two"} {
			if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: sdk.String(fmt.Sprint(i)), Body: strings.NewReader(text)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: sdk.String(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: sdk.String("unfinished")}); err != nil {
		t.Fatal(err)
	}
	return 20*3 + 1
}

// TestLifeOnMoto makes, keeps, changes and deletes a stack of real resources.
func TestLifeOnMoto(t *testing.T) {
	t.Parallel()
	a := connectQuick(t, strict.Start(t))
	var events []stack.Event
	s := spec(&events)

	made, err := stack.Apply(t.Context(), a, s)
	if err != nil {
		t.Fatal(err)
	}
	if made.Status != "CREATE_COMPLETE" || !made.Changed || len(made.Missing) > 0 || made.Resources["Bucket"] != "stack-bucket" {
		t.Errorf("create: %+v", made)
	}
	if got := slices.Collect(func(yield func(string) bool) {
		for _, e := range events {
			if !yield(e.Status) {
				return
			}
		}
	}); !slices.Equal(got, []string{"CREATE_IN_PROGRESS", "CREATE_COMPLETE"}) {
		t.Errorf("create: events %q", got)
	}
	want := []string{"cloudformation candlefish-api-preview-pr-7", "s3 stack-bucket", "dynamodb stack-table", "lambda stack-function", "iam stack-role", "logs /stack/logs", "apigateway stack-api"}
	if diff := cmp.Diff(want, stock(t, a)); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}

	s.Token = "2-1"
	if same, err := stack.Apply(t.Context(), a, s); err != nil || same.Changed || same.ID != made.ID {
		t.Errorf("again: changed %t, %v", same.Changed, err)
	}
	s.Token, s.Parameters = "3-1", map[string]string{"What": "second"}
	changed, err := stack.Apply(t.Context(), a, s)
	if err != nil || !changed.Changed || changed.Status != "UPDATE_COMPLETE" || changed.ID != made.ID {
		t.Errorf("update: %+v, %v", changed, err)
	}
	if all, err := stack.List(t.Context(), a, "candlefish-api-preview-pr-"); err != nil || len(all) != 1 || all[0].Tags["PRNumber"] != "7" {
		t.Errorf("stacks: %+v, %v", all, err)
	}
	if none, err := stack.List(t.Context(), a, "else-"); err != nil || len(none) != 0 {
		t.Errorf("stacks of others: %+v, %v", none, err)
	}

	things := fill(t, a, "stack-bucket")
	gone, err := stack.Delete(t.Context(), a, s.Name, owned, s.Event)
	if diff := cmp.Diff(stack.Deleted{Existed: true, Gone: true, Asked: 7, Emptied: map[string]int{"stack-bucket": things}}, gone, cmpopts.IgnoreFields(stack.Deleted{}, "Swept")); err != nil || diff != "" {
		t.Errorf("delete: %v (-want +got):\n%s", err, diff)
	}
	// moto forgets the API when it deletes the stack.
	if len(gone.Swept) != 1 || !strings.HasPrefix(gone.Swept[0], "AWS::ApiGateway::RestApi ") {
		t.Errorf("swept %q, want the API", gone.Swept)
	}
	if left := stock(t, a); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	gone, err = stack.Delete(t.Context(), a, s.Name, owned, nil)
	if diff := cmp.Diff(stack.Deleted{Gone: true}, gone); err != nil || diff != "" {
		t.Errorf("delete again: %v (-want +got):\n%s", err, diff)
	}
}

// TestOthersOnMoto leaves a stack alone that has other tags.
func TestOthersOnMoto(t *testing.T) {
	t.Parallel()
	a := connectQuick(t, strict.Start(t))
	var events []stack.Event
	s := spec(&events)
	s.Tags = map[string]string{"ManagedBy": "somebody"}
	if _, err := stack.Apply(t.Context(), a, s); err != nil {
		t.Fatal(err)
	}
	before := stock(t, a)
	s.Tags, s.Token = ours, "2-1"
	if _, err := stack.Apply(t.Context(), a, s); !errors.Is(err, aws.ErrNotOurs) {
		t.Errorf("apply: %v, want %v", err, aws.ErrNotOurs)
	}
	gone, err := stack.Delete(t.Context(), a, s.Name, owned, nil)
	if !errors.Is(err, aws.ErrNotOurs) || gone.Gone {
		t.Errorf("delete: %+v, %v, want %v", gone, err, aws.ErrNotOurs)
	}
	if diff := cmp.Diff(before, stock(t, a)); diff != "" {
		t.Errorf("inventory (-before +after):\n%s", diff)
	}
	testMissing(t, a)
}

// testMissing knows a type that moto takes and does not make.
func testMissing(t *testing.T, a *aws.Account) {
	t.Helper()
	var events []stack.Event
	s := spec(&events)
	s.Name = "another"
	s.Template = []byte(`
Parameters: {Extra: {Type: String, Default: ""}}
Conditions: {HasExtra: !Not [!Equals [!Ref Extra, ""]]}
Resources:
  Link: {Type: "AWS::ApiGatewayV2::VpcLink", Properties: {Name: a, SubnetIds: [subnet-1]}}
  Never: {Type: "AWS::S3::Bucket", Condition: HasExtra, Properties: {BucketName: stack-never}}
  Bucket: {Type: "AWS::S3::Bucket", Properties: {BucketName: stack-another}}
`)
	made, err := stack.Apply(t.Context(), a, s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Link"}, made.Missing); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}

// big is a template of about size bytes.
func big(size int) []byte {
	return []byte(motoTemplate + "# " + strings.Repeat("x", size-len(motoTemplate)-2) + "\n")
}

// TestBigTemplateOnMoto goes through a bucket, under the hash of its content.
func TestBigTemplateOnMoto(t *testing.T) {
	t.Parallel()
	a := connectQuick(t, strict.Start(t))
	var events []stack.Event
	s := spec(&events)
	s.Template = big(60_000)
	if _, err := stack.Apply(t.Context(), a, s); err == nil || !strings.Contains(err.Error(), "needs a bucket") {
		t.Errorf("without a bucket: %v", err)
	}
	tags := map[string]string{"ManagedBy": "candlefish-deploy-action"}
	if err := bucket.Of(a, "artifacts").Ensure(t.Context(), tags); err != nil {
		t.Fatal(err)
	}
	s.Bucket = bucket.Of(a, "artifacts")
	if made, err := stack.Apply(t.Context(), a, s); err != nil || len(made.Missing) > 0 {
		t.Errorf("with one: %+v, %v", made, err)
	}
	out, err := objects(a).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: sdk.String("artifacts")})
	if err != nil || len(out.Contents) != 1 || !strings.HasPrefix(*out.Contents[0].Key, "templates/") {
		t.Errorf("objects: %+v, %v", out, err)
	}
	s.Template = big(2 << 20)
	if _, err := stack.Apply(t.Context(), a, s); err == nil || !strings.Contains(err.Error(), "CloudFormation takes") {
		t.Errorf("over what S3 may hold: %v", err)
	}
}
