package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// Our annotations and labels.
const (
	LabelTarget     = "deploy.candlefish.ai/deployment" // on our own objects: the user's Deployment
	LabelNamespace  = "deploy.candlefish.ai/namespace"  // its namespace, on our objects outside of it
	AnnotationRun   = "deploy.candlefish.ai/run"
	AnnotationWarm  = "deploy.candlefish.ai/warm-until" // on the canary Deployment, RFC 3339
	AnnotationFreed = "deploy.candlefish.ai/freed"      // on a ReplicaSet between two owners
)

// An UnreadableError says that the record of a target is not one that this version
// can read.
type UnreadableError struct {
	Namespace, Deployment string
	Err                   error
}

func (e *UnreadableError) Error() string { return e.Err.Error() }

// LoadRecord reads the record of a target's newest release. It returns nil, nil
// if there is none, and an *UnreadableError for one that it cannot decode.
func (c *Cluster) LoadRecord(ctx context.Context, namespace, deployment string) (*release.Record, error) {
	var record *release.Record
	err := Retry(ctx, func(ctx context.Context) error {
		cm, err := c.Typed.CoreV1().ConfigMaps(namespace).Get(ctx, release.ObjectName(deployment), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if record, err = release.Decode(cm.Data); err != nil {
			return &UnreadableError{Namespace: namespace, Deployment: deployment, Err: err}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the release record %s/%s: %w", namespace, release.ObjectName(deployment), err)
	}
	return record, nil
}

// A Store writes the record of one release.
type Store struct {
	cluster *Cluster
	last    *corev1.ConfigMap // as this process last wrote it, nil if it must be read
}

// Store returns a Store that has written nothing.
func (c *Cluster) Store() *Store { return &Store{cluster: c} }

// Save writes r with the fencing token of its lease. It returns
// rollout.ErrFenced if a newer run has written the record.
func (s *Store) Save(ctx context.Context, r *release.Record) error {
	data, err := release.Encode(r)
	if err != nil {
		return err
	}
	if err := Retry(ctx, func(ctx context.Context) error { return s.write(ctx, r, data) }); err != nil {
		return fmt.Errorf("record the release in configmap %s/%s: %w", r.Namespace, release.ObjectName(r.Deployment), err)
	}
	return nil
}

// write updates the ConfigMap as this process wrote it last: if another client
// wrote it since, the server refuses, and the next attempt reads it.
func (s *Store) write(ctx context.Context, r *release.Record, data map[string]string) error {
	maps, cm := s.cluster.Typed.CoreV1().ConfigMaps(r.Namespace), s.last
	s.last = nil
	if cm == nil {
		var err error
		cm, err = maps.Get(ctx, release.ObjectName(r.Deployment), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return s.create(ctx, r, data)
		}
		if err != nil {
			return err
		}
		if old, err := release.Decode(cm.Data); err != nil {
			return err
		} else if old.Token > r.Token {
			return fmt.Errorf("%w: run %s", rollout.ErrFenced, old.Run)
		}
	}
	cm.Data = data
	written, err := maps.Update(ctx, cm, metav1.UpdateOptions{FieldManager: FieldManager})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%w: another client deleted it", ErrNotYet)
	}
	if err == nil {
		s.last = written
	}
	return err
}

func (s *Store) create(ctx context.Context, r *release.Record, data map[string]string) error {
	written, err := s.cluster.Typed.CoreV1().ConfigMaps(r.Namespace).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: release.ObjectName(r.Deployment), Labels: map[string]string{LabelTarget: r.Deployment}},
		Data:       data,
	}, metav1.CreateOptions{FieldManager: FieldManager})
	if apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("%w: another client created it", ErrNotYet)
	}
	if err == nil {
		s.last = written
	}
	return err
}
