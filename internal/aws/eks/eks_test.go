package eks_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/candlefish/deploy-action/internal/aws/eks"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

// static are credentials of a session.
func static() aws.CredentialsProviderFunc {
	return func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret", SessionToken: "session"}, nil
	}
}

// signature computes Signature Version 4 from the documentation, not from the
// SDK. query is without the signature.
func signature(method, path string, query url.Values, headers map[string]string, secret, scope, date string) string {
	names := slices.Sorted(maps.Keys(headers))
	var canonical strings.Builder
	fmt.Fprintf(&canonical, "%s\n%s\n%s\n", method, path, strings.ReplaceAll(query.Encode(), "+", "%20"))
	for _, name := range names {
		fmt.Fprintf(&canonical, "%s:%s\n", name, headers[name])
	}
	fmt.Fprintf(&canonical, "\n%s\n%x", strings.Join(names, ";"), sha256.Sum256(nil))
	text := fmt.Sprintf("AWS4-HMAC-SHA256\n%s\n%s\n%x", date, scope, sha256.Sum256([]byte(canonical.String())))
	key := []byte("AWS4" + secret)
	for _, part := range append(strings.Split(scope, "/"), text) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}

// parse returns the presigned URL in a token.
func parse(t *testing.T, token string) *url.URL {
	t.Helper()
	encoded, ok := strings.CutPrefix(token, "k8s-aws-v1.")
	raw, err := base64.RawURLEncoding.DecodeString(encoded) // refuses padding, as the API server does
	if !ok || err != nil {
		t.Fatalf("token %q: %v", token, err)
	}
	u, err := url.Parse(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// The API server of EKS accepts these parameters and no others.
func TestToken(t *testing.T) {
	t.Parallel()
	token, expires, err := eks.Token(t.Context(), aws.Config{Credentials: static()}, "prod", "eu-central-1", at(epoch))
	if err != nil {
		t.Fatal(err)
	}
	if !expires.Equal(epoch.Add(15 * time.Minute)) {
		t.Errorf("expires at %s", expires)
	}
	u := parse(t, token)
	if u.Scheme != "https" || u.Host != "sts.eu-central-1.amazonaws.com" || u.Path != "/" {
		t.Errorf("URL = %s", u)
	}
	query := u.Query()
	got := query.Get("X-Amz-Signature")
	query.Del("X-Amz-Signature")
	scope := "20260102/eu-central-1/sts/aws4_request"
	want := url.Values{
		"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"},
		"X-Amz-Algorithm": {"AWS4-HMAC-SHA256"}, "X-Amz-Credential": {"AKIDEXAMPLE/" + scope}, "X-Amz-Date": {"20260102T030405Z"},
		"X-Amz-Expires": {"60"}, "X-Amz-Security-Token": {"session"}, "X-Amz-SignedHeaders": {"host;x-k8s-aws-id"},
	}
	if !maps.EqualFunc(query, want, slices.Equal) {
		t.Errorf("query = %v, want %v", query, want)
	}
	headers := map[string]string{"host": u.Host, "x-k8s-aws-id": "prod"}
	if want := signature("GET", "/", query, headers, "secret", scope, "20260102T030405Z"); got != want {
		t.Errorf("signature = %s, want %s", got, want)
	}
	headers["x-k8s-aws-id"] = "staging"
	if signature("GET", "/", query, headers, "secret", scope, "20260102T030405Z") == got {
		t.Error("the token is valid for another cluster")
	}
}

func TestTokenOfOtherPartitions(t *testing.T) {
	t.Parallel()
	for region, host := range map[string]string{"us-east-1": "sts.us-east-1.amazonaws.com", "cn-north-1": "sts.cn-north-1.amazonaws.com.cn", "us-gov-west-1": "sts.us-gov-west-1.amazonaws.com"} {
		token, _, err := eks.Token(t.Context(), aws.Config{Credentials: static()}, "prod", region, at(epoch))
		if err != nil {
			t.Fatal(err)
		}
		if got := parse(t, token).Host; got != host {
			t.Errorf("%s: host %s, want %s", region, got, host)
		}
	}
}

func TestTokenEndsWithItsCredentials(t *testing.T) {
	t.Parallel()
	ending := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b", CanExpire: true, Expires: epoch.Add(time.Minute)}, nil
	})
	_, expires, err := eks.Token(t.Context(), aws.Config{Credentials: ending}, "prod", "eu-central-1", at(epoch))
	if err != nil || !expires.Equal(epoch.Add(time.Minute)) {
		t.Errorf("expires at %s, error %v", expires, err)
	}
	if _, _, err := eks.Token(t.Context(), aws.Config{}, "prod", "eu-central-1", at(epoch)); err == nil {
		t.Error("a token without credentials")
	}
}

