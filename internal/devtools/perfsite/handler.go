package perfsite

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

//go:embed site
var files embed.FS

// pages are the site's own, by path.
var pages = map[string]struct {
	Title, Description string
	Text               []string
}{
	"/": {"Tables of oak and ash", "A small workshop that makes tables and benches by hand, from trees of its own valley.", []string{
		"Each table begins as a plank that has dried for three years in the open shed behind the house.",
		"We plane it by hand, cut the joints without a template, and finish it with oil that smells of oranges.",
	}},
	"/workshop": {"The workshop", "Where the tables are made: four benches, two apprentices, and a stove for the winter.", []string{
		"The door is open on weekdays. Whoever wants to see a joint being cut may stand beside the bench and ask.",
		"On Saturdays there is a course for beginners, who take home what they have made.",
	}},
	"/atelier": {"The atelier", "Where the tables are drawn: paper, pencils, and models of card at one tenth of the size.", []string{
		"A drawing takes a week. It shows each board, the direction of its grain, and where it will move in a dry winter.",
		"The models stand on the window sill, and most of them stay there.",
	}},
	"/health": {"How we are", "Whether the workshop is open, and what is in stock today.", []string{
		"The workshop is open and all machines run.",
	}},
}

// stock is what the list shows.
var stock = []map[string]string{
	{"name": "Table of oak", "price": "1,400"}, {"name": "Table of ash", "price": "1,100"},
	{"name": "Bench of oak", "price": "600"}, {"name": "Stool of ash", "price": "180"},
}

// Handler returns the site, with all defects but those of connections: Down, TLS.
func Handler(o Options) (http.Handler, error) {
	o.Version = cmp.Or(o.Version, "clean")
	mux := http.NewServeMux()
	if err := assets(mux, o); err != nil {
		return nil, err
	}
	if err := documents(mux, o); err != nil {
		return nil, err
	}
	api := func(what any) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if !wait(r, o.APIDelay) {
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-cache")
			_ = json.NewEncoder(w).Encode(what) // the client has gone: there is nobody to tell
		}
	}
	mux.Handle("GET /api/health", api(map[string]string{"status": "ok", "version": o.Version}))
	mux.Handle("GET /api/list", api(map[string]any{"items": stock}))
	return misbehaving(o, mux), nil
}

// misbehaving answers as the options say, or lets next answer.
func misbehaving(o Options, next http.Handler) http.Handler {
	var requests atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", o.Version)
		n := float64(requests.Add(1))
		_, page := pages[r.URL.Path]
		switch {
		case !wait(r, o.Delay):
		case o.Drop:
			panic(http.ErrAbortHandler)
		case o.RedirectLoop && page:
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		case o.Status != 0:
			http.Error(w, http.StatusText(o.Status), o.Status)
		case int64(n*o.ErrorRate) > int64((n-1)*o.ErrorRate):
			http.Error(w, "planted", http.StatusInternalServerError)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// wait reports false if the client went away before.
func wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// documents adds the pages, robots.txt and the sitemap.
func documents(mux *http.ServeMux, o Options) error {
	page, err := template.ParseFS(files, "site/page.html")
	if err != nil {
		return fmt.Errorf("sample website: %w", err)
	}
	tag := fmt.Sprintf("%s-%d", o.Version, o.BlockingScript)
	for path, p := range pages {
		var text bytes.Buffer
		err := page.Execute(&text, map[string]any{"Title": p.Title, "Description": p.Description, "Text": p.Text,
			"Version": o.Version, "Tag": tag, "Blocking": o.BlockingScript > 0})
		if err != nil {
			return fmt.Errorf("sample website: %s: %w", path, err)
		}
		file, err := newFile("text/html; charset=utf-8", "no-cache", text.Bytes())
		if err != nil {
			return err
		}
		if path == "/" {
			path = "/{$}" // and no path that nothing else serves
		}
		mux.Handle("GET "+path, file)
	}
	mux.HandleFunc("GET /robots.txt", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "User-agent: *\nAllow: /\nSitemap: http://%s/sitemap.xml\n", r.Host)
	})
	mux.HandleFunc("GET /sitemap.xml", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">`)
		for _, path := range []string{"/", "/workshop", "/atelier", "/health"} {
			fmt.Fprintf(w, "<url><loc>%s://%s%s</loc></url>", scheme(r), template.HTMLEscapeString(r.Host), path)
		}
		fmt.Fprint(w, "</urlset>")
	})
	return nil
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// assets adds what pages load.
func assets(mux *http.ServeMux, o Options) error {
	picture, err := picture()
	if err != nil {
		return err
	}
	icon, err := icon()
	if err != nil {
		return err
	}
	code, err := script(o)
	if err != nil {
		return err
	}
	style, err := files.ReadFile("site/site.css")
	if err != nil {
		return err
	}
	for _, a := range []struct {
		path, kind string
		content    []byte
	}{
		{"/assets/site.css", "text/css; charset=utf-8", style},
		{"/assets/app.js", "text/javascript; charset=utf-8", code},
		{"/assets/blocking.js", "text/javascript; charset=utf-8", blocking(o.BlockingScript)},
		{"/assets/bench.jpg", "image/jpeg", picture},
		{"/favicon.ico", "image/png", icon},
	} {
		file, err := newFile(a.kind, "public, max-age=31536000, immutable", a.content)
		if err != nil {
			return err
		}
		mux.Handle("GET "+a.path, file)
	}
	return nil
}

// script is app.js, with the defects that are planted in it.
func script(o Options) ([]byte, error) {
	names := []string{"app.js"}
	if o.LayoutShift {
		names = append(names, "shift.js")
	}
	if o.MemoryLeak {
		names = append(names, "leak.js")
	}
	if o.SlowHandler > 0 {
		names = append(names, "handler.js")
	}
	var all []byte
	for _, name := range names {
		text, err := files.ReadFile("site/" + name)
		if err != nil {
			return nil, err
		}
		all = append(all, text...)
	}
	return bytes.ReplaceAll(all, []byte("HANDLER_MS"), []byte(strconv.FormatInt(o.SlowHandler.Milliseconds(), 10))), nil
}

// A file is served compressed to whoever accepts it.
type file struct {
	kind, cache    string
	plain, gzipped []byte
}

func newFile(kind, cache string, content []byte) (file, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		return file{}, err
	}
	if err := w.Close(); err != nil {
		return file{}, err
	}
	return file{kind: kind, cache: cache, plain: content, gzipped: b.Bytes()}, nil
}

func (f file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Cache-Control", f.cache)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	content := f.plain
	if !strings.HasPrefix(f.kind, "image/") {
		w.Header().Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			content = f.gzipped
		}
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	_, _ = w.Write(content) // the client has gone: there is nobody to tell
}
