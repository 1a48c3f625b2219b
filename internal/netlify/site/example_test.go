package site_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/candlefish/deploy-action/internal/netlify/site"
)

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
