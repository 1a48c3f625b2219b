package kube

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A mapServer is an API server with one ConfigMap, or none. It checks versions
// like the real one.
type mapServer struct {
	t       *testing.T
	have    *corev1.ConfigMap
	version int
	reads   int
}

func (s *mapServer) serve(r *http.Request) (*http.Response, error) {
	status := func(code int, reason metav1.StatusReason) (*http.Response, error) {
		return jsonAnswer(r, code, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: reason, Code: int32(code)})
	}
	if r.Method == http.MethodGet {
		s.reads++
		if s.have == nil {
			return status(http.StatusNotFound, metav1.StatusReasonNotFound)
		}
		return jsonAnswer(r, http.StatusOK, s.have)
	}
	var cm corev1.ConfigMap
	if err := json.NewDecoder(r.Body).Decode(&cm); err != nil {
		s.t.Error(err)
	}
	switch {
	case r.Method == http.MethodPost && s.have != nil:
		return status(http.StatusConflict, metav1.StatusReasonAlreadyExists)
	case r.Method == http.MethodPut && s.have == nil:
		return status(http.StatusNotFound, metav1.StatusReasonNotFound)
	case r.Method == http.MethodPut && cm.ResourceVersion != s.have.ResourceVersion:
		return status(http.StatusConflict, metav1.StatusReasonConflict)
	}
	s.put(&cm)
	return jsonAnswer(r, http.StatusOK, s.have)
}

func (s *mapServer) put(cm *corev1.ConfigMap) {
	s.version++
	cm.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}
	cm.ResourceVersion = strconv.Itoa(s.version)
	s.have = cm
}

// by writes the record as another run does.
func (s *mapServer) by(token int64) {
	data, err := release.Encode(&release.Record{Schema: release.Schema, Namespace: "shop", Deployment: "web", Token: token, Run: release.Run{ID: "8"}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.put(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "web-rollout", Namespace: "shop"}, Data: data})
}

func TestTheRecordIsReadAgainOnlyAfterAnotherWriter(t *testing.T) {
	t.Parallel()
	s := &mapServer{t: t}
	store := transport(s.serve).cluster(t).Store()
	r := &release.Record{Schema: release.Schema, Namespace: "shop", Deployment: "web", Token: 3}
	save := func(want error) {
		t.Helper()
		r.State.Step++
		if err := store.Save(t.Context(), r); !errors.Is(err, want) {
			t.Errorf("Save = %v, want %v", err, want)
		}
		if want != nil {
			return
		}
		if got, err := release.Decode(s.have.Data); err != nil || got.State.Step != r.State.Step {
			t.Errorf("the server has %+v (%v), want step %d", got, err, r.State.Step)
		}
	}
	for range 5 {
		save(nil)
	}
	if s.reads != 1 {
		t.Errorf("five writes in a row took %d reads, want 1", s.reads)
	}
	s.by(2) // an older run that is late
	save(nil)
	s.have = nil // a person deleted it
	save(nil)
	s.by(4) // a newer run
	save(rollout.ErrFenced)
	save(rollout.ErrFenced)
}
