package around

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/kube/kubetest"
	"github.com/candlefish/deploy-action/internal/router"
)

func parse[T any](t *testing.T, manifest string) T {
	t.Helper()
	var v T
	if err := yaml.UnmarshalStrict([]byte(manifest), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func workload(labels map[string]string) Workload {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"}}
	d.Spec.Template.Labels = labels
	return Workload{Deployment: d, VersionLabel: "version", Stable: "stable", Canary: "canary"}
}

// A policy by labels of the app goes on to hold; one by the version label loses the
// pods when a release changes the label.
func TestPolicies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec string
		want string
	}{
		"all pods":              {`{podSelector: {}}`, ""},
		"by the app":            {`{podSelector: {matchLabels: {app: web}}}`, ""},
		"another app":           {`{podSelector: {matchLabels: {app: db}}}`, ""},
		"by the version":        {`{podSelector: {matchLabels: {app: web, version: v1}}}`, "selects pods by \"version\", so during a release it would not treat the stable and canary pods"},
		"by stable":             {`{podSelector: {matchExpressions: [{key: version, operator: In, values: [v1, stable]}]}}`, "the canary pods"},
		"with the version":      {`{podSelector: {matchExpressions: [{key: version, operator: Exists}]}}`, ""},
		"callers by the app":    {`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}`, ""},
		"callers by version":    {`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {version: v1}}}]}]}`, "would not let the stable and canary pods of deployment web through"},
		"targets by version":    {`{podSelector: {matchLabels: {app: db}}, egress: [{to: [{podSelector: {matchLabels: {version: v1}}}]}]}`, "would not let the stable and canary pods"},
		"callers of other apps": {`{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: x, version: v1}}}, {namespaceSelector: {}}]}]}`, ""},
	} {
		p := networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "rule"}, Spec: parse[networkingv1.NetworkPolicySpec](t, c.spec)}
		got := strings.Join(policies(workload(map[string]string{"app": "web", "version": "v1"}), []networkingv1.NetworkPolicy{p}), "; ")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	none := networkingv1.NetworkPolicy{Spec: parse[networkingv1.NetworkPolicySpec](t, `{podSelector: {matchExpressions: [{key: version, operator: DoesNotExist}]}}`)}
	if got := policies(workload(map[string]string{"app": "web"}), []networkingv1.NetworkPolicy{none}); len(got) != 1 {
		t.Errorf("pods without the label now: %q", got)
	}
}

func TestBudgets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec string
		want string
	}{
		"a minimum":      {`{selector: {matchLabels: {app: web}}, minAvailable: 2}`, "may take as many of the stable version's"},
		"a maximum":      {`{selector: {matchLabels: {app: web}}, maxUnavailable: 1}`, "may take the canary's alone"},
		"another app":    {`{selector: {matchLabels: {app: db}}, minAvailable: 2}`, ""},
		"by the version": {`{selector: {matchLabels: {app: web, version: v1}}, minAvailable: 2}`, "protects not all of them"},
	} {
		b := policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "budget"}, Spec: parse[policyv1.PodDisruptionBudgetSpec](t, c.spec)}
		got := strings.Join(budgets(workload(map[string]string{"app": "web", "version": "v1"}), []policyv1.PodDisruptionBudget{b}), "; ")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// namespace is an API server with what this package reads.
