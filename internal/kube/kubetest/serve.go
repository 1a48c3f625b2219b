package kubetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/candlefish/deploy-action/internal/router"
)

func uid(n int) types.UID { return types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)) }

// maxBody bounds what a request may send.
const maxBody = 1 << 20

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, namespace, name, ok := s.parse(r.URL.Path)
	switch {
	case strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews"):
		s.review(w, r)
	case !ok && r.Method == http.MethodGet:
		s.discover(w, r.URL.Path)
	case !ok:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
	case s.lacks(namespace, verbOf(r, name), kind.Resource):
		refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden, fmt.Sprintf("cannot %s %s in %s", verbOf(r, name), kind.Resource, namespace))
	case r.Method == http.MethodGet && name == "" && r.URL.Query().Get("watch") != "":
		s.watch(w, r, pathOf(kind, namespace, ""))
	case r.Method == http.MethodGet:
		s.read(w, r, kind, pathOf(kind, namespace, name), name == "")
	default:
		s.write(w, r, kind, namespace, name)
	}
}

// clusterWide are the kinds that have no namespace.
var clusterWide = []string{"Namespace", "Node", "IngressClass"}

// parse splits a path into its kind, namespace and name.
func (s *Server) parse(path string) (kind router.Kind, namespace, name string, ok bool) {
	for _, kind := range s.kinds {
		prefix := strings.TrimSuffix(pathOf(kind, "", ""), kind.Resource+"/")
		rest, has := strings.CutPrefix(path, prefix)
		if !has {
			continue
		}
		if !slices.Contains(clusterWide, kind.Name) {
			rest, has = strings.CutPrefix(rest, "namespaces/")
			if !has {
				continue
			}
			namespace, rest, _ = strings.Cut(rest, "/")
		}
		resource, name, _ := strings.Cut(rest, "/")
		if resource == kind.Resource && !strings.Contains(name, "/") {
			return kind, namespace, name, true
		}
		namespace = ""
	}
	return kind, "", "", false
}

func verbOf(r *http.Request, name string) string {
	switch {
	case r.Method == http.MethodGet && name != "":
		return "get"
	case r.URL.Query().Get("watch") != "":
		return "watch"
	}
	return map[string]string{http.MethodGet: "list", http.MethodPost: "create", http.MethodPatch: "patch", http.MethodPut: "update", http.MethodDelete: "delete"}[r.Method]
}

func (s *Server) lacks(namespace, verb, resource string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.denied != nil && s.denied(namespace, verb, resource)
}

func (s *Server) review(w http.ResponseWriter, r *http.Request) {
	var review authorizationv1.SelfSubjectAccessReview
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&review); err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	a := review.Spec.ResourceAttributes
	review.Status.Allowed = !s.lacks(a.Namespace, a.Verb, a.Resource)
	answer(w, http.StatusCreated, review)
}

// discover answers what a group has.
func (s *Server) discover(w http.ResponseWriter, path string) {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}}
	for _, kind := range s.kinds {
		if strings.TrimSuffix(pathOf(kind, "", ""), "/"+kind.Resource+"/") == path {
			list.GroupVersion = strings.TrimPrefix(kind.Group+"/"+kind.Version, "/")
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: kind.Resource, Kind: kind.Name, Namespaced: kind.Name != "Namespace"})
		}
	}
	if len(list.APIResources) == 0 {
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
		return
	}
	answer(w, http.StatusOK, list)
}

func (s *Server) read(w http.ResponseWriter, r *http.Request, kind router.Kind, path string, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !all {
		if o := s.objects[path]; o != nil {
			answer(w, http.StatusOK, o)
			return
		}
		notFound(w, path)
		return
	}
	found, err := s.list(path, r.URL.Query().Get("labelSelector"))
	if err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	items := make([]any, 0, len(found))
	for _, o := range found {
		items = append(items, o.Object)
	}
	answer(w, http.StatusOK, map[string]any{
		"kind": kind.Name + "List", "apiVersion": strings.TrimPrefix(kind.Group+"/"+kind.Version, "/"),
		"metadata": map[string]any{"resourceVersion": fmt.Sprint(s.version)}, "items": items,
	})
}

// initialEnd is the annotation of the bookmark after the objects that exist.
const initialEnd = "k8s.io/initial-events-end"

// watch sends the changes from now on, and before them what exists if the client
// asks for it.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, prefix string) {
	events := make(chan event, 1024)
	w.Header().Set("Content-Type", "application/json")
	s.mu.Lock()
	s.watches[events] = prefix
	var first []byte
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		found, _ := s.list(prefix, "")
		for _, o := range found {
			first = append(first, encode(map[string]any{"type": "ADDED", "object": o.Object})...)
		}
		kind, _, _, _ := s.parse(strings.TrimSuffix(prefix, "/"))
		end := map[string]any{
			"kind": kind.Name, "apiVersion": strings.TrimPrefix(kind.Group+"/"+kind.Version, "/"),
			"metadata": map[string]any{"resourceVersion": fmt.Sprint(s.version), "annotations": map[string]any{initialEnd: "true"}},
		}
		first = append(first, encode(map[string]any{"type": "BOOKMARK", "object": end})...)
	} else {
		first = s.missed(prefix, r.URL.Query().Get("resourceVersion"))
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watches, events)
	}()
	flush := http.NewResponseController(w)
	_, _ = w.Write(first)
	for _ = flush.Flush(); ; _ = flush.Flush() {
		select {
		case <-r.Context().Done():
			return
		case e := <-events:
			if _, err := w.Write(encode(map[string]any{"type": e.kind, "object": e.object.Object})); err != nil {
				return
			}
		}
	}
}

