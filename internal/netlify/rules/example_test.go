package rules_test

import (
	"fmt"

	"github.com/candlefish/deploy-action/internal/netlify/rules"
)

func ExampleParseRedirects() {
	found, _, err := rules.ParseRedirects("/blog/* https://blog.example.com/:splat 301!\n/ /de 302 Language=de,at")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range found {
		fmt.Println(r.From, "->", r.To, *r.Status, r.Force, r.Conditions)
	}
	// Output:
	// /blog/* -> https://blog.example.com/:splat 301 true map[]
	// / -> /de 302 false map[Language:[de at]]
}

// Invalid lines are reported together.
func ExampleParseRedirects_errors() {
	_, _, err := rules.ParseRedirects("/a\n/b /c 200\n/d e")
	fmt.Println(err)
	// Output:
	// _redirects, line 1: "/a": the destination is missing
	// _redirects, line 3: "/d e": the destination must begin with "/", "http://" or "https://"
}

func ExampleParseHeaders() {
	found, _, err := rules.ParseHeaders("/*\n  X-Frame-Options: DENY\n  Link: </a.css>\n  Link: </b.css>")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(found[0].For, found[0].Values["Link"])
	// Output: /* </a.css>, </b.css>
}
