package ownership

import (
	"fmt"
	"slices"
	"strings"
)

// Allow returns the lines that make the owners of these findings leave a release
// alone: settings of their own, with the objects' names. manager is the field
// manager of a release. Exempt objects need nothing.
func Allow(all []Finding, manager string) []string {
	var lines []string
	seen := map[string]bool{}
	for _, f := range all {
		key := string(f.Tool) + " " + f.Name
		if f.Exempt != "" || seen[key] {
			continue
		}
		seen[key] = true
		same := slices.DeleteFunc(slices.Clone(all), func(x Finding) bool { return x.Tool != f.Tool || x.Name != f.Name || x.Exempt != "" })
		if how := allow[f.Tool]; how != nil {
			lines = append(lines, how(same, manager)...)
		} else {
			lines = append(lines, fmt.Sprintf("%s: exclude %s from its drift correction while a release runs, and give it the new image after the promotion", f.Tool, list(same, " ")))
		}
	}
	return lines
}

var allow = map[Tool]func(same []Finding, manager string) []string{ArgoCD: argo, Flux: flux, FluxHelm: helmRelease, Helm: helm}

// list names the objects of findings, kind and name divided by sep.
func list(all []Finding, sep string) string {
	var names []string
	for _, f := range all {
		names = append(names, strings.ToLower(f.Kind)+sep+f.Meta.GetName())
	}
	if sep == " " {
		return strings.Join(names, ", ")
	}
	return strings.Join(names, " ")
}

// argo returns the part of an Application's spec. The fields that a release holds
// are owned by its field manager, and no longer at its end: until then Argo CD
// takes them for intended. The image stays ignored, since the promoted one serves
// before Git has it. https://argo-cd.readthedocs.io/en/stable/user-guide/diffing/,
// https://argo-cd.readthedocs.io/en/stable/user-guide/sync-options/.
func argo(same []Finding, manager string) []string {
	who := "the Application"
	if same[0].Name != "" {
		who += " " + same[0].Name
	}
	lines := []string{"to allow it, set in " + who + ":", "spec:", "  ignoreDifferences:"}
	for _, f := range same {
		lines = append(lines, fmt.Sprintf("  - group: %q", f.Group), "    kind: "+f.Kind, "    name: "+f.Meta.GetName(), "    namespace: "+f.Meta.GetNamespace(),
			"    managedFieldsManagers:", "    - "+manager)
		if f.Container != "" {
			lines = append(lines, "    jqPathExpressions:", fmt.Sprintf(`    - '.spec.template.spec.containers[] | select(.name == %q) | .image'`, f.Container))
		}
	}
	return append(lines, "  syncPolicy:", "    syncOptions:", "    - RespectIgnoreDifferences=true")
}

// flux returns what makes a Kustomization leave objects alone: for one release by
// an annotation on the live objects, for good by one in Git. The apply policy Merge
// is no way: it overrides what the manifests have.
// https://fluxcd.io/flux/components/kustomize/kustomizations/#controlling-the-apply-behavior-of-resources.
func flux(same []Finding, _ string) []string {
	const key = "kustomize.toolkit.fluxcd.io/reconcile"
	annotate := fmt.Sprintf("kubectl -n %s annotate %s ", same[0].Meta.GetNamespace(), list(same, "/"))
	return []string{
		"to allow it for one release, type before it: " + annotate + key + "=disabled",
		"and after it, once Git has the new image: " + annotate + key + "-",
		"to allow it for good, set in the manifests in Git of " + list(same, " ") + ":",
		"metadata:", "  annotations:", "    kustomize.toolkit.fluxcd.io/ssa: IfNotPresent",
	}
}

// helmRelease returns the part of a HelmRelease's spec. Without drift detection
// only an upgrade writes. https://fluxcd.io/flux/components/helm/helmreleases/#drift-detection.
func helmRelease(same []Finding, _ string) []string {
	who, suspend := "the HelmRelease", "flux suspend helmrelease NAME"
	if name := same[0].Name; name != "" {
		who += " " + name
		suspend = "flux suspend helmrelease " + name
		if ns, short, ok := strings.Cut(name, "/"); ok {
			suspend = "flux suspend helmrelease " + short + " -n " + ns
		}
	}
	lines := []string{"to allow it, set in " + who + ", if its drift detection is enabled:", "spec:", "  driftDetection:", "    ignore:"}
	for _, f := range same {
		lines = append(lines, "    - paths:")
		for _, p := range f.During {
			lines = append(lines, "      - "+p)
		}
		lines = append(lines, "      target:", "        kind: "+f.Kind, "        name: "+f.Meta.GetName())
	}
	return append(lines, "an upgrade writes the chart's fields all the same; type before the release: "+suspend,
		"and after it, once the chart's values have the new image: "+strings.Replace(suspend, "suspend", "resume", 1))
}

// helm says what helm upgrade does to a release; nothing else of Helm writes. Of
// kinds that the client knows it merges the chart, the previous chart and the live
// object; of others it applies what differs between the two charts. With
// --server-side=true (Helm 4) the API server refuses fields that another manager
// owns. https://helm.sh/docs/faq/changes_since_helm2/#improved-upgrade-strategy-3-way-strategic-merge-patches,
// https://helm.sh/community/hips/hip-0023.
func helm(same []Finding, manager string) []string {
	release := "the release"
	if same[0].Name != "" {
		release = "release " + same[0].Name
	}
	builtIn := func(f Finding) bool { return f.Kind == "Deployment" || f.Kind == "Service" || f.Kind == "Ingress" }
	merged := slices.DeleteFunc(slices.Clone(same), func(f Finding) bool { return !builtIn(f) })
	diffed := slices.DeleteFunc(slices.Clone(same), builtIn)
	var into []string
	if len(merged) > 0 {
		into = append(into, "the three-way merge puts the chart's values back into "+list(merged, " "))
	}
	if len(diffed) > 0 {
		into = append(into, "what changed in the chart is written into "+list(diffed, " "))
	}
	return []string{
		fmt.Sprintf("no helm upgrade of %s while the release runs: %s", release, strings.Join(into, ", and ")),
		fmt.Sprintf("helm upgrade --server-side=true (Helm 4) stops with a conflict that names %s instead, unless it gets --force-conflicts", manager),
		"after the promotion give the next helm upgrade the new image, or it puts the previous one back",
	}
}
