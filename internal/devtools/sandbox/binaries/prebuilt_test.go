package binaries

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// archiveOf returns a gzipped program and its sha256.
func archiveOf(t *testing.T, program string) (archive []byte, sum string) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(program)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), fmt.Sprintf("%x", sha256.Sum256(b.Bytes()))
}

func TestFetch(t *testing.T) {
	t.Parallel()
	archive, sum := archiveOf(t, "the program")
	garbage := []byte("not gzip at all")
	for _, test := range []struct {
		name   string
		serve  http.HandlerFunc
		sum    string
		failed string
	}{
		{"good", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }, sum, ""},
		{"good, capital sum", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }, strings.ToUpper(sum), ""},
		{"wrong sha256", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }, strings.Repeat("0", 64), "sha256 is " + sum},
		{"no sha256", func(http.ResponseWriter, *http.Request) { t.Error("asked for an archive without a checksum") }, "", "no sha256 is pinned"},
		{"not found", http.NotFound, sum, "404 Not Found"},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(archive)))
			_, _ = w.Write(archive[:len(archive)/2])
		}, sum, "download broke off"},
		{"cut off in good order", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive[:len(archive)/2]) }, sum, "sha256 is "},
		{"not an archive", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(garbage) }, fmt.Sprintf("%x", sha256.Sum256(garbage)), "unpack: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.serve)
			defer server.Close()
			dir := t.TempDir()
			out := filepath.Join(dir, "program")
			err := prebuilt{server.URL, test.sum}.fetch(t.Context(), out)
			if test.failed == "" {
				if data, _ := os.ReadFile(out); err != nil || string(data) != "the program" {
					t.Errorf("fetch = %v and %q, want the program", err, data)
				}
				if info, err := os.Stat(out); err != nil || info.Mode()&0o100 == 0 {
					t.Errorf("%v (%v) is not executable", info.Mode(), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.failed) {
				t.Errorf("fetch = %v, want %q", err, test.failed)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
				t.Errorf("a failed download leaves %v (%v)", entries, err)
			}
		})
	}
}

func TestFindPrebuilt(t *testing.T) {
	t.Parallel()
	env := func(url, sums string) func(string) string {
		return func(name string) string {
			return map[string]string{EnvPrebuiltURL: url, EnvPrebuiltSHA256: sums}[name]
		}
	}
	if _, ok := findPrebuilt("gateway", "v1-amd64-0", env("", "")); ok {
		t.Error("finds a prebuilt program though nobody said where")
	}
	got, ok := findPrebuilt("gateway", "v1-amd64-0", env("https://example.com/sandbox/", "kubernetes=aa gateway=bb"))
	if want := (prebuilt{"https://example.com/sandbox/gateway-v1-amd64-0.gz", "bb"}); !ok || got != want {
		t.Errorf("findPrebuilt = %v, %t, want %v", got, ok, want)
	}
}

// TestPrebuiltFallsBackToBuilding is the whole way: the archive is refused, one line says why, and the program is built.
// It sets the environment, so it cannot run beside others.
func TestPrebuiltFallsBackToBuilding(t *testing.T) {
	archive, sum := archiveOf(t, "prebuilt")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }))
	defer server.Close()
	root := writeModule(t, "package main\n\nfunc main() {}\n")
	b := bundle{module: ".", components: []component{{"hello", "v1", "."}}}
	t.Setenv(EnvPrebuiltURL, server.URL)

	t.Setenv(EnvPrebuiltSHA256, "hello="+sum)
	var said syncBuffer
	paths, err := b.obtain(t.Context(), said.options(t), root)
	if data := content(paths); err != nil || data != "prebuilt" {
		t.Errorf("obtain = %v, want the prebuilt program; it said:\n%s", err, said.String())
	}

	t.Setenv(EnvPrebuiltSHA256, "hello="+strings.Repeat("0", 64))
	said = syncBuffer{}
	paths, err = b.obtain(t.Context(), said.options(t), root)
	if data := content(paths); err != nil || data == "prebuilt" {
		t.Errorf("obtain = %v, want a program that was built", err)
	}
	if want := "building it, since the prebuilt one cannot be used: sha256 is " + sum; !strings.Contains(said.String(), want) {
		t.Errorf("it said:\n%s\nwant %q", said.String(), want)
	}
}

// content is what the first of the programs holds.
func content(paths []string) string {
	if len(paths) == 0 {
		return ""
	}
	data, _ := os.ReadFile(paths[0])
	return string(data)
}
