// Package strict is a server before moto_server that refuses what AWS refuses and moto
// takes: the documented rules of CloudFormation, S3 and Lambda that a client can break.
//
// A rule here names its place in AWS's documentation and has a test of its own with the
// documented code and message. What moto knows by itself is not repeated.
package strict

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/candlefish/deploy-action/internal/aws/awstest"
)

// AccountID is the number of the account that moto plays.
const AccountID = "123456789012"

// Start runs a moto_server behind a Front until the test ends, and returns the URL of
// the front, the endpoint of every service.
func Start(t testing.TB) (endpoint string) {
	t.Helper()
	front, err := New(awstest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(front)
	t.Cleanup(s.Close)
	return s.URL
}

// A Front answers what AWS would refuse, and hands everything else to moto.
type Front struct {
	moto  *url.URL
	proxy http.Handler
	sets  *changeSets

	writing sync.Mutex // one conditional write to S3 at a time
}

// New returns a front before the moto_server at endpoint.
func New(endpoint string) (*Front, error) {
	to, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	f := &Front{moto: to, proxy: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // the signature covers it
	}}}
	f.sets = newChangeSets(f)
	return f, nil
}

// A refusal is an error as AWS answers it.
type refusal struct {
	status        int
	code, message string
}

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status, code, fmt.Sprintf(format, args...)}
}

// service finds the service in the scope of the signature.
var service = regexp.MustCompile(`Credential=[^/]+/[0-9]+/[^/]+/([^/]+)/aws4_request`)

// ServeHTTP implements http.Handler.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := ""
	if m := service.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		name = m[1]
	}
	switch name {
	case "s3":
		f.s3(w, r)
	case "lambda":
		f.lambda(w, r)
	case "cloudformation":
		f.sets.serve(w, r)
	default:
		f.proxy.ServeHTTP(w, r)
	}
}

// body reads a request's body, and puts it back for moto.
func body(r *http.Request) ([]byte, error) {
	all, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(all))
	return all, err
}

// object reads an object as moto has it, nil without one.
func (f *Front) object(ctx context.Context, bucket, key string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.moto.JoinPath(bucket, key).String(), nil)
	if err != nil {
		return nil, err
	}
	// moto takes any signature, and nobody's request for a stranger's.
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=strict/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, nil
	}
	return io.ReadAll(resp.Body)
}

func writeXML(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text))
	return b.String()
}