func namespace(t *testing.T, manifests string) *kubetest.Server {
	s := kubetest.New(t,
		router.Kind{Version: "v1", Resource: "secrets", Name: "Secret"},
		router.Kind{Version: "v1", Resource: "serviceaccounts", Name: "ServiceAccount"},
		router.Kind{Version: "v1", Resource: "nodes", Name: "Node"},
		router.Kind{Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies", Name: "NetworkPolicy"},
		router.Kind{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets", Name: "PodDisruptionBudget"})
	s.Apply(manifests)
	return s
}

const credentials = `
{apiVersion: v1, kind: Secret, metadata: {name: own, namespace: shop}, type: kubernetes.io/dockerconfigjson}
---
{apiVersion: v1, kind: Secret, metadata: {name: robot, namespace: shop}, type: kubernetes.io/dockerconfigjson}
---
{apiVersion: v1, kind: Secret, metadata: {name: common, namespace: shop}, type: kubernetes.io/dockerconfigjson}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: default, namespace: shop}, imagePullSecrets: [{name: common}]}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: web, namespace: shop}, imagePullSecrets: [{name: robot}, {name: gone}]}
`

func TestPullSecrets(t *testing.T) {
	t.Parallel()
	server := namespace(t, credentials)
	ask := func(name, pod, want string, wantWarnings ...string) {
		secrets, warnings := PullSecrets(t.Context(), server.Cluster(), "shop", parse[corev1.PodSpec](t, pod))
		var names []string
		for _, s := range secrets {
			names = append(names, s.Name)
			if s.Type != "kubernetes.io/dockerconfigjson" {
				t.Errorf("%s: type %q", name, s.Type)
			}
		}
		if strings.Join(names, " ") != want || cmp.Diff(wantWarnings, warnings) != "" {
			t.Errorf("%s: %v, %q", name, names, warnings)
		}
	}
	ask("of the pod", `{containers: [], imagePullSecrets: [{name: own}], serviceAccountName: web}`, "own")
	ask("of the default account", `{containers: []}`, "common")
	ask("of its account", `{containers: [], serviceAccountName: web}`, "robot", "pull secret gone of the pods does not exist in namespace shop")
	ask("no account", `{containers: [], serviceAccountName: none}`, "")
	server.Deny(func(_, _, resource string) bool { return resource == "secrets" })
	ask("locked", `{containers: [], imagePullSecrets: [{name: own}]}`, "", "pull secret own cannot be read, so a private registry cannot be asked for the image")
}

func TestPlatforms(t *testing.T) {
	t.Parallel()
	server := namespace(t, `
{apiVersion: v1, kind: Node, metadata: {name: a, labels: {pool: one}}, status: {nodeInfo: {operatingSystem: linux, architecture: arm64}}}
---
{apiVersion: v1, kind: Node, metadata: {name: b, labels: {pool: one}}, status: {nodeInfo: {operatingSystem: linux, architecture: amd64}}}
---
{apiVersion: v1, kind: Node, metadata: {name: c, labels: {pool: two}}, status: {nodeInfo: {operatingSystem: linux, architecture: amd64}}}
---
{apiVersion: v1, kind: Node, metadata: {name: d, labels: {pool: two}}, spec: {unschedulable: true}, status: {nodeInfo: {operatingSystem: linux, architecture: s390x}}}
`)
	for name, test := range map[string]struct{ pod, want string }{
		"anywhere":  {`{containers: []}`, "linux/amd64 linux/arm64"},
		"in a pool": {`{containers: [], nodeSelector: {pool: two}}`, "linux/amd64"},
	} {
		if got := strings.Join(Platforms(t.Context(), server.Cluster(), parse[corev1.PodSpec](t, test.pod)), " "); got != test.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	server.Deny(func(_, _, resource string) bool { return resource == "nodes" })
	if got := Platforms(t.Context(), server.Cluster(), corev1.PodSpec{}); got != nil {
		t.Errorf("without the permission: %v", got)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	server := namespace(t, `
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: rule, namespace: shop}, spec: {podSelector: {matchLabels: {version: v1}}}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: budget, namespace: shop}, spec: {selector: {matchLabels: {app: web}}, minAvailable: 1}}
`)
	w := workload(map[string]string{"app": "web", "version": "v1"})
	if obstacles, warnings := Find(t.Context(), server.Cluster(), w); len(obstacles) != 1 || len(warnings) != 1 {
		t.Errorf("obstacles %q, warnings %q", obstacles, warnings)
	}
	server.Deny(func(string, string, string) bool { return true })
	if obstacles, warnings := Find(t.Context(), server.Cluster(), w); len(obstacles)+len(warnings) != 0 {
		t.Errorf("without permissions: obstacles %q, warnings %q", obstacles, warnings)
	}
}
