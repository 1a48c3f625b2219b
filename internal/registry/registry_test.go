package registry

import (
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

const password = "s3cret-of-the-test"

// serve runs a registry, behind a login if a password is wanted, and returns its
// address.
func serve(t *testing.T, private bool) string {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, got, ok := r.BasicAuth()
		if private && (!ok || user != "robot" || got != password) && r.Header.Get("X-Push") == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// pusher passes the login of serve.
type pusher struct{}

func (pusher) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("X-Push", "1")
	return http.DefaultTransport.RoundTrip(r)
}

func image(t *testing.T, arch string) v1.Image {
	t.Helper()
	config, err := empty.Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", arch
	img, err := mutate.ConfigFile(empty.Image, config)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func push(t *testing.T, ref string, arch ...string) {
	t.Helper()
	to, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if len(arch) == 1 {
		err = remote.Write(to, image(t, arch[0]), remote.WithTransport(pusher{}))
	} else {
		index := v1.ImageIndex(empty.Index)
		for _, a := range arch {
			index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image(t, a), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: a}}})
		}
		err = remote.WriteIndex(to, index, remote.WithTransport(pusher{}))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func secret(t *testing.T, name, registry, user, pass string) Secret {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + pass))
	s, err := Parse(name, TypeJSON, map[string][]byte{".dockerconfigjson": []byte(fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, registry, auth))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ask1(t *testing.T, image string, secrets ...Secret) Answer {
	t.Helper()
	return Ask(t.Context(), http.DefaultTransport, image, secrets)
}

func TestAsk(t *testing.T) {
	t.Parallel()
	open, private := serve(t, false), serve(t, true)
	push(t, open+"/shop/web:1", "amd64")
	push(t, open+"/shop/web:2", "amd64", "arm64")
	push(t, private+"/shop/web:1", "arm64")
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	right, wrong := secret(t, "right", private, "robot", password), secret(t, "wrong", private+"/shop", "robot", "old")
	for test, c := range map[string]struct {
		image   string
		secrets []Secret
		verdict Verdict
		by      string // the secret
		tried   string
		on      string // platforms
	}{
		"a tag":                     {open + "/shop/web:1", nil, Exists, "", "", "linux/amd64"},
		"an index":                  {open + "/shop/web:2", nil, Exists, "", "", "linux/amd64 linux/arm64"},
		"no such tag":               {open + "/shop/web:9", nil, NotFound, "", "", ""},
		"no such repository":        {open + "/none:1", nil, NotFound, "", "", ""},
		"no reference":              {"UPPER/case", nil, NotFound, "", "", ""},
		"private, no secret":        {private + "/shop/web:1", nil, Unauthorized, "", "", ""},
		"another registry's secret": {private + "/shop/web:1", []Secret{secret(t, "other", "other.example", "robot", password)}, Unauthorized, "", "", ""},
		"private, right secret":     {private + "/shop/web:1", []Secret{right}, Exists, "right", "right", "linux/arm64"},
		"private, wrong secret":     {private + "/shop/web:1", []Secret{wrong}, Unauthorized, "", "wrong", ""},
		"the next secret":           {private + "/shop/web:1", []Secret{right, wrong}, Exists, "right", "wrong right", "linux/arm64"},
		"private, no such tag":      {private + "/shop/web:9", []Secret{right}, NotFound, "", "right", ""},
		"nobody listens":            {strings.TrimPrefix(closed.URL, "http://") + "/web:1", nil, Unreachable, "", "", ""},
	} {
		a := ask1(t, c.image, c.secrets...)
		if a.Verdict != c.verdict || a.Secret != c.by || strings.Join(a.Tried, " ") != c.tried || strings.Join(a.Platforms, " ") != c.on {
			t.Errorf("%s: %+v", test, a)
		}
		if (a.Verdict == Exists) != strings.HasPrefix(a.Digest, "sha256:") || (a.Verdict == Exists) != (a.Why == "") {
			t.Errorf("%s: digest %q, why %q", test, a.Digest, a.Why)
		}
		if strings.Contains(fmt.Sprintf("%+v", a), password) {
			t.Errorf("%s: the answer has the password", test)
		}
	}
}

// Not found, unauthorized and unreachable are three sentences, and only what is
// known prevents a release.
func TestJudge(t *testing.T) {
	t.Parallel()
	amd, both := []string{"linux/amd64"}, []string{"linux/amd64", "linux/arm64"}
	const ecr = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/web:1"
	for test, c := range map[string]struct {
		answer   Answer
		image    string
		nodes    []string
		proven   bool
		obstacle string
		warning  string
	}{
		"exists":              {Answer{Verdict: Exists, Platforms: amd}, "r.example/web:1", amd, false, "", ""},
		"an artifact":         {Answer{Verdict: Exists}, "r.example/web:1", amd, false, "", ""},
		"secret nodes":        {Answer{Verdict: Exists, Platforms: amd}, "r.example/web:1", nil, false, "", ""},
		"another platform":    {Answer{Verdict: Exists, Platforms: []string{"linux/arm64"}}, "r.example/web:1", amd, false, "is for linux/arm64, and the nodes are linux/amd64", ""},
		"not for every node":  {Answer{Verdict: Exists, Platforms: amd}, "r.example/web:1", both, false, "", "some nodes are linux/arm64"},
		"not found":           {Answer{Verdict: NotFound, Why: "manifest unknown"}, "r.example/web:9", amd, false, "does not exist in its registry (manifest unknown)", ""},
		"unreachable":         {Answer{Why: "connection refused"}, "r.example/web:1", amd, false, "", "cannot be reached from here (connection refused)"},
		"no secret":           {Answer{Verdict: Unauthorized, Why: "unauthorized"}, "r.example/web:1", amd, false, "add one for r.example to the pods' imagePullSecrets", ""},
		"a secret is refused": {Answer{Verdict: Unauthorized, Tried: []string{"regcred"}}, "r.example/web:1", amd, true, "with pull secret regcred", ""},
		"the nodes get in":    {Answer{Verdict: Unauthorized}, "r.example/web:1", amd, true, "", "a credential of their own"},
		"ECR":                 {Answer{Verdict: Unauthorized}, ecr, amd, false, "", "the role of the nodes (ECR)"},
		"ACR":                 {Answer{Verdict: Unauthorized}, "shop.azurecr.io/web:1", amd, false, "", "(ACR)"},
		"Artifact Registry":   {Answer{Verdict: Unauthorized}, "europe-docker.pkg.dev/p/r/web:1", amd, false, "", "(Artifact Registry)"},
	} {
		obstacle, warning := c.answer.Judge(c.image, c.nodes, c.proven)
		if !says(obstacle, c.obstacle) || !says(warning, c.warning) {
			t.Errorf("%s: obstacle %q, warning %q", test, obstacle, warning)
		}
	}
}

func says(text, part string) bool {
	return (text == "") == (part == "") && strings.Contains(text, part)
}

func TestWhichSecretFits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, image string
		want           bool
	}{
		{"r.example", "r.example/a/web:1", true},
		{"https://r.example/v2/", "r.example/a/web:1", true},
		{"r.example/a", "r.example/a/web:1", true},
		{"r.example/a/web", "r.example/a/web:1", true},
		{"r.example/b", "r.example/a/web:1", false},
		{"r.example/a/we", "r.example/a/web:1", false},
		{"*.example", "r.example/web:1", true},
		{"*.example", "a.r.example/web:1", false},
		{"https://index.docker.io/v1/", "web:1", true},
		{"docker.io", "shop/web:1", true},
		{"r.example:5000", "r.example/web:1", false},
	} {
		ref, err := name.ParseReference(c.image)
		if err != nil {
			t.Fatal(err)
		}
		registry := ref.Context().RegistryStr()
		if got := fits(c.pattern, registry, registry+"/"+ref.Context().RepositoryStr()); got != c.want {
			t.Errorf("%q for %s: %v", c.pattern, c.image, got)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	legacy, err := Parse("old", TypeLegacy, map[string][]byte{".dockercfg": []byte(`{"r.example":{"username":"u","password":"p"}}`)})
	if err != nil || legacy.entries["r.example"].Password != "p" {
		t.Errorf("legacy: %v, %v", legacy.entries, err)
	}
	for test, c := range map[string]struct{ kind, data, want string }{
		"opaque":   {"Opaque", `{}`, "which nodes do not pull with"},
		"no JSON":  {TypeJSON, password, "has no JSON"},
		"no auths": {TypeJSON, `{"auths":{}}`, "names no registry"},
	} {
		_, err := Parse("s", c.kind, map[string][]byte{".dockerconfigjson": []byte(c.data)})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", test, err)
		}
	}
	if diff := cmp.Diff("r.example", Host("r.example/web:1")); diff != "" || Host("UPPER") != "" {
		t.Errorf("Host (-want +got):\n%s", diff)
	}
}
