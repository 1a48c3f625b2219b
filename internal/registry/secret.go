package registry

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// A Secret is a pull secret: credentials by registry.
type Secret struct {
	Name    string
	entries map[string]authn.AuthConfig
}

// The types of Secrets that nodes pull with, and their keys.
const (
	TypeJSON   = "kubernetes.io/dockerconfigjson"
	TypeLegacy = "kubernetes.io/dockercfg"
)

// Parse reads a Secret of one of the two types. An error does not quote it.
func Parse(secret, kind string, data map[string][]byte) (Secret, error) {
	s := Secret{Name: secret}
	var raw []byte
	switch kind {
	case TypeJSON:
		var config struct {
			Auths json.RawMessage `json:"auths"`
		}
		if json.Unmarshal(data[".dockerconfigjson"], &config) != nil {
			return s, fmt.Errorf("pull secret %s has no JSON in .dockerconfigjson", secret)
		}
		raw = config.Auths
	case TypeLegacy:
		raw = data[".dockercfg"]
	default:
		return s, fmt.Errorf("pull secret %s is of type %s, which nodes do not pull with: it must be %s", secret, kind, TypeJSON)
	}
	var auths map[string]struct {
		Username, Password, Auth string
		IdentityToken            string `json:"identitytoken"`
		RegistryToken            string `json:"registrytoken"`
	}
	if json.Unmarshal(raw, &auths) != nil || len(auths) == 0 {
		return s, fmt.Errorf("pull secret %s names no registry", secret)
	}
	s.entries = map[string]authn.AuthConfig{}
	for registry, a := range auths {
		c := authn.AuthConfig{Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken}
		if user, err := base64.StdEncoding.DecodeString(a.Auth); a.Auth != "" && err == nil {
			c.Username, c.Password, _ = strings.Cut(string(user), ":")
		}
		s.entries[registry] = c
	}
	return s, nil
}

// A login is one entry of a secret, "" for none.
type login struct {
	authn.Authenticator
	secret  string
	pattern string
}

// matching returns the entries for an image, those of longer patterns first, as
// nodes try them: https://kubernetes.io/docs/concepts/containers/images/#config-json.
func matching(secrets []Secret, ref name.Reference) []login {
	registry := ref.Context().RegistryStr()
	image := registry + "/" + ref.Context().RepositoryStr()
	var found []login
	for _, s := range secrets {
		for pattern, entry := range s.entries {
			if fits(pattern, registry, image) {
				found = append(found, login{authn.FromConfig(entry), s.Name, pattern})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b login) int {
		return cmp.Or(cmp.Compare(len(b.pattern), len(a.pattern)), cmp.Compare(a.secret, b.secret))
	})
	return found
}

// fits reports whether a key of a pull secret is for an image. Its host may have
// globs; a path is a prefix.
func fits(pattern, registry, image string) bool {
	for _, scheme := range []string{"https://", "http://"} {
		pattern = strings.TrimPrefix(pattern, scheme)
	}
	pattern = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(pattern, "/v1/"), "/v2/"), "/")
	host, prefix, _ := strings.Cut(pattern, "/")
	if host == "docker.io" {
		host = name.DefaultRegistry
	}
	if !sameHost(host, registry) {
		return false
	}
	repository := strings.TrimPrefix(image, registry+"/")
	return prefix == "" || repository == prefix || strings.HasPrefix(repository, prefix+"/")
}

// sameHost compares hosts label by label, so that a glob does not pass a dot.
func sameHost(pattern, host string) bool {
	p, h := strings.Split(pattern, "."), strings.Split(host, ".")
	if len(p) != len(h) {
		return false
	}
	for i := range p {
		if ok, err := path.Match(p[i], h[i]); err != nil || !ok {
			return false
		}
	}
	return true
}