// missed returns what changed since a list.
func (s *Server) missed(prefix, since string) []byte {
	var raw []byte
	found, _ := s.list(prefix, "")
	for _, o := range found {
		if later(o.GetResourceVersion(), since) {
			raw = append(raw, encode(map[string]any{"type": "MODIFIED", "object": o.Object})...)
		}
	}
	return raw
}

func later(a, b string) bool {
	var x, y int
	_, _ = fmt.Sscan(a, &x)
	_, _ = fmt.Sscan(b, &y)
	return x > y
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, kind router.Kind, namespace, name string) {
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before != nil {
		if err := before(r); err != nil {
			refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden, err.Error())
			return
		}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	manager := r.URL.Query().Get("fieldManager")
	switch r.Method {
	case http.MethodPost:
		s.create(w, body, kind, namespace, manager)
	case http.MethodPatch:
		s.patch(w, r, body, kind, namespace, name, manager)
	case http.MethodDelete:
		s.remove(w, body, kind, namespace, name)
	default:
		refuse(w, http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, r.Method+" is not supported")
	}
}

func (s *Server) create(w http.ResponseWriter, body []byte, kind router.Kind, namespace, manager string) {
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(body); err != nil || o.GetName() == "" || o.GetKind() != kind.Name || o.GetResourceVersion() != "" {
		refuse(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, fmt.Sprintf("%s %q: %v", kind.Name, o.GetName(), err))
		return
	}
	if got := o.GetNamespace(); got != "" && got != namespace {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, "the namespace of the object does not match the one of the request")
		return
	}
	o.SetNamespace(namespace)
	path := pathOf(kind, namespace, o.GetName())
	if s.objects[path] != nil {
		refuse(w, http.StatusConflict, metav1.StatusReasonAlreadyExists, path+" already exists")
		return
	}
	s.put(path, o, manager)
	s.writes = append(s.writes, "POST "+kind.Resource+"/"+o.GetName())
	answer(w, http.StatusCreated, o)
}

func (s *Server) patch(w http.ResponseWriter, r *http.Request, body []byte, kind router.Kind, namespace, name, manager string) {
	path := pathOf(kind, namespace, name)
	old := s.objects[path]
	if old == nil {
		notFound(w, path)
		return
	}
	if r.Header.Get("Content-Type") != string(types.JSONPatchType) {
		refuse(w, http.StatusUnsupportedMediaType, metav1.StatusReasonUnsupportedMediaType, "only JSON patches are supported")
		return
	}
	patch, err := jsonpatch.DecodePatch(body)
	if err == nil {
		body, err = patch.Apply(encode(old))
	}
	o := &unstructured.Unstructured{}
	if err == nil {
		err = o.UnmarshalJSON(body)
	}
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, err.Error())
		return
	}
	if o.GetResourceVersion() != old.GetResourceVersion() {
		refuse(w, http.StatusConflict, metav1.StatusReasonConflict, "the object has been modified")
		return
	}
	s.put(path, o, manager)
	s.writes = append(s.writes, "PATCH "+kind.Resource+"/"+name)
	answer(w, http.StatusOK, o)
}

func (s *Server) remove(w http.ResponseWriter, body []byte, kind router.Kind, namespace, name string) {
	var options metav1.DeleteOptions
	_ = json.Unmarshal(body, &options) // no body is no preconditions
	path := pathOf(kind, namespace, name)
	old := s.objects[path]
	switch {
	case old == nil:
		notFound(w, path)
	case options.Preconditions != nil && options.Preconditions.UID != nil && *options.Preconditions.UID != old.GetUID():
		refuse(w, http.StatusConflict, metav1.StatusReasonConflict, "the UID in the precondition is another")
	default:
		s.drop(path)
		s.writes = append(s.writes, "DELETE "+kind.Resource+"/"+name)
		answer(w, http.StatusOK, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess})
	}
}

func notFound(w http.ResponseWriter, path string) {
	refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, path+" not found")
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	answer(w, code, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Reason: reason, Message: message, Code: int32(code)})
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	raw, err := json.Marshal(v)
	if o, ok := v.(*unstructured.Unstructured); ok {
		raw, err = o.MarshalJSON()
	}
	if err != nil {
		panic(fmt.Sprintf("kubetest: encode: %v", err))
	}
	_, _ = w.Write(raw)
}
