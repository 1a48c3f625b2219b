package bundle

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/meter"
)

// The manifests have the shape of real builds, by Vite 8.4 and Next.js 15.1.6. One
// import is added, by which an entry is imported itself.
const viteManifest = `{
  "_shared-CF5-4l2x.js": {"file": "assets/shared-CF5-4l2x.js", "name": "shared"},
  "index.html": {"file": "assets/index-DBAv2Ld3.js", "name": "index", "src": "index.html", "isEntry": true, "imports": ["_shared-CF5-4l2x.js"],
    "dynamicImports": ["src/later.js"], "css": ["assets/index-DkEyb3FO.css"]},
  "src/admin.js": {"file": "assets/admin-B_4TcWzl.js", "name": "admin", "src": "src/admin.js", "isEntry": true, "imports": ["_shared-CF5-4l2x.js"]},
  "src/later.js": {"file": "assets/later-BCsDMuVR.js", "name": "later", "src": "src/later.js", "isDynamicEntry": true, "imports": ["_shared-CF5-4l2x.js", "index.html"]}
}`

func workspace(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func measured(t *testing.T, setting, dir string) (meter.Reading, error) {
	t.Helper()
	j := meter.Job{Side: measure.Head, Rounds: 1, Workspace: dir, Settings: map[string]string{Setting: setting}}
	if p := (Bundle{}).Problems(j); len(p) > 0 {
		t.Fatal(p)
	}
	return Bundle{}.Measure(t.Context(), j)
}

// raws are the raw sizes by subject.
func raws(r meter.Reading) map[string]float64 {
	all := map[string]float64{}
	for _, v := range r.Values {
		if v.Metric.Name == "raw" {
			all[v.Subject] = v.Value
		}
	}
	return all
}

func bytesOf(n int) string { return strings.Repeat("x", n) }

func TestGlobs(t *testing.T) {
	t.Parallel()
	dir := workspace(t, map[string]string{
		"dist/assets/index-BfX3k9aQ.js": bytesOf(100), "dist/assets/deep/more.js": bytesOf(10), "dist/site.css": bytesOf(1),
		"dist/node_modules/x.js": bytesOf(1000), "other.js": bytesOf(5000),
	})
	for setting, want := range map[string]map[string]float64{
		"app=dist/assets/*.js":                       {"app": 100},
		"app=dist/**/*.js,dist/*.css":                {"app": 111},
		"app=dist/**/*.js\nall=dist/**, other.js":    {"app": 110, "all": 5111},
		"dist/**/*.js":                               {"dist/assets/index-[hash].js": 100, "dist/assets/deep/more.js": 10},
		"one=other.js":                               {"one": 5000},
		"app=dist/**/*.js,dist/assets/*.js":          {"app": 110},
		"modules=dist/node_modules/*.js\ndist/*.css": {"modules": 1000, "dist/site.css": 1},
	} {
		for range 2 { // the second time as the first
			r, err := measured(t, setting, dir)
			if diff := cmp.Diff(want, raws(r)); err != nil || diff != "" || len(r.Gaps) > 0 {
				t.Errorf("%q: %v, gaps %v (-want +got):\n%s", setting, err, r.Gaps, diff)
			}
		}
	}
}

// What is counted as compressed can be unpacked into what was there, and nothing is
// larger than the file.
func TestCompressed(t *testing.T) {
	t.Parallel()
	code := strings.Repeat("export const value = (x) => x + 1; // twice\n", 200)
	s, err := compressed([]byte(code))
	if err != nil || s.raw != int64(len(code)) || s.gzip > 300 || s.brotli > s.gzip || s.brotli == 0 {
		t.Errorf("%+v, %v", s, err)
	}
	var zipped, brotlied bytes.Buffer
	g, err := gzip.NewWriterLevel(&zipped, 9)
	if err != nil {
		t.Fatal(err)
	}
	b := brotli.NewWriterLevel(&brotlied, 11)
	_, e1 := io.WriteString(g, code)
	_, e2 := io.WriteString(b, code)
	if err := errors.Join(e1, e2, g.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	if off := int64(brotlied.Len()) - s.brotli; int64(zipped.Len()) != s.gzip || off < 0 || off > 8 { // a smaller window has a shorter name
		t.Errorf("%+v, and the levels 9 and 11 make %d and %d", s, zipped.Len(), brotlied.Len())
	}
	if back, err := io.ReadAll(brotli.NewReader(&brotlied)); err != nil || string(back) != code {
		t.Errorf("brotli does not give back what it got: %v", err)
	}
	if s, err := compressed([]byte("x")); err != nil || s != (size{1, 1, 1, 1}) {
		t.Errorf("one byte: %+v, %v", s, err)
	}
}

func TestVite(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"dist/.vite/manifest.json": viteManifest, "dist/assets/shared-CF5-4l2x.js": bytesOf(10), "dist/assets/index-DBAv2Ld3.js": bytesOf(200),
		"dist/assets/index-DkEyb3FO.css": bytesOf(3000), "dist/assets/admin-B_4TcWzl.js": bytesOf(40000), "dist/assets/later-BCsDMuVR.js": bytesOf(500000),
	}
	r, err := measured(t, "dist", workspace(t, files))
	want := map[string]float64{"index.html": 3210, "src/admin.js": 40010, "src/later.js": 503210}
	if diff := cmp.Diff(want, raws(r)); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	files["dist/manifest.json"] = files["dist/.vite/manifest.json"] // as before Vite 5
	delete(files, "dist/.vite/manifest.json")
	delete(files, "dist/assets/later-BCsDMuVR.js")
	r, err = measured(t, "dist", workspace(t, files))
	delete(want, "src/later.js")
	if diff := cmp.Diff(want, raws(r)); err != nil || diff != "" || len(r.Gaps) != 3 || !strings.Contains(r.Gaps[0].Why, "later-BCsDMuVR.js") {
		t.Errorf("without a file: %v, gaps %v (-want +got):\n%s", err, r.Gaps, diff)
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		".next/build-manifest.json": `{"polyfillFiles":["static/chunks/polyfills-42372ed130431b0a.js"],"devFiles":[],"ampDevFiles":[],
 "lowPriorityFiles":["static/abc/_buildManifest.js"],"rootMainFiles":["static/chunks/webpack-0b4cd6b2.js","static/chunks/main-app-1a2b3c4d.js"],"rootMainFilesTree":{},
 "pages":{"/_app":["static/chunks/webpack-0b4cd6b2.js","static/chunks/pages/_app-9f.js"],"/_error":["static/chunks/pages/_error-7.js"],
 "/item/[id]":["static/chunks/webpack-0b4cd6b2.js","static/chunks/pages/item/%5Bid%5D-5d.js","static/css/a.css"]},"ampFirstPages":[]}`,
		".next/app-build-manifest.json": `{"pages":{"/layout":["static/chunks/app/layout-1.js"],"/page":["static/chunks/webpack-0b4cd6b2.js","static/chunks/app/page-2.js"],
 "/workshop/page":["static/chunks/app/workshop/page-3.js"],"/api/health/route":["static/chunks/app/api/route-4.js"]}}`,
		".next/static/chunks/webpack-0b4cd6b2.js": bytesOf(1), ".next/static/chunks/main-app-1a2b3c4d.js": bytesOf(20),
		".next/static/chunks/pages/_app-9f.js": bytesOf(300), ".next/static/chunks/pages/item/[id]-5d.js": bytesOf(4000), ".next/static/css/a.css": bytesOf(50000),
		".next/static/chunks/app/layout-1.js": bytesOf(800_000),
		".next/static/chunks/app/page-2.js":   bytesOf(600), ".next/static/chunks/app/workshop/page-3.js": bytesOf(700),
	}
	want := map[string]float64{"/": 800_621, "/workshop": 800_721, "/item/[id]": 54301}
	for _, folder := range []string{".next", "."} {
		r, err := measured(t, folder, workspace(t, files))
		if diff := cmp.Diff(want, raws(r)); err != nil || diff != "" || len(r.Gaps) > 0 {
			t.Errorf("%s: %v, gaps %v (-want +got):\n%s", folder, err, r.Gaps, diff)
		}
	}
}

func TestWithoutHash(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"assets/index-BfX3k9aQ.js": "assets/index-[hash].js", "a/main.4f0c5d3b2a1e6f7d.js": "a/main.[hash].js", "index-CF5-4l2x.js": "index-[hash].js",
		"117-9ac1b2c3d4e5f607.js": "117-[hash].js", "4f0c5d3b2a1e6f7d.js": "[hash].js", "style-DkEyb3FO.css.map": "style-[hash].css.map",
		"index.js": "index.js", "date-picker.js": "date-picker.js", "some-elements.js": "some-elements.js", "a.b": "a.b", "": "",
	} {
		if got := withoutHash(name); got != want {
			t.Errorf("withoutHash(%q) = %q, want %q", name, got, want)
		}
	}
}

