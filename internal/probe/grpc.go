package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// The method that every gRPC server with the health service answers,
// https://github.com/grpc/grpc/blob/master/doc/health-checking.md.
const healthCheck = "/grpc.health.v1.Health/Check"

// Statuses of gRPC, https://grpc.io/docs/guides/status-codes/, and of health.
const (
	grpcOK       = "0"
	grpcNotFound = "5"
	serving      = 1
)

// maxMessage bounds an answer's message: it is a few bytes.
const maxMessage = 4 << 10

// A health is a transport whose requests are gRPC health checks. The path of a
// request names the service, "/" all of the server. To its callers an answer looks
// like one of HTTP: 200 for a service that serves, 404 for one that the server does
// not know, else 503; metadata and trailers are its headers.
type health struct{ http.RoundTripper }

// overHTTP2 lets a transport speak HTTP/2 alone, without TLS too, as gRPC does.
func overHTTP2(tr *http.Transport) {
	tr.Protocols = new(http.Protocols)
	tr.Protocols.SetHTTP2(true)
	tr.Protocols.SetUnencryptedHTTP2(true)
}

// RoundTrip implements http.RoundTripper.
func (h health) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := h.RoundTripper.RoundTrip(checkOf(req.Context(), req))
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	message, err := io.ReadAll(io.LimitReader(res.Body, maxMessage))
	if err != nil {
		return nil, fmt.Errorf("read the answer to a gRPC health check: %w", err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil { // the trailers come after it
		return nil, fmt.Errorf("read the answer to a gRPC health check: %w", err)
	}
	for name, values := range res.Trailer {
		res.Header[name] = values
	}
	var text string
	res.StatusCode, text = healthOf(res, message)
	res.Body = io.NopCloser(strings.NewReader(text))
	res.ContentLength, res.Trailer = int64(len(text)), nil
	return res, nil
}

// checkOf returns the health check that stands for a request.
func checkOf(ctx context.Context, req *http.Request) *http.Request {
	body := frame(strings.TrimPrefix(req.URL.Path, "/"))
	check := req.Clone(ctx)
	check.Method = http.MethodPost
	check.URL = &url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: healthCheck}
	check.Header.Set("Content-Type", "application/grpc")
	check.Header.Set("Te", "trailers")
	check.Body = io.NopCloser(bytes.NewReader(body))
	check.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	check.ContentLength = int64(len(body))
	return check
}

// frame returns a HealthCheckRequest for a service as gRPC sends it: not compressed,
// its length, and the service as field 1 unless it is empty.
func frame(service string) []byte {
	var message []byte
	if service != "" {
		message = append(binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(service))), service...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...) //nolint:gosec // a path is short
}

// healthOf returns the HTTP status that an answer stands for, and its text.
func healthOf(res *http.Response, message []byte) (status int, text string) {
	code := res.Header.Get("Grpc-Status")
	switch {
	case res.StatusCode != http.StatusOK:
		return res.StatusCode, "HTTP status " + res.Status
	case code == grpcNotFound:
		return http.StatusNotFound, "the server does not know the service"
	case code != grpcOK:
		return http.StatusServiceUnavailable, fmt.Sprintf("gRPC status %q: %s", code, res.Header.Get("Grpc-Message"))
	case !serves(message):
		return http.StatusServiceUnavailable, "not serving"
	}
	return http.StatusOK, "serving"
}

// serves reports whether a HealthCheckResponse, as gRPC sends it, has field 1, the
// status, with the value SERVING.
func serves(message []byte) bool {
	if len(message) < 5 || message[0] != 0 || int(binary.BigEndian.Uint32(message[1:5])) != len(message)-5 {
		return false
	}
	for rest := message[5:]; len(rest) > 0; {
		tag, n := binary.Uvarint(rest)
		if n <= 0 || tag&7 != 0 { // the message has no field but the status
			return false
		}
		value, m := binary.Uvarint(rest[n:])
		if m <= 0 {
			return false
		}
		if tag>>3 == 1 {
			return value == serving
		}
		rest = rest[n+m:]
	}
	return false
}
