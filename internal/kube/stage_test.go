package kube

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/stage"
)

// onStage returns the running stage and a namespace in it with version 1 of
// the sample.
func onStage(t *testing.T, replicas int) (*stage.Stage, string) {
	t.Helper()
	s, err := stage.Up(t.Context(), stage.Options{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	ns := fmt.Sprintf("%.40s-%x", strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")), time.Now().UnixNano()&0xffffff)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.DeleteNamespace(ctx, ns); err != nil {
			t.Errorf("delete namespace %s: %v", ns, err)
		}
	})
	if err := s.Deploy(t.Context(), stage.Sample{Namespace: ns, Image: website(t, s, "v1"), Replicas: replicas}); err != nil {
		t.Fatal(err)
	}
	return s, ns
}

func website(t *testing.T, s *stage.Stage, tag string) string {
	t.Helper()
	ref, err := stage.WebsiteImage(t.Context(), s, tag, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}
