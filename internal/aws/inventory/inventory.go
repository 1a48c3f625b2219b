// Package inventory lists what exists in an AWS account: the proof that nothing is
// left of a preview.
package inventory

import (
	"context"
	"fmt"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/bucket"
	"github.com/candlefish/deploy-action/internal/aws/resource"
	"github.com/candlefish/deploy-action/internal/aws/stack"
)

// A Resource is one that exists in an account.
type Resource struct {
	Service string // cloudformation, s3, dynamodb, lambda, iam, logs, apigateway
	ID      string // a name; of an API its id and name
}

func (r Resource) String() string { return r.Service + " " + r.ID }

// Take lists the stacks, buckets, tables, functions, roles, log groups and APIs
// of the account, in its region, that match selects by their tags and names. It reads
// the tags of each one, which takes a request per resource. It is an error when one
// service cannot be read.
func Take(ctx context.Context, a *aws.Account, match func(tags map[string]string, name string) bool) ([]Resource, error) {
	var all []Resource
	for _, service := range []struct {
		name string
		list func(context.Context, *aws.Account, yield) error
	}{
		{"cloudformation", eachStack}, {"s3", eachBucket}, {"dynamodb", eachTable}, {"lambda", eachFunction},
		{"iam", eachRole}, {"logs", eachLogGroup}, {"apigateway", eachAPI}, {"apigateway", eachHTTPAPI},
	} {
		err := service.list(ctx, a, func(id, name string, tags map[string]string) {
			if match(tags, name) {
				all = append(all, Resource{service.name, id})
			}
		})
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", service.name, err)
		}
	}
	return all, nil
}

// A yield receives one resource.
type yield func(id, name string, tags map[string]string)

// tagged reads the tags of a resource and yields it, unless it was deleted in the
// meantime: then AWS answers with the code.
func (y yield) tagged(name, deletedCode string, read func() (map[string]string, error)) error {
	tags, err := read()
	if aws.HasCode(err, deletedCode) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	y(name, name, tags)
	return nil
}

func eachStack(ctx context.Context, a *aws.Account, y yield) error {
	all, err := stack.List(ctx, a, "")
	for _, s := range all {
		y(s.Name, s.Name, s.Tags)
	}
	return err
}

func eachBucket(ctx context.Context, a *aws.Account, y yield) error {
	pages := s3.NewListBucketsPaginator(s3.NewFromConfig(a.Config()), &s3.ListBucketsInput{BucketRegion: sdk.String(a.Region())})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, b := range page.Buckets {
			name := sdk.ToString(b.Name)
			err := y.tagged(name, "NoSuchBucket", func() (map[string]string, error) { return bucket.Of(a, name).Tags(ctx) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func eachTable(ctx context.Context, a *aws.Account, y yield) error {
	db := dynamodb.NewFromConfig(a.Config())
	pages := dynamodb.NewListTablesPaginator(db, &dynamodb.ListTablesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, name := range page.TableNames {
			err := y.tagged(name, "ResourceNotFoundException", func() (map[string]string, error) { return tableTags(ctx, db, name) })
			if err != nil {
				return err
			}
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

func eachFunction(ctx context.Context, a *aws.Account, y yield) error {
	functions := lambda.NewFromConfig(a.Config())
	pages := lambda.NewListFunctionsPaginator(functions, &lambda.ListFunctionsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, f := range page.Functions {
			err := y.tagged(sdk.ToString(f.FunctionName), "ResourceNotFoundException", func() (map[string]string, error) {
				out, err := functions.ListTags(ctx, &lambda.ListTagsInput{Resource: f.FunctionArn})
				if err != nil {
					return nil, err
				}
				return out.Tags, nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func eachRole(ctx context.Context, a *aws.Account, y yield) error {
	roles := iam.NewFromConfig(a.Config())
	pages := iam.NewListRolesPaginator(roles, &iam.ListRolesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, r := range page.Roles {
			name := sdk.ToString(r.RoleName)
			err := y.tagged(name, "NoSuchEntity", func() (map[string]string, error) { return resource.RoleTags(ctx, a, name) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func eachLogGroup(ctx context.Context, a *aws.Account, y yield) error {
	logs := cloudwatchlogs.NewFromConfig(a.Config())
	pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(logs, &cloudwatchlogs.DescribeLogGroupsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, g := range page.LogGroups {
			err := y.tagged(sdk.ToString(g.LogGroupName), "ResourceNotFoundException", func() (map[string]string, error) {
				out, err := logs.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: g.LogGroupArn})
				if err != nil {
					return nil, err
				}
				return out.Tags, nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func eachAPI(ctx context.Context, a *aws.Account, y yield) error {
	pages := apigateway.NewGetRestApisPaginator(apigateway.NewFromConfig(a.Config()), &apigateway.GetRestApisInput{Limit: sdk.Int32(500)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, api := range page.Items {
			y(sdk.ToString(api.Id)+" "+sdk.ToString(api.Name), sdk.ToString(api.Name), api.Tags)
		}
	}
	return nil
}

func eachHTTPAPI(ctx context.Context, a *aws.Account, y yield) error {
	c := apigatewayv2.NewFromConfig(a.Config())
	in := &apigatewayv2.GetApisInput{}
	for {
		page, err := c.GetApis(ctx, in)
		if err != nil {
			return err
		}
		for _, api := range page.Items {
			y(sdk.ToString(api.ApiId)+" "+sdk.ToString(api.Name), sdk.ToString(api.Name), api.Tags)
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return nil
		}
	}
}
