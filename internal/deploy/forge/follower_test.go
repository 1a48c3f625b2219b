package forge

import (
	"context"

	"github.com/candlefish/deploy-action/internal/github/deployments"
)

// A recording is a recorder that keeps what it is told, each once gate is closed.
type recording struct {
	gate  <-chan struct{}
	began chan struct{}
	all   []string
}

// record implements recorder.
func (r *recording) record(ctx context.Context, e event) (int64, error) {
	r.began <- struct{}{}
	select {
	case <-r.gate:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	r.all = append(r.all, e.run+" "+string(e.status.State))
	return 1, nil
}

// byHand implements recorder.
func (r *recording) byHand(event) string { return "" }

func statusOf(state string) deployments.Status {
	return deployments.Status{State: deployments.State(state)}
}
