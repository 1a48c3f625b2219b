package detached

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
)

func TestTheJobRunsTheSameProgramAsTheSameRun(t *testing.T) {
	t.Parallel()
	s := Spec{
		Namespace: "shop", Deployment: "web", Image: "registry.example/deploy:1", ServiceAccount: "deployer", Args: []string{"--image=registry.example/web:2"},
		PodPatch: "hostNetwork: true\ntolerations:\n- {key: spot, operator: Exists}\ncontainers:\n- {name: deploy, resources: {limits: {memory: 128Mi}}}\n",
		Run:      release.Run{ID: "7.1", URL: "https://ci.example/7"},
	}
	job, err := s.job()
	if err != nil {
		t.Fatal(err)
	}
	pod := job.Spec.Template.Spec
	if !pod.HostNetwork || len(pod.Tolerations) != 1 || len(pod.Containers) != 1 {
		t.Fatalf("the patch is not in the pod: %+v", pod)
	}
	c := pod.Containers[0]
	if c.Image != s.Image || c.Resources.Limits.Memory().String() != "128Mi" || c.Args[0] != s.Args[0] {
		t.Errorf("container = %+v", c)
	}
	if !strings.Contains(c.Env[0].Value, `"id":"7.1"`) {
		t.Errorf("the job's process does not get its run: %v", c.Env)
	}
	if job.Name != "web-rollout-job" || job.Labels[kube.LabelTarget] != "web" || pod.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("job = %s %v, restart %s", job.Name, job.Labels, pod.RestartPolicy)
	}
}

func TestAPatchThatIsNoPodIsRefused(t *testing.T) {
	t.Parallel()
	for _, patch := range []string{"hostNetwork: [", "containers: 5", "hostNetwork: maybe"} {
		if _, err := (Spec{PodPatch: patch}).job(); err == nil {
			t.Errorf("patch %q is taken", patch)
		}
	}
}

func TestRBACListsJustThePermissions(t *testing.T) {
	t.Parallel()
	text := RBAC("shop", "deployer", []kube.Permission{{Group: "apps", Resource: "deployments", Verbs: []string{"get", "patch"}, Why: "Run"}})
	documents := strings.Split(text, "---\n")
	if len(documents) != 3 {
		t.Fatalf("%d documents in\n%s", len(documents), text)
	}
	for _, document := range documents {
		var o struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
			Rules    []struct{ APIGroups, Resources, Verbs []string }
		}
		if err := yaml.UnmarshalStrict([]byte(document), &o); err != nil && !strings.Contains(err.Error(), "unknown field") {
			t.Errorf("%v in\n%s", err, document)
		}
		if o.Metadata.Name != "deployer" || o.Metadata.Namespace != "shop" {
			t.Errorf("%s is %+v", o.Kind, o.Metadata)
		}
		if o.Kind == "Role" && (len(o.Rules) != 1 || o.Rules[0].Verbs[1] != "patch") {
			t.Errorf("rules = %+v", o.Rules)
		}
	}
}
