package redact_test

import (
	"fmt"

	"github.com/candlefish/deploy-action/internal/redact"
)

func ExampleRedactor_String() {
	r := redact.New("s3cr3t-token")
	fmt.Println(r.String("login with s3cr3t-token failed"))
	fmt.Println(r.String("GET https://bob:hunter2@example.com/a?key=1"))
	fmt.Println(r.String("Authorization: Bearer abcdefghijklmnop"))
	// Output:
	// login with *** failed
	// GET https://***@example.com/a?***
	// Authorization: Bearer ***
}

// A value is cleaned before it is rendered.
func ExampleDeep() {
	type result struct {
		URL    string
		Errors []string
	}
	r := redact.New("s3cr3t-token")
	clean := redact.Deep(result{"https://example.com", []string{"401: s3cr3t-token"}}, r.String)
	fmt.Println(clean.URL, clean.Errors)
	// Output: https://example.com [401: ***]
}
