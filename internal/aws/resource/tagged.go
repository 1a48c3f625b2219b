package resource

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"

	"github.com/candlefish/deploy-action/internal/aws"
)

// Tagged lists the resources of the account's region that have all of these tags,
// stacks and parts of others apart. It asks the service that knows the tags of all types,
// which takes a request per hundred resources; that one lacks roles, so the roles whose
// names begin with rolePrefix are read one by one.
func Tagged(ctx context.Context, a *aws.Account, tags map[string]string, rolePrefix string) ([]Resource, error) {
	in := &resourcegroupstaggingapi.GetResourcesInput{}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		in.TagFilters = append(in.TagFilters, types.TagFilter{Key: sdk.String(k), Values: []string{tags[k]}})
	}
	var all []Resource
	pages := resourcegroupstaggingapi.NewGetResourcesPaginator(resourcegroupstaggingapi.NewFromConfig(a.Config()), in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the resources with the tags of previews (tag:GetResources): %w", err)
		}
		for _, m := range page.ResourceTagMappingList {
			r, ok := ofARN(sdk.ToString(m.ResourceARN))
			if !ok {
				continue
			}
			r.Tags = map[string]string{}
			for _, t := range m.Tags {
				r.Tags[sdk.ToString(t.Key)] = sdk.ToString(t.Value)
			}
			all = append(all, r)
		}
	}
	roles, err := taggedRoles(ctx, a, tags, rolePrefix)
	return append(all, roles...), err
}

func taggedRoles(ctx context.Context, a *aws.Account, want map[string]string, prefix string) ([]Resource, error) {
	var all []Resource
	pages := iam.NewListRolesPaginator(iam.NewFromConfig(a.Config()), &iam.ListRolesInput{MaxItems: sdk.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the roles (iam:ListRoles): %w", err)
		}
		for _, role := range page.Roles {
			r := Resource{Type: TypeRole, ID: sdk.ToString(role.RoleName), ARN: sdk.ToString(role.Arn)}
			if !strings.HasPrefix(r.ID, prefix) {
				continue
			}
			exists, tags, err := Exists(ctx, a, r)
			if err != nil {
				return nil, err
			}
			if r.Tags = tags; exists && hasAll(tags, want) {
				all = append(all, r)
			}
		}
	}
	return all, nil
}

func hasAll(tags, want map[string]string) bool {
	for k, v := range want {
		if tags[k] != v {
			return false
		}
	}
	return true
}

// arns are the forms of the ARNs of the known types, with the physical id in a group.
// https://docs.aws.amazon.com/service-authorization/latest/reference/
var arns = []struct {
	form *regexp.Regexp
	kind string
}{
	{regexp.MustCompile(`^arn:[^:]+:s3:::([^/]+)$`), TypeBucket},
	{regexp.MustCompile(`^arn:[^:]+:dynamodb:[^:]+:[0-9]*:table/([^/]+)$`), "AWS::DynamoDB::Table"},
	{regexp.MustCompile(`^arn:[^:]+:lambda:[^:]+:[0-9]*:function:([^:]+)$`), TypeFunction},
	{regexp.MustCompile(`^arn:[^:]+:iam::[0-9]*:role/(?:.*/)?([^/]+)$`), TypeRole},
	{regexp.MustCompile(`^arn:[^:]+:logs:[^:]+:[0-9]*:log-group:([^:]+)(?::\*)?$`), TypeLogGroup},
	{regexp.MustCompile(`^arn:[^:]+:apigateway:[^:]+:[0-9]*:/restapis/([^/]+)$`), "AWS::ApiGateway::RestApi"},
	{regexp.MustCompile(`^arn:[^:]+:apigateway:[^:]+:[0-9]*:/apis/([^/]+)$`), "AWS::ApiGatewayV2::Api"},
	{regexp.MustCompile(`^arn:[^:]+:apigateway:[^:]+:[0-9]*:/domainnames/([^/]+)$`), "AWS::ApiGatewayV2::DomainName"},
}

// notOwn matches the ARNs of stacks, which have an API of their own, and of parts of APIs.
var notOwn = regexp.MustCompile(`^arn:[^:]+:(cloudformation:|apigateway:[^:]*:[^:]*:/(restapis|apis|domainnames)/[^/]+/)`)

// ofARN returns the resource of an ARN, false for one that is listed otherwise.
func ofARN(arn string) (Resource, bool) {
	if notOwn.MatchString(arn) {
		return Resource{}, false
	}
	for _, known := range arns {
		if m := known.form.FindStringSubmatch(arn); m != nil {
			return Resource{Type: known.kind, ID: m[1], ARN: arn}, true
		}
	}
	return Resource{ID: arn, ARN: arn}, true
}

// Is reports whether a resource that Tagged found is the one that CloudFormation knows
// under a type and a physical id.
func (r Resource) Is(kind, id string) bool {
	if r.Type != "" {
		return r.ID == id && (r.Type == kind || strings.HasSuffix(kind, "::DomainName") && strings.HasSuffix(r.Type, "::DomainName"))
	}
	return r.ARN == id || strings.HasSuffix(r.ARN, "/"+id) || strings.HasSuffix(r.ARN, ":"+id)
}

// Tag sets tags of resources that Tagged found, and leaves their other tags alone.
func Tag(ctx context.Context, a *aws.Account, all []Resource, tags map[string]string) error {
	var names []string
	for _, r := range all {
		if r.Type != TypeRole {
			names = append(names, r.ARN)
			continue
		}
		in := &iam.TagRoleInput{RoleName: &r.ID}
		for _, k := range slices.Sorted(maps.Keys(tags)) {
			in.Tags = append(in.Tags, iamtypes.Tag{Key: sdk.String(k), Value: sdk.String(tags[k])})
		}
		if _, err := iam.NewFromConfig(a.Config()).TagRole(ctx, in); err != nil {
			return fmt.Errorf("tag role %s: %w", r.ID, err)
		}
	}
	for some := range slices.Chunk(names, 20) { // the service's limit
		out, err := resourcegroupstaggingapi.NewFromConfig(a.Config()).TagResources(ctx, &resourcegroupstaggingapi.TagResourcesInput{ResourceARNList: some, Tags: tags})
		if err != nil {
			return fmt.Errorf("tag %s (tag:TagResources): %w", strings.Join(some, ", "), err)
		}
		for arn, f := range out.FailedResourcesMap {
			return fmt.Errorf("tag %s: %s: %s", arn, f.ErrorCode, sdk.ToString(f.ErrorMessage))
		}
	}
	return nil
}
