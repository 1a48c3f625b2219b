package deploybench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"sync"
	"time"
)

// A delayedServer is a way to an API server whose answers take longer.
type delayedServer struct {
	kubeconfig string
	stop       func()
}

// delayed listens on loopback, forwards to the kubeconfig's server, holds what
// that answers back for a time, and writes a kubeconfig for it.
func delayed(ctx context.Context, kubeconfig, path string, by time.Duration) (*delayedServer, error) {
	raw, err := os.ReadFile(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	var config struct {
		Clusters []struct {
			Cluster map[string]any `json:"cluster"`
			Name    string         `json:"name"`
		} `json:"clusters"`
		Rest map[string]json.RawMessage `json:"-"`
	}
	if err := json.Unmarshal(raw, &config.Rest); err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	if err := json.Unmarshal(raw, &config); err != nil || len(config.Clusters) != 1 {
		return nil, fmt.Errorf("kubeconfig %s has %d clusters: %w", kubeconfig, len(config.Clusters), err)
	}
	cluster := config.Clusters[0].Cluster
	server, err := url.Parse(fmt.Sprint(cluster["server"]))
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the delayed API server: %w", err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // stopped
			}
			go forward(ctx, conn, server.Host, by)
		}
	}()
	cluster["server"], cluster["tls-server-name"] = "https://"+l.Addr().String(), server.Hostname()
	if config.Rest["clusters"], err = json.Marshal(config.Clusters); err != nil {
		return nil, fmt.Errorf("write the kubeconfig: %w", err)
	}
	text, err := json.Marshal(config.Rest)
	if err != nil {
		return nil, fmt.Errorf("write the kubeconfig: %w", err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("write the kubeconfig: %w", err)
	}
	return &delayedServer{kubeconfig: path, stop: sync.OnceFunc(func() { _ = l.Close() })}, nil
}

// forward copies a connection to the server at once and back after the delay.
func forward(ctx context.Context, conn net.Conn, server string, by time.Duration) {
	defer func() { _ = conn.Close() }() // the peers see the end
	to, err := new(net.Dialer).DialContext(ctx, "tcp", server)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	go func() {
		_, _ = io.Copy(to, conn) // the other direction sees the end
		_ = to.Close()
	}()
	type piece struct {
		due  time.Time
		data []byte
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer close(pieces)
		for {
			buffer := make([]byte, 32<<10)
			n, err := to.Read(buffer)
			if n > 0 {
				pieces <- piece{time.Now().Add(by), buffer[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		if _, err := conn.Write(p.data); err != nil {
			return
		}
	}
}
