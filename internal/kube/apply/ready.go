package apply

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/manifest"
)

// A FailedError says that an object can't become ready by itself.
type FailedError struct{ Object, Message string }

func (e *FailedError) Error() string { return fmt.Sprintf("%s failed: %s", e.Object, e.Message) }

// wait returns when an object is ready by the rules of kstatus: its controller has
// seen it, and its conditions say so. A Job is ready when it has completed.
func (a *Client) wait(ctx context.Context, o manifest.Object, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := kube.Retry(ctx, func(ctx context.Context) error {
		live, err := a.get(ctx, o)
		if err != nil {
			return err
		}
		if live == nil {
			return fmt.Errorf("%w: it does not exist", kube.ErrNotYet)
		}
		return ready(o, live)
	})
	if err != nil {
		return fmt.Errorf("wait until %s is ready: %w", o, err)
	}
	return nil
}

// ready returns nil for a ready object, an error that wraps kube.ErrNotYet for one
// that may become ready, and a *FailedError for one that cannot.
func ready(o manifest.Object, live map[string]any) error {
	result, err := status.Compute(&unstructured.Unstructured{Object: live})
	if err != nil {
		return fmt.Errorf("compute the status: %w", err)
	}
	switch result.Status {
	case status.CurrentStatus:
		if o.Is("batch", "Job") && !completed(live) {
			return fmt.Errorf("%w: it has not completed", kube.ErrNotYet)
		}
		return nil
	case status.FailedStatus:
		return &FailedError{Object: o.String(), Message: result.Message}
	case status.InProgressStatus, status.TerminatingStatus, status.NotFoundStatus, status.UnknownStatus:
	}
	return fmt.Errorf("%w: %s", kube.ErrNotYet, result.Message)
}

// completed reports whether a Job has the condition Complete.
func completed(job map[string]any) bool {
	conditions, _, _ := unstructured.NestedSlice(job, "status", "conditions")
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		if condition["type"] == "Complete" && condition["status"] == "True" {
			return true
		}
	}
	return false
}
