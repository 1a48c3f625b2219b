package isolate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/isolate/folder"
	"github.com/candlefish/deploy-action/internal/tail"
)

// The limits of a command that sets none.
const (
	defaultTime   = 10 * time.Minute
	defaultMemory = 4 << 30
	outputLimit   = 512 << 20 // bytes of standard output, or of the report
	errorLimit    = 64 << 10  // bytes of the end of standard error
	grace         = 2 * time.Second
)

// The words of Ran.Enforced.
const (
	environment = "environment" // allowed variables only, own HOME and TMPDIR
	network     = "network"     // none but a loopback device of its own
	tcp         = "network (TCP)"
	readOnly    = "read-only" // nothing can be written but Command.Writes, HOME and TMPDIR
	files       = "files"     // only the workspace, the system and Command.Reads can be read
	memory      = "memory"
	processes   = "processes" // it sees no process of others, and all of its own end with it
)

// A Sandbox runs programs over one workspace. Its methods are safe for concurrent use.
type Sandbox struct {
	// Scratch is where the folders of the runs are made; "" for that of temporary files.
	Scratch string

	workspace string
	environ   []string
	covers    []cover
	reads     []string // folders of git outside of the workspace
	layers    []layer  // to try, the strongest first

	mu      sync.Mutex
	refused map[layer]bool // by this machine
}

// Credentials are the files with credentials of the job that programs do not see as
// they are: they see a clean copy or an empty file or, where Ran.Enforced has no
// "files", can only be kept from them as a whole.
func (s *Sandbox) Credentials() []string {
	var paths []string
	for _, c := range s.covers {
		paths = append(paths, c.path)
	}
	return paths
}

// Open prepares a sandbox for the programs that read workspace, an absolute path.
// environ is the environment of the job, as of os.Environ: it names the files that
// hold credentials of the job, and the proxies. The credentials that the checkout
// left in git configurations below the workspace are covered by clean copies.
func Open(workspace string, environ []string) (*Sandbox, error) {
	if !filepath.IsAbs(workspace) {
		return nil, fmt.Errorf("open a sandbox: the workspace %q is not an absolute path", workspace)
	}
	real, err := filepath.EvalSymlinks(workspace)
	if err != nil {
		return nil, fmt.Errorf("open a sandbox: %w", err)
	}
	s := &Sandbox{workspace: filepath.Clean(workspace), environ: environ, layers: layers(), refused: map[layer]bool{}}
	if s.covers, err = credentials(real, environ); err != nil {
		return nil, fmt.Errorf("look for credentials of the job in %s: %w", workspace, err)
	}
	if s.reads, err = gitOutside(real); err != nil {
		return nil, fmt.Errorf("find the git folder of %s: %w", workspace, err)
	}
	return s, nil
}

// A run is one command with the folders made for it.
type run struct {
	Command
	sandbox    *Sandbox
	scratch    string
	home, tmp  string
	stderr     tail.Buffer
	out        *os.File
	printed    int64 // bytes of standard output, also beyond the limit
	env        []string
	program    string // where Program really is
	outErr     error
	limit      int64 // of output
	ran        Ran
	stopped    Ending // why we ended it; "" if we did not
	stoppedFor string
}

// Run runs a command until it ends, its time is over, or ctx ends. When it returns,
// no process of the command is left where Ran.Enforced has "processes", and its HOME
// and TMPDIR are gone.
func (s *Sandbox) Run(ctx context.Context, c Command) Ran {
	began := time.Now()
	r := &run{Command: c, sandbox: s, limit: outputLimit, stderr: tail.Buffer{Limit: errorLimit}}
	r.Time, r.Memory = cmp.Or(c.Time, defaultTime), cmp.Or(c.Memory, defaultMemory)
	r.Dir = cmp.Or(c.Dir, s.workspace)
	if err := ctx.Err(); err != nil {
		return Ran{Ending: Cancelled, Why: context.Cause(ctx).Error()}
	}
	if err := r.do(ctx); err != nil {
		r.ran = Ran{Ending: NotStarted, Why: err.Error(), Stderr: r.ran.Stderr, Enforced: r.ran.Enforced}
	}
	r.ran.Took = time.Since(began)
	return r.ran
}

// do runs it. An error means that the program did not start.
func (r *run) do(ctx context.Context) (err error) {
	if err := r.prepare(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Remove(r.scratch)) }()
	if err := r.start(ctx); err != nil {
		return err
	}
	r.ran.Stderr = slices.Clone(r.stderr.Bytes())
	r.collect()
	return nil
}

