package strict

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// Lambda's limits, in bytes and characters.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const (
	maxFunctionName = 64
	maxEnvironment  = 4096
	maxUnzipped     = 262144000
	maxDirectZip    = 50 << 20 // of a zip in a request; one in S3 has no limit of its own
	maxCreate       = 69905067 // of a request to create a function: 50 MiB in base64
)

var functionName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// reservedVariables are set by Lambda alone.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
var reservedVariables = regexp.MustCompile(`^(_HANDLER|_X_AMZN_TRACE_ID|AWS_DEFAULT_REGION|AWS_REGION|AWS_EXECUTION_ENV|AWS_LAMBDA_.*|AWS_ACCESS_KEY|AWS_ACCESS_KEY_ID|AWS_SECRET_ACCESS_KEY|AWS_SESSION_TOKEN|LAMBDA_TASK_ROOT|LAMBDA_RUNTIME_DIR)$`)

func (f *Front) lambda(w http.ResponseWriter, r *http.Request) {
	creates := r.Method == http.MethodPost && strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/functions")
	updates := r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/code")
	if !creates && !updates {
		f.proxy.ServeHTTP(w, r)
		return
	}
	all, err := body(r)
	if err != nil {
		return // the client is gone
	}
	if no := lambdaRequest(all, creates); no != nil {
		w.Header().Set("X-Amzn-Errortype", no.code)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(no.status)
		_ = json.NewEncoder(w).Encode(map[string]string{"Type": "User", "Message": no.message, "message": no.message})
		return
	}
	f.proxy.ServeHTTP(w, r)
}

func lambdaRequest(all []byte, creates bool) *refusal {
	var in struct {
		FunctionName string
		ZipFile      []byte
		Code         struct{ ZipFile []byte }
		Environment  struct{ Variables map[string]string }
	}
	if len(all) > maxCreate {
		return refuse(http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "Request must be smaller than %d bytes for the CreateFunction operation", maxCreate)
	}
	if err := json.Unmarshal(all, &in); err != nil {
		return refuse(http.StatusBadRequest, "SerializationException", "%v", err)
	}
	if creates {
		if message := functionNameRule(in.FunctionName); message != "" {
			return refuse(http.StatusBadRequest, "ValidationException", "%s", message)
		}
		if message := environmentRule(in.Environment.Variables); message != "" {
			return refuse(http.StatusBadRequest, "InvalidParameterValueException", "%s", message)
		}
		in.ZipFile = in.Code.ZipFile
	}
	switch {
	case len(in.ZipFile) > maxDirectZip:
		return refuse(http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "Request must be smaller than %d bytes for the CreateFunction operation", maxCreate)
	case len(in.ZipFile) > 0:
		if message := zipRule(in.ZipFile); message != "" {
			return refuse(http.StatusBadRequest, "InvalidParameterValueException", "%s", message)
		}
	}
	return nil
}

func functionNameRule(name string) string {
	switch {
	case len(name) > maxFunctionName:
		return fmt.Sprintf("1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to %d", name, maxFunctionName)
	case !functionName.MatchString(name):
		return fmt.Sprintf("1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9-_]+", name)
	}
	return ""
}

func environmentRule(variables map[string]string) string {
	size := 0
	for name, value := range variables {
		if reservedVariables.MatchString(name) {
			return fmt.Sprintf("Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s", name)
		}
		size += len(name) + len(value)
	}
	if size > maxEnvironment {
		return "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit."
	}
	return ""
}

// zipRule refuses code that does not unzip, or to too much.
func zipRule(code []byte) string {
	r, err := zip.NewReader(bytes.NewReader(code), int64(len(code)))
	if err != nil {
		return "Could not unzip uploaded file. Please check your file, then try to upload again."
	}
	var size uint64
	for _, f := range r.File {
		size += f.UncompressedSize64
	}
	if size > maxUnzipped {
		return fmt.Sprintf("Unzipped size must be smaller than %d bytes", maxUnzipped)
	}
	return ""
}
