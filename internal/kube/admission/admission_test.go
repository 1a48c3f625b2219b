package admission

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/kube"
)

// A server answers requests by "METHOD path". What it does not know is
// forbidden. It fails the test if a request would store something.
type server struct {
	t       *testing.T
	answers map[string]any
}

func (s server) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && r.URL.Query().Get("dryRun") != "All" {
		s.t.Errorf("%s %s is not a dry run", r.Method, r.URL)
	}
	body, ok := s.answers[r.Method+" "+r.URL.Path]
	if !ok {
		body = refusal(403, "Forbidden", r.URL.Path+" is forbidden")
	}
	code := 200
	switch b := body.(type) {
	case error:
		return nil, b
	case metav1.Status:
		code = int(b.Code)
	case *corev1.Pod: // as the API server stores it
		raw, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(raw, b) != nil || b.GenerateName == "" {
			s.t.Errorf("pod %s: %v", raw, err)
		}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(raw))), Request: r}, nil
}

func refusal(code int32, reason metav1.StatusReason, message string) metav1.Status {
	return metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: reason, Code: code, Message: message}
}

const (
	createDeployment = "POST /apis/apps/v1/namespaces/shop/deployments"
	createPod        = "POST /api/v1/namespaces/shop/pods"
	listQuotas       = "GET /api/v1/namespaces/shop/resourcequotas"
	listNodes        = "GET /api/v1/nodes"
	listPods         = "GET /api/v1/pods"
)

// accepted answers both dry runs well.
func accepted() map[string]any {
	return map[string]any{
		createDeployment: appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}},
		createPod:        &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}},
	}
}

func list(kind string, items any) any {
	return map[string]any{"apiVersion": "v1", "kind": kind, "items": items}
}

func resources(pairs ...string) corev1.ResourceList {
	r := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		r[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return r
}

// podWith is a pod of namespace shop whose container has requests.
func podWith(requests ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}}
	p.Spec.Containers = []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{Requests: resources(requests...)}}}
	return p
}

func node(change func(*corev1.Node)) corev1.Node {
	n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"disk": "ssd"}}}
	n.Status.Allocatable = resources("cpu", "2", "memory", "4Gi", "pods", "10")
	if change != nil {
		change(&n)
	}
	return n
}

func on(node string, p *corev1.Pod) corev1.Pod {
	p.Spec.NodeName = node
	return *p
}

