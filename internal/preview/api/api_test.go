package api

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/aws/awstest"
)

const sha = "0123456789abcdef0123456789abcdef01234567"

// The template passes cfn-lint without a warning. That it makes what it says is
// tested in internal/aws/stack, on moto_server.
func TestTemplateLint(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "preview.yaml")
	if err := os.WriteFile(path, Template(), 0o644); err != nil {
		t.Fatal(err)
	}
	awstest.Lint(t, path)
}

func TestTemplateIsACopy(t *testing.T) {
	t.Parallel()
	Template()[0] = '?'
	if Template()[0] == '?' {
		t.Error("the template can be written to")
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		s    Settings
		want map[string]string
	}{
		{"zip", Settings{Number: 7, Commit: sha, Bucket: "b", Key: "k"},
			map[string]string{"PRNumber": "7", "CommitSha": sha, "CodeBucket": "b", "CodeKey": "k", "ImageUri": ""}},
		{"image", Settings{Number: 7, Commit: sha, Image: "i", Environment: "preview", AllowedOrigin: "https://pr-7.example.com"},
			map[string]string{"PRNumber": "7", "CommitSha": sha, "CodeBucket": "", "CodeKey": "", "ImageUri": "i", "Environment": "preview", "AllowedOrigin": "https://pr-7.example.com"}},
		{"domain", Settings{Number: 7, Commit: sha, Bucket: "b", Key: "k", Runtime: "python3.13", Handler: "app.main", BaseDomain: "d", CertificateArn: "c", HostedZoneID: "z"},
			map[string]string{"PRNumber": "7", "CommitSha": sha, "CodeBucket": "b", "CodeKey": "k", "ImageUri": "", "Runtime": "python3.13", "Handler": "app.main", "BaseDomain": "d", "CertificateArn": "c", "HostedZoneId": "z"}},
	} {
		got, err := Parameters(tt.s)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, err, diff)
		}
	}
}

func TestParametersRefused(t *testing.T) {
	t.Parallel()
	good := Settings{Number: 7, Commit: sha, Bucket: "b", Key: "k"}
	for _, tt := range []struct {
		want  string
		spoil func(*Settings)
	}{
		{"pull request 0", func(s *Settings) { s.Number = 0 }},
		{`commit "main"`, func(s *Settings) { s.Commit = "main" }},
		{"want both", func(s *Settings) { s.Key = "" }},
		{"either a zip or an image", func(s *Settings) { s.Image = "i" }},
		{"either a zip or an image", func(s *Settings) { s.Bucket, s.Key = "", "" }},
		{"no runtime", func(s *Settings) { s.Bucket, s.Key, s.Image, s.Runtime = "", "", "i", "nodejs22.x" }},
		{"or none of them", func(s *Settings) { s.BaseDomain = "d" }},
		{"or none of them", func(s *Settings) { s.CertificateArn, s.HostedZoneID = "c", "z" }},
	} {
		s := good
		tt.spoil(&s)
		if got, err := Parameters(s); err == nil || got != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parameters(%+v): %v, want %q", s, err, tt.want)
		}
	}
	if _, err := Parameters(Settings{}); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("not all at once: %v", err)
	}
}

// folder makes one with a program, a text, a symlink and a repository.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for path, mode := range map[string]os.FileMode{"index.js": 0o600, "bin/run": 0o700, "lib/z.js": 0o666, ".git/config": 0o644, ".env.example": 0o644} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("of "+filepath.Base(path)), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../lib/z.js", filepath.Join(dir, "bin", "link")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func pack(t *testing.T, path string) ([]byte, string) {
	t.Helper()
	c, err := Package(path)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.Name()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary file after Close: %v", err)
	}
	return all, c.Hash
}

