package aws

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// A Resource is a thing that exists in an account.
type Resource struct {
	Service string // cloudformation, s3, dynamodb, lambda, iam, logs, apigateway
	ID      string // a name; of a REST API its id and name
}

func (r Resource) String() string { return r.Service + " " + r.ID }

// Inventory lists the stacks, buckets, tables, functions, roles, log groups and
// REST APIs of the account, in its region, that match says are meant, by their tags
// and names. It asks for the tags of each one, which takes a call per resource, and
// is an error when one service cannot be read: it is the proof that nothing is
// left.
func (a *Account) Inventory(ctx context.Context, match func(tags map[string]string, name string) bool) ([]Resource, error) {
	var all []Resource
	for _, service := range []struct {
		name string
		list func(context.Context, func(id, name string, tags map[string]string)) error
	}{
		{"cloudformation", a.eachStack}, {"s3", a.eachBucket}, {"dynamodb", a.eachTable}, {"lambda", a.eachFunction},
		{"iam", a.eachRole}, {"logs", a.eachLogGroup}, {"apigateway", a.eachAPI},
	} {
		err := service.list(ctx, func(id, name string, tags map[string]string) {
			if match(tags, name) {
				all = append(all, Resource{service.name, id})
			}
		})
		if err != nil {
			return nil, fmt.Errorf("take stock of %s: %w", service.name, err)
		}
	}
	return all, nil
}

func (a *Account) eachStack(ctx context.Context, yield func(id, name string, tags map[string]string)) error {
	all, err := a.Stacks(ctx, "")
	for _, s := range all {
		yield(s.Name, s.Name, s.Tags)
	}
	return err
}

func (a *Account) eachBucket(ctx context.Context, yield func(id, name string, tags map[string]string)) error {
	pages := s3.NewListBucketsPaginator(a.s3(), &s3.ListBucketsInput{BucketRegion: aws.String(a.Region())})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, b := range page.Buckets {
			name := aws.ToString(b.Name)
			tags, err := a.bucketTags(ctx, name, "")
			if code(err, "NoSuchBucket") {
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			yield(name, name, tags)
		}
	}
	return nil
}

func (a *Account) eachTable(ctx context.Context, yield func(id, name string, tags map[string]string)) error {
	db := dynamodb.NewFromConfig(a.config)
	pages := dynamodb.NewListTablesPaginator(db, &dynamodb.ListTablesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, name := range page.TableNames {
			tags, err := tableTags(ctx, db, name)
			if code(err, "ResourceNotFoundException") {
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			yield(name, name, tags)
		}
	}
	return nil
}

func tableTags(ctx context.Context, db *dynamodb.Client, name string) (map[string]string, error) {
	table, err := db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	in := &dynamodb.ListTagsOfResourceInput{ResourceArn: table.Table.TableArn}
	for {
		out, err := db.ListTagsOfResource(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, t := range out.Tags {
			tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return tags, nil
		}
	}
}

func (a *Account) eachFunction(ctx context.Context, yield func(id, name string, tags map[string]string)) error {
	functions := lambda.NewFromConfig(a.config)
	pages := lambda.NewListFunctionsPaginator(functions, &lambda.ListFunctionsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, f := range page.Functions {
			name := aws.ToString(f.FunctionName)
			out, err := functions.ListTags(ctx, &lambda.ListTagsInput{Resource: f.FunctionArn})
			if code(err, "ResourceNotFoundException") {
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			yield(name, name, out.Tags)
		}
	}
	return nil
}

func (a *Account) eachRole(ctx context.Context, yield func(id, name string, tags map[string]string)) error {
	roles := iam.NewFromConfig(a.config)
	pages := iam.NewListRolesPaginator(roles, &iam.ListRolesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, r := range page.Roles {
			name := aws.ToString(r.RoleName)
			out, err := roles.ListRoleTags(ctx, &iam.ListRoleTagsInput{RoleName: r.RoleName, MaxItems: aws.Int32(100)}) // a role has up to 50
			if code(err, "NoSuchEntity") {
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			tags := map[string]string{}
			for _, t := range out.Tags {
				tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			yield(name, name, tags)
		}
	}
	return nil
}

func (a *Account) eachLogGroup(ctx context.Context, yield func(id, name string, tags map[string]string)) error {
	logs := cloudwatchlogs.NewFromConfig(a.config)
	pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(logs, &cloudwatchlogs.DescribeLogGroupsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, g := range page.LogGroups {
			name := aws.ToString(g.LogGroupName)
			out, err := logs.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: g.LogGroupArn})
			if code(err, "ResourceNotFoundException") {
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			yield(name, name, out.Tags)
		}
	}
	return nil
}

func (a *Account) eachAPI(ctx context.Context, yield func(id, name string, tags map[string]string)) error {
	pages := apigateway.NewGetRestApisPaginator(apigateway.NewFromConfig(a.config), &apigateway.GetRestApisInput{Limit: aws.Int32(500)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, api := range page.Items {
			yield(aws.ToString(api.Id)+" "+aws.ToString(api.Name), aws.ToString(api.Name), api.Tags)
		}
	}
	return nil
}
