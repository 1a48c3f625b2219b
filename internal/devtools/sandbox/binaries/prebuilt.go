package binaries

import (
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// EnvPrebuiltURL names the environment variable with the address of a folder of prebuilt programs, NAME-KEY.gz each, where NAME-KEY is
// the program's folder in the cache. EnvPrebuiltSHA256 gives their checksums, as NAME=HEX, separated by spaces; without one
// a program is not taken.
const (
	EnvPrebuiltURL    = "SANDBOX_PREBUILT_URL"
	EnvPrebuiltSHA256 = "SANDBOX_PREBUILT_SHA256"
)

// prebuiltURL and prebuiltSums are the archives that this version of the project pins. There are none yet: every sandbox is built.
const prebuiltURL = ""

var prebuiltSums = map[string]string{} // "NAME-KEY" to the sha256 of the archive

// Limits of a download, so that a wrong address cannot fill the disk or hang.
const (
	prebuiltMax   = 1 << 30
	prebuiltLimit = 10 * time.Minute
)

// prebuilt is one archive to download.
type prebuilt struct {
	url string
	sum string
}

// findPrebuilt returns where the archive of a program is, if anybody has said so.
func findPrebuilt(name, key string, getenv func(string) string) (prebuilt, bool) {
	folder := cmp.Or(getenv(EnvPrebuiltURL), prebuiltURL)
	if folder == "" {
		return prebuilt{}, false
	}
	sum := prebuiltSums[name+"-"+key]
	for pair := range strings.FieldsSeq(getenv(EnvPrebuiltSHA256)) {
		if n, hex, ok := strings.Cut(pair, "="); ok && n == name {
			sum = hex
		}
	}
	return prebuilt{strings.TrimSuffix(folder, "/") + "/" + name + "-" + key + ".gz", sum}, true
}

// fetch downloads the archive, checks it as a whole, and only then lets out exist.
func (p prebuilt) fetch(ctx context.Context, out string) error {
	if p.sum == "" {
		return errors.New("no sha256 is pinned for it")
	}
	ctx, cancel := context.WithTimeout(ctx, prebuiltLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answers %s", resp.Status)
	}
	archive := out + ".gz"
	defer func() { _ = os.Remove(archive) }()
	got, err := save(archive, resp.Body)
	if err != nil {
		return err
	}
	if !strings.EqualFold(got, p.sum) {
		return fmt.Errorf("sha256 is %s, want %s", got, p.sum)
	}
	return unpack(archive, out)
}

// save writes body to path and returns its sha256.
func save(path string, body io.Reader) (sum string, err error) {
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(body, prebuiltMax+1))
	if err != nil {
		return "", fmt.Errorf("download broke off after %d bytes: %w", n, err)
	}
	if n > prebuiltMax {
		return "", fmt.Errorf("archive is larger than %d bytes", prebuiltMax)
	}
	return hex.EncodeToString(hash.Sum(nil)), f.Close()
}

func unpack(archive, out string) (err error) {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	w, err := os.OpenFile(out, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, z)
	if err = errors.Join(err, w.Close()); err != nil {
		_ = os.Remove(out)
		return fmt.Errorf("unpack: %w", err)
	}
	return nil
}
