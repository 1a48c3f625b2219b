// Package component says what the processes of a sandbox are: their command lines, configuration files and certificates, and the objects
// that the cluster needs before anybody uses it. It only renders; the supervisor acts.
package component

import (
	"encoding/base64"
	"fmt"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/manifest"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/network"
)

// NodeName is the name of the one node.
const NodeName = "sandbox"

func renderKubeconfig(server string, ca []byte, pair keyPair) []byte {
	b64 := base64.StdEncoding.EncodeToString
	return manifest.Render(manifest.Object{
		"apiVersion": "v1", "kind": "Config", "current-context": "sandbox",
		"clusters": []any{manifest.Object{"name": "sandbox", "cluster": manifest.Object{"server": server, "certificate-authority-data": b64(ca)}}},
		"users":    []any{manifest.Object{"name": "sandbox", "user": manifest.Object{"client-certificate-data": b64(pair.cert), "client-key-data": b64(pair.key)}}},
		"contexts": []any{manifest.Object{"name": "sandbox", "context": manifest.Object{"cluster": "sandbox", "user": "sandbox"}}},
	})
}

func renderKubelet(l control.Dir, n network.Network) []byte {
	return manifest.Render(manifest.Object{
		"apiVersion":     "kubelet.config.k8s.io/v1beta1",
		"kind":           "KubeletConfiguration",
		"authentication": manifest.Object{"anonymous": manifest.Object{"enabled": false}, "webhook": manifest.Object{"enabled": true}, "x509": manifest.Object{"clientCAFile": l.PKI("ca.crt")}},
		"authorization":  manifest.Object{"mode": "Webhook"},

		"address":                  n.NodeIP(),
		"healthzBindAddress":       "127.0.0.1",
		"tlsCertFile":              l.PKI("kubelet-server.crt"),
		"tlsPrivateKeyFile":        l.PKI("kubelet-server.key"),
		"containerRuntimeEndpoint": "unix://" + l.Path("containerd.sock"),
		"resolvConf":               l.Config("resolv.conf"),
		"podLogsDir":               l.Path("pods"),
		"volumePluginDir":          l.Path("kubelet", "volume-plugins"),
		"podCIDR":                  n.Pods.String(),
		"clusterDomain":            "cluster.local",
		"maxPods":                  200,

		// cgroup v1 and hybrid hosts are refused unless asked for, and systemd may not be there at all.
		"cgroupDriver":           "cgroupfs",
		"failCgroupV1":           false,
		"cgroupRoot":             "/" + n.Cgroup(),
		"cgroupsPerQOS":          true,
		"enforceNodeAllocatable": []string{"pods"},

		"failSwapOn":   false,
		"evictionHard": manifest.Object{"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "50Mi"},

		// A sandbox is for trying deliveries: pods should start and stop as fast as the machine can.
		"serializeImagePulls":         false,
		"registryPullQPS":             0,
		"eventRecordQPS":              0,
		"kubeAPIQPS":                  200,
		"kubeAPIBurst":                400,
		"nodeStatusUpdateFrequency":   "5s",
		"imageGCHighThresholdPercent": 100,
	})
}

func renderProxy(l control.Dir, n network.Network) []byte {
	return manifest.Render(manifest.Object{
		"apiVersion":         "kubeproxy.config.k8s.io/v1alpha1",
		"kind":               "KubeProxyConfiguration",
		"clientConnection":   manifest.Object{"kubeconfig": l.Kubeconfig("kube-proxy")},
		"clusterCIDR":        n.Pods.String(),
		"hostnameOverride":   NodeName,
		"mode":               "iptables",
		"iptables":           manifest.Object{"minSyncPeriod": "100ms"},
		"healthzBindAddress": "127.0.0.1:10256",
		"metricsBindAddress": "127.0.0.1:10249",
		// those limits belong to the host's network namespace
		"conntrack": manifest.Object{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
	})
}

func renderCNI(l control.Dir, n network.Network) []byte {
	return manifest.Render(manifest.Object{
		"cniVersion": "0.4.0", "name": "sandbox",
		"plugins": []any{
			manifest.Object{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
				"ipam": manifest.Object{"type": "host-local", "dataDir": l.Path("cni"),
					"ranges": []any{[]any{manifest.Object{"subnet": n.Pods.String()}}}, "routes": []any{manifest.Object{"dst": "0.0.0.0/0"}}}},
			manifest.Object{"type": "portmap", "capabilities": manifest.Object{"portMappings": true}},
		},
	})
}

func renderContainerd(l control.Dir, n network.Network, cniDir string) []byte {
	return fmt.Appendf(nil, `version = 2
root = %q
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = %q

[plugins."io.containerd.grpc.v1.cri"]
  # root may lack CAP_SYS_RESOURCE, and then no container could start
  restrict_oom_score_adj = true
  sandbox_image = %q
  enable_selinux = false
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = %q
  [plugins."io.containerd.grpc.v1.cri".registry.mirrors.%q]
    endpoint = [%q]
`, l.Path("containerd"), l.Path("containerd.sock"), n.RegistryHost()+"/pause:sandbox", cniDir, l.Config("cni"), n.RegistryHost(), "http://"+n.RegistryHost())
}

func renderPrometheus(n network.Network) []byte {
	job := func(name string, port int) manifest.Object {
		return manifest.Object{"job_name": name, "static_configs": []any{manifest.Object{"targets": []string{fmt.Sprintf("127.0.0.1:%d", port)}}}}
	}
	return manifest.Render(manifest.Object{
		"global":         manifest.Object{"scrape_interval": "1s", "scrape_timeout": "1s"},
		"scrape_configs": []any{job("gateway", n.WebMetrics), job("gateway-slow", n.SlowMetrics)},
	})
}
