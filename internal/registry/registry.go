// Package registry asks a container registry, before a release changes anything,
// whether it has an image, for which platforms, and whether the pods' pull secrets
// open it. It is the only one that asks registries; it writes nothing.
//
// Secrets stay in: no error and no sentence has a user name or a password.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// A Verdict is what a registry says about an image.
type Verdict int

// The zero Verdict is Unreachable: nothing is known.
const (
	Unreachable Verdict = iota
	Exists
	NotFound
	Unauthorized
)

// An Answer is what a registry said about one image.
type Answer struct {
	Verdict Verdict
	Digest  string // "sha256:..." of what the tag names now
	// Platforms are those that the image is for, as "os/architecture"; none are known
	// for an artifact without them.
	Platforms []string
	Secret    string // that opened the registry, "" for none
	Tried     []string
	Why       string // the registry's own words where the verdict is not Exists
}

// patience bounds the requests for one image.
const patience = 15 * time.Second

// Ask asks for an image with every secret that fits its registry, and without one
// if none does, as a node would.
func Ask(ctx context.Context, by http.RoundTripper, image string, secrets []Secret) Answer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ref, err := name.ParseReference(image)
	if err != nil {
		return Answer{Verdict: NotFound, Why: "it is no image reference"}
	}
	fitting := matching(secrets, ref)
	if len(fitting) == 0 {
		return ask(ctx, by, ref, login{Authenticator: authn.Anonymous})
	}
	var last Answer
	for _, l := range fitting {
		answer := ask(ctx, by, ref, l)
		answer.Tried = append(last.Tried, l.secret)
		if last = answer; answer.Verdict != Unauthorized {
			break
		}
	}
	return last
}

func ask(ctx context.Context, by http.RoundTripper, ref name.Reference, l login) Answer {
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuth(l), remote.WithTransport(by)}
	got, err := remote.Get(ref, options...)
	if err != nil {
		return refused(err)
	}
	a := Answer{Verdict: Exists, Digest: got.Digest.String(), Secret: l.secret}
	if got.MediaType.IsIndex() {
		if index, err := got.ImageIndex(); err == nil {
			if manifest, err := index.IndexManifest(); err == nil {
				for _, m := range manifest.Manifests {
					if m.Platform != nil && m.Platform.OS != "unknown" {
						a.Platforms = append(a.Platforms, m.Platform.OS+"/"+m.Platform.Architecture)
					}
				}
			}
		}
		return a
	}
	if image, err := got.Image(); err == nil {
		if config, err := image.ConfigFile(); err == nil && config.OS != "" && config.Architecture != "" {
			a.Platforms = []string{config.OS + "/" + config.Architecture}
		}
	}
	return a
}

// refused reads the error of a request.
func refused(err error) Answer {
	t, ok := errors.AsType[*transport.Error](err)
	if !ok {
		return Answer{Verdict: Unreachable, Why: cause(err)}
	}
	a := Answer{Verdict: Unreachable, Why: fmt.Sprintf("status %d", t.StatusCode)}
	for _, d := range t.Errors {
		a.Why = strings.ToLower(strings.ReplaceAll(string(d.Code), "_", " "))
	}
	switch t.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		a.Verdict = Unauthorized
	case http.StatusNotFound:
		a.Verdict = NotFound
	}
	return a
}

// cause returns the innermost error, which has no URL with a token.
func cause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// Judge says what an answer means for a release of an image: an obstacle, or a
// warning, or neither. proven says that pods run an image of the same registry
// without a pull secret, so the nodes themselves have a way in.
func (a Answer) Judge(image string, nodes []string, proven bool) (obstacle, warning string) {
	switch a.Verdict {
	case NotFound:
		return fmt.Sprintf("image %s does not exist in its registry (%s): push it first, or name another", image, a.Why), ""
	case Unreachable:
		return "", fmt.Sprintf("the registry of image %s cannot be reached from here (%s), so it is unknown whether the image exists; the nodes may reach it", image, a.Why)
	case Unauthorized:
		return a.unauthorized(image, proven)
	case Exists:
	}
	if len(a.Platforms) == 0 || len(nodes) == 0 {
		return "", ""
	}
	var without []string
	for _, node := range nodes {
		if !slices.Contains(a.Platforms, node) {
			without = append(without, node)
		}
	}
	switch {
	case len(without) == len(nodes):
		return fmt.Sprintf("image %s is for %s, and the nodes are %s: build it for them", image, strings.Join(a.Platforms, ", "), strings.Join(nodes, ", ")), ""
	case len(without) > 0:
		return "", fmt.Sprintf("image %s is for %s alone, and some nodes are %s: a pod there cannot start", image, strings.Join(a.Platforms, ", "), strings.Join(without, ", "))
	}
	return "", ""
}

func (a Answer) unauthorized(image string, proven bool) (obstacle, warning string) {
	if len(a.Tried) > 0 {
		return fmt.Sprintf("the registry refuses image %s with pull secret %s (%s): renew the secret, or let its user read the repository", image, strings.Join(a.Tried, ", "), a.Why), ""
	}
	registry := Host(image)
	if provider := ofNodes(registry); provider != "" {
		return "", fmt.Sprintf("it is unknown whether image %s exists: registry %s opens to the nodes by %s, which cannot be asked from here", image, registry, provider)
	}
	if proven {
		return "", fmt.Sprintf("it is unknown whether image %s exists: registry %s opens to the nodes by a credential of their own", image, registry)
	}
	return fmt.Sprintf("the registry refuses image %s without a pull secret (%s): add one for %s to the pods' imagePullSecrets or to their service account", image, a.Why, registry), ""
}

// Host returns the registry of an image.
func Host(image string) string {
	ref, err := name.ParseReference(image)
	if err != nil {
		return ""
	}
	return ref.Context().RegistryStr()
}

// ofNodes names the way by which nodes of a cloud get into its registry.
func ofNodes(registry string) string {
	switch {
	case strings.Contains(registry, ".dkr.ecr.") && strings.Contains(registry, ".amazonaws.com"):
		return "the role of the nodes (ECR)"
	case registry == "gcr.io" || strings.HasSuffix(registry, ".gcr.io") || strings.HasSuffix(registry, ".pkg.dev"):
		return "the service account of the nodes (Artifact Registry)"
	case strings.HasSuffix(registry, ".azurecr.io"):
		return "the identity of the nodes (ACR)"
	}
	return ""
}
