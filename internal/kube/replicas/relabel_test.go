package replicas

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/candlefish/deploy-action/internal/kube"
)

// A server has the pods of one ReplicaSet. Each patch takes 80 ms.
type server struct {
	pods []corev1.Pod

	mu      sync.Mutex
	patched map[string]string // bodies by path
	now     int               // patches at this moment
	most    int
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		return answer(r, http.StatusOK, corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: s.pods})
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.patched[r.URL.Path] = string(body)
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	time.Sleep(80 * time.Millisecond)
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	if strings.HasSuffix(r.URL.Path, "/gone") {
		return answer(r, http.StatusNotFound, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: 404})
	}
	return answer(r, http.StatusOK, corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}})
}

func answer(r *http.Request, code int, body any) (*http.Response, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(raw))), Request: r}, nil
}

func TestManyPodsAreLabeledSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: "shop", UID: "rs-1"}}
		rs.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
		owner := *metav1.NewControllerRef(rs, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))
		s := &server{patched: map[string]string{}}
		for i := range 500 {
			pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("web-1-%d", i), ResourceVersion: "7", OwnerReferences: []metav1.OwnerReference{owner}}}
			switch i {
			case 0:
				pod.Labels = map[string]string{"version": "stable"} // has the label already
			case 1:
				pod.Name = "gone"
			}
			s.pods = append(s.pods, pod)
		}
		s.pods = append(s.pods, corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "another's"}})
		c, err := kube.ConnectTo(&rest.Config{Host: "http://cluster.example"}, func(http.RoundTripper) http.RoundTripper { return s })
		if err != nil {
			t.Fatal(err)
		}
		stable, began := "stable", time.Now()
		if err := New(c, nil, "shop", "version").relabelPods(t.Context(), rs, &stable); err != nil {
			t.Fatal(err)
		}
		if len(s.patched) != 499 || s.most != kube.AtOnce {
			t.Errorf("%d pods patched, %d at once; want 499, %d at once", len(s.patched), s.most, kube.AtOnce)
		}
		// The clock of the bubble counts the depth: 499 calls, 16 at a time.
		if took := time.Since(began); took != 32*80*time.Millisecond {
			t.Errorf("it took %s, want the time of 32 calls", took)
		}
		if body := s.patched["/api/v1/namespaces/shop/pods/web-1-499"]; !strings.Contains(body, `"7"`) || !strings.Contains(body, "stable") {
			t.Errorf("patch = %s, want the label, guarded by the version that was read", body)
		}
	})
}
