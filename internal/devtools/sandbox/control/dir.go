package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Dir names the files of a sandbox.
type Dir string

// Path is a file or folder of the sandbox.
func (l Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{string(l)}, elem...)...)
}

// The record says which supervisor was started; the socket reaches it; every component has a log. PKI is a certificate or key,
// Kubeconfig that of one user, Config what a component reads.
func (l Dir) Record() string               { return l.Path("supervisor.json") }
func (l Dir) Socket() string               { return l.Path("control.sock") }
func (l Dir) Log(name string) string       { return l.Path("log", name+".log") }
func (l Dir) PKI(name string) string       { return l.Path("pki", name) }
func (l Dir) Kubeconfig(who string) string { return l.Path(who + ".kubeconfig") }
func (l Dir) Config(name string) string    { return l.Path("etc", name) }

// Folders are made before anything starts.
func (l Dir) Folders() []string {
	return []string{l.Path("log"), l.Path("pki"), l.Path("etc", "cni"), l.Path("etcd"), l.Path("kubelet"), l.Path("containerd"),
		l.Path("registry"), l.Path("prometheus"), l.Path("cni"), l.Path("pods")}
}

// Remove removes the sandbox's files, but only from a directory that is a sandbox's or empty.
func (l Dir) Remove() error {
	entries, err := os.ReadDir(string(l))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		if _, err := os.Stat(l.Path("log")); err != nil {
			return fmt.Errorf("%s is not empty and holds no sandbox: name another directory", l)
		}
	}
	// The record goes last: while it is there, a next Up or Down finishes the work.
	for _, e := range entries {
		if l.Path(e.Name()) == l.Record() || e.Name() == "log" {
			continue
		}
		if err := os.RemoveAll(l.Path(e.Name())); err != nil {
			return fmt.Errorf("remove the sandbox's files: %w", err)
		}
	}
	if err := os.Remove(l.Record()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the sandbox's files: %w", err)
	}
	if err := os.RemoveAll(string(l)); err != nil {
		return fmt.Errorf("remove the sandbox's files: %w", err)
	}
	_ = os.Remove("/var/lib/cni") // if empty, it was made for the sandbox
	return nil
}

// ReadJSON reads the file at path into what into points to.
func ReadJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// WriteJSON writes v to path, whole or not at all.
func WriteJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
