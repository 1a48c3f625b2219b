package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/manifest"
	"github.com/candlefish/deploy-action/internal/release"
)

// Unrestored names the configuration that the recorded pod template reads under its own
// name although a release has applied it: its earlier content is not known any more.
func Unrestored(ctx context.Context, c *kube.Cluster, record *release.Record) ([]string, error) {
	if len(record.Template) == 0 {
		return nil, nil
	}
	b, err := Load(ctx, c, record.Namespace, record.Deployment)
	if err != nil {
		return nil, err
	}
	var template map[string]any
	if err := json.Unmarshal(record.Template, &template); err != nil {
		return nil, fmt.Errorf("decode the pod template of deployment %s: %w", record.Deployment, err)
	}
	var names []string
	for _, r := range manifest.References(template) {
		if b.applied(r) && !b.isCopy(r) {
			names = append(names, r.String())
		}
	}
	return names, nil
}

// applied reports whether the bundle's release has applied a ConfigMap or Secret.
func (b Bundle) applied(r manifest.Reference) bool {
	return slices.ContainsFunc(b.Inventory, func(a Ref) bool { return a.APIVersion == "v1" && a.Kind == r.Kind && a.Name == r.Name })
}

// isCopy reports whether a reference is to the copy of another object of the bundle.
func (b Bundle) isCopy(r manifest.Reference) bool {
	i := strings.LastIndex(r.Name, "-")
	return i > 0 && manifest.IsContentHash(r.Name[i+1:]) && b.applied(manifest.Reference{Kind: r.Kind, Name: r.Name[:i]})
}
