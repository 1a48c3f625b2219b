package kube

import (
	"errors"
	"fmt"
	"net/http"
	"os"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// FieldManager names our writes in managedFields.
const FieldManager = "candlefish-deploy-action"

// ErrNoCluster says that no cluster is configured: there is no kubeconfig
// input, no default kubeconfig, and the process does not run in a pod.
var ErrNoCluster = errors.New("no cluster is configured")

// A Cluster is a connection to one API server.
type Cluster struct {
	Typed   kubernetes.Interface
	Dynamic dynamic.Interface
	// Host is the API server's address, for messages.
	Host string
}

// ConnectOptions selects the cluster.
type ConnectOptions struct {
	Kubeconfig string // path; empty means $KUBECONFIG's default places
	Context    string // empty means the current one
	// Wrap, if set, wraps the HTTP transport; tests use it to cut the connection.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Connect reads the configuration and creates the clients. It sends no request.
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
	return ConnectTo(config, o.Wrap)
}

// ConnectTo creates the clients for a configuration. It sends no request.
func ConnectTo(config *rest.Config, wrap func(http.RoundTripper) http.RoundTripper) (*Cluster, error) {
	config = rest.CopyConfig(config)
	// A rollout sends few requests, some of them in bursts; a rate limiter would
	// only delay an abort.
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
	return &Cluster{Typed: typed, Dynamic: dyn, Host: config.Host}, nil
}
