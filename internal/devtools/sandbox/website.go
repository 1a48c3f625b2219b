package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// WebsiteImage pushes the sample website (testdata/website) as REGISTRY/website:tag and returns that reference. The image says
// VERSION=tag and has env in its configuration, so that one program makes "website:v2" and "website:v2-broken".
// A tag keeps its content for the life of the sandbox: the same again is fine, something else is an error.
func WebsiteImage(ctx context.Context, s *Sandbox, tag string, env map[string]string) (ref string, err error) {
	binary, err := s.websiteBinary(ctx)
	if err != nil {
		return "", err
	}
	all := map[string]string{"VERSION": tag}
	maps.Copy(all, env)
	img, err := newImage("website", binary, all)
	if err != nil {
		return "", fmt.Errorf("make image website:%s: %w", tag, err)
	}
	ref = s.Registry + "/website:" + tag
	return ref, pushOnce(ctx, ref, img)
}

// websiteBinary builds the sample website, once for each Sandbox value.
func (s *Sandbox) websiteBinary(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.website != nil {
		return s.website, nil
	}
	opts, err := s.opts.withDefaults()
	if err != nil {
		return nil, err
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	unlock, err := lockFile(ctx, filepath.Join(opts.Cache, "website.lock"), func() {})
	if err != nil {
		return nil, err
	}
	defer unlock()
	path, err := buildStatic(ctx, root, "./testdata/website", filepath.Join(opts.Cache, "own", "website"))
	if err != nil {
		return nil, err
	}
	s.website, err = os.ReadFile(path)
	return s.website, err
}

// SampleName is the name of the sample's Deployment, Service and HTTPRoute and the value of its label app.
const SampleName = "candlefish-website"

// Sample is the sample application as a user would have written it before any tool came: a plain Deployment, a Service and a route.
type Sample struct {
	// Namespace is created if needed. Default: production.
	Namespace string
	// Host is what the route answers to. Default: the namespace followed by ".example.com".
	Host string
	// Image is what the container website runs; WebsiteImage makes one.
	Image string
	// Replicas defaults to 3.
	Replicas int
	// Gateway is where the route attaches. Default: the sandbox's normal one.
	Gateway Gateway
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
func (r Resources) object() object {
	o := object{}
	if r.Limits != nil {
		o["limits"] = r.Limits
	}
	if r.Requests != nil {
		o["requests"] = r.Requests
	}
	return o
}

func (s Sample) withDefaults(sandbox *Sandbox) Sample {
	if s.Namespace == "" {
		s.Namespace = "production"
	}
	if s.Host == "" {
		s.Host = s.Namespace + ".example.com"
	}
	if s.Replicas == 0 {
		s.Replicas = 3
	}
	if s.Gateway == (Gateway{}) {
		s.Gateway = sandbox.Gateway
	}
	if s.Wait == 0 {
		s.Wait = 2 * time.Minute
	}
	return s
}

// manifest is the sample's objects as a YAML stream.
func (s Sample) manifest() []byte {
	labels := object{"app": SampleName}
	container := object{
		"name": "website", "image": s.Image,
		"ports":          []any{object{"containerPort": 8080, "name": "http"}},
		"readinessProbe": object{"httpGet": object{"path": "/health", "port": 8080}, "periodSeconds": 1},
	}
	var env []any
	for _, pair := range environment(s.Env) {
		name, value, _ := strings.Cut(pair, "=")
		env = append(env, object{"name": name, "value": value})
	}
	if env != nil {
		container["env"] = env
	}
	if resources := s.Resources.object(); len(resources) > 0 {
		container["resources"] = resources
	}
	pod := object{"containers": []any{container}}
	if s.GracePeriod > 0 {
		pod["terminationGracePeriodSeconds"] = int(s.GracePeriod.Seconds())
	}
	meta := object{"name": SampleName, "namespace": s.Namespace, "labels": labels}
	return manifest(
		object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": s.Namespace}},
		object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": object{
			"replicas": s.Replicas,
			"selector": object{"matchLabels": labels},
			"template": object{"metadata": object{"labels": labels}, "spec": pod},
		}},
		object{"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": object{
			"selector": labels,
			"ports":    []any{object{"name": "http", "port": 80, "targetPort": 8080}},
		}},
		object{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": meta, "spec": object{
			"parentRefs": []any{object{"name": s.Gateway.Name, "namespace": s.Gateway.Namespace}},
			"hostnames":  []string{s.Host},
			"rules": []any{object{
				"matches":     []any{object{"path": object{"type": "PathPrefix", "value": "/"}}},
				"backendRefs": []any{object{"name": SampleName, "port": 80}},
			}},
		}},
	)
}

// Deploy applies the sample and waits until all its pods are available and its entry point answers for its host. It owns the
// fields that it sets, as kubectl apply --server-side by a user would.
func (s *Sandbox) Deploy(ctx context.Context, sample Sample) error {
	sample = sample.withDefaults(s)
	a, err := newAPI(s.Kubeconfig)
	if err != nil {
		return err
	}
	defer a.close()
	if err := a.apply(ctx, sample.manifest()); err != nil {
		return fmt.Errorf("deploy sample to %s: %w", sample.Namespace, err)
	}
	if sample.Wait < 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sample.Wait)
	defer cancel()
	if err := a.await(ctx, "/apis/apps/v1/namespaces/"+sample.Namespace+"/deployments", SampleName, available); err != nil {
		return fmt.Errorf("deploy sample to %s: %w%s", sample.Namespace, err, a.lastWarning(ctx, sample.Namespace))
	}
	if err := awaitAnswer(ctx, sample.Gateway.URL, sample.Host); err != nil {
		return fmt.Errorf("deploy sample to %s: %w", sample.Namespace, err)
	}
	return nil
}

// available says that a Deployment's controller has seen its spec and that all its pods are new and available.
func available(w watched) bool {
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
			resp.Body.Close()
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

// Apply applies the objects of a YAML stream by server-side apply. It knows the kinds that a sandbox has use for.
func (s *Sandbox) Apply(ctx context.Context, manifest []byte) error {
	a, err := newAPI(s.Kubeconfig)
	if err != nil {
		return err
	}
	defer a.close()
	return a.apply(ctx, manifest)
}

// DeleteNamespace deletes a namespace with all in it, without waiting for the end of that. One that is not there is fine.
func (s *Sandbox) DeleteNamespace(ctx context.Context, name string) error {
	a, err := newAPI(s.Kubeconfig)
	if err != nil {
		return err
	}
	defer a.close()
	return a.remove(ctx, "/api/v1/namespaces/"+name)
}
