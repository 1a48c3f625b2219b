// Package resource asks for single resources of an account, deletes them and finds them
// by their tags, whether or not there is a stack that has them. It is how a clean-up
// knows that nothing is left, and how it finds again what AWS did not delete.
package resource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/aws"
)

// The types that callers name.
const (
	TypeFunction = "AWS::Lambda::Function"
	TypeLogGroup = "AWS::Logs::LogGroup"
	TypeRole     = "AWS::IAM::Role"
	TypeBucket   = "AWS::S3::Bucket"
)

// TagStackID is the tag by which CloudFormation says which stack made a resource.
const TagStackID = "aws:cloudformation:stack-id"

// ErrUnknownType says that this package cannot ask for resources of a type.
var ErrUnknownType = errors.New("there is no way to ask for this type of resource here")

// A Resource is one of CloudFormation's resources. Its zero value is none.
type Resource struct {
	Type string            // such as AWS::S3::Bucket; empty if its ARN says nothing known
	ID   string            // the physical id, as CloudFormation has it; the ARN without a type
	ARN  string            // of one that Tagged found
	Tags map[string]string // of one that Tagged found
}

// String is the type and the physical id.
func (r Resource) String() string { return strings.TrimSpace(r.Type + " " + r.ID) }

// A kind is what this package knows of a type.
type kind struct {
	// tags reads the tags of a resource; its error has one of the codes in gone if
	// there is none.
	tags   func(ctx context.Context, a *aws.Account, id string) (map[string]string, error)
	remove func(ctx context.Context, a *aws.Account, id string) error
	gone   []string
}

var kinds = map[string]kind{
	TypeBucket:                      {bucketTags, deleteBucket, []string{"NoSuchBucket", "NotFound"}},
	"AWS::DynamoDB::Table":          {tableTags, deleteTable, []string{"ResourceNotFoundException"}},
	TypeFunction:                    {functionTags, deleteFunction, []string{"ResourceNotFoundException"}},
	TypeRole:                        {RoleTags, deleteRole, []string{"NoSuchEntity"}},
	TypeLogGroup:                    {logGroupTags, deleteLogGroup, []string{"ResourceNotFoundException"}},
	"AWS::ApiGateway::RestApi":      {restAPITags, deleteRestAPI, []string{"NotFoundException"}},
	"AWS::ApiGatewayV2::Api":        {httpAPITags, deleteHTTPAPI, []string{"NotFoundException"}},
	"AWS::ApiGateway::DomainName":   {domainTags, deleteDomain, []string{"NotFoundException"}},
	"AWS::ApiGatewayV2::DomainName": {domainTags, deleteDomain, []string{"NotFoundException"}},
}

// parts are types that exist only within another resource and go with it.
var parts = []string{
	"AWS::ApiGateway::BasePathMapping", "AWS::ApiGateway::Deployment", "AWS::ApiGateway::Method", "AWS::ApiGateway::Resource", "AWS::ApiGateway::Stage",
	"AWS::ApiGatewayV2::ApiMapping", "AWS::ApiGatewayV2::Deployment", "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Stage",
	"AWS::CDK::Metadata", "AWS::CloudFormation::WaitConditionHandle", "AWS::IAM::Policy", "AWS::Lambda::Permission", "AWS::S3::BucketPolicy",
}

// IsPart reports whether resources of a type have no existence of their own.
func IsPart(kind string) bool { return slices.Contains(parts, kind) }

// asks and pause bound how long a deletion may take to show: AWS answers for a short
// while as if a resource were still there.
const (
	asks  = 10
	pause = 3 * time.Second
)

// Exists asks for a resource, and returns its tags if there is one. An unknown type is
// ErrUnknownType.
func Exists(ctx context.Context, a *aws.Account, r Resource) (exists bool, tags map[string]string, err error) {
	k, ok := kinds[r.Type]
	if !ok {
		return false, nil, fmt.Errorf("%s: %w", r, ErrUnknownType)
	}
	tags, err = k.tags(ctx, a, r.ID)
	switch {
	case aws.HasCode(err, k.gone...):
		return false, nil, nil
	case err != nil:
		return false, nil, fmt.Errorf("ask for %s: %w", r, err)
	}
	return true, tags, nil
}

// AwaitGone asks for a resource until it is gone, for up to half a minute.
func AwaitGone(ctx context.Context, a *aws.Account, r Resource) (gone bool, tags map[string]string, err error) {
	for i := range asks {
		exists, tags, err := Exists(ctx, a, r)
		if err != nil || !exists || i == asks-1 {
			return !exists && err == nil, tags, err
		}
		if err := a.Clock().Sleep(ctx, pause); err != nil {
			return false, nil, err
		}
	}
	return false, nil, nil
}

// Delete deletes a resource with what it holds, and asks until it is gone. One that does
// not exist is no error.
func Delete(ctx context.Context, a *aws.Account, r Resource) error {
	k, ok := kinds[r.Type]
	if !ok {
		return fmt.Errorf("%s: %w: delete it by hand", r, ErrUnknownType)
	}
	if err := k.remove(ctx, a, r.ID); err != nil && !aws.HasCode(err, k.gone...) {
		return fmt.Errorf("delete %s: %w", r, err)
	}
	gone, _, err := AwaitGone(ctx, a, r)
	if err == nil && !gone {
		err = fmt.Errorf("delete %s: AWS took the deletion, and it still exists", r)
	}
	return err
}
