package network

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"
)

// serveExpired starts a server on loopback whose certificate ended long ago.
func serveExpired(ctx context.Context) (string, func(), error) {
	certificate, err := expired()
	if err != nil {
		return "", nil, fmt.Errorf("plant an expired certificate: %w", err)
	}
	return serve(ctx, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
}

// serveBare starts a server on loopback that sends no security header.
func serveBare(ctx context.Context) (string, func(), error) { return serveExpired(ctx) }

// expired makes a certificate for loopback that was valid in the year 2000.
func expired() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	from := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "planted"},
		NotBefore: from, NotAfter: from.AddDate(0, 1, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, nil
}

// serve answers by TLS on a free port of loopback until stop is called.
func serve(ctx context.Context, config *tls.Config) (string, func(), error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("plant a server: %w", err)
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "planted") }),
		ReadHeaderTimeout: patience,
		ErrorLog:          log.New(io.Discard, "", 0), // refused handshakes are what is tried
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(tls.NewListener(listener, config))
	}()
	stop := func() {
		_ = server.Close()
		<-done
	}
	return listener.Addr().String(), stop, nil
}
