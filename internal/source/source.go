// Package source is what all sources of metrics have in common: their contract, what
// they are opened with, and the loop that reads them.
//
// Each source is a package of its own below this one. It owns its part of the
// analysis file (keys, descriptions, bounds, defaults), says how late its data may
// be, which secrets and permissions it needs, and how it is opened. Package
// judgefile has the table of all of them; nothing else names one.
//
// A source must tell the versions apart. One whose answer would mix them returns
// ErrMixed when it is opened, before anything is changed.
package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
)

// A Reader yields what a source has learnt of both versions since it was last read.
// An error leaves all to the next call. One whose method RetryAfter returns a
// time.Duration says when that makes sense. Readers are for one goroutine.
type Reader interface {
	Read(ctx context.Context) ([]analysis.Point, error)
}

// A Config is a source's part of a metric in the analysis file.
type Config interface {
	config.Source
	// Open returns what reads the source for m. Errors say what to change. It
	// may ask a server for its version, but nothing that could take long.
	Open(ctx context.Context, m config.Metric, e Env) (Reader, error)
}

// A Kind is one kind of source.
type Kind struct {
	// Key of the source in a metric, such as prometheus, and its description.
	Key, Help string
	// New returns a pointer to an empty Config, to decode into. Its fields
	// have their keys in json tags, their descriptions in help tags and their
	// bounds in jsonschema tags.
	New func() Config
	// Permissions are what any source of this kind may need in the rollout's
	// namespace. A Config that implements Permitted may need fewer.
	Permissions []Permission
}

// A Permission is something that a source has to be allowed to do in the namespace
// of the rollout, beside what a rollout itself needs.
type Permission struct {
	Group, Resource string // as in a Role
	Verbs           []string
	Why             string
}

// Permitted is implemented by a Config that needs permissions in the cluster.
type Permitted interface {
	Permissions() []Permission
}

// An Env is what sources are opened with: the rollout that they measure, and what of
// its surroundings they may use.
type Env struct {
	// Names of the versions, without those that the source itself calls them.
	Names  Names
	Getenv func(string) string
	// Mask keeps a secret out of all that is printed.
	Mask func(secret string)
	// Pods are the rollout's; nil where there is no cluster.
	Pods Pods
}

// Secret is the value of an environment variable, which is masked from then on.
func (e Env) Secret(variable string) (string, error) {
	secret := e.Getenv(variable)
	if secret == "" {
		return "", fmt.Errorf("environment variable %s is not set", variable)
	}
	e.Mask(secret)
	return secret, nil
}

// Expand replaces each ${NAME} in a URL by that environment variable, as it is: what may
// not stand in a URL has to be percent-encoded there. A variable that is not set is an
// error. A $ without { is left alone, since a password may have one.
func (e Env) Expand(address string) (string, error) {
	var filled strings.Builder
	for rest := address; ; {
		before, after, found := strings.Cut(rest, "${")
		filled.WriteString(before)
		name, next, closed := strings.Cut(after, "}")
		if !found || !closed {
			filled.WriteString(strings.TrimPrefix(rest, before))
			return filled.String(), nil
		}
		value := e.Getenv(name)
		if value == "" {
			return "", fmt.Errorf("environment variable %s, which stands in the URL, is not set", name)
		}
		filled.WriteString(value)
		rest = next
	}
}

var secretKey = regexp.MustCompile(`(?i)key|token|secret|pass|auth|sig|cred`)

// MaskURL masks the password of a URL, and the values of its query that are named like
// secrets. What is no URL has none.
func (e Env) MaskURL(address string) {
	u, err := url.Parse(address)
	if err != nil {
		return
	}
	if password, ok := u.User.Password(); ok && password != "" {
		e.Mask(password)
	}
	for name, values := range u.Query() {
		for _, v := range values {
			if v != "" && secretKey.MatchString(name) {
				e.Mask(v)
			}
		}
	}
}

// Authorization is the header with the secret that an environment variable holds,
// after a scheme such as "Bearer "; nil without a variable.
func (e Env) Authorization(variable, scheme string) (http.Header, error) {
	if variable == "" {
		return nil, nil
	}
	secret, err := e.Secret(variable)
	if err != nil {
		return nil, err
	}
	return http.Header{"Authorization": {scheme + secret}}, nil
}

// Open opens the source of a metric. Its points are such as can be judged by: no count
// is negative, infinite or not a number, and no value is within its limit by being
// infinite.
func Open(ctx context.Context, m config.Metric, e Env) (Reader, error) {
	c, ok := m.Source.(Config)
	if !ok {
		return nil, errors.New("it has no source")
	}
	r, err := c.Open(ctx, m, e)
	if err != nil {
		return nil, err
	}
	return door{r, m.Limit}, nil
}

// Permissions are those that the sources of all metrics need, each once.
func Permissions(metrics []config.Metric) []Permission {
	var all []Permission
	seen := map[string]bool{}
	for _, m := range metrics {
		c, ok := m.Source.(Permitted)
		if !ok {
			continue
		}
		for _, p := range c.Permissions() {
			if of := fmt.Sprint(p.Group, p.Resource, p.Verbs); !seen[of] {
				seen[of], all = true, append(all, p)
			}
		}
	}
	return all
}
