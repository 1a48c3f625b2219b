package distributed

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/dynamic"

	"github.com/candlefish/deploy-action/internal/kube"
)

// testRuns is k6-operator's kind.
var testRuns = schema.GroupVersionResource{Group: "k6.io", Version: "v1alpha1", Resource: "testruns"}

// bundle has the operator and its kinds.
const bundle = "https://raw.githubusercontent.com/grafana/k6-operator/main/bundle.yaml"

// Permissions are what a distributed load needs in its namespace.
var Permissions = []kube.Permission{
	{Group: "k6.io", Resource: "testruns", Verbs: []string{"create", "get", "list", "watch", "delete"}, Why: "Run the load by k6-operator"},
	{Resource: "configmaps", Verbs: []string{"create", "get", "patch"}, Why: "Give k6 its script, and say that the run is alive"},
	{Resource: "pods", Verbs: []string{"list", "watch"}, Why: "See how the pods of the load fare"},
	{Resource: "pods/log", Verbs: []string{"get"}, Why: "Read the samples that k6 prints"},
}

// SecretPermission is needed if there are headers.
var SecretPermission = kube.Permission{Resource: "secrets", Verbs: []string{"create"}, Why: "Give k6 the headers of a protected preview; with the input headers only"}

const (
	labelLoad = "deploy.candlefish.ai/load" // on our own objects
	// annotationAlive is on the ConfigMap: when the run that made it was last alive.
	annotationAlive = "deploy.candlefish.ai/alive"

	aliveEvery = 20 * time.Second
	deadAfter  = 90 * time.Second
	// user of the pods: that of Grafana's image. Any image works with it.
	user = 12345
)

func (r *run) runs() dynamic.ResourceInterface {
	return r.cluster.Dynamic.Resource(testRuns).Namespace(r.Namespace)
}

// remove is the command with which a person ends the run.
func (r *run) remove(name string) string {
	return fmt.Sprintf("kubectl -n %s delete testrun %s", r.Namespace, name)
}

// create creates the TestRun, and what it mounts. All else belongs to the TestRun, so
// deleting that is enough.
func (r *run) create(ctx context.Context) error {
	r.name = "candlefish-load-" + rand.String(5)
	made, err := r.runs().Create(ctx, r.testRun(), kube.Creating)
	if err != nil {
		return fmt.Errorf("create the TestRun %s: %w", r.name, err)
	}
	meta := metav1.ObjectMeta{
		Name: r.name, Labels: map[string]string{labelLoad: r.name}, Annotations: map[string]string{annotationAlive: r.stamp()},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: testRuns.GroupVersion().String(), Kind: "TestRun", Name: r.name, UID: made.GetUID()}},
	}
	if len(r.part.Secret) > 0 {
		secret := &corev1.Secret{ObjectMeta: meta, StringData: r.part.Secret}
		if _, err := r.cluster.Typed.CoreV1().Secrets(r.Namespace).Create(ctx, secret, kube.Creating); err != nil {
			return fmt.Errorf("create the Secret %s: %w", r.name, err)
		}
	}
	script := &corev1.ConfigMap{ObjectMeta: meta, Data: r.part.Files}
	if _, err := r.cluster.Typed.CoreV1().ConfigMaps(r.Namespace).Create(ctx, script, kube.Creating); err != nil {
		return fmt.Errorf("create the ConfigMap %s: %w", r.name, err)
	}
	return nil
}

func (r *run) stamp() string { return r.now().UTC().Format(time.RFC3339) }

