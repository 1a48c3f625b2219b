// Package sample is a small website to deliver: its image in any version, and its deployment as a user would have written it.
package sample

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/image"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/manifest"
)

// Image pushes the sample website (testdata/website) as REGISTRY/website:tag and returns that reference. The image says
// VERSION=tag and has env in its configuration, so that one program makes "website:v2" and "website:v2-broken".
// A tag keeps its content for the life of the sandbox: the same again is fine, something else is an error.
func Image(ctx context.Context, s *sandbox.Sandbox, tag string, env map[string]string) (ref string, err error) {
	program, err := s.Program(ctx, "./testdata/website")
	if err != nil {
		return "", err
	}
	all := map[string]string{"VERSION": tag}
	maps.Copy(all, env)
	img, err := image.New("website", program, all)
	if err != nil {
		return "", fmt.Errorf("make image website:%s: %w", tag, err)
	}
	ref = s.Registry + "/website:" + tag
	return ref, image.PushOnce(ctx, ref, img)
}

// Name is the name of the sample's Deployment, Service and HTTPRoute and the value of its label app.
const Name = "candlefish-website"

// App is the sample application as a user would have written it before any tool came: a plain Deployment, a Service and a route.
type App struct {
	// Namespace is created if needed. Default: production.
	Namespace string
	// Host is what the route answers to. Default: the namespace followed by ".example.com".
	Host string
	// Image is what the container website runs; Image makes one.
	Image string
	// Replicas defaults to 3.
	Replicas int
	// Gateway is where the route attaches. Default: the sandbox's normal one.
	Gateway sandbox.Gateway
	// Env is set on the container, over what the image says.
	Env map[string]string
	// Resources of the container website: limits and requests by resource, as in a manifest. Default: none.
	Resources Resources
	// GracePeriod is the pods' terminationGracePeriodSeconds. Default: Kubernetes' own, 30 s.
	GracePeriod time.Duration
	// Wait bounds the time until the sample answers. Default: 2 minutes. Negative: do not wait.
	Wait time.Duration
}

// Resources are quantities as in a manifest, such as "100m" and "64Mi", by resource.
type Resources struct {
	Limits   map[string]string
	Requests map[string]string
}

// object is what a manifest says of r, with nothing for what is not set.
func (r Resources) object() manifest.Object {
	o := manifest.Object{}
	if r.Limits != nil {
		o["limits"] = r.Limits
	}
	if r.Requests != nil {
		o["requests"] = r.Requests
	}
	return o
}

func (a App) withDefaults(in *sandbox.Sandbox) App {
	if a.Namespace == "" {
		a.Namespace = "production"
	}
	if a.Host == "" {
		a.Host = a.Namespace + ".example.com"
	}
	if a.Replicas == 0 {
		a.Replicas = 3
	}
	if a.Gateway == (sandbox.Gateway{}) {
		a.Gateway = in.Gateway
	}
	if a.Wait == 0 {
		a.Wait = 2 * time.Minute
	}
	return a
}

// Manifest returns the objects as a YAML stream, for tests that apply them as a user would.
func (a App) Manifest(in *sandbox.Sandbox) []byte { return a.withDefaults(in).manifest() }

// manifest is the sample's objects as a YAML stream.
func (a App) manifest() []byte {
	labels := manifest.Object{"app": Name}
	container := manifest.Object{
		"name": "website", "image": a.Image,
		"ports":          []any{manifest.Object{"containerPort": 8080, "name": "http"}},
		"readinessProbe": manifest.Object{"httpGet": manifest.Object{"path": "/health", "port": 8080}, "periodSeconds": 1},
	}
	var env []any
	for _, pair := range image.Environment(a.Env) {
		name, value, _ := strings.Cut(pair, "=")
		env = append(env, manifest.Object{"name": name, "value": value})
	}
	if env != nil {
		container["env"] = env
	}
	if resources := a.Resources.object(); len(resources) > 0 {
		container["resources"] = resources
	}
	pod := manifest.Object{"containers": []any{container}}
	if a.GracePeriod > 0 {
		pod["terminationGracePeriodSeconds"] = int(a.GracePeriod.Seconds())
	}
	meta := manifest.Object{"name": Name, "namespace": a.Namespace, "labels": labels}
	return manifest.Stream(
		manifest.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": manifest.Object{"name": a.Namespace}},
		manifest.Object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": manifest.Object{
			"replicas": a.Replicas,
			"selector": manifest.Object{"matchLabels": labels},
			"template": manifest.Object{"metadata": manifest.Object{"labels": labels}, "spec": pod},
		}},
		manifest.Object{"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": manifest.Object{
			"selector": labels,
			"ports":    []any{manifest.Object{"name": "http", "port": 80, "targetPort": 8080}},
		}},
		manifest.Object{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": meta, "spec": manifest.Object{
			"parentRefs": []any{manifest.Object{"name": a.Gateway.Name, "namespace": a.Gateway.Namespace}},
			"hostnames":  []string{a.Host},
			"rules": []any{manifest.Object{
				"matches":     []any{manifest.Object{"path": manifest.Object{"type": "PathPrefix", "value": "/"}}},
				"backendRefs": []any{manifest.Object{"name": Name, "port": 80}},
			}},
		}},
	)
}

// Deploy applies the sample and waits until all its pods are available and its entry point answers for its host. It owns the
// fields that it sets, as kubectl apply --server-side by a user would.
func Deploy(ctx context.Context, s *sandbox.Sandbox, app App) error {
	app = app.withDefaults(s)
	c, err := manifest.Connect(s.Kubeconfig)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Apply(ctx, app.manifest()); err != nil {
		return fmt.Errorf("deploy sample to %s: %w", app.Namespace, err)
	}
	if app.Wait < 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, app.Wait)
	defer cancel()
	if err := c.Await(ctx, "/apis/apps/v1/namespaces/"+app.Namespace+"/deployments", Name, available); err != nil {
		return fmt.Errorf("deploy sample to %s: %w%s", app.Namespace, err, c.LastWarning(ctx, app.Namespace))
	}
	if err := awaitAnswer(ctx, app.Gateway.URL, app.Host); err != nil {
		return fmt.Errorf("deploy sample to %s: %w", app.Namespace, err)
	}
	return nil
}

// available says that a Deployment's controller has seen its spec and that all its pods are new and available.
func available(w manifest.Watched) bool {
	return w.Status.ObservedGeneration >= w.Metadata.Generation && w.Status.UpdatedReplicas == w.Spec.Replicas &&
		w.Status.Replicas == w.Spec.Replicas && w.Status.AvailableReplicas == w.Spec.Replicas
}

// awaitAnswer asks an entry point until the gateway knows host. A gateway tells nobody when a route has taken effect.
func awaitAnswer(ctx context.Context, entry, host string) error {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, entry+"/health", nil)
		if err != nil {
			return err
		}
		req.Host = host
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK && resp.Header.Get("X-Version") != "" {
				return nil
			}
			err = errors.New(resp.Status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s to answer for %s: %w: last answer %w", entry, host, ctx.Err(), err)
		case <-tick.C:
		}
	}
}
