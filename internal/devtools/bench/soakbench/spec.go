package soakbench

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
)

// An object is what the soak reads of an object in the cluster.
type object struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name              string            `json:"name"`
		Labels            map[string]string `json:"labels"`
		DeletionTimestamp string            `json:"deletionTimestamp"`
		OwnerReferences   []owner           `json:"ownerReferences"`
	} `json:"metadata"`
	Spec   map[string]any `json:"spec"`
	Status struct {
		Replicas any `json:"replicas"` // no number in some kinds
	} `json:"status"`
}

type owner struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

func (o object) String() string { return o.Kind + " " + o.Metadata.Name }

func (o object) ownedBy(kind, name string) bool {
	return slices.Contains(o.Metadata.OwnerReferences, owner{kind, name})
}

// kinds are what a release may make or change.
const kinds = "deployments,replicasets,pods,services,httproutes.gateway.networking.k8s.io,jobs"

func parseObjects(list []byte) ([]object, error) {
	var l struct {
		Items []object `json:"items"`
	}
	if err := json.Unmarshal(list, &l); err != nil {
		return nil, fmt.Errorf("read the objects of the namespace: %w", err)
	}
	return l.Items, nil
}

// userKinds are the kinds of the user's objects; all have the sample's name.
var userKinds = []string{"Deployment", "Service", "HTTPRoute"}

// specs returns the specs of the user's objects, by kind, without what may
// differ between two releases.
func specs(objects []object) map[string]any {
	found := map[string]any{}
	for _, o := range objects {
		if o.Metadata.Name == sample.Name && slices.Contains(userKinds, o.Kind) {
			found[o.Kind] = steady(o)
		}
	}
	return found
}

// steady returns an object's spec; of a Deployment without what a release, a
// scaling and a restart change. It changes the object.
func steady(o object) any {
	if o.Kind != "Deployment" {
		return o.Spec
	}
	delete(o.Spec, "replicas")
	template, _ := o.Spec["template"].(map[string]any)
	if meta, ok := template["metadata"].(map[string]any); ok {
		delete(meta, "creationTimestamp")
		if annotations, ok := meta["annotations"].(map[string]any); ok {
			delete(annotations, "kubectl.kubernetes.io/restartedAt")
			if len(annotations) == 0 {
				delete(meta, "annotations")
			}
		}
	}
	for _, c := range containers(o.Spec) {
		delete(c, "image")
		c["env"] = environment(c["env"])
	}
	return o.Spec
}

// containers returns the containers of a Deployment's spec.
func containers(spec map[string]any) []map[string]any {
	template, _ := spec["template"].(map[string]any)
	pod, _ := template["spec"].(map[string]any)
	list, _ := pod["containers"].([]any)
	var all []map[string]any
	for _, c := range list {
		if c, ok := c.(map[string]any); ok {
			all = append(all, c)
		}
	}
	return all
}

// environment returns a list of variables by name.
func environment(list any) map[string]any {
	all := map[string]any{}
	l, _ := list.([]any)
	for _, v := range l {
		if v, ok := v.(map[string]any); ok {
			all[fmt.Sprint(v["name"])] = v["value"]
		}
	}
	return all
}

// differences says where got is not want.
func differences(path string, want, got any) []string {
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			return mapDifferences(path, w, g)
		}
	case []any:
		if g, ok := got.([]any); ok && len(g) == len(w) {
			var all []string
			for i := range w {
				all = append(all, differences(fmt.Sprintf("%s[%d]", path, i), w[i], g[i])...)
			}
			return all
		}
	}
	if a, b := text(want), text(got); a != b {
		return []string{fmt.Sprintf("%s is %s, want %s", path, b, a)}
	}
	return nil
}

func mapDifferences(path string, want, got map[string]any) []string {
	keys := maps.Clone(want)
	maps.Copy(keys, got)
	var all []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		all = append(all, differences(path+"."+k, want[k], got[k])...)
	}
	return all
}

func text(v any) string {
	if v == nil {
		return "not there"
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// leftovers says what a release has left: all objects that are not the user's
// and have an effect. The namespace is the soak's own.
func leftovers(objects []object) []string {
	var left []string
	for _, o := range objects {
		if o.Metadata.DeletionTimestamp == "" {
			left = append(left, leftover(o)...)
		}
	}
	if n := running(objects); n > 1 {
		left = append(left, fmt.Sprintf("%d ReplicaSets have pods, want 1", n))
	}
	return left
}

// running counts the ReplicaSets that have pods.
func running(objects []object) int {
	n := 0
	for _, o := range objects {
		if o.Kind == "ReplicaSet" && hasPods(o) {
			n++
		}
	}
	return n
}

func leftover(o object) []string {
	switch o.Kind {
	case "Pod":
		if v, ok := o.Metadata.Labels["version"]; ok {
			return []string{fmt.Sprintf("%s has the label version=%s", o, v)}
		}
	case "ReplicaSet":
		if hasPods(o) && !o.ownedBy("Deployment", sample.Name) {
			return []string{fmt.Sprintf("%s has pods and is not of the user's Deployment", o)}
		}
	case "Job":
		return []string{o.String() + " is left"}
	default:
		if o.Metadata.Name != sample.Name {
			return []string{o.String() + " is left"}
		}
	}
	return nil
}

func hasPods(o object) bool {
	n, _ := o.Status.Replicas.(float64)
	return n > 0
}

// setVariable sets an environment variable in the Deployment of specs, as the
// user has done in the cluster.
func setVariable(specs map[string]any, name, value string) {
	deployment, _ := specs["Deployment"].(map[string]any)
	for _, c := range containers(deployment) {
		if vars, ok := c["env"].(map[string]any); ok {
			vars[name] = value
		}
	}
}

// restored says where the namespace is not as the user wrote it.
func restored(want map[string]any, objects []object) []string {
	now, left := specs(objects), leftovers(objects)
	for _, kind := range userKinds {
		left = append(left, differences(kind+" "+sample.Name+": spec", want[kind], now[kind])...)
	}
	return left
}
