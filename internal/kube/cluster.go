package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// FieldManager names our writes in managedFields.
const FieldManager = "candlefish-deploy-action"

// ErrNoCluster says that no cluster is configured: no kubeconfig was given,
// none is at the default place and the process runs in no pod.
var ErrNoCluster = errors.New("no cluster is configured")

// A Cluster is a connection to one API server.
type Cluster struct {
	typed   kubernetes.Interface
	dynamic dynamic.Interface
	// Host is the API server's address, for messages.
	Host string
}

// A ConnectOptions says which cluster to use.
type ConnectOptions struct {
	Kubeconfig string // path; empty means $KUBECONFIG's default places
	Context    string // empty means the current one
	// Wrap may replace the HTTP transport, for tests that cut the
	// connection.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Connect reads the configuration and makes the clients. It sends nothing.
func Connect(o ConnectOptions) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if o.Kubeconfig != "" {
		if _, err := os.Stat(o.Kubeconfig); err != nil {
			return nil, fmt.Errorf("read kubeconfig: %w", err)
		}
		rules.ExplicitPath = o.Kubeconfig
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.Context}).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, ErrNoCluster
	}
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	return newCluster(config, o.Wrap)
}

func newCluster(config *rest.Config, wrap func(http.RoundTripper) http.RoundTripper) (*Cluster, error) {
	config = rest.CopyConfig(config)
	// A rollout sends few requests, but some of them in a burst: a limiter
	// would only delay an abort.
	config.QPS, config.Burst = -1, 0
	config.UserAgent = FieldManager
	config.WarningHandler = rest.NoWarnings{}
	if wrap != nil {
		config.Wrap(wrap)
	}
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	return &Cluster{typed: typed, dynamic: dyn, Host: config.Host}, nil
}

// steadily repeats f while its error may heal: a conflict, an overloaded or
// unreachable API server. It gives up when ctx ends and then returns the last
// error that f had of its own.
func steadily(ctx context.Context, f func(context.Context) error) error {
	backoff := wait.Backoff{Duration: 50 * time.Millisecond, Factor: 1.6, Jitter: 0.2, Steps: 1 << 20, Cap: 2 * time.Second}
	for {
		// One attempt must not use up all the time: a connection that
		// hangs is retried like one that is refused.
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := f(attempt)
		cancel()
		if err == nil || !mayHeal(err) {
			return err
		}
		timer := time.NewTimer(backoff.Step())
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// mayHeal tells a passing fault from a refusal.
func mayHeal(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		switch {
		case apierrors.IsConflict(err), apierrors.IsTooManyRequests(err), apierrors.IsServerTimeout(err),
			apierrors.IsTimeout(err), apierrors.IsServiceUnavailable(err), apierrors.IsInternalError(err):
			return true
		}
		return status.Status().Code >= 500
	}
	var netErr net.Error
	return errors.As(err, &netErr) || utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) ||
		utilnet.IsProbableEOF(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errNotYet)
}

// errNotYet is wrapped by conditions that steadily waits for.
var errNotYet = errors.New("not yet")
