package component

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/binaries"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/manifest"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/network"
)

var testNetwork = network.Network{Slot: 3, Ranges: network.Ranges{Link: netip.MustParsePrefix("10.250.3.0/30"),
	Pods: netip.MustParsePrefix("10.244.3.0/24"), Services: netip.MustParsePrefix("10.96.12.0/22")},
	Web: 4001, WebMetrics: 4002, Slow: 4003, SlowMetrics: 4004, Registry: 4005, Prometheus: 4006}

// at follows keys into decoded JSON.
func at(t *testing.T, data []byte, keys ...string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("%v: %q is not in an object", keys, k)
		}
		v = m[k]
	}
	return v
}

// TestKubeletTraps holds what kubelet needs on hosts that a sandbox must run on.
func TestKubeletTraps(t *testing.T) {
	t.Parallel()
	data := renderKubelet("/s", testNetwork)
	for key, want := range map[string]any{
		"failCgroupV1":             false, // hybrid hosts
		"cgroupDriver":             "cgroupfs",
		"cgroupRoot":               "/candlefish-sandbox-3",
		"failSwapOn":               false,
		"containerRuntimeEndpoint": "unix:///s/containerd.sock",
		"podCIDR":                  "10.244.3.0/24",
		"podLogsDir":               "/s/pods",
	} {
		if diff := cmp.Diff(want, at(t, data, key)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
}

func TestContainerdTraps(t *testing.T) {
	t.Parallel()
	config := string(renderContainerd("/s", testNetwork, "/usr/lib/cni"))
	for _, want := range []string{
		"restrict_oom_score_adj = true", // root without CAP_SYS_RESOURCE
		`root = "/s/containerd"`,
		`conf_dir = "/s/etc/cni"`,
		`bin_dir = "/usr/lib/cni"`, // Debian's place
		`sandbox_image = "127.0.0.1:4005/pause:sandbox"`,
		`endpoint = ["http://127.0.0.1:4005"]`,
	} {
		if !strings.Contains(config, want) {
			t.Errorf("containerd's configuration lacks %q:\n%s", want, config)
		}
	}
}

func TestProxyLeavesTheHostsConntrackAlone(t *testing.T) {
	t.Parallel()
	want := map[string]any{"maxPerCore": 0.0, "min": 0.0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
	if diff := cmp.Diff(want, at(t, renderProxy("/s", testNetwork), "conntrack")); diff != "" {
		t.Errorf("conntrack (-want +got):\n%s", diff)
	}
}

func TestPrometheusScrapesBothGateways(t *testing.T) {
	t.Parallel()
	config := string(renderPrometheus(testNetwork))
	for _, want := range []string{`"127.0.0.1:4002"`, `"127.0.0.1:4004"`, `"scrape_interval": "1s"`} {
		if !strings.Contains(config, want) {
			t.Errorf("Prometheus' configuration lacks %s:\n%s", want, config)
		}
	}
}

// TestGatewaysHandleTheirOwnClassOnly: two Traefiks with one controller name would else both write to every Gateway.
func TestGatewaysHandleTheirOwnClassOnly(t *testing.T) {
	t.Parallel()
	labels := map[string]string{} // class to value of the label
	ports := map[string]string{}
	for _, doc := range manifest.Split(GatewayObjects(testNetwork)) {
		var o struct {
			Kind     string
			Metadata struct {
				Name   string
				Labels map[string]string
			}
			Spec struct{ Listeners []struct{ Port int } }
		}
		if err := yaml.Unmarshal(doc, &o); err != nil {
			t.Fatal(err)
		}
		switch o.Kind {
		case "GatewayClass":
			labels[o.Metadata.Name] = o.Metadata.Labels[Normal.label()]
		case "Gateway":
			ports[o.Metadata.Name] = fmt.Sprint(o.Spec.Listeners[0].Port)
		}
	}
	ps := Gateways("/s", testNetwork, binaries.Set{})
	for i, g := range []GatewaySpec{Normal, Slow} {
		for _, want := range []string{
			"--providers.kubernetesgateway.labelselector=" + Normal.label() + "=" + labels[g.Name],
			"--entrypoints.web.address=127.0.0.1:" + ports[g.Name],
			"--providers.providersthrottleduration=" + g.Throttle,
		} {
			if !slices.Contains(ps[i].Argv, want) {
				t.Errorf("%s lacks %s: %q", ps[i].Name, want, ps[i].Argv)
			}
		}
		if !ps[i].Host {
			t.Errorf("%s is not in the host's network", ps[i].Name)
		}
	}
}

func TestPKI(t *testing.T) {
	t.Parallel()
	l := control.Dir(t.TempDir())
	if err := os.MkdirAll(l.Path("pki"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WritePKI(l, testNetwork); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(l.PKI("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	pair, err := tls.LoadX509KeyPair(l.PKI("apiserver.crt"), l.PKI("apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"10.250.3.2", "10.96.12.1", "kubernetes.default.svc"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Errorf("the API server's certificate for %s: %v", name, err)
		}
	}
	server, kubelet := userOf(t, l.Kubeconfig("kubelet"))
	if want := "https://10.250.3.2:6443"; server != want {
		t.Errorf("kubeconfig names %s, want %s", server, want)
	}
	if got := kubelet.Subject.String(); got != "CN=system:node:sandbox,O=system:nodes" {
		t.Errorf("kubelet is %s, want what the Node authorizer knows", got)
	}
	if _, err := kubelet.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("kubelet's certificate: %v", err)
	}
}

// userOf reads the server and the client certificate of a kubeconfig.
func userOf(t *testing.T, kubeconfig string) (server string, cert *x509.Certificate) {
	t.Helper()
	data, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Clusters []struct{ Cluster struct{ Server string } }
		Users    []struct {
			User struct {
				Cert []byte `json:"client-certificate-data"`
				Key  []byte `json:"client-key-data"`
			}
		}
	}
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(c.Users[0].User.Cert, c.Users[0].User.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c.Clusters[0].Cluster.Server, pair.Leaf
}

// TestMetricsServerIsWhereItIsLookedFor: the API server passes requests for metrics.k8s.io on to where metrics-server listens, by a name that
// its certificate has, and under a name that metrics-server believes.
func TestMetricsServerIsWhereItIsLookedFor(t *testing.T) {
	t.Parallel()
	l := control.Dir(t.TempDir())
	if err := os.MkdirAll(l.Path("pki"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WritePKI(l, testNetwork); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(l.PKI("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	docs := manifest.Split(MetricsObjects(testNetwork, ca))
	service, slice, registered := docs[0], docs[1], docs[2]
	want := map[string]any{"namespace": at(t, service, "metadata", "namespace"), "name": at(t, service, "metadata", "name")}
	if diff := cmp.Diff(want, at(t, registered, "spec", "service")); diff != "" {
		t.Errorf("service of the API (-want +got):\n%s", diff)
	}
	if got := at(t, slice, "metadata", "labels", "kubernetes.io/service-name"); got != want["name"] {
		t.Errorf("the endpoint is of service %v, want %v", got, want["name"])
	}
	endpoint := fmt.Sprint(at(t, slice, "endpoints"), at(t, slice, "ports"))
	argv := MetricsServer(l, testNetwork, binaries.Set{}).Argv
	if !strings.Contains(endpoint, testNetwork.NodeIP()) || !slices.Contains(argv, "--bind-address="+testNetwork.NodeIP()) {
		t.Errorf("metrics-server listens by %q, the endpoint is %s", argv, endpoint)
	}
	for file, name := range map[string]string{"metrics-server": "metrics-server.kube-system.svc", "front-proxy": ""} {
		roots := x509.NewCertPool()
		authority := map[string]string{"metrics-server": "ca.crt", "front-proxy": "front-proxy-ca.crt"}[file]
		data, err := os.ReadFile(l.PKI(authority))
		if err != nil {
			t.Fatal(err)
		}
		roots.AppendCertsFromPEM(data)
		pair, err := tls.LoadX509KeyPair(l.PKI(file+".crt"), l.PKI(file+".key"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			t.Errorf("the certificate of %s: %v", file, err)
		}
	}
}

func TestFilesOfASandbox(t *testing.T) {
	t.Parallel()
	folders := control.Dir("/s").Folders()
	for path := range Files("/s", testNetwork) {
		dir := filepath.Dir(path)
		if !slices.ContainsFunc(folders, func(f string) bool { return f == dir || strings.HasPrefix(f, dir+"/") }) {
			t.Errorf("%s is in no folder that is made", path)
		}
	}
}
