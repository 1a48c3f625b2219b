package previewlocal

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/inventory"
	"github.com/candlefish/deploy-action/internal/exit"
)

// functions is a proxy before moto_server. Without a container engine moto stores a
// function and its API but runs neither, so the proxy answers requests to the API by
// running the same code in node.
type functions struct {
	url    string
	stop   func()
	server *http.Server
	code   string   // the module that has the handler
	env    []string // of the function, beside this process's
	moto   http.Handler
}

func newFunctions(ctx context.Context, endpoint string, stop func(), folder, module string) (*functions, error) {
	to, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	path, err := find(folder, module)
	if err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &functions{url: "http://" + l.Addr().String(), stop: stop, code: path}
	f.moto = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // the signature covers it
	}}
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: closeLimit}
	go func() { _ = f.server.Serve(l) }() // until close
	return f, nil
}

// find returns the path of a module, as Lambda finds a handler's in its code.
func find(folder, module string) (string, error) {
	for _, ext := range []string{".mjs", ".js", ".cjs"} {
		path, err := filepath.Abs(filepath.Join(folder, module+ext))
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("api-code: %s has no %s.mjs, .js or .cjs; without accounts only a folder with JavaScript runs", folder, module)}
}

// runner calls a handler as Lambda does and prints its result.
const runner = `const m = await import(process.argv[1]); process.stdout.write(JSON.stringify(await m.handler(JSON.parse(process.argv[2]))))`

// ServeHTTP runs the function for paths below /_api/STACK/preview, and forwards other
// requests to moto.
func (f *functions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, isAPI := strings.CutPrefix(r.URL.Path, "/_api/")
	if !isAPI {
		f.moto.ServeHTTP(w, r)
		return
	}
	_, path, _ := strings.Cut(rest, "/preview")
	answer, err := f.call(r.Context(), path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	for name, value := range answer.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write([]byte(answer.Body))
}

type lambdaAnswer struct {
	StatusCode int
	Headers    map[string]string
	Body       string
}

func (f *functions) call(ctx context.Context, path string) (lambdaAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, closeLimit)
	defer cancel()
	event, err := json.Marshal(map[string]string{"path": path, "httpMethod": http.MethodGet})
	if err != nil {
		return lambdaAnswer{}, err
	}
	cmd := exec.CommandContext(ctx, "node", "--input-type=module", "-e", runner, f.code, string(event))
	cmd.Env = append(os.Environ(), f.env...)
	out, err := cmd.Output()
	if err != nil {
		return lambdaAnswer{}, fmt.Errorf("run the function in node: %w", err)
	}
	var a lambdaAnswer
	if err := json.Unmarshal(out, &a); err != nil || a.StatusCode == 0 {
		return a, fmt.Errorf("the function returned %q", out)
	}
	return a, nil
}

// inventory lists all resources of the account.
func (f *functions) inventory(ctx context.Context) ([]string, error) {
	account, err := aws.Connect(ctx, aws.ConnectOptions{Region: "us-east-1", Endpoint: f.url})
	if err != nil {
		return nil, err
	}
	found, err := inventory.Take(ctx, account, func(map[string]string, string) bool { return true })
	var list []string
	for _, r := range found {
		list = append(list, r.String())
	}
	return list, err
}

func (f *functions) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit/10)
	defer cancel()
	_ = f.server.Shutdown(ctx)
	f.stop()
}
