package apply

import (
	"encoding/base64"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/kube/kubetest"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
)

// What a rollback to a version from before the manifests cannot bring back has a name; a
// version that reads copies, or what nobody has applied, gets everything back.
func TestConfigurationThatARollbackDoesNotRestore(t *testing.T) {
	t.Parallel()
	s := kubetest.New(t, router.Kind{Version: "v1", Resource: "secrets", Name: "Secret"})
	kept := Bundle{Inventory: []Ref{{"v1", "ConfigMap", "settings"}, {"v1", "ConfigMap", "settings-3f0c1a9b27"}, {"v1", "Secret", "keys"}, {"v1", "Secret", "keys-0123456789"}}}
	raw, err := kept.encode()
	if err != nil {
		t.Fatal(err)
	}
	s.Apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: shop, name: web-manifests}\ndata: {" + bundleKey + ": " + base64.StdEncoding.EncodeToString(raw) + "}")
	for name, c := range map[string]struct {
		template string
		want     []string
	}{
		"originals": {`{"spec":{"containers":[{"name":"app","envFrom":[{"configMapRef":{"name":"settings"}},{"secretRef":{"name":"keys"}}]}]}}`, []string{"configmap settings", "secret keys"}},
		"copies":    {`{"spec":{"containers":[{"name":"app","envFrom":[{"configMapRef":{"name":"settings-3f0c1a9b27"}}]}]}}`, nil},
		"others":    {`{"spec":{"containers":[{"name":"app","envFrom":[{"configMapRef":{"name":"other"}}]}]}}`, nil},
		"no longer": {``, nil},
	} {
		got, err := Unrestored(t.Context(), s.Cluster(), &release.Record{Namespace: "shop", Deployment: "web", Template: []byte(c.template)})
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, diff)
		}
	}
}
