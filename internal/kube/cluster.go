package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/candlefish/deploy-action/internal/kube/credential"
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
	// Config reads the configuration, for connections that are no requests.
	Config func() (*rest.Config, error)

	expires time.Time
}

// TokenExpires returns the end of the identity's credential, false if it is
// unknown or renewed in time. A bearer token in a kubeconfig and a client
// certificate have such an end.
func (c *Cluster) TokenExpires() (time.Time, bool) { return c.expires, !c.expires.IsZero() }

// ConnectOptions selects the cluster: by a kubeconfig, or by Host, CAData and
// Token together.
type ConnectOptions struct {
	Kubeconfig string // path; empty means $KUBECONFIG's default places
	Context    string // empty means the current one

	// Host is the URL of the API server. If it is set, no kubeconfig is read.
	Host   string
	CAData []byte // certificates in PEM that the API server's is checked with
	// Token returns a bearer token that is valid for the next request. It is called
	// for every request, by several goroutines.
	Token func(context.Context) (string, error)

	// Wrap, if set, wraps the HTTP transport; tests use it to cut the connection.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Connect reads the configuration and creates the clients. It sends no request.
// A request that is refused for its credential is repeated once, with what the
// kubeconfig says then.
func Connect(o ConnectOptions) (*Cluster, error) {
	if o.Host != "" {
		config := &rest.Config{Host: o.Host, TLSClientConfig: rest.TLSClientConfig{CAData: o.CAData}}
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return credential.Bearer(next, o.Token) })
		return connect(config, o.Wrap, func() (*rest.Config, error) { return config, nil })
	}
	config, err := o.read()
	if err != nil {
		return nil, err
	}
	return connect(config, o.Wrap, o.read)
}

// read reads the kubeconfig.
func (o ConnectOptions) read() (*rest.Config, error) {
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
	return config, pluginExists(config)
}

// pluginExists returns an error if the kubeconfig's user needs a program that
// this machine does not have.
func pluginExists(config *rest.Config) error {
	if config.ExecProvider == nil {
		return nil
	}
	if _, err := exec.LookPath(config.ExecProvider.Command); err != nil {
		return fmt.Errorf("the kubeconfig gets its token from the program %q, which cannot be run here (%w); %s",
			config.ExecProvider.Command, err, wayOut(config.ExecProvider.Command))
	}
	return nil
}

// wayOut says how to connect without a program that gets tokens.
func wayOut(program string) string {
	switch filepath.Base(program) {
	case "aws", "aws-iam-authenticator":
		return "for a cluster on EKS set eks-cluster, which needs no program"
	case "gke-gcloud-auth-plugin", "gcloud":
		return "for a cluster on GKE use the kubeconfig of google-github-actions/get-gke-credentials, which has a token"
	case "kubelogin":
		return "for a cluster on AKS put a token into the kubeconfig: kubectl config set-credentials deploy --token=...; docs/clusters.md has the steps"
	}
	return "set eks-cluster for a cluster on EKS, or use a kubeconfig with a token"
}

// ConnectTo creates the clients for a configuration. It sends no request.
func ConnectTo(config *rest.Config, wrap func(http.RoundTripper) http.RoundTripper) (*Cluster, error) {
	return connect(config, wrap, nil)
}

// connect creates the clients for a configuration. again, if set, reads it once
// more.
func connect(config *rest.Config, wrap func(http.RoundTripper) http.RoundTripper, again func() (*rest.Config, error)) (*Cluster, error) {
	config = ours(config, wrap)
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	client := &http.Client{Transport: transport, Timeout: config.Timeout}
	if again != nil {
		client.Transport = credential.Renewing(transport, func() (http.RoundTripper, error) {
			fresh, err := again()
			if err != nil {
				return nil, err
			}
			return rest.TransportFor(ours(fresh, wrap))
		})
	}
	typed, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	dyn, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	if again == nil {
		again = func() (*rest.Config, error) { return config, nil } //nolint:unparam // the other one reads a file
	}
	return &Cluster{Typed: typed, Dynamic: dyn, Host: config.Host, Config: again, expires: credential.Expires(config)}, nil
}

// ours returns a copy of a configuration with our settings.
func ours(config *rest.Config, wrap func(http.RoundTripper) http.RoundTripper) *rest.Config {
	config = rest.CopyConfig(config)
	// A rollout sends few requests, some of them in bursts; a rate limiter would
	// only delay an abort.
	config.QPS, config.Burst = -1, 0
	config.UserAgent = FieldManager
	config.WarningHandler = rest.NoWarnings{}
	if wrap != nil {
		config.Wrap(wrap)
	}
	return config
}
