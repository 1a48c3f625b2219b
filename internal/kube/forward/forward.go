// Package forward opens connections to the ports of pods, through the API server and
// the pod's kubelet, as kubectl port-forward does. They need no route from this
// machine to the pods, nor one from the API server to them; the bytes arrive as they
// were sent.
package forward

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream" //nolint:staticcheck // portforward of this client-go takes its types
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"

	"github.com/candlefish/deploy-action/internal/kube"
)

// Permissions lists what a connection to a pod needs beside kube.Permissions. API
// servers before 1.35 ask for the verb get where the connection is a WebSocket; if it
// is denied there, another protocol is used, which needs create.
var Permissions = []kube.Permission{
	{Resource: "pods/portforward", Verbs: []string{"create"}, Why: "Send the smoke tests to each new pod; needed with strategy blue-green only, unless validation-tests is false"},
}

// protocol is the one that kubelets speak below SPDY.
const protocol = portforward.PortForwardProtocolV1Name

// Dial opens a connection to a port of a pod. ctx bounds the dial; the connection ends
// with Close.
func Dial(ctx context.Context, c *kube.Cluster, namespace, pod string, port int) (net.Conn, error) {
	dialer, err := dialerFor(c, namespace, pod)
	if err != nil {
		return nil, fmt.Errorf("forward to port %d of pod %s/%s: %w", port, namespace, pod, err)
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() { // a dialer takes no context
		conn, err := open(dialer, port)
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("forward to port %d of pod %s/%s: %w", port, namespace, pod, r.err)
		}
		return r.conn, nil
	case <-ctx.Done():
		go func() {
			if r := <-done; r.conn != nil {
				_ = r.conn.Close() // nobody uses it
			}
		}()
		return nil, fmt.Errorf("forward to port %d of pod %s/%s: %w", port, namespace, pod, context.Cause(ctx))
	}
}

// dialerFor returns what connects to the pod's kubelet: by a WebSocket, or by SPDY
// where the API server, or a proxy before it, does not do that.
func dialerFor(c *kube.Cluster, namespace, pod string) (httpstream.Dialer, error) {
	config, err := c.Config()
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.UserAgent = kube.FieldManager
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	address := base.JoinPath("api/v1/namespaces", url.PathEscape(namespace), "pods", url.PathEscape(pod), "portforward")
	websocket, err := portforward.NewSPDYOverWebsocketDialer(address, config)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	// Whatever fails with a WebSocket is tried by SPDY, whose error is the one to tell.
	return portforward.NewFallbackDialer(websocket, spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, address), func(error) bool { return true }), nil
}

// open opens the two streams of a forwarded connection: one for its bytes, and one
// for the reason why there are none.
func open(dialer httpstream.Dialer, port int) (net.Conn, error) {
	connection, _, err := dialer.Dial(protocol)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	header.Set(corev1.PortHeader, strconv.Itoa(port))
	header.Set(corev1.PortForwardRequestIDHeader, "0")
	header.Set(corev1.StreamType, corev1.StreamTypeError)
	errors, err := connection.CreateStream(header)
	if err == nil {
		err = errors.Close() // nothing is written to it
	}
	if err != nil {
		_ = connection.Close()
		return nil, fmt.Errorf("open the stream for errors: %w", err)
	}
	header.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := connection.CreateStream(header)
	if err != nil {
		_ = connection.Close()
		return nil, fmt.Errorf("open the stream for data: %w", err)
	}
	f := &conn{Stream: data, connection: connection, failed: make(chan struct{}), address: address(port)}
	go f.watch(errors)
	return f, nil
}

// A conn is a forwarded connection.
type conn struct {
	httpstream.Stream
	connection httpstream.Connection
	address    address

	failed chan struct{} // closed when the stream for errors has ended
	err    error         // what it had; read after failed
}

// watch reads the stream for errors to its end.
func (c *conn) watch(errors io.Reader) {
	defer close(c.failed)
	text, err := io.ReadAll(io.LimitReader(errors, 4<<10))
	if err == nil && len(text) > 0 {
		c.err = fmt.Errorf("the kubelet: %s", strings.TrimSpace(string(text)))
	}
}

// reasonLimit bounds the wait for the reason of an end, which comes on another stream.
const reasonLimit = time.Second

// Read returns the kubelet's reason instead of an end of the data, if it gave one: no
// process listens, for example.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Stream.Read(b)
	if n > 0 || err == nil {
		return n, err
	}
	select {
	case <-c.failed:
		if c.err != nil {
			return n, c.err
		}
	case <-time.After(reasonLimit):
	}
	return n, err
}

// Close ends the connection to the kubelet too.
func (c *conn) Close() error {
	_ = c.Reset() // discards what was not sent
	return c.connection.Close()
}

// An address is a port of a pod.
type address int

// Network implements net.Addr.
func (address) Network() string { return "pod" }

// String implements net.Addr.
func (a address) String() string { return "port " + strconv.Itoa(int(a)) }

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return address(0) }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.address }

// SetDeadline implements net.Conn. A request is bounded by its context, which closes
// the connection.
func (c *conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn as SetDeadline does.
func (c *conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn as SetDeadline does.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
