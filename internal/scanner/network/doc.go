// Package network checks the hosts that a user names: their certificates and TLS
// settings, and the security headers of their answers.
//
// A host that gives no answer, or another one than is understood, is a doubt and
// never a clean host.
package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// A host is one of Job.Hosts.
type host struct {
	name string // without the port, as in a certificate
	port string
	path string // of an https or http URL; "/" if none was given
	http bool   // an http URL
}

func (h host) address() string { return net.JoinHostPort(h.name, h.port) }

// url is where the headers are asked for.
func (h host) url() string {
	scheme := "https"
	if h.http {
		scheme = "http"
	}
	return scheme + "://" + h.address() + h.path
}

// parse reads "example.com", "example.com:8443", "[::1]:443", "https://example.com/a".
func parse(text string) (host, error) {
	h := host{port: "443", path: "/"}
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		switch {
		case err != nil:
			return host{}, fmt.Errorf("host %q: %w", text, err)
		case u.Scheme != "https" && u.Scheme != "http":
			return host{}, fmt.Errorf("host %q: want https or http", text)
		case u.User != nil:
			return host{}, errors.New("a host has a user or a password in its URL")
		}
		if h.http = u.Scheme == "http"; h.http {
			h.port = "80"
		}
		if u.Port() != "" {
			h.port = u.Port()
		}
		h.name = u.Hostname()
		if u.Path != "" {
			h.path = u.EscapedPath()
		}
	} else if name, port, err := net.SplitHostPort(text); err == nil {
		h.name, h.port = name, port
	} else {
		h.name = strings.Trim(text, "[]")
	}
	h.name = strings.TrimSuffix(h.name, ".")
	if h.name == "" || h.port == "" || strings.ContainsAny(h.name, "/ @") {
		return host{}, fmt.Errorf("host %q: want a name, a name with a port, or an https URL", text)
	}
	return h, nil
}

// patience is how long one connection may take, with its handshake or its answer.
const patience = 10 * time.Second

// connect opens a connection.
func connect(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: patience}
	return dialer.DialContext(ctx, "tcp", address)
}

// why shortens an error of the network: people know the address already.
func why(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return "its name is not known: " + dns.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %v", patience)
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Timeout() {
		return fmt.Sprintf("no answer within %v", patience)
	}
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}
