package stack

import (
	"context"
	"fmt"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/candlefish/deploy-action/internal/aws"
)

// The resource types that can outlive a stack, or leave something behind.
const (
	apiType      = "AWS::ApiGateway::RestApi"
	logGroupType = "AWS::Logs::LogGroup"
	functionType = "AWS::Lambda::Function"
)

// A leftover is a resource that may outlive its stack.
type leftover struct{ kind, id string }

func (l leftover) String() string { return l.kind + " " + l.id }

// outliving lists the stack's REST APIs and log groups, and the log groups that
// Lambda creates for functions without one, unless the template retains them.
func (d *deletion) outliving(ctx context.Context) ([]leftover, error) {
	all, err := d.s.read.list(ctx, d.stack.ID)
	if err != nil {
		return nil, err
	}
	var found []leftover
	var logical []string
	for _, r := range all {
		if l, ok := leftoverOf(r); ok {
			found, logical = append(found, l), append(logical, sdk.ToString(r.LogicalResourceId))
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	t, err := d.s.read.processed(ctx, d.stack.ID, nil)
	if err != nil {
		return nil, err
	}
	retained := map[leftover]bool{} // a group named twice is retained if either resource is
	for i, l := range found {
		retained[l] = retained[l] || t.Resources[logical[i]].Retained
	}
	var free []leftover
	for _, l := range found {
		if r, first := retained[l]; first && !r {
			free = append(free, l)
			delete(retained, l)
		}
	}
	return free, nil
}

// leftoverOf returns what a resource may leave behind, if anything.
func leftoverOf(r types.StackResourceSummary) (leftover, bool) {
	l := leftover{sdk.ToString(r.ResourceType), sdk.ToString(r.PhysicalResourceId)}
	if l.id == "" || r.ResourceStatus == types.ResourceStatusDeleteComplete {
		return l, false
	}
	switch l.kind {
	case functionType:
		return leftover{logGroupType, "/aws/lambda/" + l.id}, true
	case apiType, logGroupType:
		return l, true
	}
	return l, false
}

// deleteLeftovers deletes what outlived the stack, once the stack is gone.
func (d *deletion) deleteLeftovers(ctx context.Context, all []leftover) {
	for _, l := range all {
		switch err := d.deleteLeftover(ctx, l); {
		case err == nil:
			d.did.Swept = append(d.did.Swept, l.String())
		case !aws.HasCode(err, "NotFoundException", "ResourceNotFoundException"):
			d.did.Left = append(d.did.Left, fmt.Sprintf("%s: %v", l, err))
		}
	}
}

func (d *deletion) deleteLeftover(ctx context.Context, l leftover) error {
	if l.kind == apiType {
		_, err := apigateway.NewFromConfig(d.s.account.Config()).DeleteRestApi(ctx, &apigateway.DeleteRestApiInput{RestApiId: &l.id})
		return err
	}
	_, err := cloudwatchlogs.NewFromConfig(d.s.account.Config()).DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &l.id})
	return err
}
