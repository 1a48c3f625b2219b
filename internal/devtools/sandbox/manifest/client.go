// Package manifest writes Kubernetes objects and applies them: the client of the sandbox's own API server. It speaks plain HTTP, since that
// is all a sandbox needs, and the product's own client should not be what its tests rest on.
package manifest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// answerLimit bounds how long the API server may take to say that it is ready. On an overloaded machine it takes its time.
const answerLimit = 30 * time.Second

// fieldManager owns what the sandbox applies.
const fieldManager = "candlefish-sandbox"

// A Client talks to the API server of a sandbox: server-side apply, read, watch, delete.
type Client struct {
	server string
	http   *http.Client
}

// Connect reads a kubeconfig as a sandbox writes it: one cluster, one user, all data inside.
func Connect(kubeconfig string) (*Client, error) {
	data, err := os.ReadFile(kubeconfig)
	if err != nil {
		return nil, err
	}
	var c struct {
		Clusters []struct {
			Cluster struct {
				Server string
				CA     string `json:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Cert string `json:"client-certificate-data"`
				Key  string `json:"client-key-data"`
			}
		}
	}
	if err := yaml.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("read %s: %w", kubeconfig, err)
	}
	if len(c.Clusters) != 1 || len(c.Users) != 1 {
		return nil, fmt.Errorf("read %s: want one cluster and one user, as the sandbox writes it", kubeconfig)
	}
	decode := func(s string) []byte { b, _ := base64.StdEncoding.DecodeString(s); return b } // bad data makes a bad key pair below
	pair, err := tls.X509KeyPair(decode(c.Users[0].User.Cert), decode(c.Users[0].User.Key))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kubeconfig, err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(decode(c.Clusters[0].Cluster.CA))
	return &Client{c.Clusters[0].Cluster.Server, &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots},
		ForceAttemptHTTP2: true,
		IdleConnTimeout:   30 * time.Second,
	}}}, nil
}

// Close gives up idle connections.
func (a *Client) Close() { a.http.CloseIdleConnections() }

// statusError is an answer that is not a success.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return e.text }

func isStatus(err error, code int) bool {
	var s *statusError
	return errors.As(err, &s) && s.code == code
}

func (a *Client) do(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.server+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<10)) // what can be read of an error is enough
	var status struct{ Message string }
	text := strings.TrimSpace(string(data))
	if json.Unmarshal(data, &status) == nil && status.Message != "" {
		text = status.Message
	}
	return nil, &statusError{resp.StatusCode, fmt.Sprintf("%s %s: %s: %s", method, path, resp.Status, text)}
}

// Get reads the object or list at path into what into points to; nil asks only whether it is there.
func (a *Client) Get(ctx context.Context, path string, into any) error {
	resp, err := a.do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// Ready asks the API server of a kubeconfig whether it is ready.
func Ready(ctx context.Context, kubeconfig string) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	a, err := Connect(kubeconfig)
	if err != nil {
		return err
	}
	defer a.Close()
	return a.Get(ctx, "/readyz", nil)
}

// resources are the kinds that the sandbox applies: where they live in the API, and whether in a namespace.
var resources = map[string]struct {
	plural     string
	namespaced bool
}{
	"Namespace":                {"namespaces", false},
	"Service":                  {"services", true},
	"ServiceAccount":           {"serviceaccounts", true},
	"ConfigMap":                {"configmaps", true},
	"EndpointSlice":            {"endpointslices", true},
	"APIService":               {"apiservices", false},
	"Secret":                   {"secrets", true},
	"Deployment":               {"deployments", true},
	"ClusterRoleBinding":       {"clusterrolebindings", false},
	"CustomResourceDefinition": {"customresourcedefinitions", false},
	"GatewayClass":             {"gatewayclasses", false},
	"Gateway":                  {"gateways", true},
	"HTTPRoute":                {"httproutes", true},
	"GRPCRoute":                {"grpcroutes", true},
	"VirtualService":           {"virtualservices", true},
	"DestinationRule":          {"destinationrules", true},
	"ReferenceGrant":           {"referencegrants", true},
}

// objectRef is enough of an object to find it.
type objectRef struct {
	APIVersion string
	Kind       string
	Metadata   struct{ Name, Namespace string }
}

// apiPath is where the object is.
func (r objectRef) apiPath() (string, error) {
	res, ok := resources[r.Kind]
	if !ok {
		return "", fmt.Errorf("the sandbox does not know kind %q", r.Kind)
	}
	root := "/apis/" + r.APIVersion
	if !strings.Contains(r.APIVersion, "/") {
		root = "/api/" + r.APIVersion
	}
	if res.namespaced {
		root += "/namespaces/" + url.PathEscape(r.Metadata.Namespace)
	}
	return root + "/" + res.plural + "/" + url.PathEscape(r.Metadata.Name), nil
}

// Apply applies the objects of a YAML stream, in its order, and owns the fields that it sets.
func (a *Client) Apply(ctx context.Context, manifest []byte) error {
	for _, doc := range Split(manifest) {
		var ref objectRef
		if err := yaml.Unmarshal(doc, &ref); err != nil {
			return fmt.Errorf("read manifest: %w", err)
		}
		path, err := ref.apiPath()
		if err != nil {
			return err
		}
		resp, err := a.do(ctx, http.MethodPatch, path+"?force=true&fieldManager="+fieldManager, "application/apply-patch+yaml", doc)
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", ref.Kind, ref.Metadata.Name, err)
		}
		_ = resp.Body.Close()
	}
	return nil
}

// Split returns the documents of a stream that hold more than comments.
func Split(stream []byte) [][]byte {
	var docs [][]byte
	for doc := range bytes.SplitSeq(append([]byte("\n"), stream...), []byte("\n---")) {
		lines := bytes.Split(doc, []byte("\n"))
		if slices.ContainsFunc(lines, func(l []byte) bool {
			l = bytes.TrimSpace(l)
			return len(l) > 0 && l[0] != '#'
		}) {
			docs = append(docs, doc)
		}
	}
	return docs
}

// Watched is the part of an object that the sandbox waits for.
type Watched struct {
	Metadata struct{ Generation int64 }
	Spec     struct{ Replicas int64 }
	Status   struct {
		ObservedGeneration int64
		Replicas           int64
		UpdatedReplicas    int64
		AvailableReplicas  int64
		Conditions         []Condition
		Parents            []struct{ Conditions []Condition }
	}
}

// A Condition is one of an object.
type Condition struct{ Type, Status, Reason, Message string }

// Has reports whether the condition of that type is true.
func (w Watched) Has(kind string) bool { return hasCondition(w.Status.Conditions, kind) }

func hasCondition(cs []Condition, kind string) bool {
	return slices.ContainsFunc(cs, func(c Condition) bool { return c.Type == kind && c.Status == "True" })
}

// String is what an object says about itself, for the message of a wait that was in vain.
func (w Watched) String() string {
	var parts []string
	if w.Spec.Replicas > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d replicas available", w.Status.AvailableReplicas, w.Spec.Replicas))
	}
	all := w.Status.Conditions
	for _, p := range w.Status.Parents {
		all = append(all, p.Conditions...)
	}
	for _, c := range all {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s=%s %s", c.Type, c.Status, c.Message)))
	}
	return strings.Join(parts, "; ")
}

// Await watches one object, named by collection and name, until ok says so. The API server ends a watch now and then; then
// it starts again.
func (a *Client) Await(ctx context.Context, collection, name string, ok func(Watched) bool) error {
	var last Watched
	for {
		err := a.watch(ctx, collection, name, func(w Watched) bool { last = w; return ok(w) })
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("wait for %s %s: %w (%s)", collection[strings.LastIndexByte(collection, '/')+1:], name, ctx.Err(), last)
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
	}
}

// LastWarning is the newest warning among a namespace's events, as the end of a sentence, or "": why pods do not start stands nowhere else.
func (a *Client) LastWarning(ctx context.Context, namespace string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	resp, err := a.do(ctx, http.MethodGet, "/api/v1/namespaces/"+namespace+"/events?fieldSelector=type%3DWarning", "", nil)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	var list struct {
		Items []struct{ Reason, Message, LastTimestamp string }
	}
	if json.NewDecoder(resp.Body).Decode(&list) != nil || len(list.Items) == 0 {
		return ""
	}
	last := list.Items[0]
	for _, e := range list.Items {
		if e.LastTimestamp >= last.LastTimestamp && e.Reason != "MissingClusterDNS" { // a sandbox has no DNS
			last = e
		}
	}
	return fmt.Sprintf("; newest warning: %s: %s", last.Reason, last.Message)
}

func (a *Client) watch(ctx context.Context, collection, name string, ok func(Watched) bool) error {
	query := url.Values{"watch": {"1"}, "fieldSelector": {"metadata.name=" + name}}
	resp, err := a.do(ctx, http.MethodGet, collection+"?"+query.Encode(), "", nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	events := json.NewDecoder(resp.Body)
	for {
		var e struct {
			Type   string
			Object Watched
		}
		if err := events.Decode(&e); err != nil {
			return err
		}
		if (e.Type == "ADDED" || e.Type == "MODIFIED") && ok(e.Object) {
			return nil
		}
	}
}

// Remove deletes an object; one that is not there is fine.
func (a *Client) Remove(ctx context.Context, path string) error {
	resp, err := a.do(ctx, http.MethodDelete, path, "", nil)
	if isStatus(err, http.StatusNotFound) {
		return nil
	}
	if err == nil {
		_ = resp.Body.Close()
	}
	return err
}
