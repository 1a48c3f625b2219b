package resource

import (
	"context"
	"errors"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/bucket"
)

func bucketTags(ctx context.Context, a *aws.Account, id string) (map[string]string, error) {
	return bucket.Of(a, id).Tags(ctx)
}

func deleteBucket(ctx context.Context, a *aws.Account, id string) error {
	return bucket.Of(a, id).Delete(ctx)
}

func tableTags(ctx context.Context, a *aws.Account, id string) (map[string]string, error) {
	db := dynamodb.NewFromConfig(a.Config())
	table, err := db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &id})
	if err != nil {
		return nil, err
	}
	out, err := db.ListTagsOfResource(ctx, &dynamodb.ListTagsOfResourceInput{ResourceArn: table.Table.TableArn})
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, t := range out.Tags { // a page holds more than the 50 that a table may have
		tags[sdk.ToString(t.Key)] = sdk.ToString(t.Value)
	}
	return tags, nil
}

func deleteTable(ctx context.Context, a *aws.Account, id string) error {
	_, err := dynamodb.NewFromConfig(a.Config()).DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &id})
	if aws.HasCode(err, "ResourceInUseException") {
		return nil // it is being deleted; if it is not, it will still be there when asked for
	}
	return err
}

func functionTags(ctx context.Context, a *aws.Account, id string) (map[string]string, error) {
	out, err := lambda.NewFromConfig(a.Config()).GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &id})
	if err != nil {
		return nil, err
	}
	return out.Tags, nil
}

func deleteFunction(ctx context.Context, a *aws.Account, id string) error {
	_, err := lambda.NewFromConfig(a.Config()).DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &id})
	return err
}

// RoleTags returns the tags of a role by its name. The error is IAM's own.
func RoleTags(ctx context.Context, a *aws.Account, id string) (map[string]string, error) {
	out, err := iam.NewFromConfig(a.Config()).ListRoleTags(ctx, &iam.ListRoleTagsInput{RoleName: &id, MaxItems: sdk.Int32(100)}) // a role has up to 50
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, t := range out.Tags {
		tags[sdk.ToString(t.Key)] = sdk.ToString(t.Value)
	}
	return tags, nil
}

// deleteRole deletes a role after the policies in it and on it, without which IAM
// refuses. A role has few of both: one page holds them.
func deleteRole(ctx context.Context, a *aws.Account, id string) error {
	c := iam.NewFromConfig(a.Config())
	inline, err := c.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: &id})
	if err != nil {
		return err
	}
	for _, name := range inline.PolicyNames {
		if _, err := c.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &id, PolicyName: &name}); err != nil {
			return err
		}
	}
	attached, err := c.ListAttachedRolePolicies(ctx, &iam.ListAttachedRolePoliciesInput{RoleName: &id})
	if err != nil {
		return err
	}
	for _, p := range attached.AttachedPolicies {
		if _, err := c.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: &id, PolicyArn: p.PolicyArn}); err != nil {
			return err
		}
	}
	_, err = c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &id})
	return err
}

func logGroupTags(ctx context.Context, a *aws.Account, id string) (map[string]string, error) {
	c := cloudwatchlogs.NewFromConfig(a.Config())
	pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(c, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, g := range page.LogGroups {
			if sdk.ToString(g.LogGroupName) != id {
				continue
			}
			out, err := c.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: g.LogGroupArn})
			if err != nil {
				return nil, err
			}
			return out.Tags, nil
		}
	}
	return nil, &smithy.GenericAPIError{Code: "ResourceNotFoundException", Message: "no log group has that name"}
}

func deleteLogGroup(ctx context.Context, a *aws.Account, id string) error {
	_, err := cloudwatchlogs.NewFromConfig(a.Config()).DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &id})
	return err
}

func restAPITags(ctx context.Context, a *aws.Account, id string) (map[string]string, error) {
	out, err := apigateway.NewFromConfig(a.Config()).GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: &id})
	if err != nil {
		return nil, err
	}
	return out.Tags, nil
}

func deleteRestAPI(ctx context.Context, a *aws.Account, id string) error {
	_, err := apigateway.NewFromConfig(a.Config()).DeleteRestApi(ctx, &apigateway.DeleteRestApiInput{RestApiId: &id})
	return err
}

func httpAPITags(ctx context.Context, a *aws.Account, id string) (map[string]string, error) {
	out, err := apigatewayv2.NewFromConfig(a.Config()).GetApi(ctx, &apigatewayv2.GetApiInput{ApiId: &id})
	if err != nil {
		return nil, err
	}
	return out.Tags, nil
}

func deleteHTTPAPI(ctx context.Context, a *aws.Account, id string) error {
	_, err := apigatewayv2.NewFromConfig(a.Config()).DeleteApi(ctx, &apigatewayv2.DeleteApiInput{ApiId: &id})
	return err
}

// domainTags reads a domain of either kind of API: both are one list.
func domainTags(ctx context.Context, a *aws.Account, id string) (map[string]string, error) {
	out, err := apigatewayv2.NewFromConfig(a.Config()).GetDomainName(ctx, &apigatewayv2.GetDomainNameInput{DomainName: &id})
	if err != nil {
		return nil, err
	}
	return out.Tags, nil
}

func deleteDomain(ctx context.Context, a *aws.Account, id string) error {
	c := apigatewayv2.NewFromConfig(a.Config())
	mappings, err := c.GetApiMappings(ctx, &apigatewayv2.GetApiMappingsInput{DomainName: &id})
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range mappings.Items {
		_, err := c.DeleteApiMapping(ctx, &apigatewayv2.DeleteApiMappingInput{DomainName: &id, ApiMappingId: m.ApiMappingId})
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	_, err = c.DeleteDomainName(ctx, &apigatewayv2.DeleteDomainNameInput{DomainName: &id})
	return err
}