// A build that is not there, or is that of something else, has no size.
func TestNothingIsMeasuredByAccident(t *testing.T) {
	t.Parallel()
	manifest := func(text string) map[string]string { return map[string]string{"dist/.vite/manifest.json": text} }
	for want, c := range map[string]struct {
		setting string
		files   map[string]string
	}{
		"has no build-manifest.json": {"dist", map[string]string{"dist/a.js": "x"}},
		"names no routes":            {"dist", manifest("{}")},
		"names no routes ":           {"dist", map[string]string{"dist/build-manifest.json": `{"pages":{"/_app":["a.js"]}}`}},
		"unexpected":                 {"dist", manifest(viteManifest[:300])},
		"twice":                      {"dist", manifest(`{"a":{"file":"a.js"},"a":{"file":"b.js"}}`)},
		"cannot unmarshal":           {"dist", manifest(`{"a":{"file":7}}`)},
		"cannot unmarshal ":          {"dist", manifest(`["a"]`)},
		"outside of the build":       {"dist", manifest(`{"a":{"file":"../../secret.js","isEntry":true}}`)},
		"which has no file":          {"dist", manifest(`{"a":{"file":"a.js","isEntry":true,"imports":["b"]}}`)},
		"two bundles are named":      {"dist\n/=x.js", map[string]string{"x.js": "x", "dist/x.js": "x", "dist/build-manifest.json": `{"pages":{"/":["x.js"]}}`}},
	} {
		r, err := measured(t, c.setting, workspace(t, c.files))
		if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) || len(r.Values) > 0 {
			t.Errorf("%s: %v, error = %v", want, r.Values, err)
		}
	}
	r, err := measured(t, "app=dist/*.js", workspace(t, nil))
	if want := (meter.Gap{Subject: "app", Metric: "raw", Why: "no file matches dist/*.js"}); err != nil || len(r.Gaps) != 3 || r.Gaps[0] != want {
		t.Errorf("gaps %v, %v", r.Gaps, err)
	}
	r, err = measured(t, "dist", workspace(t, map[string]string{"dist/build-manifest.json": `{"pages":{"/":["x.js"],"/empty":["y.png"]}}`}))
	if err != nil || len(r.Gaps) != 6 || len(r.Values) > 0 {
		t.Errorf("a file that is not there: %+v, %v", r, err)
	}
}

