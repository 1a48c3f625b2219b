package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/component"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/image"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/manifest"
)

// stepLimit bounds each step of the start. A step takes a second or two on an idle machine, and tests do not run on idle ones.
const stepLimit = 2 * time.Minute

// bootstrap starts the processes in their order and fills the cluster with what makes it a sandbox.
func (v *overseer) bootstrap(ctx context.Context, s *control.Serving) error {
	if err := v.startAll(component.Early(v.l, v.net, v.spec.Programs)); err != nil {
		return err
	}
	if err := pushPause(ctx, v.spec.Programs.Pause, s.Registry); err != nil {
		return fmt.Errorf("push pause image: %w", err)
	}
	a, err := manifest.Connect(s.Kubeconfig)
	if err != nil {
		return err
	}
	defer a.Close()
	v.say("the API server")
	if err := v.poll(ctx, "the API server", func(ctx context.Context) error { return a.Get(ctx, "/readyz", nil) }); err != nil {
		return err
	}
	if err := a.Apply(ctx, component.ClusterObjects()); err != nil {
		return err
	}
	if err := v.startAll(component.Nodeside(v.l, v.net, v.spec.Programs)); err != nil {
		return err
	}
	if err := v.applyCRDs(ctx, a); err != nil {
		return err
	}
	if err := v.applyMesh(ctx, a); err != nil {
		return err
	}
	if err := v.startMetrics(ctx, a); err != nil {
		return err
	}
	if err := a.Apply(ctx, component.GatewayObjects(v.net)); err != nil {
		return err
	}
	if err := v.startAll(component.Gateways(v.l, v.net, v.spec.Programs)); err != nil {
		return err
	}
	return v.awaitServing(ctx, a, s)
}

func (v *overseer) startAll(ps []component.Process) error {
	for _, p := range ps {
		if err := v.children.start(p, v.l, v.host); err != nil {
			return err
		}
	}
	return nil
}

// applyCRDs applies the Gateway API's kinds and waits until they are served.
func (v *overseer) applyCRDs(ctx context.Context, a *manifest.Client) error {
	files, err := filepath.Glob(filepath.Join(v.spec.Programs.CRDs, "*.yaml"))
	if err != nil || len(files) == 0 {
		return errors.Join(fmt.Errorf("no Gateway API kinds in %s", v.spec.Programs.CRDs), err)
	}
	v.say("the Gateway API's kinds")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := a.Apply(ctx, data); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	for _, kind := range []string{"gatewayclasses", "gateways", "httproutes"} {
		name := kind + ".gateway.networking.k8s.io"
		if err := a.Await(ctx, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", name, func(w manifest.Watched) bool { return w.Has("Established") }); err != nil {
			return err
		}
	}
	// Established comes a moment before the paths are served.
	return v.poll(ctx, "the Gateway API's paths", func(ctx context.Context) error {
		return a.Get(ctx, "/apis/gateway.networking.k8s.io/v1/gateways", nil)
	})
}

// meshKinds are Istio's kinds that a cluster with Istio has and a release reads or writes. No proxy follows the objects here.
var meshKinds = []string{"virtualservices", "destinationrules", "gateways"}

// applyMesh applies Istio's kinds and waits until they are served.
func (v *overseer) applyMesh(ctx context.Context, a *manifest.Client) error {
	v.say("Istio's kinds")
	data, err := os.ReadFile(v.spec.Programs.Mesh)
	if err != nil {
		return err
	}
	const group = "networking.istio.io"
	for _, doc := range manifest.Split(data) {
		if !slices.ContainsFunc(meshKinds, func(kind string) bool { return bytes.Contains(doc, []byte("\n  name: "+kind+"."+group+"\n")) }) {
			continue
		}
		if err := a.Apply(ctx, doc); err != nil {
			return err
		}
	}
	for _, kind := range meshKinds {
		if err := v.poll(ctx, "Istio's "+kind, func(ctx context.Context) error { return a.Get(ctx, "/apis/"+group+"/v1/"+kind, nil) }); err != nil {
			return err
		}
	}
	return nil
}

// startMetrics starts metrics-server and registers it. It comes after the ConfigMap that it learns from whom to believe.
func (v *overseer) startMetrics(ctx context.Context, a *manifest.Client) error {
	ca, err := os.ReadFile(v.l.PKI("ca.crt"))
	if err != nil {
		return err
	}
	if err := v.poll(ctx, "the API server's word on authentication", func(ctx context.Context) error {
		return a.Get(ctx, "/api/v1/namespaces/"+component.MetricsNamespace+"/configmaps/extension-apiserver-authentication", nil)
	}); err != nil {
		return err
	}
	if err := v.children.start(component.MetricsServer(v.l, v.net, v.spec.Programs), v.l, v.host); err != nil {
		return err
	}
	return a.Apply(ctx, component.MetricsObjects(v.net, ca))
}

// awaitServing waits for the node, metrics-server, both gateways and Prometheus.
func (v *overseer) awaitServing(ctx context.Context, a *manifest.Client, s *control.Serving) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	v.say("the node")
	if err := a.Await(ctx, "/api/v1/nodes", component.NodeName, func(w manifest.Watched) bool { return w.Has("Ready") }); err != nil {
		return errors.Join(err, v.children.failed())
	}
	// An API that is registered and does not answer would keep namespaces from being deleted.
	v.say("metrics-server")
	if err := v.poll(ctx, "metrics-server", func(ctx context.Context) error { return a.Get(ctx, "/apis/metrics.k8s.io/v1beta1", nil) }); err != nil {
		return err
	}
	for _, g := range []control.Gateway{s.Gateway, s.SlowGateway} {
		v.say("gateway %s", g)
		collection := "/apis/gateway.networking.k8s.io/v1/namespaces/" + g.Namespace + "/gateways"
		if err := a.Await(ctx, collection, g.Name, func(w manifest.Watched) bool { return w.Has("Programmed") }); err != nil {
			return errors.Join(err, v.children.failed())
		}
		if err := v.poll(ctx, "the entry point of "+g.String(), func(ctx context.Context) error {
			return v.answersOnHost(ctx, g.URL, http.StatusNotFound) // there are no routes yet
		}); err != nil {
			return err
		}
	}
	v.say("Prometheus")
	return v.poll(ctx, "Prometheus", func(ctx context.Context) error {
		return v.answersOnHost(ctx, s.Prometheus+"/-/ready", http.StatusOK)
	})
}

// poll asks until the answer is good, for things that tell nobody when they are ready. It gives up early when a component has ended.
func (v *overseer) poll(ctx context.Context, what string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if ended := v.children.failed(); ended != nil {
			return fmt.Errorf("wait for %s: %w", what, ended)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %w", what, ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// answersOnHost asks for url in the host's network.
func (v *overseer) answersOnHost(ctx context.Context, url string, want int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DialContext: v.host.dial, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != want {
		return fmt.Errorf("%s answers %s, want %d", url, resp.Status, want)
	}
	return nil
}

// pushPause pushes the image whose program at path holds the namespaces of every pod.
func pushPause(ctx context.Context, path, registry string) error {
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	img, err := image.New("pause", program, nil)
	if err != nil {
		return err
	}
	return image.Push(ctx, registry+"/pause:sandbox", img)
}
