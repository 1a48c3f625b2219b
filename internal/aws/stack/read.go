package stack

import (
	"context"
	"fmt"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/stack/template"
)

// A reader reads stacks and their change sets as CloudFormation has them now. It changes
// nothing and waits for nothing.
type reader struct{ cf *cloudformation.Client }

// find reads a stack by its name or id. Without one the result has the status
// DELETE_COMPLETE, or is the zero Stack.
func (r reader) find(ctx context.Context, id string, options ...func(*cloudformation.Options)) (Stack, error) {
	out, err := r.cf.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &id}, options...)
	switch {
	case notExist(err):
		return Stack{}, nil
	case err != nil:
		return Stack{}, fmt.Errorf("read stack %s: %w", id, err)
	case len(out.Stacks) != 1:
		return Stack{}, fmt.Errorf("read stack %s: %d answers", id, len(out.Stacks))
	}
	return stackOf(out.Stacks[0]), nil
}

// list reads all pages of a stack's resources.
func (r reader) list(ctx context.Context, id string) ([]types.StackResourceSummary, error) {
	var all []types.StackResourceSummary
	pages := cloudformation.NewListStackResourcesPaginator(r.cf, &cloudformation.ListStackResourcesInput{StackName: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the resources of %s: %w", id, err)
		}
		all = append(all, page.StackResourceSummaries...)
	}
	return all, nil
}

// processed reads the stack's template with its macros expanded.
func (r reader) processed(ctx context.Context, id string, parameters map[string]string) (template.Template, error) {
	out, err := r.cf.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: &id, TemplateStage: types.TemplateStageProcessed})
	if err != nil {
		return template.Template{}, fmt.Errorf("read the template of %s: %w", id, err)
	}
	return template.Parse([]byte(sdk.ToString(out.TemplateBody)), parameters)
}

// changes reads all pages of a set's changes.
func (r reader) changes(ctx context.Context, id string) ([]Change, error) {
	var all []Change
	pages := cloudformation.NewDescribeChangeSetPaginator(r.cf, &cloudformation.DescribeChangeSetInput{ChangeSetName: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read change set %s: %w", id, err)
		}
		for _, c := range page.Changes {
			if r := c.ResourceChange; r != nil {
				all = append(all, Change{string(r.Action), sdk.ToString(r.LogicalResourceId), sdk.ToString(r.ResourceType), string(r.Replacement)})
			}
		}
	}
	return all, nil
}

// validation returns what CloudFormation's validation before creation found. It only
// completes a reason, so that it could not be read is not an error.
func (r reader) validation(ctx context.Context, id string) string {
	out, err := r.cf.DescribeEvents(ctx, &cloudformation.DescribeEventsInput{ChangeSetName: &id}, noRetry)
	if err != nil {
		return ""
	}
	var found []string
	for _, e := range out.OperationEvents {
		if e.EventType == types.EventTypeValidationError {
			found = append(found, fmt.Sprintf("%s %s: %s", sdk.ToString(e.LogicalResourceId), sdk.ToString(e.ValidationPath), sdk.ToString(e.ValidationStatusReason)))
		}
	}
	return strings.Join(found, "; ")
}

// checkOwner refuses a stack that is not ours. One that was only reviewed may have no
// tags yet: its change sets have them.
func (r reader) checkOwner(ctx context.Context, st Stack, check func(map[string]string) error) error {
	tags := []map[string]string{st.Tags}
	if st.Status == string(types.StackStatusReviewInProgress) && len(st.Tags) == 0 {
		proposed, err := r.setTags(ctx, st.ID)
		if err != nil {
			return err
		}
		if len(proposed) > 0 {
			tags = proposed
		}
	}
	for _, t := range tags {
		if err := check(t); err != nil {
			return fmt.Errorf("stack %s: %w: %w", st.Name, aws.ErrNotOurs, err)
		}
	}
	return nil
}

// setTags reads the tags of each change set of a stack.
func (r reader) setTags(ctx context.Context, id string) ([]map[string]string, error) {
	var tags []map[string]string
	pages := cloudformation.NewListChangeSetsPaginator(r.cf, &cloudformation.ListChangeSetsInput{StackName: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the change sets of %s: %w", id, err)
		}
		for _, sum := range page.Summaries {
			set, err := r.cf.DescribeChangeSet(ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: sum.ChangeSetId})
			if err != nil {
				return nil, fmt.Errorf("read change set %s: %w", sdk.ToString(sum.ChangeSetId), err)
			}
			tags = append(tags, tagMap(set.Tags))
		}
	}
	return tags, nil
}