func TestLinksOutOfTheWorkspace(t *testing.T) {
	t.Parallel()
	outside := workspace(t, map[string]string{"secret.js": "x", ".vite/manifest.json": viteManifest})
	dir := workspace(t, map[string]string{"dist/real.js": "xyz", "dist/build-manifest.json": `{"pages":{"/":["link.js"]}}`})
	for name, to := range map[string]string{"dist/link.js": filepath.Join(outside, "secret.js"), "away": outside, "dist/inside.js": "real.js"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, setting := range []string{"app=dist/*.js", "dist"} {
		if r, err := measured(t, setting, dir); err == nil || !strings.Contains(err.Error(), "escapes") {
			t.Errorf("%s: %v, %v", setting, raws(r), err)
		}
	}
	for _, setting := range []string{"away", "app=away/*.js"} {
		if r, err := measured(t, setting, dir); err == nil && len(r.Gaps) == 0 || len(r.Values) > 0 {
			t.Errorf("%s: %v, %v", setting, raws(r), err)
		}
	}
	if r, err := measured(t, "app=dist/inside.js", dir); err != nil || raws(r)["app"] != 3 {
		t.Errorf("a link that stays inside: %v, %v", raws(r), err)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"=a.js", "a=", "a=[", "../x", "app=/etc/*", "app=a/../../*", "a.js,b.js", "app=a.js\napp=b.js"} {
		j := meter.Job{Settings: map[string]string{Setting: setting}}
		if p := (Bundle{}).Problems(j); len(p) != 1 || !strings.Contains(p[0].Error(), "input bundles") {
			t.Errorf("%q: %v", setting, p)
		}
		if _, err := (Bundle{}).Measure(t.Context(), j); err == nil {
			t.Errorf("%q is measured", setting)
		}
	}
	if ok, _ := (Bundle{}).Applies(meter.Job{}); ok {
		t.Error("it applies without bundles")
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	j := meter.Job{Workspace: workspace(t, map[string]string{"a.js": "x"}), Settings: map[string]string{Setting: "a=a.js"}}
	if r, err := (Bundle{}).Measure(ctx, j); !errors.Is(err, context.Canceled) || len(r.Values) > 0 {
		t.Errorf("%v, %v", r.Values, err)
	}
}

// Whatever a manifest is, only what it names and is there is measured.
func FuzzBuild(f *testing.F) {
	f.Add([]byte(viteManifest), true)
	f.Add([]byte(`{"rootMainFiles":["a.js"],"pages":{"/":["a.js"]}}`), false)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, manifest []byte, vite bool) {
		name := map[bool]string{true: "manifest.json", false: "build-manifest.json"}[vite]
		own := filepath.Join(dir, fmt.Sprint(os.Getpid()))
		if err := errors.Join(os.RemoveAll(own), os.MkdirAll(own, 0o700), os.WriteFile(filepath.Join(own, name), manifest, 0o600), os.WriteFile(filepath.Join(own, "a.js"), []byte("xyz"), 0o600)); err != nil {
			t.Fatal(err)
		}
		r, err := Bundle{}.Measure(t.Context(), meter.Job{Workspace: own, Settings: map[string]string{Setting: "."}})
		if err != nil && len(r.Values) > 0 {
			t.Error("values beside an error")
		}
		for _, v := range slices.Collect(maps.Values(raws(r))) {
			if v != 3 {
				t.Errorf("%q: %v bytes", manifest, v)
			}
		}
	})
}
