package netlifytest

import (
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/BurntSushi/toml"
)

// rules are the rules of a deploy's netlify.toml.
type rules struct {
	Redirects []struct {
		From       string         `toml:"from"`
		To         string         `toml:"to"`
		Status     int            `toml:"status"`
		Force      bool           `toml:"force"`
		Conditions map[string]any `toml:"conditions"`
	} `toml:"redirects"`
	Headers []struct {
		For    string            `toml:"for"`
		Values map[string]string `toml:"values"`
	} `toml:"headers"`
}

// rulesOf reads the rules of a deploy that is ready.
func (s *Server) rulesOf(d *deploy) rules {
	var r rules
	if sum, ok := d.files["netlify.toml"]; ok {
		if _, err := toml.DecodeFile(s.have.path(sum), &r); err != nil {
			s.unexpected("a netlify.toml that can't be read: " + err.Error())
		}
	}
	return r
}

// page serves a deploy to whoever has the password, if there is one.
func (s *Server) page(w http.ResponseWriter, r *http.Request, d *deploy, at string) {
	user, password, _ := r.BasicAuth()
	if s.opts.Protection != "" && user+":"+password != s.opts.Protection {
		w.Header().Set("WWW-Authenticate", `Basic realm="site"`)
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	s.have.page(w, r, d, at)
}

// page serves a deploy; nil means that there is none.
func (c contents) page(w http.ResponseWriter, r *http.Request, d *deploy, at string) {
	if d == nil {
		http.Error(w, "Not Found", http.StatusNotFound)
		return
	}
	for _, h := range d.rules.Headers {
		if _, ok := match(h.For, at); ok {
			for name, v := range h.Values {
				w.Header().Set(name, v)
			}
		}
	}
	name, found := d.resolve(at)
	for _, rule := range d.rules.Redirects {
		to, ok := match(rule.From, at)
		if !ok || len(rule.Conditions) > 0 || found && !rule.Force {
			continue
		}
		target := to.into(rule.To)
		if rule.Status/100 != 2 && rule.Status != http.StatusNotFound {
			if rule.Status < 300 || rule.Status > 399 {
				rule.Status = http.StatusMovedPermanently
			}
			http.Redirect(w, r, target, rule.Status)
			return
		}
		if name, found = d.resolve(target); found {
			c.send(w, r, d, name, rule.Status)
			return
		}
	}
	switch {
	case found:
		c.send(w, r, d, name, http.StatusOK)
	case d.files["404.html"] != "":
		c.send(w, r, d, "404.html", http.StatusNotFound)
	default:
		http.Error(w, "Not Found", http.StatusNotFound)
	}
}

// resolve finds the file of a page: as it is, its index.html, or with .html.
func (d *deploy) resolve(at string) (string, bool) {
	name := strings.TrimPrefix(path.Clean("/"+at), "/")
	for _, candidate := range []string{name, path.Join(name, "index.html"), name + ".html"} {
		if _, ok := d.files[candidate]; ok && candidate != "netlify.toml" {
			return candidate, true
		}
	}
	return "", false
}

func (c contents) send(w http.ResponseWriter, r *http.Request, d *deploy, name string, status int) {
	f, err := os.Open(c.path(d.files[name]))
	if err != nil {
		http.Error(w, "this server was told that it has the file", http.StatusInternalServerError)
		return
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		http.Error(w, "no file", http.StatusInternalServerError)
		return
	}
	w.Header().Set("ETag", `"`+d.files[name]+`"`)
	http.ServeContent(fixed{w, status}, r, name, info.ModTime(), f)
}

// fixed replaces the status 200 of a response.
type fixed struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (f fixed) WriteHeader(status int) {
	if status == http.StatusOK && f.status != 0 {
		status = f.status
	}
	f.ResponseWriter.WriteHeader(status)
}

// placed are the values of a pattern's :names and *.
type placed map[string]string

// match compares a path with a pattern such as /news/:id/*.
func match(pattern, at string) (placed, bool) {
	got := placed{}
	want, have := split(pattern), split(at)
	for i, w := range want {
		if w == "*" && i == len(want)-1 {
			got["splat"] = strings.Join(have[min(i, len(have)):], "/")
			return got, true
		}
		if i >= len(have) {
			return nil, false
		}
		if name, ok := strings.CutPrefix(w, ":"); ok {
			got[name] = have[i]
		} else if w != have[i] {
			return nil, false
		}
	}
	return got, len(want) == len(have)
}

func split(p string) []string {
	p = strings.Trim(p, "/")
	if p == "" {
		return nil
	}
	return strings.Split(p, "/")
}

func (p placed) into(target string) string {
	parts := strings.Split(target, "/")
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			if v, ok := p[name]; ok {
				parts[i] = v
			}
		}
	}
	return strings.Join(parts, "/")
}
