package apply

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
)

// The keys of the stored bundle.
const (
	bundleKey    = "manifests.json.gz"
	inventoryKey = "inventory" // for people
)

// maxStored is below what a ConfigMap or Secret can hold, 1 MiB.
const maxStored = 1000 << 10

// HasSecrets reports whether a bundle has the content of Secrets, so that it
// must be kept in one.
func (b Bundle) HasSecrets() bool {
	for _, i := range b.Items {
		if o := i.object(); o.Is("", "Secret") {
			return true
		}
	}
	return false
}

// Save stores a bundle for a release of a Deployment: in a Secret if it has the
// content of Secrets, else in a ConfigMap. The other one is removed.
func Save(ctx context.Context, c *kube.Cluster, namespace, deployment string, b Bundle) error {
	raw, err := b.encode()
	if err != nil {
		return err
	}
	name := storeName(deployment)
	if len(raw) > maxStored {
		return fmt.Errorf("store the manifests in %s/%s: they have %d bytes compressed, at most %d fit", namespace, name, len(raw), maxStored)
	}
	var names []string
	for _, r := range b.Inventory {
		names = append(names, r.String())
	}
	meta := metav1.ObjectMeta{Name: name, Namespace: namespace}
	inventory := strings.Join(names, "\n")
	client := c.Typed.CoreV1()
	err = kube.Retry(ctx, func(ctx context.Context) error {
		if b.HasSecrets() {
			s := &corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{bundleKey: raw, inventoryKey: []byte(inventory)}}
			_, err := client.Secrets(namespace).Update(ctx, s, metav1.UpdateOptions{FieldManager: kube.FieldManager})
			if apierrors.IsNotFound(err) {
				_, err = client.Secrets(namespace).Create(ctx, s, kube.Creating)
			}
			return err
		}
		m := &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{bundleKey: base64.StdEncoding.EncodeToString(raw), inventoryKey: inventory}}
		_, err := client.ConfigMaps(namespace).Update(ctx, m, metav1.UpdateOptions{FieldManager: kube.FieldManager})
		if apierrors.IsNotFound(err) {
			_, err = client.ConfigMaps(namespace).Create(ctx, m, kube.Creating)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("store the manifests in %s/%s: %w", namespace, name, err)
	}
	return drop(ctx, c, namespace, deployment, !b.HasSecrets(), b.HasSecrets())
}

// storeName is the name of what keeps the manifests of a Deployment's releases.
func storeName(deployment string) string { return deployment + "-manifests" }

// Load reads the bundle of the last release of a Deployment with manifests. It
// returns an empty one if there is none.
func Load(ctx context.Context, c *kube.Cluster, namespace, deployment string) (b Bundle, err error) {
	name := storeName(deployment)
	var raw []byte
	err = kube.Retry(ctx, func(ctx context.Context) error {
		m, err := c.Typed.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			raw, err = base64.StdEncoding.DecodeString(m.Data[bundleKey])
			return err
		}
		if !apierrors.IsNotFound(err) {
			return err
		}
		s, err := c.Typed.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			return nil // a release without Secrets needs no permission for them
		}
		if err == nil {
			raw = s.Data[bundleKey]
		}
		return err
	})
	if err != nil {
		return b, fmt.Errorf("read the stored manifests %s/%s: %w", namespace, name, err)
	}
	if len(raw) == 0 {
		return b, nil
	}
	return decode(raw)
}

// Forget removes the stored bundle of a Deployment.
func Forget(ctx context.Context, c *kube.Cluster, namespace, deployment string) error {
	return drop(ctx, c, namespace, deployment, true, true)
}

func drop(ctx context.Context, c *kube.Cluster, namespace, deployment string, secret, configMap bool) error {
	name := storeName(deployment)
	err := kube.Retry(ctx, func(ctx context.Context) error {
		if configMap {
			if err := c.Typed.CoreV1().ConfigMaps(namespace).Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
		if !secret {
			return nil
		}
		err := c.Typed.CoreV1().Secrets(namespace).Delete(ctx, name, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("remove the stored manifests %s/%s: %w", namespace, name, err)
	}
	return nil
}
