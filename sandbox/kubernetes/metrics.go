package main

import (
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	generated "k8s.io/kubernetes/pkg/generated/openapi"
	"sigs.k8s.io/metrics-server/pkg/api"
	"sigs.k8s.io/metrics-server/pkg/scraper/client"
	"sigs.k8s.io/metrics-server/pkg/server"
)

// metricsOptions are the flags of metrics-server that a sandbox sets, under their own names.
type metricsOptions struct {
	kubeconfig string
	resolution time.Duration
	serving    *genericoptions.SecureServingOptionsWithLoopback
	authn      *genericoptions.DelegatingAuthenticationOptions
	authz      *genericoptions.DelegatingAuthorizationOptions
}

// newMetricsServerCommand is metrics-server as its own program would start it. That program is written for the API server library of an older
// Kubernetes and does not compile with this one, and a newer metrics-server wants newer versions of everything that Kubernetes is built
// with, so that all of it would be compiled twice. What collects, stores and serves is metrics-server's; only flags and wiring are here.
func newMetricsServerCommand() *cobra.Command {
	o := metricsOptions{
		serving: genericoptions.NewSecureServingOptions().WithLoopback(),
		authn:   genericoptions.NewDelegatingAuthenticationOptions(),
		authz:   genericoptions.NewDelegatingAuthorizationOptions(),
	}
	cmd := &cobra.Command{
		Use: "metrics-server", SilenceUsage: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return o.run(genericapiserver.SetupSignalHandler()) },
	}
	cmd.Flags().StringVar(&o.kubeconfig, "kubeconfig", "", "how to reach the API server, and with which identity the kubelets")
	cmd.Flags().DurationVar(&o.resolution, "metric-resolution", time.Minute, "time between two looks at the kubelets")
	o.serving.AddFlags(cmd.Flags())
	o.authn.AddFlags(cmd.Flags())
	o.authz.AddFlags(cmd.Flags())
	return cmd
}

func (o metricsOptions) run(stop <-chan struct{}) error {
	cluster, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return err
	}
	serving, err := o.apiserver()
	if err != nil {
		return err
	}
	s, err := server.Config{
		Apiserver: serving,
		Rest:      cluster,
		Kubelet: &client.KubeletClientConfig{
			Scheme: "https", DefaultPort: 10250,
			AddressTypePriority: []corev1.NodeAddressType{corev1.NodeInternalIP}, // there is no DNS for its name
			Client:              *rest.CopyConfig(cluster),                       // the kubelet's certificate is of the same authority
		},
		MetricResolution: o.resolution,
		ScrapeTimeout:    o.resolution * 9 / 10,
	}.Complete()
	if err != nil {
		return err
	}
	return s.RunUntil(stop)
}

// apiserver is who serves metrics.k8s.io: it asks the cluster's API server who is calling and what that one may do.
func (o metricsOptions) apiserver() (*genericapiserver.Config, error) {
	config := genericapiserver.NewConfig(api.Codecs)
	config.EffectiveVersion = compatibility.DefaultBuildEffectiveVersion()
	// metrics-server's own schemas have the names of an older Kubernetes.
	namer := openapi.NewDefinitionNamer(api.Scheme)
	config.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(generated.GetOpenAPIDefinitions, namer)
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(generated.GetOpenAPIDefinitions, namer)
	if err := o.serving.ApplyTo(&config.SecureServing, &config.LoopbackClientConfig); err != nil {
		return nil, err
	}
	if err := o.authn.ApplyTo(&config.Authentication, config.SecureServing, nil); err != nil {
		return nil, err
	}
	return config, o.authz.ApplyTo(&config.Authorization)
}
