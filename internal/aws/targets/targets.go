// Package targets reads the targets of load balancers (ELBv2): which of them get
// requests, and how long one that is removed finishes its open ones.
package targets

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// Groups reads target groups of one account and region.
type Groups struct{ client *elb.Client }

// New returns the target groups of a configuration. It sends no request.
func New(config aws.Config) *Groups { return &Groups{elb.NewFromConfig(config)} }

// Missing says which of these addresses a target group does not send requests to,
// each with its state and the reason, "" if it sends them to all. No address is
// never enough.
func (g *Groups) Missing(ctx context.Context, arn string, addresses []string) (string, error) {
	out, err := g.client.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: &arn})
	if err != nil {
		return "", fmt.Errorf("read the targets of %s (elasticloadbalancing:DescribeTargetHealth): %w", name(arn), err)
	}
	states := map[string]string{}
	for _, d := range out.TargetHealthDescriptions {
		if d.Target == nil || d.TargetHealth == nil {
			continue
		}
		state := string(d.TargetHealth.State)
		if d.TargetHealth.Reason != "" {
			state += " (" + string(d.TargetHealth.Reason) + ")"
		}
		// A target has one entry for each of its ports.
		if address := aws.ToString(d.Target.Id); states[address] == "" || d.TargetHealth.State == types.TargetHealthStateEnumHealthy {
			states[address] = state
		}
	}
	if len(addresses) == 0 {
		return fmt.Sprintf("target group %s: the Service has no ready pods", name(arn)), nil
	}
	var missing []string
	for _, address := range slices.Sorted(slices.Values(addresses)) {
		switch state := states[address]; state {
		case string(types.TargetHealthStateEnumHealthy):
		case "":
			missing = append(missing, address+" is not registered")
		default:
			missing = append(missing, address+" is "+state)
		}
	}
	if missing == nil {
		return "", nil
	}
	return fmt.Sprintf("target group %s has %d of %d pods healthy: %s", name(arn), len(addresses)-len(missing), len(addresses), strings.Join(missing, ", ")), nil
}

const delayKey = "deregistration_delay.timeout_seconds"

// Delay returns how long a target that is removed finishes its open requests.
func (g *Groups) Delay(ctx context.Context, arn string) (time.Duration, error) {
	out, err := g.client.DescribeTargetGroupAttributes(ctx, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: &arn})
	if err != nil {
		return 0, fmt.Errorf("read the attributes of %s (elasticloadbalancing:DescribeTargetGroupAttributes): %w", name(arn), err)
	}
	for _, a := range out.Attributes {
		if aws.ToString(a.Key) != delayKey {
			continue
		}
		seconds, err := strconv.Atoi(aws.ToString(a.Value))
		if err != nil {
			return 0, fmt.Errorf("read %s of %s: %w", delayKey, name(arn), err)
		}
		return time.Duration(seconds) * time.Second, nil
	}
	return 0, fmt.Errorf("read %s of %s: AWS does not say it", delayKey, name(arn))
}

// name shortens the ARN of a target group to its name.
func name(arn string) string {
	parts := strings.Split(arn, "/")
	if len(parts) < 3 {
		return arn
	}
	return parts[1]
}
