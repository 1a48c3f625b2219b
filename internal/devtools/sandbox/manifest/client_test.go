package manifest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitYAML(t *testing.T) {
	t.Parallel()
	stream := "# a licence\n---\n# only a comment\n---\nkind: A\n---\n\nkind: B\ntext: |\n  not --- a separator\n---\n"
	var got []string
	for _, doc := range Split([]byte(stream)) {
		got = append(got, strings.TrimSpace(string(doc)))
	}
	want := []string{"kind: A", "kind: B\ntext: |\n  not --- a separator"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Split (-want +got):\n%s", diff)
	}
}

func TestAPIPath(t *testing.T) {
	t.Parallel()
	ref := func(version, kind, namespace, name string) objectRef {
		r := objectRef{APIVersion: version, Kind: kind}
		r.Metadata.Name, r.Metadata.Namespace = name, namespace
		return r
	}
	for _, test := range []struct {
		ref  objectRef
		want string
	}{
		{ref("v1", "Namespace", "", "a"), "/api/v1/namespaces/a"},
		{ref("v1", "Service", "a", "b"), "/api/v1/namespaces/a/services/b"},
		{ref("apps/v1", "Deployment", "a", "b"), "/apis/apps/v1/namespaces/a/deployments/b"},
		{ref("gateway.networking.k8s.io/v1", "GatewayClass", "", "b"), "/apis/gateway.networking.k8s.io/v1/gatewayclasses/b"},
	} {
		if got, err := test.ref.apiPath(); err != nil || got != test.want {
			t.Errorf("path of %v = %q, %v, want %q", test.ref, got, err, test.want)
		}
	}
	if _, err := ref("v1", "Pony", "", "a").apiPath(); err == nil {
		t.Error("an unknown kind has a path")
	}
}

// fakeAPI is a server that answers with the given bodies, one for each request.
func fakeAPI(t *testing.T, bodies ...string) *Client {
	t.Helper()
	var n int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n >= len(bodies) {
			<-r.Context().Done() // a watch with no news
			return
		}
		_, _ = io.WriteString(w, bodies[n])
		n++
	}))
	t.Cleanup(server.Close)
	return &Client{server.URL, server.Client()}
}

func TestAwaitOutlivesTheEndOfAWatch(t *testing.T) {
	t.Parallel()
	a := fakeAPI(t,
		`{"type":"ADDED","object":{"status":{}}}`,
		`{"type":"MODIFIED","object":{"status":{"conditions":[{"type":"Ready","status":"True"}]}}}`)
	if err := a.Await(t.Context(), "/api/v1/nodes", "n", func(w Watched) bool { return w.Has("Ready") }); err != nil {
		t.Error(err)
	}
}

func TestAwaitSaysWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	a := fakeAPI(t, `{"type":"ADDED","object":{"status":{"conditions":[{"type":"Ready","status":"False","message":"no network"}]}}}`)
	err := a.Await(ctx, "/api/v1/nodes", "n1", func(Watched) bool { cancel(); return false })
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "wait for nodes n1") || !strings.Contains(err.Error(), "Ready=False no network") {
		t.Errorf("await = %v, want the object and its last word", err)
	}
}

func TestStatusErrorHasTheServersMessage(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"kind":"Status","message":"somebody owns it"}`)
	}))
	defer server.Close()
	a := &Client{server.URL, server.Client()}
	err := a.Get(t.Context(), "/x", nil)
	if !isStatus(err, http.StatusConflict) || !strings.HasSuffix(err.Error(), "somebody owns it") {
		t.Errorf("get = %v, want the status and the message", err)
	}
}