func TestTokensAreRenewed(t *testing.T) {
	t.Parallel()
	now, broken, reads := epoch, false, 0
	credentials := aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		if reads++; broken {
			return aws.Credentials{}, errors.New("no credentials now")
		}
		return static()(ctx)
	})
	tokens := eks.NewTokens(aws.Config{Credentials: credentials}, "prod", "eu-central-1", func() time.Time { return now })
	var last string
	for _, step := range []struct {
		after  time.Duration
		broken bool
		fresh  bool // another token than before
		reads  int
		fails  bool
	}{
		{after: 0, fresh: true, reads: 1},
		{after: 9 * time.Minute, reads: 1},
		{after: 10 * time.Minute, fresh: true, reads: 2},
		{after: 20 * time.Minute, broken: true, reads: 3}, // the last one is valid
		{after: 20*time.Minute + 9*time.Second, broken: true, reads: 3},
		{after: 20*time.Minute + 10*time.Second, broken: true, reads: 4},
		{after: 25 * time.Minute, broken: true, reads: 5, fails: true},
		{after: 26 * time.Minute, fresh: true, reads: 6},
	} {
		now, broken = epoch.Add(step.after), step.broken
		token, err := tokens.Token(t.Context())
		if (err != nil) != step.fails || reads != step.reads {
			t.Fatalf("after %s: error %v, %d reads, want %d", step.after, err, reads, step.reads)
		}
		if !step.fails && (token != last) != step.fresh {
			t.Errorf("after %s: a new token %t, want %t", step.after, token != last, step.fresh)
		}
		if err == nil {
			last = token
		}
	}
}

func TestTokensAreSharedByGoroutines(t *testing.T) {
	t.Parallel()
	reads := 0
	tokens := eks.NewTokens(aws.Config{Credentials: aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		reads++ // the race detector watches
		return static()(ctx)
	})}, "prod", "eu-central-1", at(epoch))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := tokens.Token(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if reads != 1 {
		t.Errorf("%d tokens made, want 1", reads)
	}
}

// serve is an EKS that answers the request for cluster prod after it has checked
// its signature.
func serve(t *testing.T, code int, body string) aws.Config {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fields, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
		got := map[string]string{}
		for field := range strings.SplitSeq(fields, ", ") {
			name, value, _ := strings.Cut(field, "=")
			got[name] = value
		}
		date := r.Header.Get("X-Amz-Date")
		scope := date[:min(8, len(date))] + "/eu-central-1/eks/aws4_request"
		headers := map[string]string{}
		for name := range strings.SplitSeq(got["SignedHeaders"], ";") {
			headers[name] = r.Header.Get(name)
		}
		headers["host"] = r.Host
		if _, date := headers["x-amz-date"]; !ok || !date || got["Credential"] != "AKIDEXAMPLE/"+scope ||
			got["Signature"] != signature(r.Method, r.URL.Path, r.URL.Query(), headers, "secret", scope, r.Header.Get("X-Amz-Date")) {
			t.Errorf("Authorization: %s", r.Header.Get("Authorization"))
		}
		if r.Method != http.MethodGet || r.URL.Path != "/clusters/prod" || r.Header.Get("X-Amz-Security-Token") != "session" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		if code == http.StatusNotFound {
			w.Header().Set("X-Amzn-ErrorType", "ResourceNotFoundException")
		}
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return aws.Config{Region: "eu-central-1", Credentials: static(), BaseEndpoint: &s.URL}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code int
		body string
		want eks.Cluster
		says string
	}{
		"a cluster": {200, `{"cluster":{"name":"prod","status":"ACTIVE","endpoint":"https://ABC.gr7.eu-central-1.eks.amazonaws.com","certificateAuthority":{"data":"UEVN"}}}`,
			eks.Cluster{Endpoint: "https://ABC.gr7.eu-central-1.eks.amazonaws.com", CAData: []byte("PEM")}, ""},
		"no cluster":    {404, `{"message":"No cluster found for name: prod."}`, eks.Cluster{}, `EKS has no cluster "prod" in region eu-central-1`},
		"being created": {200, `{"cluster":{"name":"prod","status":"CREATING"}}`, eks.Cluster{}, "has no endpoint yet"},
		"no permission": {403, `{"__type":"AccessDeniedException","message":"not authorized to perform: eks:DescribeCluster"}`, eks.Cluster{}, "eks:DescribeCluster"},
		"no base64":     {200, `{"cluster":{"endpoint":"https://x","certificateAuthority":{"data":"!"}}}`, eks.Cluster{}, "read the certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := eks.Describe(t.Context(), serve(t, test.code, test.body), "prod")
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Fatalf("error %v, want %q", err, test.says)
			}
			if err == nil && (got.Endpoint != test.want.Endpoint || string(got.CAData) != string(test.want.CAData)) {
				t.Errorf("cluster = %+v, want %+v", got, test.want)
			}
		})
	}
}
