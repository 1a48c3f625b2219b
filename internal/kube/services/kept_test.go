package services

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A Service beside the user's that had the tracking ID or the release of the user's
// would be taken for part of it, and removed.
func TestTheCanaryServiceTakesOverNoOwner(t *testing.T) {
	t.Parallel()
	got := kept(map[string]string{
		"argocd.argoproj.io/tracking-id": "store:/Service:shop/web", "argocd.argoproj.io/sync-wave": "1", "meta.helm.sh/release-name": "store",
		"kustomize.toolkit.fluxcd.io/reconcile": "disabled", "helm.toolkit.fluxcd.io/driftDetection": "disabled",
		"kubectl.kubernetes.io/last-applied-configuration": "{}", "traefik.ingress.kubernetes.io/service.serversscheme": "h2c",
	})
	if diff := cmp.Diff(map[string]string{"traefik.ingress.kubernetes.io/service.serversscheme": "h2c"}, got); diff != "" {
		t.Errorf("annotations of the canary Service (-want +got):\n%s", diff)
	}
}
