package targets

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/kube/kubetest"
)

// A balancer is a Health whose groups get their targets one by one.
type balancer struct {
	t       *testing.T
	healthy map[string][]string // by group, after each question
	asked   []string
	err     error
}

func (b *balancer) Missing(_ context.Context, group string, addresses []string) (string, error) {
	b.asked = append(b.asked, group+"="+strings.Join(addresses, ","))
	if b.err != nil {
		err := b.err
		b.err = nil
		return "", err
	}
	if len(b.healthy[group]) == 0 {
		return "", nil
	}
	why := b.healthy[group][0]
	b.healthy[group] = b.healthy[group][1:]
	return why, nil
}

func (b *balancer) Delay(context.Context, string) (time.Duration, error) { return 0, nil }

const objects = `
{apiVersion: elbv2.k8s.aws/v1beta1, kind: TargetGroupBinding, metadata: {name: k8s-1, namespace: shop}, spec: {serviceRef: {name: web-canary, port: 80}, targetGroupARN: group-canary}}
---
{apiVersion: elbv2.k8s.aws/v1beta1, kind: TargetGroupBinding, metadata: {name: k8s-2, namespace: shop}, spec: {serviceRef: {name: web, port: 80}, targetGroupARN: group-web}}
---
{apiVersion: elbv2.k8s.aws/v1beta1, kind: TargetGroupBinding, metadata: {name: k8s-3, namespace: shop}, spec: {serviceRef: {name: web, port: 81}, targetGroupARN: group-admin}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-canary-1, namespace: shop, labels: {kubernetes.io/service-name: web-canary}}, addressType: IPv4,
 endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}, {addresses: [10.0.0.2], conditions: {ready: false}}, {addresses: [10.0.0.3], conditions: {ready: true}}]}
`

func TestAwait(t *testing.T) {
	t.Parallel()
	server := kubetest.New(t, Bindings[0])
	server.Apply(objects)
	c := server.Cluster()
	w, err := c.NewWatch(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	waits := 0
	at := func(d time.Duration) <-chan time.Time {
		waits++
		if d != interval {
			t.Errorf("a pause of %s", d)
		}
		now := make(chan time.Time, 1)
		now <- time.Time{}
		return now
	}

	b := &balancer{t: t, healthy: map[string][]string{"group-canary": {"10.0.0.1 is initial", "10.0.0.1 is initial"}}, err: errors.New("throttled")}
	if err := Await(t.Context(), c, w, "shop", "web-canary", b, at); err != nil || waits != 3 {
		t.Errorf("Await: %v after %d pauses", err, waits)
	}
	if !slices.Equal(b.asked, slices.Repeat([]string{"group-canary=10.0.0.1,10.0.0.3"}, 4)) {
		t.Errorf("asked for %q", b.asked)
	}

	for _, last := range []struct{ service, says, asked string }{
		{"web", "10.0.0.9 is unhealthy", "group-admin= group-web="}, // every group of the Service counts
		{"none", "no target group for the Service", ""},
	} {
		ended, end := context.WithCancel(t.Context())
		b := &balancer{t: t, healthy: map[string][]string{"group-web": {"10.0.0.9 is unhealthy"}}}
		err := Await(ended, c, w, "shop", last.service, b, func(time.Duration) <-chan time.Time { end(); return nil })
		end()
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), last.says) || strings.Join(b.asked, " ") != last.asked {
			t.Errorf("service %s: %v, asked for %q", last.service, err, b.asked)
		}
	}
}

func TestAClusterWithoutBindings(t *testing.T) {
	t.Parallel()
	if groups, err := Groups(t.Context(), kubetest.New(t).Cluster(), "shop", "web"); err != nil || groups != nil {
		t.Errorf("Groups = %q, %v", groups, err)
	}
	server := kubetest.New(t, Bindings...)
	server.Deny(func(_, _, resource string) bool { return resource == "targetgroupbindings" })
	if _, err := Groups(t.Context(), server.Cluster(), "shop", "web"); err == nil || !strings.Contains(err.Error(), "list targetgroupbindings in shop") {
		t.Errorf("without the permission: %v", err)
	}
}