func quota(change func(*corev1.ResourceQuota)) *corev1.ResourceQuota {
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "tight"}}
	q.Status.Hard = resources("pods", "5", "requests.cpu", "2", "limits.memory", "1Gi", "services", "1")
	q.Status.Used = resources("pods", "3", "requests.cpu", "1500m", "services", "1")
	if change != nil {
		change(q)
	}
	return q
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	const exceeded = `pods "web-canary-dry-run-x" is forbidden: exceeded quota: tight, requested: pods=1, used: pods=3, limited: pods=3`
	for name, test := range map[string]struct {
		change             func(answers map[string]any)
		refusals, warnings []string
	}{
		"all is well": {func(map[string]any) {}, nil, nil},
		"quota": {func(a map[string]any) { a[createPod] = refusal(403, "Forbidden", exceeded) },
			[]string{"the API server refuses the pods of deployment web-canary: " + exceeded}, nil},
		"invalid deployment and pod security": {func(a map[string]any) {
			a[createDeployment] = refusal(422, "Invalid", "spec.template: Invalid value\nsecond line")
			a[createPod] = refusal(403, "Forbidden", "violates PodSecurity")
		}, []string{"the API server refuses deployment web-canary: spec.template: Invalid value", "the API server refuses the pods of deployment web-canary: violates PodSecurity"}, nil},
		"a webhook is away": {func(a map[string]any) {
			a[createPod] = refusal(500, "InternalError", `Internal error occurred: failed calling webhook "p.example"`)
		}, []string{`the API server refuses the pods of deployment web-canary: Internal error occurred: failed calling webhook "p.example"`}, nil},
		"a webhook without dry runs": {func(a map[string]any) {
			a[createPod] = refusal(400, "BadRequest", `admission webhook "p.example" does not support dry run`)
		}, nil, []string{`it is unknown whether the API server takes the pods of deployment web-canary: admission webhook "p.example" does not support dry run`}},
		"it exists": {func(a map[string]any) { a[createDeployment] = refusal(409, "AlreadyExists", "exists") }, nil, nil},
		"no answer": {func(a map[string]any) { a[createPod] = io.ErrUnexpectedEOF }, nil,
			[]string{`it is unknown whether the API server takes the pods of deployment web-canary: Post "http://cluster.example/api/v1/namespaces/shop/pods?dryRun=All&fieldManager=candlefish-deploy-action": unexpected EOF`}},
		"later pods exceed the quota": {func(a map[string]any) {
			a[listQuotas] = list("ResourceQuotaList", []*corev1.ResourceQuota{quota(nil)})
		}, []string{
			"quota tight in namespace shop: 3 more pods need pods 3, and 2 of 5 is free",
			"quota tight in namespace shop: 3 more pods need requests.cpu 1500m, and 500m of 2 is free",
		}, nil},
		"no room": {func(a map[string]any) {
			a[listNodes] = list("NodeList", []corev1.Node{node(nil)})
			a[listPods] = list("PodList", []corev1.Pod{on("a", podWith("cpu", "800m"))})
		}, nil, []string{"the nodes have room for 2 of 3 more pods (cpu 500m each); the others wait for a node or for other pods to end"}},
		"nodes, but no pods may be listed": {func(a map[string]any) { a[listNodes] = list("NodeList", []corev1.Node{}) }, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := accepted()
			test.change(answers)
			c, err := kube.ConnectTo(&rest.Config{Host: "http://cluster.example", ContentConfig: rest.ContentConfig{ContentType: "application/json"}},
				func(http.RoundTripper) http.RoundTripper { return server{t, answers} })
			if err != nil {
				t.Fatal(err)
			}
			d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web-canary", Namespace: "shop"}}
			d.Spec.Template.Spec = podWith("cpu", "500m").Spec
			refusals, warnings := Admit(t.Context(), c, d, 3)
			if diff := cmp.Diff(test.refusals, refusals); diff != "" {
				t.Errorf("refusals (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.warnings, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNeedsArePeaks(t *testing.T) {
	t.Parallel()
	always := corev1.ContainerRestartPolicyAlways
	requests := func(pairs ...string) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: resources(pairs...)}
	}
	p := podWith("cpu", "500m", "memory", "1Gi")
	p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Resources: requests("cpu", "100m")})
	p.Spec.InitContainers = []corev1.Container{
		{Resources: requests("cpu", "100m"), RestartPolicy: &always},
		{Resources: requests("cpu", "200m", "memory", "3Gi")}, // beside the sidecar
	}
	p.Spec.Overhead = resources("cpu", "50m")
	if got := needsOf(p).String(); got != "cpu 750m, memory 3Gi" {
		t.Errorf("needs = %s", got)
	}
	p.Spec.Resources = &corev1.ResourceRequirements{Requests: resources("cpu", "2")}
	if got := needsOf(p).String(); got != "cpu 2050m, memory 3Gi" {
		t.Errorf("needs with a number for the pod = %s", got)
	}
	if got := needsOf(&corev1.Pod{}).String(); got != "no requests" {
		t.Errorf("needs of nothing = %s", got)
	}
}