// testRun is the object that k6-operator acts on. k6 gets its settings by its
// environment: the operator hands arguments to other commands of k6 too.
func (r *run) testRun() *unstructured.Unstructured {
	pod := func(image string) map[string]any {
		p := map[string]any{
			"automountServiceAccountToken": "false", // the script is code of others
			"securityContext": map[string]any{"runAsNonRoot": true, "runAsUser": int64(user), "runAsGroup": int64(user),
				"seccompProfile": map[string]any{"type": "RuntimeDefault"}},
			"containerSecurityContext": map[string]any{"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}}},
			"metadata":                 map[string]any{"labels": map[string]any{labelLoad: r.name}},
		}
		if image != "" {
			p["image"] = image
		}
		return p
	}
	runner, initializer := pod(r.Image), pod(r.Image)
	runner["env"] = environment(r.part.Env)
	// The operator looks for errors in the text of the initializer's log, and takes what
	// it prints for JSON.
	checking := maps.Clone(r.part.Env)
	for _, name := range []string{"K6_LOG_FORMAT", "K6_OUT", "K6_SUMMARY_EXPORT"} {
		delete(checking, name)
	}
	// "k6 archive", by which it checks the script, leaves the environment out otherwise.
	checking["K6_INCLUDE_SYSTEM_ENV_VARS"] = "true"
	initializer["env"] = environment(checking)
	if len(r.part.Secret) > 0 {
		from := []any{map[string]any{"secretRef": map[string]any{"name": r.name}}}
		runner["envFrom"], initializer["envFrom"] = from, from
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": testRuns.GroupVersion().String(), "kind": "TestRun",
		"metadata": map[string]any{"name": r.name, "namespace": r.Namespace, "labels": map[string]any{labelLoad: r.name}},
		"spec": map[string]any{
			"parallelism": int64(r.Pods), "quiet": "true",
			"script":      map[string]any{"configMap": map[string]any{"name": r.name, "file": r.part.Script}},
			"runner":      runner,
			"initializer": initializer,
			"starter":     pod(r.StarterImage),
		},
	}}
}

func environment(env map[string]string) []any {
	var list []any
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, map[string]any{"name": name, "value": env[name]})
	}
	return list
}

// sweep removes what killed runs left, and returns an error while another run makes
// load there: both would measure each other.
func (r *run) sweep(ctx context.Context) error {
	list, err := r.runs().List(ctx, metav1.ListOptions{LabelSelector: labelLoad})
	if err != nil {
		return fmt.Errorf("look for earlier runs in the namespace %s: %w", r.Namespace, err)
	}
	for _, left := range list.Items {
		if left.GetDeletionTimestamp() != nil {
			continue
		}
		alive, err := r.alive(ctx, left)
		if err != nil {
			return err
		}
		if silent := r.now().Sub(alive); silent < deadAfter {
			return fmt.Errorf("another run makes load in the namespace %s, and gave a sign of life %v ago; wait for its end, or, if it was killed, %v more, or remove it: %s",
				r.Namespace, silent.Round(time.Second), (deadAfter - silent).Round(time.Second), r.remove(left.GetName()))
		}
		if err := r.drop(ctx, left.GetName()); err != nil {
			return fmt.Errorf("remove the load %s that a killed run left: %w", left.GetName(), err)
		}
		r.say("removed the load %s, which a killed run left", left.GetName())
	}
	return nil
}

// alive is when the run of a TestRun gave its last sign.
func (r *run) alive(ctx context.Context, of unstructured.Unstructured) (time.Time, error) {
	script, err := r.cluster.Typed.CoreV1().ConfigMaps(r.Namespace).Get(ctx, of.GetName(), metav1.GetOptions{})
	if notFound(err) {
		return of.GetCreationTimestamp().Time, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read the ConfigMap %s: %w", of.GetName(), err)
	}
	alive, err := time.Parse(time.RFC3339, script.Annotations[annotationAlive])
	if err != nil {
		return of.GetCreationTimestamp().Time, nil //nolint:nilerr // somebody changed it: its age counts
	}
	return alive, nil
}

// drop deletes a TestRun, and with it, first, all that it owns.
func (r *run) drop(ctx context.Context, name string) error {
	foreground := metav1.DeletePropagationForeground
	return kube.Retry(ctx, func(ctx context.Context) error {
		err := r.runs().Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &foreground})
		if notFound(err) {
			return nil
		}
		return err
	})
}

func notFound(err error) bool { return err != nil && apierrors.IsNotFound(err) }
