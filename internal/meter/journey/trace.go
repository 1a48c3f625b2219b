package journey

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/candlefish/deploy-action/internal/redact"
)

// Limits of a trace that is opened.
const (
	maxTraceFiles = 10000
	maxTraceText  = 64 << 20
	maxTraceAll   = 512 << 20
)

// strip rewrites a trace so that no secret is in it. Requests, answers and documents are
// left out, whatever is in them; secrets in the list of actions become stars.
func strip(file string, hide *redact.Redactor) error {
	in, err := zip.OpenReader(file)
	if err != nil {
		return fmt.Errorf("open the trace: %w", err)
	}
	defer func() { _ = in.Close() }()
	if len(in.File) > maxTraceFiles {
		return fmt.Errorf("the trace has %d files", len(in.File))
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	left := int64(maxTraceAll)
	for _, f := range in.File {
		content, err := kept(f, &left, hide)
		if err != nil {
			return err
		}
		if content == nil {
			continue
		}
		to, err := w.Create(f.Name)
		if err == nil {
			_, err = to.Write(content)
		}
		if err != nil {
			return fmt.Errorf("write the trace: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("write the trace: %w", err)
	}
	return os.WriteFile(file, out.Bytes(), 0o600)
}

// kept returns what stays of a file of a trace, nil for nothing.
func kept(f *zip.File, left *int64, hide *redact.Redactor) ([]byte, error) {
	switch ext := path.Ext(f.Name); {
	case !filepath.IsLocal(filepath.FromSlash(f.Name)):
		return nil, fmt.Errorf("the trace has a file %q", cut(f.Name))
	case ext == ".network":
		return []byte{}, nil // the viewer wants the file
	case ext != ".trace" && ext != ".jpeg":
		return nil, nil
	}
	in, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("read the trace: %w", err)
	}
	defer func() { _ = in.Close() }()
	raw, err := io.ReadAll(io.LimitReader(in, min(maxTraceText, *left)+1))
	if err != nil {
		return nil, fmt.Errorf("read the trace: %w", err)
	}
	if *left -= int64(len(raw)); *left < 0 || len(raw) > maxTraceText {
		return nil, errors.New("the trace is too large")
	}
	if path.Ext(f.Name) == ".jpeg" {
		return raw, nil
	}
	var text strings.Builder
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(hide.String(line))
		if line != "" && !json.Valid([]byte(line)) {
			return nil, errors.New("a line of it without secrets is not JSON any more")
		}
		text.WriteString(line + "\n")
	}
	return []byte(text.String()), nil
}
