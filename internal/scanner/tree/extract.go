package tree

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"

	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/tail"
)

// asStored undoes attributes of the repository by which an archive would lack files
// or have other content than the commit.
const asStored = "* -export-ignore -export-subst -text -ident -filter -working-tree-encoding\n"

// Extract writes the files of a commit into a new folder and returns its tree. Of a
// copy that Range made, it reads the real history. Symbolic links and submodules are
// left out, as Tree does.
func Extract(ctx context.Context, program string, r scanner.Range, commit, folder string) (scanner.Tree, error) {
	if !hexName.MatchString(commit) {
		return scanner.Tree{}, fmt.Errorf("%q is no name of a commit", commit)
	}
	if r.Copy == "" {
		return scanner.Tree{}, fmt.Errorf("read the files of %s: no commits of the history are there", short(commit))
	}
	if err := write(filepath.Join(r.Copy, "info", "attributes"), asStored); err != nil {
		return scanner.Tree{}, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return scanner.Tree{}, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return scanner.Tree{}, err
	}
	defer func() { _ = root.Close() }()
	cmd := exec.CommandContext(ctx, program, append(slices.Clone(safe), "--git-dir="+r.Copy, "archive", "--format=tar", commit)...)
	cmd.Dir, cmd.Env = r.Copy, Env(os.Getenv("PATH"))
	var said tail.Buffer
	cmd.Stderr = &said
	archive, err := cmd.StdoutPipe()
	if err != nil {
		return scanner.Tree{}, err
	}
	if err := cmd.Start(); err != nil {
		return scanner.Tree{}, fmt.Errorf("git archive: %w", err)
	}
	t, err := unpack(root, archive)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return scanner.Tree{}, fmt.Errorf("read the files of %s: %w\n%s", short(commit), err, said.Bytes())
	}
	return sorted(t), nil
}

// unpack writes the regular files of an archive. os.Root keeps them in the folder.
func unpack(root *os.Root, archive io.Reader) (t scanner.Tree, err error) {
	for files := tar.NewReader(archive); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			// git pads the end of its archive.
			_, err := io.Copy(io.Discard, archive)
			return t, err
		}
		if err != nil {
			return t, err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := writeIn(root, h.Name, files); err != nil {
			return t, err
		}
		t.Files = append(t.Files, h.Name)
	}
}

func writeIn(root *os.Root, name string, content io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
