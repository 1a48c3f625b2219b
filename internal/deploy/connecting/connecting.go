// Package connecting connects a deploy to its cluster: by a kubeconfig, by the
// service account of its pod, or by the name of a cluster on EKS.
package connecting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/eks"
	awstargets "github.com/candlefish/deploy-action/internal/aws/targets"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/targets"
)

// Options selects the cluster.
type Options struct {
	Kubeconfig string // path; empty means the default places
	Context    string // in the kubeconfig; empty means the current one
	// EKSCluster is the name of a cluster on EKS. If it is set, no kubeconfig is
	// read.
	EKSCluster string
	Region     string // of EKSCluster; empty means $AWS_REGION's default places
	// Endpoint replaces the URL of every AWS service, for test servers.
	Endpoint string
}

// patience bounds the requests to AWS, its retries included.
const patience = 30 * time.Second

// silence discards what client-go logs. While the API server is away, each of its
// watches would write lines of its own to standard error, past the console and
// the redactor; the run itself says what it waits for. klog has one logger per
// process, which must not change while others use it.
var silence = sync.OnceFunc(func() { klog.SetSlogLogger(slog.New(slog.DiscardHandler)) })

// Connect creates the connection to a cluster. It sends no request to it.
// client-go logs nothing from now on.
func Connect(ctx context.Context, o Options) (*kube.Cluster, error) {
	silence()
	k := kube.ConnectOptions{Kubeconfig: o.Kubeconfig, Context: o.Context}
	if o.EKSCluster != "" {
		var err error
		if k, err = onEKS(ctx, o); err != nil {
			return nil, err
		}
	}
	cluster, err := kube.Connect(k)
	if errors.Is(err, kube.ErrNoCluster) {
		return nil, exit.Refuse("set kubeconfig or KUBECONFIG, or eks-cluster for a cluster on EKS", err.Error())
	}
	return cluster, err
}

// Targets returns what connects to the target groups of an AWS account: that of the
// cluster's region, or of the environment's.
func Targets(o Options) func(context.Context) (targets.Health, error) {
	return func(ctx context.Context) (targets.Health, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		account, err := aws.Connect(ctx, aws.ConnectOptions{Region: o.Region, Endpoint: o.Endpoint})
		if err != nil {
			return nil, err
		}
		return awstargets.New(account.Config()), nil
	}
}

// onEKS returns how to connect to a cluster on EKS. Its tokens are renewed for
// as long as the AWS credentials are.
func onEKS(ctx context.Context, o Options) (kube.ConnectOptions, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	account, err := aws.Connect(ctx, aws.ConnectOptions{Region: o.Region, Endpoint: o.Endpoint})
	if errors.Is(err, aws.ErrNoRegion) {
		return kube.ConnectOptions{}, exit.Refuse("set aws-region or AWS_REGION", fmt.Sprintf("the region of EKS cluster %q is unknown", o.EKSCluster))
	}
	if err != nil {
		return kube.ConnectOptions{}, err
	}
	cluster, err := eks.Describe(ctx, account.Config(), o.EKSCluster)
	if err != nil {
		return kube.ConnectOptions{}, err
	}
	tokens := eks.NewTokens(account.Config(), o.EKSCluster, account.Region(), account.Clock().Now)
	return kube.ConnectOptions{Host: cluster.Endpoint, CAData: cluster.CAData, Token: tokens.Token}, nil
}
