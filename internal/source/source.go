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

// Open opens the source of a metric.
func Open(ctx context.Context, m config.Metric, e Env) (Reader, error) {
	c, ok := m.Source.(Config)
	if !ok {
		return nil, errors.New("it has no source")
	}
	return c.Open(ctx, m, e)
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
