// Package kubetest is an API server in this process, for tests of what writes to
// the cluster. It stores objects of the kinds that it is given and refuses what the
// real one refuses: unknown kinds, a second object of a name, a patch of another
// resource version, the deletion of another object than the one that was meant.
//
// It runs no controllers and knows no schemas.
package kubetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/router"
)

// Core are the kinds that a release's watch reads in every cluster.
var Core = []router.Kind{
	{Version: "v1", Resource: "namespaces", Name: "Namespace"},
	{Version: "v1", Resource: "pods", Name: "Pod"},
	{Version: "v1", Resource: "services", Name: "Service"},
	{Version: "v1", Resource: "configmaps", Name: "ConfigMap"},
	{Group: "apps", Version: "v1", Resource: "deployments", Name: "Deployment"},
	{Group: "apps", Version: "v1", Resource: "replicasets", Name: "ReplicaSet"},
	{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices", Name: "EndpointSlice"},
}

// A Server is an API server in this process.
type Server struct {
	t     testing.TB
	url   string
	kinds []router.Kind

	mu      sync.Mutex
	objects map[string]*unstructured.Unstructured // by path
	version int
	watches map[chan event]string // the path of what is watched
	denied  func(namespace, verb, resource string) bool
	before  func(*http.Request) error
	writes  []string
}

type event struct {
	path   string
	kind   string // ADDED, MODIFIED or DELETED
	object *unstructured.Unstructured
}

// New starts a Server with Core and more kinds. It ends with the test.
func New(t testing.TB, kinds ...router.Kind) *Server {
	t.Helper()
	s := &Server{t: t, kinds: slices.Concat(Core, kinds), objects: map[string]*unstructured.Unstructured{}, watches: map[chan event]string{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	s.url = server.URL
	return s
}

// Cluster returns a connection to the Server.
func (s *Server) Cluster() *kube.Cluster {
	s.t.Helper()
	c, err := kube.ConnectTo(&rest.Config{Host: s.url, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// Deny sets which permissions this identity lacks.
func (s *Server) Deny(denied func(namespace, verb, resource string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied = denied
}

// Before sets what is called before each write; its error is the answer, as a
// refusal that is not retried.
func (s *Server) Before(f func(*http.Request) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// Writes returns the writes of clients so far, as "METHOD resource/name".
func (s *Server) Writes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.writes)
}

// Apply creates or replaces the objects of a YAML stream, as a person with the
// field manager "kubectl" does.
func (s *Server) Apply(manifests string) {
	s.t.Helper()
	for document := range strings.SplitSeq(manifests, "\n---\n") {
		raw, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			s.t.Fatal(err)
		}
		o := &unstructured.Unstructured{}
		if err := o.UnmarshalJSON(raw); err != nil {
			s.t.Fatal(err)
		}
		i := slices.IndexFunc(s.kinds, func(k router.Kind) bool { return k.Name == o.GetKind() })
		if i < 0 {
			s.t.Fatalf("kind %q is not served", o.GetKind())
		}
		s.mu.Lock()
		path := pathOf(s.kinds[i], o.GetNamespace(), o.GetName())
		if old := s.objects[path]; old != nil {
			o.SetUID(old.GetUID())
			o.SetGeneration(old.GetGeneration())
		}
		s.put(path, o, "kubectl")
		s.mu.Unlock()
	}
}

// Get returns an object, nil if it does not exist.
func (s *Server) Get(kind router.Kind, namespace, name string) *unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.objects[pathOf(kind, namespace, name)]; o != nil {
		return o.DeepCopy()
	}
	return nil
}

// Edit changes an object, as a person with a field manager does.
func (s *Server) Edit(kind router.Kind, namespace, name, manager string, change func(*unstructured.Unstructured)) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	path := pathOf(kind, namespace, name)
	if s.objects[path] == nil {
		s.t.Fatalf("%s does not exist", path)
	}
	o := s.objects[path].DeepCopy()
	change(o)
	s.put(path, o, manager)
}

// Delete deletes an object, as a person does.
func (s *Server) Delete(kind router.Kind, namespace, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(pathOf(kind, namespace, name))
}

func pathOf(kind router.Kind, namespace, name string) string {
	path := "/apis/" + kind.Group + "/" + kind.Version
	if kind.Group == "" {
		path = "/api/" + kind.Version
	}
	if namespace != "" {
		path += "/namespaces/" + namespace
	}
	return path + "/" + kind.Resource + "/" + name
}

// put stores an object as the server would: with its own metadata.
func (s *Server) put(path string, o *unstructured.Unstructured, manager string) {
	old := s.objects[path]
	s.version++
	o.SetResourceVersion(strconv.Itoa(s.version))
	kind := "MODIFIED"
	if old == nil {
		kind = "ADDED"
		o.SetUID(uid(s.version))
		o.SetGeneration(1)
	} else if !reflect.DeepEqual(old.Object["spec"], o.Object["spec"]) {
		o.SetGeneration(old.GetGeneration() + 1)
	}
	fields := slices.DeleteFunc(o.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool { return f.Manager == manager })
	now := metav1.NewTime(time.Unix(int64(s.version), 0))
	if manager != "" {
		fields = append(fields, metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, Time: &now})
	}
	o.SetManagedFields(fields)
	s.objects[path] = o
	s.tell(event{path, kind, o.DeepCopy()})
}

func (s *Server) drop(path string) {
	if o := s.objects[path]; o != nil {
		delete(s.objects, path)
		s.version++
		gone := o.DeepCopy()
		gone.SetResourceVersion(strconv.Itoa(s.version))
		s.tell(event{path, "DELETED", gone})
	}
}

func (s *Server) tell(e event) {
	for watch, prefix := range s.watches {
		if strings.HasPrefix(e.path, prefix) {
			watch <- e
		}
	}
}

// list returns the objects below a path, in the order of their names.
func (s *Server) list(prefix, selector string) ([]*unstructured.Unstructured, error) {
	selects, err := labels.Parse(selector)
	if err != nil {
		return nil, err
	}
	var found []*unstructured.Unstructured
	for _, path := range slices.Sorted(maps.Keys(s.objects)) {
		if o := s.objects[path]; strings.HasPrefix(path, prefix) && selects.Matches(labels.Set(o.GetLabels())) {
			found = append(found, o)
		}
	}
	return found, nil
}

func encode(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("kubetest: encode: %v", err))
	}
	return raw
}