// TestPackage makes the same zip of two folders with the same files, whenever
// they were written.
func TestPackage(t *testing.T) {
	t.Parallel()
	one, two := folder(t), folder(t)
	old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(two, "index.js"), old, old); err != nil {
		t.Fatal(err)
	}
	packed, hash := pack(t, one)
	again, hash2 := pack(t, two)
	if !bytes.Equal(packed, again) || hash != hash2 || len(hash) != 64 {
		t.Errorf("%d bytes, %s; then %d bytes, %s", len(packed), hash, len(again), hash2)
	}
	r, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range r.File {
		rc, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.Join([]string{f.Name, f.Mode().String(), f.Modified.Format(time.DateOnly), string(text)}, " "))
	}
	want := []string{
		".env.example -rw-r--r-- 1980-01-01 of .env.example",
		"bin/link Lrwxrwxrwx 1980-01-01 ../lib/z.js",
		"bin/run -rwxr-xr-x 1980-01-01 of run",
		"index.js -rw-r--r-- 1980-01-01 of index.js",
		"lib/z.js -rw-r--r-- 1980-01-01 of z.js",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}

	path := filepath.Join(t.TempDir(), "code.zip")
	if err := os.WriteFile(path, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	if same, hash3 := pack(t, path); !bytes.Equal(packed, same) || hash3 != hash {
		t.Errorf("a zip as it is: %d bytes, %s, want %d, %s", len(same), hash3, len(packed), hash)
	}
}

func TestPackageRefused(t *testing.T) {
	t.Parallel()
	link := func(target string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Symlink(target, filepath.Join(dir, "out")); err != nil {
				t.Fatal(err)
			}
		}
	}
	file := func(name string, size int64) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, size); err != nil { // a hole: no disk is used
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name, path string
		make       func(*testing.T, string)
		want       string
	}{
		{"outside", "", link("../../etc"), "symlink out"},
		{"absolute", "", link("/etc/passwd"), "symlink out"},
		{"dangling", "", link("nothing"), "symlink out"},
		{"empty", "", func(*testing.T, string) {}, "no file"},
		{"unpacked", "", file("hole", 251<<20), "over 250 MiB"},
		{"big zip", "code.zip", zipOf(251), "over 250 MiB"},
		{"no zip", "code.zip", file("code.zip", 10), "not a valid zip"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tt.make(t, dir)
			path := filepath.Join(dir, tt.path)
			if _, err := Package(path); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	if _, err := Package(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
}

// zipOf writes a zip with one file of so many MiB of zeros.
func zipOf(mib int) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		f, err := os.Create(filepath.Join(dir, "code.zip"))
		if err != nil {
			t.Fatal(err)
		}
		z := zip.NewWriter(f)
		w, err := z.CreateHeader(&zip.FileHeader{Name: "index.js", Method: zip.Store})
		for range mib {
			if err == nil {
				_, err = w.Write(make([]byte, 1<<20))
			}
		}
		if err := errors.Join(err, z.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBigZip takes a zip over the 50 MiB that hold for one in a request: ours goes
// through S3.
func TestBigZip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	zipOf(60)(t, dir)
	c, err := Package(filepath.Join(dir, "code.zip"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := c.Stat()
	if err != nil || info.Size() < 60<<20 {
		t.Errorf("%v, %v", info, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestEnvironmentFiles leaves the files out that hold a developer's secrets.
func TestEnvironmentFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"index.js", ".env", ".env.local", "sub/.env.production", ".env.example", ".env.sample", ".environment"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Package(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if diff := cmp.Diff([]string{".env", ".env.local", "sub/.env.production"}, c.LeftOut); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	info, err := c.Stat()
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(c, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	var packed []string
	for _, f := range z.File {
		packed = append(packed, f.Name)
	}
	if diff := cmp.Diff([]string{".env.example", ".env.sample", ".environment", "index.js"}, packed); diff != "" {
		t.Errorf("packed (-want +got):\n%s", diff)
	}
}

// TestCapped refuses what Lambda would not unpack, before the disk is full of it.
func TestCapped(t *testing.T) {
	t.Parallel()
	w := cappedWriter{to: io.Discard, left: 3}
	if _, err := w.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte{0}); !errors.Is(err, errTooLarge) {
		t.Errorf("%v, want %v", err, errTooLarge)
	}
}
