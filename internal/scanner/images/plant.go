package images

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// plantedImage is an archive in the form of docker save: one layer with the files by
// which a scanner knows a distribution and its packages.
func plantedImage() string {
	layer := archiveOf([]file{
		{"etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"},
		{"etc/debian_version", "12.0\n"},
		{"var/lib/dpkg/status", "Package: openssl\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: Debian OpenSSL Team\nVersion: 3.0.9-1\nDescription: planted\n"},
	})
	sum := sha256.Sum256([]byte(layer))
	config := encode(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
		"history": []map[string]any{{"created": time.Unix(0, 0).UTC(), "created_by": "planted"}},
	})
	digest := sha256.Sum256([]byte(config))
	name := hex.EncodeToString(digest[:]) + ".json"
	manifest := encode([]map[string]any{{"Config": name, "RepoTags": []string{"planted.example/known:1"}, "Layers": []string{"layer.tar"}}})
	return archiveOf([]file{{name, config}, {"layer.tar", layer}, {"manifest.json", manifest}})
}

type file struct{ name, content string }

// archiveOf makes a tar archive. Writing to memory does not fail.
func archiveOf(files []file) string {
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	for _, f := range files {
		_ = w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content)), Typeflag: tar.TypeReg, Format: tar.FormatPAX})
		_, _ = w.Write([]byte(f.content))
	}
	_ = w.Close()
	return buffer.String()
}

// encode makes JSON of values that have one.
func encode(value any) string {
	data, _ := json.Marshal(value)
	return string(data)
}
