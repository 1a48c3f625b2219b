package credential

import (
	"net/http"
	"testing"
)

type refusing struct{}

func (refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusUnauthorized, Body: http.NoBody, Request: r}, nil
}

func TestRequestsThatFailTogetherRenewOnce(t *testing.T) {
	t.Parallel()
	renewals := 0
	r := &renewing{current: refusing{}, renew: func() (http.RoundTripper, error) {
		renewals++
		return refusing{}, nil
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
