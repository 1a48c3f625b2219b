package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A request to the run that drives a rollout is an annotation of its Lease: who
// may update the Lease may steer. The run takes it off when it has it.

// ErrNobodyDrives says that no run took a request.
var ErrNobodyDrives = errors.New("no run drives this rollout")

// annotationRequest carries a request on the Lease.
const annotationRequest = "deploy.candlefish.ai/request"

// Holder returns the run that holds the target's lease, "" for none, and when it
// renewed it last, by its own clock.
func (c *Cluster) Holder(ctx context.Context, namespace, deployment string) (run string, renewed time.Time, err error) {
	err = Retry(ctx, func(ctx context.Context) error {
		lease, err := c.Typed.CoordinationV1().Leases(namespace).Get(ctx, release.ObjectName(deployment), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err == nil {
			run = Deref(lease.Spec.HolderIdentity)
			renewed = Deref(lease.Spec.RenewTime).Time
		}
		return err
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("read the lease %s/%s: %w", namespace, release.ObjectName(deployment), err)
	}
	return run, renewed, nil
}

// Renews reports whether the holder of a target's lease, which renewed it last at
// renewed by its own clock, still does. If that looks long ago it waits for the
// next renewal: the clocks of two machines disagree.
func (c *Cluster) Renews(ctx context.Context, namespace, deployment, run string, renewed time.Time) (bool, error) {
	if run == "" || time.Since(renewed) < leaseDuration {
		return run != "", nil
	}
	select {
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-time.After(leaseRenewal + time.Second):
	}
	holder, again, err := c.Holder(ctx, namespace, deployment)
	return holder != "" && again.After(renewed), err
}

// AskLimit bounds the time that a live run takes to take a request.
const AskLimit = leaseDuration

// Ask gives a request to the run that holds the target's lease, and returns when
// the run has taken it. It returns ErrNobodyDrives if there is no holder, or if
// the holder does not take it while a live one would have renewed its lease.
func (c *Cluster) Ask(ctx context.Context, namespace, deployment string, s rollout.Steer) error {
	holder, _, err := c.Holder(ctx, namespace, deployment)
	if err != nil {
		return err
	}
	if holder == "" {
		return ErrNobodyDrives
	}
	raw, err := json.Marshal(s)
	if err != nil {
		panic("kube: encode a request: " + err.Error())
	}
	if err := c.setRequest(ctx, namespace, deployment, string(raw)); err != nil {
		return err
	}
	for deadline := time.Now().Add(AskLimit); time.Now().Before(deadline); {
		pending, held, err := c.request(ctx, namespace, deployment)
		if err != nil || pending != string(raw) {
			return err
		}
		if !held {
			break // the run ended before it read the request
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := c.setRequest(ctx, namespace, deployment, ""); err != nil {
		return err
	}
	return ErrNobodyDrives
}

// request returns the request on a lease, "" for none, and whether a run holds
// the lease.
func (c *Cluster) request(ctx context.Context, namespace, deployment string) (text string, held bool, err error) {
	err = Retry(ctx, func(ctx context.Context) error {
		lease, err := c.Typed.CoordinationV1().Leases(namespace).Get(ctx, release.ObjectName(deployment), metav1.GetOptions{})
		if err == nil {
			text, held = lease.Annotations[annotationRequest], Deref(lease.Spec.HolderIdentity) != ""
		}
		return err
	})
	return text, held, err
}

// setRequest writes the request, or removes it for "".
func (c *Cluster) setRequest(ctx context.Context, namespace, deployment, text string) error {
	leases := c.Typed.CoordinationV1().Leases(namespace)
	err := Retry(ctx, func(ctx context.Context) error {
		lease, err := leases.Get(ctx, release.ObjectName(deployment), metav1.GetOptions{})
		if err != nil {
			return err
		}
		if lease.Annotations[annotationRequest] == text {
			return nil
		}
		lease.Annotations = With(lease.Annotations, annotationRequest, text)
		if text == "" {
			delete(lease.Annotations, annotationRequest)
		}
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{FieldManager: FieldManager})
		return err
	})
	if err != nil {
		return fmt.Errorf("write a request into the lease %s/%s: %w", namespace, release.ObjectName(deployment), err)
	}
	return nil
}

// answerLimit bounds the removal of a request that the run has taken.
const answerLimit = 5 * time.Second

// Requests yields the requests to this run until ctx ends, and closes the channel
// then. It watches the Lease; where that is forbidden or interrupted, it reads it
// once a second.
func (l *Lease) Requests(ctx context.Context) <-chan rollout.Steer {
	steers := make(chan rollout.Steer)
	go func() {
		defer close(steers)
		for ctx.Err() == nil {
			l.awaitChange(ctx)
			text, _, err := l.cluster.request(ctx, l.namespace, l.deployment)
			if err != nil || text == "" {
				continue
			}
			var s rollout.Steer
			if json.Unmarshal([]byte(text), &s) == nil {
				select {
				case steers <- s:
				case <-ctx.Done():
					return
				}
			}
			// A request may end the rollout, and with it ctx: who asked waits for this
			// answer. If it fails, the next reading tries again.
			answer, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerLimit)
			_ = l.cluster.setRequest(answer, l.namespace, l.deployment, "")
			cancel()
		}
	}()
	return steers
}

// awaitChange returns when the Lease has a request, or after a second without a
// watch.
func (l *Lease) awaitChange(ctx context.Context) {
	watching, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	w, err := l.cluster.Typed.CoordinationV1().Leases(l.namespace).Watch(watching, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", l.name).String(),
	})
	if err == nil {
		defer w.Stop()
		for e := range w.ResultChan() {
			if lease, ok := e.Object.(*coordinationv1.Lease); ok && lease.Annotations[annotationRequest] != "" {
				return
			}
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}

// A Recorded is the record of one target, or why it cannot be read.
type Recorded struct {
	Deployment string
	Record     *release.Record // nil with an Err
	Err        *UnreadableError
}

// Records lists the records of a namespace.
func (c *Cluster) Records(ctx context.Context, namespace string) ([]Recorded, error) {
	var records []Recorded
	err := Retry(ctx, func(ctx context.Context) error {
		records = nil
		list, err := c.Typed.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{LabelSelector: LabelTarget})
		if err != nil {
			return err
		}
		for i := range list.Items {
			r := Recorded{Deployment: list.Items[i].Labels[LabelTarget]}
			if list.Items[i].Name != release.ObjectName(r.Deployment) {
				continue
			}
			if r.Record, err = release.Decode(list.Items[i].Data); err != nil {
				r.Err = &UnreadableError{Namespace: namespace, Deployment: r.Deployment, Err: fmt.Errorf("configmap %s: %w", list.Items[i].Name, err)}
			}
			records = append(records, r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the release records of namespace %s: %w", namespace, err)
	}
	return records, nil
}

// Forget deletes the record of a target and its lease.
func (c *Cluster) Forget(ctx context.Context, namespace, deployment string) error {
	name := release.ObjectName(deployment)
	for what, remove := range map[string]func(context.Context, string, metav1.DeleteOptions) error{
		"configmap": c.Typed.CoreV1().ConfigMaps(namespace).Delete,
		"lease":     c.Typed.CoordinationV1().Leases(namespace).Delete,
	} {
		err := Retry(ctx, func(ctx context.Context) error {
			err := remove(ctx, name, metav1.DeleteOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("delete %s %s/%s: %w", what, namespace, name, err)
		}
	}
	return nil
}

// Ours lists the objects that rollouts of a target created, as kubectl names
// them.
func (c *Cluster) Ours(ctx context.Context, namespace, deployment string) ([]string, error) {
	of := metav1.ListOptions{LabelSelector: LabelTarget + "=" + deployment}
	var names []string
	err := Retry(ctx, func(ctx context.Context) error {
		names = nil
		deployments, err := c.Typed.AppsV1().Deployments(namespace).List(ctx, of)
		if err != nil {
			return err
		}
		for _, d := range deployments.Items {
			names = append(names, "deployment/"+d.Name)
		}
		services, err := c.Typed.CoreV1().Services(namespace).List(ctx, of)
		if err != nil {
			return err
		}
		for _, s := range services.Items {
			names = append(names, "service/"+s.Name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list what the rollouts of deployment %s/%s created: %w", namespace, deployment, err)
	}
	return names, nil
}
