package component

import (
	"fmt"
	"path/filepath"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/binaries"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/host"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/network"
)

// Process is one program of the sandbox.
type Process struct {
	Name string
	Argv []string
	Env  []string
	Host bool // runs in the host's network instead of the sandbox's
}

// Early are the processes that need nothing but files.
func Early(l control.Dir, n network.Network, bin binaries.Set) []Process {
	return []Process{
		{Name: "containerd", Argv: []string{"containerd", "--config", l.Config("containerd.toml")}},
		{Name: "etcd", Argv: []string{bin.Kubernetes, "etcd",
			"--data-dir", l.Path("etcd"),
			"--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
			"--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
			"--initial-cluster", "default=http://127.0.0.1:2380",
			"--unsafe-no-fsync", "--log-level", "warn"}},
		{Name: "kube-apiserver", Argv: []string{bin.Kubernetes, "kube-apiserver",
			"--etcd-servers=http://127.0.0.1:2379",
			"--bind-address=" + n.NodeIP(), "--advertise-address=" + n.NodeIP(), "--secure-port=6443",
			"--client-ca-file=" + l.PKI("ca.crt"),
			"--tls-cert-file=" + l.PKI("apiserver.crt"), "--tls-private-key-file=" + l.PKI("apiserver.key"),
			"--kubelet-client-certificate=" + l.PKI("apiserver-kubelet.crt"), "--kubelet-client-key=" + l.PKI("apiserver-kubelet.key"),
			"--kubelet-certificate-authority=" + l.PKI("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
			"--service-account-key-file=" + l.PKI("sa.pub"), "--service-account-signing-key-file=" + l.PKI("sa.key"),
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-cluster-ip-range=" + n.Services.String(),
			// the aggregation layer: who speaks for the API server to metrics-server, and how it says for whom
			"--requestheader-client-ca-file=" + l.PKI("front-proxy-ca.crt"), "--requestheader-allowed-names=" + frontProxy,
			"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file=" + l.PKI("front-proxy.crt"), "--proxy-client-key-file=" + l.PKI("front-proxy.key"),
			"--enable-aggregator-routing=true", // to the endpoint itself, whatever kube-proxy has written so far
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
			"--enable-priority-and-fairness=false"}},
	}
}

// Nodeside is what makes the node, once the API server answers.
func Nodeside(l control.Dir, n network.Network, bin binaries.Set) []Process {
	return []Process{
		{Name: "kube-controller-manager", Argv: []string{bin.Kubernetes, "kube-controller-manager",
			"--kubeconfig=" + l.Kubeconfig("kube-controller-manager"),
			"--service-account-private-key-file=" + l.PKI("sa.key"), "--root-ca-file=" + l.PKI("ca.crt"),
			"--use-service-account-credentials", "--leader-elect=false", "--bind-address=127.0.0.1",
			"--cluster-cidr=" + n.Pods.String(), "--controllers=*,-nodeipam"}},
		{Name: "kube-scheduler", Argv: []string{bin.Kubernetes, "kube-scheduler",
			"--kubeconfig=" + l.Kubeconfig("kube-scheduler"), "--leader-elect=false", "--bind-address=127.0.0.1"}},
		{Name: "kubelet", Argv: []string{bin.Kubernetes, "kubelet",
			"--config=" + l.Config("kubelet.json"), "--kubeconfig=" + l.Kubeconfig("kubelet"),
			"--hostname-override=" + NodeName, "--node-ip=" + n.NodeIP(),
			"--root-dir=" + l.Path("kubelet"), "--cert-dir=" + l.Path("kubelet", "pki")}},
		{Name: "kube-proxy", Argv: []string{bin.Kubernetes, "kube-proxy", "--config=" + l.Config("proxy.json")}},
	}
}

// MetricsServer serves metrics.k8s.io. Every resolution it asks the kubelet for the use of all containers; a container has a value after the
// second time.
func MetricsServer(l control.Dir, n network.Network, bin binaries.Set) Process {
	kubeconfig := l.Kubeconfig(MetricsService)
	return Process{Name: MetricsService, Argv: []string{bin.Kubernetes, "metrics-server",
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + n.NodeIP(), fmt.Sprintf("--secure-port=%d", metricsPort),
		"--tls-cert-file=" + l.PKI("metrics-server.crt"), "--tls-private-key-file=" + l.PKI("metrics-server.key"),
		"--metric-resolution=10s"}}
}

// Gateways are the two Traefiks and the Prometheus that watches them. They need the Gateway API's kinds to exist.
func Gateways(l control.Dir, n network.Network, bin binaries.Set) []Process {
	return []Process{
		gatewayProcess(l, bin, "gateway", n.Web, n.WebMetrics, Normal),
		gatewayProcess(l, bin, "gateway-slow", n.Slow, n.SlowMetrics, Slow),
		{Name: "prometheus", Host: true, Argv: []string{"prometheus",
			"--config.file=" + l.Config("prometheus.json"), "--storage.tsdb.path=" + l.Path("prometheus"),
			"--storage.tsdb.retention.time=1d", fmt.Sprintf("--web.listen-address=127.0.0.1:%d", n.Prometheus)}},
	}
}

// GatewaySpec is one Gateway with the class that its own Traefik alone handles.
type GatewaySpec struct {
	Name     string // of the Gateway and of its class
	Throttle string // how long Traefik gathers changes before it applies them
}

const GatewayNamespace = "sandbox"

var (
	Normal = GatewaySpec{"web", "2s"}
	Slow   = GatewaySpec{"web-slow", "5s"}
)

// label marks the class of a gateway, so that each Traefik finds its own.
func (g GatewaySpec) label() string { return "sandbox.candlefish.dev/gateway" }

func gatewayProcess(l control.Dir, bin binaries.Set, name string, port, metrics int, g GatewaySpec) Process {
	return Process{
		Name: name,
		Host: true,
		Env:  []string{"KUBECONFIG=" + l.Kubeconfig("gateway")},
		Argv: []string{bin.Gateway,
			fmt.Sprintf("--entrypoints.web.address=127.0.0.1:%d", port),
			fmt.Sprintf("--entrypoints.metrics.address=127.0.0.1:%d", metrics),
			"--ping", "--ping.entrypoint=metrics",
			"--metrics.prometheus", "--metrics.prometheus.entrypoint=metrics",
			"--metrics.prometheus.addserviceslabels", "--metrics.prometheus.addrouterslabels", "--metrics.prometheus.addentrypointslabels",
			"--metrics.prometheus.buckets=0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5",
			"--providers.kubernetesgateway",
			"--providers.kubernetesgateway.labelselector=" + g.label() + "=" + g.Name,
			"--providers.kubernetesgateway.statusaddress.ip=127.0.0.1",
			"--providers.providersthrottleduration=" + g.Throttle,
			"--global.checknewversion=false", "--global.sendanonymoususage=false",
			"--log.level=INFO",
		},
	}
}

// Files are the files that processes read, by their path.
func Files(l control.Dir, n network.Network) map[string][]byte {
	return map[string][]byte{
		l.Config("containerd.toml"):                        renderContainerd(l, n, host.CNIDir()),
		l.Config("kubelet.json"):                           renderKubelet(l, n),
		l.Config("proxy.json"):                             renderProxy(l, n),
		l.Config("prometheus.json"):                        renderPrometheus(n),
		l.Config("resolv.conf"):                            []byte("# the sandbox has no DNS\n"),
		filepath.Join(l.Config("cni"), "sandbox.conflist"): renderCNI(l, n),
	}
}
