package sandbox

import (
	"fmt"
	"path/filepath"
)

// process is one program of the sandbox.
type process struct {
	name string
	argv []string
	env  []string
	host bool // runs in the host's network instead of the sandbox's
}

// early are the processes that need nothing but files.
func early(l layout, n network, bin BinarySet) []process {
	return []process{
		{name: "containerd", argv: []string{"containerd", "--config", l.config("containerd.toml")}},
		{name: "etcd", argv: []string{bin.Kubernetes, "etcd",
			"--data-dir", l.path("etcd"),
			"--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
			"--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
			"--initial-cluster", "default=http://127.0.0.1:2380",
			"--unsafe-no-fsync", "--log-level", "warn"}},
		{name: "kube-apiserver", argv: []string{bin.Kubernetes, "kube-apiserver",
			"--etcd-servers=http://127.0.0.1:2379",
			"--bind-address=" + n.nodeIP(), "--advertise-address=" + n.nodeIP(), "--secure-port=6443",
			"--client-ca-file=" + l.pki("ca.crt"),
			"--tls-cert-file=" + l.pki("apiserver.crt"), "--tls-private-key-file=" + l.pki("apiserver.key"),
			"--kubelet-client-certificate=" + l.pki("apiserver-kubelet.crt"), "--kubelet-client-key=" + l.pki("apiserver-kubelet.key"),
			"--kubelet-certificate-authority=" + l.pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
			"--service-account-key-file=" + l.pki("sa.pub"), "--service-account-signing-key-file=" + l.pki("sa.key"),
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-cluster-ip-range=" + n.services(),
			// the aggregation layer: who speaks for the API server to metrics-server, and how it says for whom
			"--requestheader-client-ca-file=" + l.pki("front-proxy-ca.crt"), "--requestheader-allowed-names=" + frontProxy,
			"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file=" + l.pki("front-proxy.crt"), "--proxy-client-key-file=" + l.pki("front-proxy.key"),
			"--enable-aggregator-routing=true", // to the endpoint itself, whatever kube-proxy has written so far
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
			"--enable-priority-and-fairness=false"}},
	}
}

// nodeside is what makes the node, once the API server answers.
func nodeside(l layout, n network, bin BinarySet) []process {
	return []process{
		{name: "kube-controller-manager", argv: []string{bin.Kubernetes, "kube-controller-manager",
			"--kubeconfig=" + l.kubeconfig("kube-controller-manager"),
			"--service-account-private-key-file=" + l.pki("sa.key"), "--root-ca-file=" + l.pki("ca.crt"),
			"--use-service-account-credentials", "--leader-elect=false", "--bind-address=127.0.0.1",
			"--cluster-cidr=" + n.pods(), "--controllers=*,-nodeipam"}},
		{name: "kube-scheduler", argv: []string{bin.Kubernetes, "kube-scheduler",
			"--kubeconfig=" + l.kubeconfig("kube-scheduler"), "--leader-elect=false", "--bind-address=127.0.0.1"}},
		{name: "kubelet", argv: []string{bin.Kubernetes, "kubelet",
			"--config=" + l.config("kubelet.json"), "--kubeconfig=" + l.kubeconfig("kubelet"),
			"--hostname-override=" + nodeName, "--node-ip=" + n.nodeIP(),
			"--root-dir=" + l.path("kubelet"), "--cert-dir=" + l.path("kubelet", "pki")}},
		{name: "kube-proxy", argv: []string{bin.Kubernetes, "kube-proxy", "--config=" + l.config("proxy.json")}},
	}
}

// metricsServer serves metrics.k8s.io. Every resolution it asks the kubelet for the use of all containers; a container has a value after the
// second time.
func metricsServer(l layout, n network, bin BinarySet) process {
	kubeconfig := l.kubeconfig(metricsService)
	return process{name: metricsService, argv: []string{bin.Kubernetes, "metrics-server",
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + n.nodeIP(), fmt.Sprintf("--secure-port=%d", metricsPort),
		"--tls-cert-file=" + l.pki("metrics-server.crt"), "--tls-private-key-file=" + l.pki("metrics-server.key"),
		"--metric-resolution=10s"}}
}

// gateways are the two Traefiks and the Prometheus that watches them. They need the Gateway API's kinds to exist.
func gateways(l layout, n network, bin BinarySet) []process {
	return []process{
		gatewayProcess(l, bin, "gateway", n.Web, n.WebMetrics, normalGateway),
		gatewayProcess(l, bin, "gateway-slow", n.Slow, n.SlowMetrics, slowGateway),
		{name: "prometheus", host: true, argv: []string{"prometheus",
			"--config.file=" + l.config("prometheus.json"), "--storage.tsdb.path=" + l.path("prometheus"),
			"--storage.tsdb.retention.time=1d", fmt.Sprintf("--web.listen-address=127.0.0.1:%d", n.Prometheus)}},
	}
}

// gatewaySpec is one Gateway with the class that its own Traefik alone handles.
type gatewaySpec struct {
	name     string // of the Gateway and of its class
	throttle string // how long Traefik gathers changes before it applies them
}

const gatewayNamespace = "sandbox"

var (
	normalGateway = gatewaySpec{"web", "2s"}
	slowGateway   = gatewaySpec{"web-slow", "5s"}
)

// label marks the class of a gateway, so that each Traefik finds its own.
func (g gatewaySpec) label() string { return "sandbox.candlefish.dev/gateway" }

func gatewayProcess(l layout, bin BinarySet, name string, port, metrics int, g gatewaySpec) process {
	return process{
		name: name,
		host: true,
		env:  []string{"KUBECONFIG=" + l.kubeconfig("gateway")},
		argv: []string{bin.Gateway,
			fmt.Sprintf("--entrypoints.web.address=127.0.0.1:%d", port),
			fmt.Sprintf("--entrypoints.metrics.address=127.0.0.1:%d", metrics),
			"--ping", "--ping.entrypoint=metrics",
			"--metrics.prometheus", "--metrics.prometheus.entrypoint=metrics",
			"--metrics.prometheus.addserviceslabels", "--metrics.prometheus.addrouterslabels", "--metrics.prometheus.addentrypointslabels",
			"--metrics.prometheus.buckets=0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5",
			"--providers.kubernetesgateway",
			"--providers.kubernetesgateway.labelselector=" + g.label() + "=" + g.name,
			"--providers.kubernetesgateway.statusaddress.ip=127.0.0.1",
			"--providers.providersthrottleduration=" + g.throttle,
			"--global.checknewversion=false", "--global.sendanonymoususage=false",
			"--log.level=INFO",
		},
	}
}

// configFiles are the files that processes read, by their path.
func configFiles(l layout, n network) map[string][]byte {
	return map[string][]byte{
		l.config("containerd.toml"):                        renderContainerd(l, n, cniDir()),
		l.config("kubelet.json"):                           renderKubelet(l, n),
		l.config("proxy.json"):                             renderProxy(l, n),
		l.config("prometheus.json"):                        renderPrometheus(n),
		l.config("resolv.conf"):                            []byte("# the sandbox has no DNS\n"),
		filepath.Join(l.config("cni"), "sandbox.conflist"): renderCNI(l, n),
	}
}
