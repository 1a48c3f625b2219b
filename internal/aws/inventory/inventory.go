// Package inventory lists what exists in an AWS account: the proof that nothing is
// left of a preview.
package inventory

import (
	"context"
	"fmt"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/bucket"
	"github.com/candlefish/deploy-action/internal/aws/stack"
)

// A Resource is one that exists in an account.
type Resource struct {
	Service string // cloudformation, s3, dynamodb, lambda, iam, logs, apigateway
	ID      string // a name; of a REST API its id and name
}

func (r Resource) String() string { return r.Service + " " + r.ID }

// Take lists the stacks, buckets, tables, functions, roles, log groups and REST APIs
// of the account, in its region, that match selects by their tags and names. It reads
// the tags of each one, which takes a request per resource. It is an error when one
// service cannot be read.
func Take(ctx context.Context, a *aws.Account, match func(tags map[string]string, name string) bool) ([]Resource, error) {
	var all []Resource
	for _, service := range []struct {
		name string
		list func(context.Context, *aws.Account, func(id, name string, tags map[string]string)) error
	}{
		{"cloudformation", eachStack}, {"s3", eachBucket}, {"dynamodb", eachTable}, {"lambda", eachFunction},
		{"iam", eachRole}, {"logs", eachLogGroup}, {"apigateway", eachAPI},
	} {
		err := service.list(ctx, a, func(id, name string, tags map[string]string) {
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

func eachStack(ctx context.Context, a *aws.Account, yield func(id, name string, tags map[string]string)) error {
	all, err := stack.List(ctx, a, "")
	for _, s := range all {
		yield(s.Name, s.Name, s.Tags)
	}
	return err
}

func eachBucket(ctx context.Context, a *aws.Account, yield func(id, name string, tags map[string]string)) error {
	pages := s3.NewListBucketsPaginator(s3.NewFromConfig(a.Config()), &s3.ListBucketsInput{BucketRegion: sdk.String(a.Region())})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, b := range page.Buckets {
			name := sdk.ToString(b.Name)
			tags, err := bucket.Of(a, name).Tags(ctx)
			if aws.HasCode(err, "NoSuchBucket") {
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

func eachTable(ctx context.Context, a *aws.Account, yield func(id, name string, tags map[string]string)) error {
	db := dynamodb.NewFromConfig(a.Config())
	pages := dynamodb.NewListTablesPaginator(db, &dynamodb.ListTablesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, name := range page.TableNames {
			tags, err := tableTags(ctx, db, name)
			if aws.HasCode(err, "ResourceNotFoundException") {
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
			tags[sdk.ToString(t.Key)] = sdk.ToString(t.Value)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return tags, nil
		}
	}
}

func eachFunction(ctx context.Context, a *aws.Account, yield func(id, name string, tags map[string]string)) error {
	functions := lambda.NewFromConfig(a.Config())
	pages := lambda.NewListFunctionsPaginator(functions, &lambda.ListFunctionsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, f := range page.Functions {
			name := sdk.ToString(f.FunctionName)
			out, err := functions.ListTags(ctx, &lambda.ListTagsInput{Resource: f.FunctionArn})
			if aws.HasCode(err, "ResourceNotFoundException") {
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

func eachRole(ctx context.Context, a *aws.Account, yield func(id, name string, tags map[string]string)) error {
	roles := iam.NewFromConfig(a.Config())
	pages := iam.NewListRolesPaginator(roles, &iam.ListRolesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, r := range page.Roles {
			name := sdk.ToString(r.RoleName)
			out, err := roles.ListRoleTags(ctx, &iam.ListRoleTagsInput{RoleName: r.RoleName, MaxItems: sdk.Int32(100)}) // a role has up to 50
			if aws.HasCode(err, "NoSuchEntity") {
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			tags := map[string]string{}
			for _, t := range out.Tags {
				tags[sdk.ToString(t.Key)] = sdk.ToString(t.Value)
			}
			yield(name, name, tags)
		}
	}
	return nil
}

func eachLogGroup(ctx context.Context, a *aws.Account, yield func(id, name string, tags map[string]string)) error {
	logs := cloudwatchlogs.NewFromConfig(a.Config())
	pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(logs, &cloudwatchlogs.DescribeLogGroupsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, g := range page.LogGroups {
			name := sdk.ToString(g.LogGroupName)
			out, err := logs.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: g.LogGroupArn})
			if aws.HasCode(err, "ResourceNotFoundException") {
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

func eachAPI(ctx context.Context, a *aws.Account, yield func(id, name string, tags map[string]string)) error {
	pages := apigateway.NewGetRestApisPaginator(apigateway.NewFromConfig(a.Config()), &apigateway.GetRestApisInput{Limit: sdk.Int32(500)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, api := range page.Items {
			yield(sdk.ToString(api.Id)+" "+sdk.ToString(api.Name), sdk.ToString(api.Name), api.Tags)
		}
	}
	return nil
}
