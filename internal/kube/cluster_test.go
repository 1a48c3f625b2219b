package kube

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// An apiServer accepts one token over TLS and answers with an empty Deployment.
type apiServer struct {
	*httptest.Server
	token string

	mu     sync.Mutex
	seen   []string // the tokens of all requests
	bodies []string
}

func serveAPI(t *testing.T, token string) *apiServer {
	t.Helper()
	s := &apiServer{token: token}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		s.mu.Lock()
		s.seen, s.bodies = append(s.seen, got), append(s.bodies, string(body))
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if got != s.token {
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: metav1.StatusReasonUnauthorized, Code: 401, Message: "Unauthorized"})
			return
		}
		d := appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}}
		d.Spec.Template.Spec.Containers = []corev1.Container{{Image: "web:1"}}
		_ = json.NewEncoder(w).Encode(d)
	}))
	t.Cleanup(s.Close)
	return s
}

// ca is the server's certificate in PEM.
func (s *apiServer) ca() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// kubeconfig writes a kubeconfig for the server with a user.
func (s *apiServer) kubeconfig(t *testing.T, path, user string) string {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "kubeconfig")
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: %s}]
`, s.URL, base64.StdEncoding.EncodeToString(s.ca()), user)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *apiServer) tokens() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.seen, " ")
}

// plugin writes a program that prints the token "old" at its first call and
// "new" afterwards.
func plugin(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plugin")
	script := `#!/bin/sh
token=new
[ -e "$0.called" ] || token=old
: > "$0.called"
printf '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"%s"}}' "$token"
`
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// execUser is a user whose token comes from a program.
func execUser(program string) string {
	return fmt.Sprintf(`{exec: {apiVersion: client.authentication.k8s.io/v1, command: %q, interactiveMode: Never}}`, program)
}

func TestAPluginIsAskedAgainAfterARefusal(t *testing.T) {
	t.Parallel()
	s := serveAPI(t, "new")
	c, err := Connect(ConnectOptions{Kubeconfig: s.kubeconfig(t, "", execUser(plugin(t)))})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if image, err := c.LiveImage(t.Context(), "shop", "web"); err != nil || image != "web:1" {
			t.Fatalf("image %q, error %v", image, err)
		}
	}
	if got := s.tokens(); got != "old new new" {
		t.Errorf("tokens = %q, want the first request once more and no other", got)
	}
}

func TestAKubeconfigIsReadAgainAfterARefusal(t *testing.T) {
	t.Parallel()
	s := serveAPI(t, "new")
	path := s.kubeconfig(t, "", `{token: old}`)
	c, err := Connect(ConnectOptions{Kubeconfig: path})
	if err != nil {
		t.Fatal(err)
	}
	if end, ok := c.TokenExpires(); ok {
		t.Errorf("the token ends at %s, but says nothing about it", end)
	}
	if _, err := c.LiveImage(t.Context(), "shop", "web"); err == nil || !strings.Contains(err.Error(), "Unauthorized") {
		t.Errorf("error %v, want the API server's after one more attempt", err)
	}
	if got := s.tokens(); got != "old old" {
		t.Errorf("tokens = %q, want two attempts", got)
	}
	s.kubeconfig(t, path, `{token: new}`)
	// A body is sent again in full.
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web-canary"}}
	if _, err := c.Typed.AppsV1().Deployments("shop").Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := s.tokens(); got != "old old old new" {
		t.Errorf("tokens = %q", got)
	}
	if s.bodies[3] == "" || s.bodies[3] != s.bodies[2] {
		t.Errorf("bodies %q and %q, want the same", s.bodies[2], s.bodies[3])
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := c.LiveImage(t.Context(), "shop", "web"); err != nil {
		t.Errorf("a token that is valid needs no kubeconfig: %v", err)
	}
}

func TestAMissingPluginIsNamed(t *testing.T) {
	t.Parallel()
	s := serveAPI(t, "new")
	_, err := Connect(ConnectOptions{Kubeconfig: s.kubeconfig(t, "", execUser("no-such-aws"))})
	if err == nil || !strings.Contains(err.Error(), `"no-such-aws"`) || !strings.Contains(err.Error(), "eks-cluster") {
		t.Errorf("error %v, want the program and eks-cluster", err)
	}
}

func TestConnectByHostAndToken(t *testing.T) {
	t.Parallel()
	s := serveAPI(t, "two")
	tokens := []string{"one", "two"}
	c, err := Connect(ConnectOptions{Kubeconfig: "/no/such/file", Host: s.URL, CAData: s.ca(), Token: func(context.Context) (string, error) {
		if len(tokens) == 0 {
			return "", errors.New("no credentials")
		}
		token := tokens[0]
		tokens = tokens[1:]
		return token, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if image, err := c.LiveImage(t.Context(), "shop", "web"); err != nil || image != "web:1" || s.tokens() != "one two" {
		t.Errorf("image %q, error %v, tokens %q", image, err, s.tokens())
	}
	if _, err := c.Typed.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{}); err == nil || !strings.Contains(err.Error(), "no credentials") {
		t.Errorf("error %v, want the reason why there is no token", err)
	}
	if end, ok := c.TokenExpires(); ok {
		t.Errorf("the token ends at %s, but it is renewed", end)
	}
}

func TestTheEndOfATokenIsKnown(t *testing.T) {
	t.Parallel()
	s := serveAPI(t, "")
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1893553445}`))
	c, err := Connect(ConnectOptions{Kubeconfig: s.kubeconfig(t, "", "{token: e30."+claims+".c2ln}")})
	if err != nil {
		t.Fatal(err)
	}
	if end, ok := c.TokenExpires(); !ok || end.Unix() != 1893553445 {
		t.Errorf("the token ends at %s (%t)", end, ok)
	}
}

// The image of the action has no programs of clouds; each has its way out.
func TestAMissingPluginNamesTheWayOut(t *testing.T) {
	t.Parallel()
	s := serveAPI(t, "new")
	for program, want := range map[string]string{
		"/none/aws":                    "set eks-cluster, which needs no program",
		"/none/gke-gcloud-auth-plugin": "the kubeconfig of google-github-actions/get-gke-credentials",
		"/none/kubelogin":              "docs/clusters.md has the steps",
		"/none/other":                  "use a kubeconfig with a token",
	} {
		if _, err := Connect(ConnectOptions{Kubeconfig: s.kubeconfig(t, "", execUser(program))}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), program) {
			t.Errorf("%s: %v", program, err)
		}
	}
}
