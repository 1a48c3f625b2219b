package deploy

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/image"
)

// private runs a registry on loopback with one image behind a login, and returns the
// reference of the image.
func private(t *testing.T, password string) string {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	open := true
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, got, _ := r.BasicAuth(); !open && got != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	made, err := image.New("website", []byte("no program"), nil)
	if err != nil {
		t.Fatal(err)
	}
	ref := strings.TrimPrefix(s.URL, "http://") + "/website:v2"
	if err := image.Push(t.Context(), ref, made); err != nil {
		t.Fatal(err)
	}
	open = false
	return ref
}

// What is around the workload is asked before the first change: the registry with
// the pods' pull secret, network policies and disruption budgets.
func TestTheSurroundingsAreAskedBeforeAChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const password = "s3cret-of-the-registry"
	ref := private(t, password)
	host, _, _ := strings.Cut(ref, "/")
	login := func(password string) {
		w.kubectl("delete", "secret", "regcred", "--ignore-not-found")
		w.kubectl("create", "secret", "docker-registry", "regcred", "--docker-server="+host, "--docker-username=robot", "--docker-password="+password)
	}
	before := w.spec()
	plan := func(code int) string { return w.deploy("--image", ref, "--dry-run").ends(code) }

	contains(t, plan(1), "refuses image "+ref+" without a pull secret", "add one for "+host)
	login("old")
	w.kubectl("patch", "serviceaccount", "default", "-p", `{"imagePullSecrets":[{"name":"regcred"}]}`)
	contains(t, plan(1), "refuses image "+ref+" with pull secret regcred")
	login(password)
	out := plan(0)
	contains(t, out, "image "+ref+" is sha256:")
	if strings.Contains(out, password) {
		t.Errorf("the output has the password:\n%s", out)
	}

	w.apply(fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"website","namespace":%q},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"candlefish-website"}}}}`, w.ns))
	contains(t, plan(0), "poddisruptionbudget website counts the pods of both versions together")
	w.apply(fmt.Sprintf(`{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"strict","namespace":%q},"spec":{"podSelector":{"matchExpressions":[{"key":"version","operator":"DoesNotExist"}]}}}`, w.ns))
	contains(t, plan(1), "networkpolicy strict selects pods by \"version\"", "choose another label with version-label")
	w.kubectl("delete", "networkpolicy", "strict")
	if after := w.spec(); after != before {
		t.Errorf("the objects are not as before:\n%s", after)
	}
}