func TestQuotasThatCount(t *testing.T) {
	t.Parallel()
	scoped := func(scopes ...corev1.ResourceQuotaScope) *corev1.ResourceQuota {
		return quota(func(q *corev1.ResourceQuota) { q.Spec.Scopes = scopes })
	}
	limited := podWith("cpu", "100m")
	limited.Spec.Containers[0].Resources.Limits = resources("memory", "600Mi")
	for name, test := range map[string]struct {
		quota *corev1.ResourceQuota
		pod   *corev1.Pod
		n     int
		over  int
	}{
		"enough":                   {quota(nil), podWith("cpu", "250m"), 2, 0},
		"one too many":             {quota(nil), podWith("cpu", "100m"), 3, 1},
		"limits":                   {quota(nil), limited, 2, 1},
		"lowered below its use":    {quota(func(q *corev1.ResourceQuota) { q.Status.Hard = resources("pods", "1") }), podWith(), 1, 1},
		"of jobs":                  {scoped(corev1.ResourceQuotaScopeTerminating), podWith(), 9, 0},
		"of pods without an end":   {scoped(corev1.ResourceQuotaScopeNotTerminating), podWith(), 9, 1},
		"of best effort":           {scoped(corev1.ResourceQuotaScopeBestEffort), podWith(), 9, 1},
		"of best effort, not ours": {scoped(corev1.ResourceQuotaScopeBestEffort), podWith("cpu", "1"), 9, 0},
		"of the others":            {scoped(corev1.ResourceQuotaScopeNotBestEffort), podWith("cpu", "10m"), 9, 1},
		"of the others, not ours":  {scoped(corev1.ResourceQuotaScopeNotBestEffort), podWith(), 9, 0},
		"of priorities":            {quota(func(q *corev1.ResourceQuota) { q.Spec.ScopeSelector = &corev1.ScopeSelector{} }), podWith(), 9, 0},
	} {
		if got := overQuota(test.quota, test.pod, test.n); len(got) != test.over {
			t.Errorf("%s: %q, want %d", name, got, test.over)
		}
	}
}

func TestRoomOnNodes(t *testing.T) {
	t.Parallel()
	taint := func(effect corev1.TaintEffect) func(*corev1.Node) {
		return func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "gpu", Value: "yes", Effect: effect}} }
	}
	tolerating := func(t corev1.Toleration) *corev1.Pod {
		p := podWith("cpu", "1")
		p.Spec.Tolerations = []corev1.Toleration{t}
		return p
	}
	selecting := podWith("cpu", "1")
	selecting.Spec.NodeSelector = map[string]string{"disk": "hdd"}
	for name, test := range map[string]struct {
		node    corev1.Node
		running []corev1.Pod
		pod     *corev1.Pod
		want    int
	}{
		"by cpu":            {node(nil), nil, podWith("cpu", "500m"), 4},
		"a tenth ten times": {node(nil), nil, podWith("cpu", "200m"), 10},
		"by memory":         {node(nil), nil, podWith("cpu", "1m", "memory", "3Gi"), 1},
		"by number":         {node(nil), nil, podWith(), 10},
		"beside others":     {node(nil), []corev1.Pod{on("a", podWith("cpu", "1")), on("b", podWith("cpu", "1"))}, podWith("cpu", "500m"), 2},
		"overcommitted":     {node(nil), []corev1.Pod{on("a", podWith("cpu", "3"))}, podWith("cpu", "500m"), 0},
		"unknown resource":  {node(nil), nil, podWith("nvidia.com/gpu", "1"), 0},
		"cordoned":          {node(func(n *corev1.Node) { n.Spec.Unschedulable = true }), nil, podWith(), 0},
		"not ready": {node(func(n *corev1.Node) {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}}
		}), nil, podWith(), 0},
		"another disk":       {node(nil), nil, selecting, 0},
		"tainted":            {node(taint(corev1.TaintEffectNoSchedule)), nil, podWith("cpu", "1"), 0},
		"better not":         {node(taint(corev1.TaintEffectPreferNoSchedule)), nil, podWith("cpu", "1"), 2},
		"tolerated by value": {node(taint(corev1.TaintEffectNoSchedule)), nil, tolerating(corev1.Toleration{Key: "gpu", Value: "yes"}), 2},
		"another value":      {node(taint(corev1.TaintEffectNoSchedule)), nil, tolerating(corev1.Toleration{Key: "gpu", Value: "no"}), 0},
		"any value":          {node(taint(corev1.TaintEffectNoExecute)), nil, tolerating(corev1.Toleration{Key: "gpu", Operator: corev1.TolerationOpExists}), 2},
		"another effect":     {node(taint(corev1.TaintEffectNoExecute)), nil, tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}), 0},
	} {
		if got := room([]corev1.Node{test.node}, test.running, test.pod); got != test.want {
			t.Errorf("%s: room for %d, want %d", name, got, test.want)
		}
	}
}
