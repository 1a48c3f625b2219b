package ownership

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// meta returns metadata of an object in namespace shop, with annotations in pairs.
func meta(name string, annotations ...string) *metav1.ObjectMeta {
	m := &metav1.ObjectMeta{Namespace: "shop", Name: name, Annotations: map[string]string{}}
	for i := 0; i < len(annotations); i += 2 {
		m.Annotations[annotations[i]] = annotations[i+1]
	}
	return m
}

func managed(m *metav1.ObjectMeta, manager, subresource string) *metav1.ObjectMeta {
	m.ManagedFields = append(m.ManagedFields, metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource})
	return m
}

func labelled(m *metav1.ObjectMeta, labels ...string) *metav1.ObjectMeta {
	m.Labels = map[string]string{}
	for i := 0; i < len(labels); i += 2 {
		m.Labels[labels[i]] = labels[i+1]
	}
	return m
}

const manager = "candlefish-deploy-action"

func TestOf(t *testing.T) {
	t.Parallel()
	const reconcile = "kustomize.toolkit.fluxcd.io/reconcile"
	for name, c := range map[string]struct {
		meta *metav1.ObjectMeta
		want []Owner
	}{
		"nobody": {meta("web"), nil},
		"a tracking id": {
			meta("web", trackingKey, "store:apps/Deployment:shop/web"), []Owner{{Tool: ArgoCD, Name: "store"}},
		},
		"the tracking id of another object": {meta("web-2", trackingKey, "store:apps/Deployment:shop/web"), nil},
		"the field manager of a server-side sync": {
			managed(meta("web"), "argocd-controller", ""), []Owner{{Tool: ArgoCD}},
		},
		"a field manager of the status": {managed(meta("web"), "argocd-controller", "status"), nil},
		"a kustomization": {
			labelled(meta("web"), "kustomize.toolkit.fluxcd.io/name", "apps", "kustomize.toolkit.fluxcd.io/namespace", "flux-system"),
			[]Owner{{Tool: Flux, Name: "flux-system/apps"}},
		},
		"a kustomization that leaves it alone": {
			managed(meta("web", reconcile, "disabled"), "kustomize-controller", ""),
			[]Owner{{Tool: Flux, Exempt: reconcile + ": disabled"}},
		},
		"an apply policy": {
			managed(meta("web", "kustomize.toolkit.fluxcd.io/ssa", "ifnotpresent"), "kustomize-controller", ""),
			[]Owner{{Tool: Flux, Exempt: "kustomize.toolkit.fluxcd.io/ssa: ifnotpresent"}},
		},
		"an apply policy that overrides": {
			managed(meta("web", "kustomize.toolkit.fluxcd.io/ssa", "Merge"), "kustomize-controller", ""), []Owner{{Tool: Flux}},
		},
		"a helmrelease, which Helm's code installs": {
			labelled(managed(meta("web", "meta.helm.sh/release-name", "web", "meta.helm.sh/release-namespace", "shop"), "helm-controller", ""),
				"helm.toolkit.fluxcd.io/name", "web", "helm.toolkit.fluxcd.io/namespace", "shop"),
			[]Owner{{Tool: FluxHelm, Name: "shop/web"}},
		},
		"helm": {
			managed(meta("web", "meta.helm.sh/release-name", "web", "meta.helm.sh/release-namespace", "shop"), "helm", ""),
			[]Owner{{Tool: Helm, Name: "shop/web"}},
		},
		"config sync": {meta("web", "configmanagement.gke.io/managed", "enabled"), []Owner{{Tool: ConfigSync}}},
	} {
		if diff := cmp.Diff(c.want, Of(c.meta, "apps", "Deployment")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func text(lines []string) string { return strings.Join(lines, "\n") + "\n" }

// equal compares the exact text.
func equal(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// sentences returns all of them, those that speak against a release first.
func sentences(all []Finding) string {
	var lines []string
	for _, f := range all {
		lines = append(lines, f.Sentence())
	}
	return text(lines)
}

func TestArgoCD(t *testing.T) {
	t.Parallel()
	found := Find(
		Deployment(meta("web", trackingKey, "store:apps/Deployment:shop/web"), "app"),
		Service(meta("web", trackingKey, "store:/Service:shop/web")),
		Route(meta("web", trackingKey, "store:gateway.networking.k8s.io/HTTPRoute:shop/web"), "gateway.networking.k8s.io", "HTTPRoute"),
	)
	equal(t, sentences(found), `
deployment web is managed by Argo CD (application store): a sync, or its self-heal, would put back spec.template, spec.paused during the release, and the previous image after the promotion
service web is managed by Argo CD (application store): a sync, or its self-heal, would put back spec.selector during the release
httproute web is managed by Argo CD (application store): a sync, or its self-heal, would put back spec.rules during the release
`)
	equal(t, text(Allow(found, manager)), `
to allow it, set in the Application store:
spec:
  ignoreDifferences:
  - group: "apps"
    kind: Deployment
    name: web
    namespace: shop
    managedFieldsManagers:
    - candlefish-deploy-action
    jqPathExpressions:
    - '.spec.template.spec.containers[] | select(.name == "app") | .image'
  - group: ""
    kind: Service
    name: web
    namespace: shop
    managedFieldsManagers:
    - candlefish-deploy-action
  - group: "gateway.networking.k8s.io"
    kind: HTTPRoute
    name: web
    namespace: shop
    managedFieldsManagers:
    - candlefish-deploy-action
  syncPolicy:
    syncOptions:
    - RespectIgnoreDifferences=true
`)
	shown, err := os.ReadFile("../../../docs/gitops.md")
	if err != nil {
		t.Fatal(err)
	}
	if block := text(Allow(found, manager)[1:]); !strings.Contains(string(shown), "```yaml\n"+block+"```") {
		t.Errorf("docs/gitops.md does not show the settings as the plan does:\n%s", block)
	}
	if n := len(Reverting(found)); n != 3 {
		t.Errorf("%d of 3 speak against a release", n)
	}
}

func TestFluxKustomization(t *testing.T) {
	t.Parallel()
	of := func(name string, annotations ...string) *metav1.ObjectMeta {
		return labelled(meta(name, annotations...), "kustomize.toolkit.fluxcd.io/name", "apps", "kustomize.toolkit.fluxcd.io/namespace", "flux-system")
	}
	found := Find(Deployment(of("web"), "app"), Service(of("web")), Route(of("web", "kustomize.toolkit.fluxcd.io/reconcile", "disabled"), "networking.istio.io", "VirtualService"))
	equal(t, sentences(found), `
deployment web is managed by Flux (kustomization flux-system/apps): each reconciliation would put back spec.template, spec.paused during the release, and the previous image after the promotion
service web is managed by Flux (kustomization flux-system/apps): each reconciliation would put back spec.selector during the release
virtualservice web is managed by Flux (kustomization flux-system/apps), which leaves it alone: kustomize.toolkit.fluxcd.io/reconcile: disabled
`)
	equal(t, text(Allow(found, manager)), `
to allow it for one release, type before it: kubectl -n shop annotate deployment/web service/web kustomize.toolkit.fluxcd.io/reconcile=disabled
and after it, once Git has the new image: kubectl -n shop annotate deployment/web service/web kustomize.toolkit.fluxcd.io/reconcile-
to allow it for good, set in the manifests in Git of deployment web, service web:
metadata:
  annotations:
    kustomize.toolkit.fluxcd.io/ssa: IfNotPresent
`)
	if n := len(Reverting(found)); n != 2 {
		t.Errorf("%d speak against a release, want the 2 that are not exempt", n)
	}
}

func TestFluxHelmRelease(t *testing.T) {
	t.Parallel()
	of := func(name string) *metav1.ObjectMeta {
		return labelled(meta(name), "helm.toolkit.fluxcd.io/name", "store", "helm.toolkit.fluxcd.io/namespace", "shop")
	}
	found := Find(Deployment(of("web"), "app"), Service(of("web")))
	equal(t, sentences(found[:1]), `
deployment web is managed by Flux (helmrelease shop/store): its drift detection, if enabled, or an upgrade would put back spec.template, spec.paused during the release, and the previous image after the promotion
`)
	equal(t, text(Allow(found, manager)), `
to allow it, set in the HelmRelease shop/store, if its drift detection is enabled:
spec:
  driftDetection:
    ignore:
    - paths:
      - /spec/template
      - /spec/paused
      target:
        kind: Deployment
        name: web
    - paths:
      - /spec/selector
      target:
        kind: Service
        name: web
an upgrade writes the chart's fields all the same; type before the release: flux suspend helmrelease store -n shop
and after it, once the chart's values have the new image: flux resume helmrelease store -n shop
`)
}

// Helm writes only when somebody types it: that is no obstacle, but the plan says
// it.
func TestHelm(t *testing.T) {
	t.Parallel()
	of := func(name string) *metav1.ObjectMeta {
		return meta(name, "meta.helm.sh/release-name", "store", "meta.helm.sh/release-namespace", "shop")
	}
	found := Find(Deployment(of("web"), "app"), Route(of("web"), "gateway.networking.k8s.io", "HTTPRoute"))
	equal(t, sentences(found[:1]), `
deployment web is managed by Helm (release shop/store): a helm upgrade would put back spec.template, spec.paused during the release, and the previous image after the promotion
`)
	equal(t, text(Allow(found, manager)), `
no helm upgrade of release shop/store while the release runs: the three-way merge puts the chart's values back into deployment web, and what changed in the chart is written into httproute web
helm upgrade --server-side=true (Helm 4) stops with a conflict that names candlefish-deploy-action instead, unless it gets --force-conflicts
after the promotion give the next helm upgrade the new image, or it puts the previous one back
`)
	if got := Reverting(found); len(got) != 0 {
		t.Errorf("Helm speaks against a release: %q", got)
	}
}

func TestTwoOwners(t *testing.T) {
	t.Parallel()
	found := Find(Deployment(managed(managed(meta("web"), "argocd-controller", ""), "fleetagent", ""), "app"))
	equal(t, text(Allow(found, manager))[:len("to allow it, set in the Application:\n")], "to allow it, set in the Application:\n")
	lines := Allow(found, manager)
	if got, want := lines[len(lines)-1], "Fleet: exclude deployment web from its drift correction while a release runs, and give it the new image after the promotion"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
