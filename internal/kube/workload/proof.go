package workload

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/fields"
	"github.com/candlefish/deploy-action/internal/kube/health"
	"github.com/candlefish/deploy-action/internal/release"
)

// A PodFailure is the reason why a pod of the canary could not serve.
type PodFailure = health.Failure

// Failure returns why the canary's pods could not serve, nil if they can. An
// abort reads and stores it before it removes the pods.
func (t *Target) Failure(ctx context.Context) *PodFailure {
	if t.failure == nil {
		t.failure = health.Diagnose(ctx, t.cluster.Typed, t.watch.PodsOf(t.record.Canary.UID))
	}
	return t.failure
}

// A Proof compares the promoted pods with the same pods before the hand-over.
type Proof struct {
	Before, After []release.Pod
	// Digests are the image digests that the promoted pods run.
	Digests []string
}

// An OtherImageError says that another writer gave the Deployment an image after
// the release did.
type OtherImageError struct {
	Deployment, Image, Writer string
}

func (e *OtherImageError) Error() string {
	return fmt.Sprintf("deployment %s no longer has the released image: %s gave it %s", e.Deployment, e.Writer, e.Image)
}

// Broken names the pods of before the hand-over that restarted in it or are gone.
func (p Proof) Broken() []string {
	after := map[string]release.Pod{}
	for _, pod := range p.After {
		after[pod.UID] = pod
	}
	var names []string
	for _, pod := range p.Before {
		if now, there := after[pod.UID]; !there || now.Restarts > pod.Restarts {
			names = append(names, pod.Name)
		}
	}
	return names
}

// Proof returns the comparison of the pods from right after the hand-over. If
// another process made the hand-over, it has only the digests that run now.
func (t *Target) Proof(ctx context.Context) (Proof, error) {
	if len(t.proof.After) > 0 || t.proofErr != nil {
		return t.proof, t.proofErr
	}
	p, err := t.prove(ctx)
	p.Before = nil
	return p, err
}

// prove reads the promoted pods from the API server and compares them with the
// record from just before the hand-over.
func (t *Target) prove(ctx context.Context) (Proof, error) {
	p := Proof{Before: t.record.Canary.Pods}
	var after release.Revision
	err := kube.Retry(ctx, func(ctx context.Context) error {
		user, err := t.deployments.Get(ctx, t.record.Deployment)
		if err != nil {
			return err
		}
		if image := imageOf(user, t.record.Container); image != t.record.Canary.Image {
			return &OtherImageError{Deployment: user.Name, Image: image, Writer: fields.Writer(user, "spec", "template")}
		}
		rs, err := t.deployments.ReplicaSet(ctx, t.record.Canary.ReplicaSet)
		if err != nil {
			return err
		}
		if !metav1.IsControlledBy(rs, user) {
			return fmt.Errorf("replicaset %s does not belong to deployment %s", rs.Name, user.Name)
		}
		pods, err := t.deployments.PodsOf(ctx, rs)
		if err != nil {
			return err
		}
		after = release.Revision{}
		for i := range pods {
			kube.NotePod(&after, &pods[i], t.record.Container)
		}
		return nil
	})
	if err != nil {
		return p, fmt.Errorf("compare the promoted pods with the record: %w", err)
	}
	p.After, p.Digests = after.Pods, after.Digests
	return p, nil
}
