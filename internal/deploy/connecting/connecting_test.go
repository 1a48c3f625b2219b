package connecting

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/informers"
	"k8s.io/klog/v2"
)

// apiServer is the API server of cluster prod. It accepts tokens of a session
// and has Deployment web with image web:1.
func apiServer(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		encoded, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer k8s-aws-v1.")
		raw, err := base64.RawURLEncoding.DecodeString(encoded)
		signed, parsed := url.Parse(string(raw))
		if err != nil || parsed != nil || signed.Host != "sts.eu-central-1.amazonaws.com" ||
			signed.Query().Get("X-Amz-Security-Token") != "session" || signed.Query().Get("X-Amz-SignedHeaders") != "host;x-k8s-aws-id" {
			t.Errorf("%s: Authorization %q (%s)", r.URL, r.Header.Get("Authorization"), raw)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"kind":"Deployment","apiVersion":"apps/v1","spec":{"template":{"spec":{"containers":[{"image":"web:1"}]}}}}`)
	}))
	t.Cleanup(s.Close)
	return s
}

// cloud is an AWS that exchanges the token of a workflow for a session and knows
// cluster prod.
func cloud(t *testing.T, api *httptest.Server) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		switch {
		case r.Method == http.MethodPost && form.Get("Action") == "AssumeRoleWithWebIdentity":
			if form.Get("RoleArn") != "arn:aws:iam::123456789012:role/deploy" || form.Get("WebIdentityToken") != "workflow" || r.Header.Get("Authorization") != "" {
				t.Errorf("form %v", form)
			}
			fmt.Fprint(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
				<AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>2100-01-02T03:04:05Z</Expiration>
				</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`)
		case r.Method == http.MethodGet && r.URL.Path == "/clusters/prod":
			if !strings.Contains(r.Header.Get("Authorization"), "/eu-central-1/eks/aws4_request") || r.Header.Get("X-Amz-Security-Token") != "session" {
				t.Errorf("Authorization %q", r.Header.Get("Authorization"))
			}
			ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})
			_ = json.NewEncoder(w).Encode(map[string]any{"cluster": map[string]any{"endpoint": api.URL, "certificateAuthority": map[string]any{"data": base64.StdEncoding.EncodeToString(ca)}}})
		default:
			t.Errorf("%s %s %s", r.Method, r.URL, body)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// environment hides the machine's AWS configuration.
func environment(t *testing.T) {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
}

// A workflow has a role by OIDC and no aws program.
func TestConnectToEKSByOIDC(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("workflow"), 0o600); err != nil {
		t.Fatal(err)
	}
	environment(t)
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/deploy")
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
	api := apiServer(t)
	c, err := Connect(t.Context(), Options{EKSCluster: "prod", Kubeconfig: "/no/such/file", Region: "eu-central-1", Endpoint: cloud(t, api).URL})
	if err != nil {
		t.Fatal(err)
	}
	if image, err := c.LiveImage(t.Context(), "shop", "web"); err != nil || image != "web:1" {
		t.Errorf("image %q, error %v", image, err)
	}
	if end, ok := c.TokenExpires(); ok {
		t.Errorf("the token ends at %s, but it is renewed", end)
	}
}

func TestConnectSaysWhatIsMissing(t *testing.T) {
	environment(t)
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for _, test := range []struct {
		options Options
		says    string
	}{
		{Options{}, "no cluster is configured"},
		{Options{EKSCluster: "prod"}, `the region of EKS cluster "prod" is unknown`},
		{Options{Kubeconfig: "/no/such/file"}, "read kubeconfig"},
	} {
		if _, err := Connect(t.Context(), test.options); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: error %v, want %q", test.options, err, test.says)
		}
	}
}

// A watch of an API server that is away fails again and again.
func TestConnectSilencesWatches(t *testing.T) { //nolint:paralleltest // it replaces standard error
	asked := make(chan struct{}, 100)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		asked <- struct{}{}
	}))
	defer api.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{"clusters":[{"name":"c","cluster":{"server":%q}}],"contexts":[{"name":"c","context":{"cluster":"c"}}],"current-context":"c"}`, api.URL)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Connect(t.Context(), Options{Kubeconfig: kubeconfig})
	if err != nil {
		t.Fatal(err)
	}

	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer func(original *os.File) { os.Stderr = original }(os.Stderr)
	os.Stderr = stderr
	watches := informers.NewSharedInformerFactory(c.Typed, 0)
	watches.Core().V1().Pods().Informer()
	stop := make(chan struct{})
	watches.Start(stop)
	for range 4 { // the first failures are handled when the next request comes
		<-asked
	}
	close(stop)
	watches.Shutdown()
	klog.Flush()
	if text, err := os.ReadFile(stderr.Name()); err != nil || len(text) > 0 {
		t.Errorf("%s on standard error, %v", text, err)
	}
}
