package aws

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

const (
	apiType      = "AWS::ApiGateway::RestApi"
	groupType    = "AWS::Logs::LogGroup"
	functionType = "AWS::Lambda::Function"
)

// A part is a thing of a stack that may outlive it.
type part struct{ kind, id string }

func (p part) String() string { return p.kind + " " + p.id }

// outliving are the stack's REST APIs and log groups, with the groups that Lambda
// makes for functions without one, unless the template retains them.
func (s *stacks) outliving(ctx context.Context, id string) ([]part, error) {
	all, err := s.list(ctx, id)
	if err != nil {
		return nil, err
	}
	var parts []part
	var logical []string
	for _, r := range all {
		p := part{aws.ToString(r.ResourceType), aws.ToString(r.PhysicalResourceId)}
		if p.id == "" || r.ResourceStatus == types.ResourceStatusDeleteComplete {
			continue
		}
		switch p.kind {
		case functionType:
			p = part{groupType, "/aws/lambda/" + p.id}
		case apiType, groupType:
		default:
			continue
		}
		parts, logical = append(parts, p), append(logical, aws.ToString(r.LogicalResourceId))
	}
	if len(parts) == 0 {
		return nil, nil
	}
	t, err := s.processed(ctx, id, nil)
	if err != nil {
		return nil, err
	}
	retained := map[part]bool{} // of two that name one group, both must agree
	for i, p := range parts {
		retained[p] = retained[p] || t.resources[logical[i]].retained
	}
	var free []part
	for _, p := range parts {
		if r, first := retained[p]; first && !r {
			free = append(free, p)
			delete(retained, p)
		}
	}
	return free, nil
}

// sweep deletes what is still there of the parts, now that the stack is not.
func (s *stacks) sweep(ctx context.Context, parts []part, d *Deleted) {
	for _, p := range parts {
		switch err := s.remove(ctx, p); {
		case err == nil:
			d.Swept = append(d.Swept, p.String())
		case !code(err, "NotFoundException", "ResourceNotFoundException"):
			d.Left = append(d.Left, fmt.Sprintf("%s: %v", p, err))
		}
	}
}

func (s *stacks) remove(ctx context.Context, p part) error {
	if p.kind == apiType {
		_, err := apigateway.NewFromConfig(s.account.config).DeleteRestApi(ctx, &apigateway.DeleteRestApiInput{RestApiId: &p.id})
		return err
	}
	_, err := cloudwatchlogs.NewFromConfig(s.account.config).DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &p.id})
	return err
}
