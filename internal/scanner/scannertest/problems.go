package scannertest

import "github.com/candlefish/deploy-action/internal/finding"

// problems are the files of all planted problems that are no secrets.
var problems = map[string]string{
	"package.json": `{
  "name": "shop",
  "version": "1.0.0",
  "private": true,
  "dependencies": {
    "lodash": "4.17.15"
  }
}
`,
	"package-lock.json": `{
  "name": "shop",
  "version": "1.0.0",
  "lockfileVersion": 3,
  "requires": true,
  "packages": {
    "": {
      "name": "shop",
      "version": "1.0.0",
      "dependencies": {
        "lodash": "4.17.15"
      }
    },
    "node_modules/lodash": {
      "version": "4.17.15",
      "resolved": "https://registry.npmjs.org/lodash/-/lodash-4.17.15.tgz",
      "integrity": "sha512-8xOcRHvCjnocdS5cpwXQXVzmmh5e5+saE2QGoeQmbKmRS6J3VQppPOIt0MnmE+4xlZoumy0GPG0D0MVIQbNA1A=="
    }
  }
}
`,
	"go.mod": "module example.com/shop\n\ngo 1.24\n\nrequire golang.org/x/text v0.3.5\n",
	"go.sum": "golang.org/x/text v0.3.5 h1:i6eZZ+zk0SOf0xgBpEpPD18qWcJda6q1sxt3S0kzyUQ=\n" +
		"golang.org/x/text v0.3.5/go.mod h1:5Zoc/QRtKVWzQhOtBMvqHzDpF6irO9z98xDceosuGiQ=\n" +
		"golang.org/x/tools v0.0.0-20180917221912-90fa682c2a6e/go.mod h1:n7NCudcB/nEzxVGmLbDWY5pfWTLqBcC2KZ6jyYvM4mQ=\n",
	"main.go": `// Command shop reads the language of its first argument.
package main

import (
	"fmt"
	"os"

	"golang.org/x/text/language"
)

func main() {
	fmt.Println(language.Parse(os.Args[1]))
}
`,
	"Dockerfile": `FROM node:latest
ADD https://example.com/tool.tar.gz /opt/
RUN cd /opt && sudo tar xzf tool.tar.gz
RUN apt-get update && apt-get install curl
USER root
CMD node /app/server.js
`,
	"src/page.js": `export function show() {
  const name = new URLSearchParams(window.location.search).get("name");
  document.getElementById("greeting").innerHTML = "Hello " + name;
  eval(name);
}
`,
	".github/workflows/title.yml": `name: title
on: pull_request_target
jobs:
  title:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          ref: ${{ github.event.pull_request.head.sha }}
      - run: |
          echo "checking ${{ github.event.pull_request.title }}"
          npm test
`,
}

// expected says what of a planted repository must be found. The twelfth problem is
// an expired certificate, which no repository has.
func expected(c Credentials) []Expected {
	secret := func(name, path, secret, level string, tree, inRange bool) Expected {
		return Expected{Name: name, Class: finding.ClassSecret, Path: path, Secret: secret, Level: level, Tree: tree, Range: inRange}
	}
	return []Expected{
		secret("a secret in the files", InTree, c.GitHub, "quick", true, true),
		secret("a secret in commit 150 of a branch of 200", InBranch, c.NPM, "quick", false, true),
		secret("a secret that only a merge has", InMerge, c.SendGrid, "quick", false, true),
		secret("a secret in the history of the base", InOld, c.Slack, "deep", false, false),
		secret("a tracked file of settings", InEnv, c.Stripe, "quick", true, true),
		secret("a secret in a tool's report", InReport, c.GitLab, "quick", true, true),
		{Name: "an npm package with advisories", Class: finding.ClassDependency, Path: "package-lock.json", Level: "quick", Tree: true, Range: true, IDs: []string{"CVE-2021-23337", "GHSA-35jh-r3h4-6jhm"}},
		{Name: "a Go module with advisories", Class: finding.ClassDependency, Path: "go.mod", Level: "standard", Tree: true, Range: true, IDs: []string{"GO-2021-0113", "CVE-2021-38561", "GHSA-ppp9-7jff-5vj2"}},
		{Name: "a Dockerfile", Class: finding.ClassConfig, Path: "Dockerfile", Level: "standard", Tree: true, Range: true},
		{Name: "cross-site scripting", Class: finding.ClassCode, Path: "src/page.js", Level: "standard", Tree: true, Range: true},
		{Name: "a workflow that runs what strangers send", Class: finding.ClassWorkflow, Path: ".github/workflows/title.yml", Level: "quick", Tree: true, Range: true, IDs: []string{"expression", "dangerous-triggers", "template-injection"}},
	}
}
