package site_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/candlefish/deploy-action/internal/netlify/site"
)

func ExampleParseRedirects() {
	rules, err := site.ParseRedirects("/blog/* https://blog.example.com/:splat 301!\n/ /de 302 Language=de,at")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range rules {
		fmt.Println(r.From, "->", r.To, r.Status, r.Force, r.Conditions)
	}
	// Output:
	// /blog/* -> https://blog.example.com/:splat 301 true map[]
	// / -> /de 302 false map[Language:[de at]]
}

// Invalid lines are reported together.
func ExampleParseRedirects_errors() {
	_, err := site.ParseRedirects("/a\n/b /c 200\n/d e")
	fmt.Println(err)
	// Output:
	// _redirects, line 1: "/a": the destination is missing
	// _redirects, line 3: "/d e": the destination must begin with "/", "http://" or "https://"
}

func ExampleParseHeaders() {
	rules, err := site.ParseHeaders("/*\n  X-Frame-Options: DENY\n  Link: </a.css>\n  Link: </b.css>")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(rules[0].For, rules[0].Values["Link"])
	// Output: /* </a.css>, </b.css>
}

// A folder's files are listed and hashed; its rules become one netlify.toml.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "site")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for name, text := range map[string]string{"index.html": "hello", ".env": "SECRET=1", "_redirects": "/old /new"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			fmt.Println(err)
			return
		}
	}
	s, err := site.Open(site.Source{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	if err := s.Hash(context.Background(), func(int, int64) {}); err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range s.Files {
		fmt.Println(f.Path, f.Size, f.SHA1[:8])
	}
	// Output:
	// index.html 5 aaf4c61d
	// netlify.toml 44 abd87db4
}
