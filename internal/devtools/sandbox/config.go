package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// nodeName is the name of the one node.
const nodeName = "sandbox"

// Every component reads JSON where it says YAML, so all configuration but containerd's TOML is made by encoding/json and needs no
// quoting rules.
type object = map[string]any

func render(v any) []byte {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // maps, slices and strings only
	}
	return append(data, '\n')
}

func renderKubeconfig(server string, ca []byte, pair keyPair) []byte {
	b64 := base64.StdEncoding.EncodeToString
	return render(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "sandbox",
		"clusters": []any{object{"name": "sandbox", "cluster": object{"server": server, "certificate-authority-data": b64(ca)}}},
		"users":    []any{object{"name": "sandbox", "user": object{"client-certificate-data": b64(pair.cert), "client-key-data": b64(pair.key)}}},
		"contexts": []any{object{"name": "sandbox", "context": object{"cluster": "sandbox", "user": "sandbox"}}},
	})
}

func renderKubelet(l layout, n network) []byte {
	return render(object{
		"apiVersion":     "kubelet.config.k8s.io/v1beta1",
		"kind":           "KubeletConfiguration",
		"authentication": object{"anonymous": object{"enabled": false}, "webhook": object{"enabled": true}, "x509": object{"clientCAFile": l.pki("ca.crt")}},
		"authorization":  object{"mode": "Webhook"},

		"address":                  n.nodeIP(),
		"healthzBindAddress":       "127.0.0.1",
		"tlsCertFile":              l.pki("kubelet-server.crt"),
		"tlsPrivateKeyFile":        l.pki("kubelet-server.key"),
		"containerRuntimeEndpoint": "unix://" + l.path("containerd.sock"),
		"resolvConf":               l.config("resolv.conf"),
		"podLogsDir":               l.path("pods"),
		"volumePluginDir":          l.path("kubelet", "volume-plugins"),
		"podCIDR":                  n.pods(),
		"clusterDomain":            "cluster.local",
		"maxPods":                  200,

		// cgroup v1 and hybrid hosts are refused unless asked for, and systemd may not be there at all.
		"cgroupDriver":           "cgroupfs",
		"failCgroupV1":           false,
		"cgroupRoot":             "/" + n.cgroup(),
		"cgroupsPerQOS":          true,
		"enforceNodeAllocatable": []string{"pods"},

		"failSwapOn":   false,
		"evictionHard": object{"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "50Mi"},

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

func renderProxy(l layout, n network) []byte {
	return render(object{
		"apiVersion":         "kubeproxy.config.k8s.io/v1alpha1",
		"kind":               "KubeProxyConfiguration",
		"clientConnection":   object{"kubeconfig": l.kubeconfig("kube-proxy")},
		"clusterCIDR":        n.pods(),
		"hostnameOverride":   nodeName,
		"mode":               "iptables",
		"iptables":           object{"minSyncPeriod": "100ms"},
		"healthzBindAddress": "127.0.0.1:10256",
		"metricsBindAddress": "127.0.0.1:10249",
		// those limits belong to the host's network namespace
		"conntrack": object{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
	})
}

func renderCNI(l layout, n network) []byte {
	return render(object{
		"cniVersion": "0.4.0", "name": "sandbox",
		"plugins": []any{
			object{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
				"ipam": object{"type": "host-local", "dataDir": l.path("cni"),
					"ranges": []any{[]any{object{"subnet": n.pods()}}}, "routes": []any{object{"dst": "0.0.0.0/0"}}}},
			object{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	})
}

func renderContainerd(l layout, n network, cniDir string) []byte {
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
`, l.path("containerd"), l.path("containerd.sock"), n.registry()+"/pause:sandbox", cniDir, l.config("cni"), n.registry(), "http://"+n.registry())
}

func renderPrometheus(n network) []byte {
	job := func(name string, port int) object {
		return object{"job_name": name, "static_configs": []any{object{"targets": []string{fmt.Sprintf("127.0.0.1:%d", port)}}}}
	}
	return render(object{
		"global":         object{"scrape_interval": "1s", "scrape_timeout": "1s"},
		"scrape_configs": []any{job("gateway", n.WebMetrics), job("gateway-slow", n.SlowMetrics)},
	})
}
