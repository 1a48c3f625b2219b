package inputs

import (
	"fmt"
	"io"
	"os"
)

// MaxFile is the size up to which files of the user and of the repository are read,
// in bytes.
const MaxFile = 256 << 20

// ReadFile reads a file that may come from the repository that is scanned: what is no
// regular file, such as a link to a device, would never end, and is refused.
func ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: it is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(raw) > MaxFile {
		return nil, fmt.Errorf("read %s: it has more than %d MiB", path, MaxFile>>20)
	}
	return raw, nil
}