// prepare checks the command and makes its folders.
func (r *run) prepare() error {
	if !filepath.IsAbs(r.Program) {
		return fmt.Errorf("run %q: it is not an absolute path", r.Program)
	}
	var err error
	if r.program, err = filepath.EvalSymlinks(r.Program); err != nil {
		return fmt.Errorf("run %s: %w", r.Program, err)
	}
	info, err := os.Stat(r.program)
	if err != nil {
		return fmt.Errorf("run %s: %w", r.Program, err)
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("run %s: it is not executable: %v", r.Program, info.Mode())
	}
	if r.scratch, err = os.MkdirTemp(r.sandbox.Scratch, "candlefish-tool-"); err != nil {
		return fmt.Errorf("make a scratch folder: %w", err)
	}
	if r.scratch, err = filepath.EvalSymlinks(r.scratch); err != nil {
		return err
	}
	r.home, r.tmp = filepath.Join(r.scratch, "home"), filepath.Join(r.scratch, "tmp")
	// Git refuses repositories of another user, and the workspace often is one.
	gitconfig := "[safe]\n\tdirectory = *\n[core]\n\thooksPath = /dev/null\n\tfsmonitor = false\n"
	err = errors.Join(os.Mkdir(r.home, 0o700), os.Mkdir(r.tmp, 0o700), os.Mkdir(filepath.Join(r.scratch, "root"), 0o700),
		os.WriteFile(filepath.Join(r.home, ".gitconfig"), []byte(gitconfig), 0o600))
	if err == nil {
		r.out, err = os.Create(filepath.Join(r.scratch, "stdout"))
	}
	for i, c := range r.sandbox.covers {
		err = errors.Join(err, os.WriteFile(r.coverFile(i), c.content, 0o600))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("make a scratch folder: %w", err), os.RemoveAll(r.scratch))
	}
	r.env = r.environment()
	return nil
}

// coverFile is what the program sees in the place of a file with credentials.
func (r *run) coverFile(i int) string { return filepath.Join(r.scratch, fmt.Sprintf("cover-%d", i)) }

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// authorities are the variables that name files or folders with the certificates that
// the machine trusts: Go and OpenSSL read the first two, Node.js the last.
var authorities = []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"}

// environment is what the program gets: nothing of the job but, if it needs a network,
// the ways through it.
func (r *run) environment() []string {
	env := []string{"PATH=" + searchPath, "HOME=" + r.home, "TMPDIR=" + r.tmp, "LANG=C.UTF-8", "GIT_CONFIG_NOSYSTEM=1"}
	if r.Network {
		for _, name := range append([]string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}, authorities...) {
			if v := variable(r.sandbox.environ, name); v != "" {
				env = append(env, name+"="+v)
			}
		}
	}
	return lastOfEach(append(env, r.Env...))
}

// lastOfEach leaves out variables that are set again: of two with one name, programs
// disagree about which counts.
func lastOfEach(env []string) []string {
	var kept []string
	for i, v := range env {
		name, _, _ := strings.Cut(v, "=")
		again := func(later string) bool { return strings.HasPrefix(later, name+"=") }
		if !slices.ContainsFunc(env[i+1:], again) {
			kept = append(kept, v)
		}
	}
	return kept
}

// variable returns the last value of a variable in an environment.
func variable(environ []string, name string) string {
	for _, kv := range slices.Backward(environ) {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// Write takes standard output: its beginning is kept, up to the limit. The rest is
// read and dropped, since a full pipe would hold the program up.
func (r *run) Write(p []byte) (int, error) {
	keep := min(int64(len(p)), max(0, r.limit-r.printed))
	r.printed += int64(len(p))
	if _, err := r.out.Write(p[:keep]); err != nil {
		r.outErr = fmt.Errorf("keep the output: %w", err)
		return 0, r.outErr
	}
	return len(p), nil
}

// collect reads what the program printed or reported.
func (r *run) collect() {
	err := r.out.Close()
	r.ran.Truncated = r.printed > r.limit
	if r.Report == "" {
		var readErr error
		r.ran.Stdout, readErr = os.ReadFile(r.out.Name())
		err = errors.Join(err, readErr)
	} else {
		err = errors.Join(err, r.readReport())
	}
	if err != nil {
		r.ran.Why = strings.TrimPrefix(r.ran.Why+"; "+err.Error(), "; ")
	}
}

// readReport reads the report. The program chose what is there: a link out of its
// folders, which we may follow and it may not, is refused, and so is all that is no file.
func (r *run) readReport() error {
	folder, name := r.reportFolder()
	if folder == "" {
		return fmt.Errorf("read the report %s: it is in none of the folders that the program may write", r.Report)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("read the report: %w", err)
	}
	defer func() { _ = root.Close() }()
	info, err := root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // none was written
	}
	if err != nil {
		return fmt.Errorf("read the report: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("read the report %s: it is not a file: %v", r.Report, info.Mode())
	}
	f, err := root.OpenFile(name, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return fmt.Errorf("read the report: %w", err)
	}
	defer func() { _ = f.Close() }()
	r.ran.Truncated = info.Size() > r.limit
	r.ran.Stdout = make([]byte, min(info.Size(), r.limit))
	n, err := io.ReadFull(f, r.ran.Stdout)
	r.ran.Stdout = r.ran.Stdout[:n]
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read the report: %w", err)
	}
	return nil
}

// reportFolder is the folder among Writes that the report is below, and its name there.
func (r *run) reportFolder() (folder, name string) {
	for _, w := range r.Writes {
		if rel, err := filepath.Rel(w, r.Report); err == nil && filepath.IsLocal(rel) {
			return w, rel
		}
	}
	return "", ""
}
