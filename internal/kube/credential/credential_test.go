package credential

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

func TestRequestsThatFailTogetherRenewOnce(t *testing.T) {
	t.Parallel()
	old, renewals := http.DefaultTransport, 0
	r := &renewing{current: old, renew: func() (http.RoundTripper, error) {
		renewals++
		return old, nil
	}}
	_, before := r.use()
	for range 3 { // all three were refused by the same transport
		if _, err := r.after(before); err != nil {
			t.Fatal(err)
		}
	}
	if renewals != 1 {
		t.Errorf("renewed %d times, want once", renewals)
	}
}

func TestExpires(t *testing.T) {
	t.Parallel()
	jwt := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	end := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	claims := fmt.Sprintf(`{"exp":%d,"sub":"system:serviceaccount:shop:deploy"}`, end.Unix())
	for name, test := range map[string]struct {
		config rest.Config
		want   time.Time
	}{
		"a token of a service account": {rest.Config{BearerToken: jwt(claims)}, end},
		"a token with a fraction":      {rest.Config{BearerToken: jwt(`{"exp":1e9}`)}, time.Unix(1e9, 0)},
		"a token without an end":       {rest.Config{BearerToken: jwt(`{}`)}, time.Time{}},
		"an absurd end":                {rest.Config{BearerToken: jwt(`{"exp":1e300}`)}, time.Time{}},
		"an opaque token":              {rest.Config{BearerToken: "k8s-aws-v1.abc"}, time.Time{}},
		"no base64":                    {rest.Config{BearerToken: "a.!.c"}, time.Time{}},
		"a file that somebody renews":  {rest.Config{BearerToken: jwt(claims), BearerTokenFile: "/var/run/token"}, time.Time{}},
		"a client certificate":         {rest.Config{TLSClientConfig: rest.TLSClientConfig{CertData: ca}}, s.Certificate().NotAfter},
		"no certificate":               {rest.Config{TLSClientConfig: rest.TLSClientConfig{CertData: []byte("x")}}, time.Time{}},
		"nothing":                      {rest.Config{}, time.Time{}},
	} {
		if got := Expires(&test.config); !got.Equal(test.want) {
			t.Errorf("%s: ends at %s, want %s", name, got, test.want)
		}
	}
}
