package secrets

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

// A format is how a service writes its credentials.
type format struct {
	rule, title string
	// marks: one of them is in every credential of it, so that most files are passed
	// over quickly.
	marks   []string
	pattern *regexp.Regexp // its first group, or all of it, is the credential
}

// formats are those that services document, or give out, with a mark that nothing
// else has. Each is bounded, so that no longer word is taken for one.
var formats = []format{
	// https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats
	known("github-token", "token of GitHub", "ghp_ gho_ ghu_ ghs_ ghr_", `gh[pousr]_[A-Za-z0-9]{36,251}`),
	known("github-fine-grained-token", "fine-grained token of GitHub", "github_pat_", `github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}`),
	// https://docs.gitlab.com/security/tokens/#token-prefixes
	known("gitlab-token", "token of GitLab", "glpat- gldt- glrt- glptt- glsoat- glcbt- glft-", `gl(?:pat|dt|rt|ptt|soat|cbt|ft)-[A-Za-z0-9_-]{20,64}`),
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes
	known("aws-access-key", "access key of AWS", "AKIA ASIA", `(?:AKIA|ASIA)[A-Z2-7]{16}`),
	// https://api.slack.com/concepts/token-types
	known("slack-token", "token of Slack", "xoxb- xoxa- xoxp- xoxr- xoxs-", `xox[baprs]-(?:[0-9]{8,13}-){1,3}[A-Za-z0-9-]{16,64}`),
	known("slack-webhook", "webhook of Slack", "hooks.slack.com", `https://hooks\.slack\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{20,32}`),
	// https://docs.stripe.com/keys
	known("stripe-key", "live key of Stripe", "sk_live_ rk_live_", `[sr]k_live_[A-Za-z0-9]{20,247}`),
	// https://docs.npmjs.com/about-access-tokens
	known("npm-token", "token of npm", "npm_", `npm_[A-Za-z0-9]{36}`),
	// https://pypi.org/help/#apitoken
	known("pypi-token", "token of PyPI", "pypi-AgEI", `pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}`),
	// https://www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys
	known("sendgrid-key", "key of SendGrid", "SG.", `SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}`),
	// https://cloud.google.com/docs/authentication/api-keys
	known("google-api-key", "API key of Google", "AIza", `AIza[A-Za-z0-9_-]{35}`),
	known("google-oauth-secret", "OAuth secret of Google", "GOCSPX-", `GOCSPX-[A-Za-z0-9_-]{28}`),
	// https://platform.openai.com/docs/api-reference/authentication
	known("openai-key", "key of OpenAI", "T3BlbkFJ", `sk-(?:[a-z]+-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}`),
	known("anthropic-key", "key of Anthropic", "sk-ant-", `sk-ant-(?:api|admin)[0-9]{2}-[A-Za-z0-9_-]{80,120}`),
	// https://docs.digitalocean.com/reference/api/create-personal-access-token/
	known("digitalocean-token", "token of DigitalOcean", "dop_v1_ doo_v1_ dor_v1_", `do[opr]_v1_[a-f0-9]{64}`),
	// https://docs.docker.com/security/access-tokens/
	known("docker-token", "token of Docker Hub", "dckr_", `dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,32}`),
	// https://developer.hashicorp.com/vault/docs/concepts/tokens#token-prefixes
	known("vault-token", "token of Vault", "hvs. hvb.", `hv[sb]\.[A-Za-z0-9_-]{90,120}`),
	known("terraform-token", "token of HCP Terraform", ".atlasv1.", `[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,70}`),
	// https://www.mailgun.com and others write a key as key-<32 hex digits>
	known("mailgun-key", "key of Mailgun", "key-", `key-[a-f0-9]{32}`),
	// https://core.telegram.org/bots/api#authorizing-your-bot
	known("telegram-token", "token of a Telegram bot", ":AA", `[0-9]{8,10}:AA[A-Za-z0-9_-]{33}`),
	// https://docs.netlify.com/api-and-cli-guides/api-guides/get-started-with-api/
	known("netlify-token", "token of Netlify", "nfp_", `nfp_[A-Za-z0-9]{36,40}`),
	known("shopify-token", "token of Shopify", "shpat_ shpca_ shppa_ shpss_", `shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}`),
	known("databricks-token", "token of Databricks", "dapi", `dapi[a-f0-9]{32}(?:-[0-9])?`),
	known("grafana-token", "service account token of Grafana", "glsa_", `glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}`),
	known("huggingface-token", "token of Hugging Face", "hf_", `hf_[A-Za-z]{34}`),
	known("age-key", "identity of age", "AGE-SECRET-KEY-1", `AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}`),
	// RFC 7468 and OpenSSH's own format, with a body, so that text about keys is none.
	{
		"private-key", "Secret: private key", []string{"PRIVATE KEY"},
		regexp.MustCompile(`-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\s|\\n|\\r|[A-Za-z0-9+/=:,.-]|[A-Za-z-]+: )*?[A-Za-z0-9+/=]{60}[A-Za-z0-9+/=\s\\:,.-]*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----`),
	},
	// A URL with a password, of a database or a broker.
	{
		"connection-password", "Secret: password in a connection string", strings.Fields("postgres:// postgresql:// mysql:// mariadb:// mongodb:// mongodb+srv:// redis:// rediss:// amqp:// amqps:// mssql:// sqlserver://"),
		regexp.MustCompile(`\b(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|redis|rediss|amqps?|mssql|sqlserver)://[^\s:@/'"<>{}$]*:([^\s:@/'"<>{}$%*]{6,})@[^\s'"]+`),
	},
}

// known makes a format. Marks are separated by spaces.
func known(rule, title, marks, pattern string) format {
	// Letters, digits and hyphens at the ends would make it part of another word.
	return format{rule, "Secret: " + title, strings.Fields(marks), regexp.MustCompile(`(?:^|[^A-Za-z0-9_-])(` + pattern + `)(?:[^A-Za-z0-9_-]|$)`)}
}

// A span is where a credential is in a file.
type span struct {
	format
	from, to int
}

// recognize finds the credentials of known formats in a file.
func recognize(data []byte) []span {
	var all []span
	for _, f := range formats {
		if !slices.ContainsFunc(f.marks, func(mark string) bool { return bytes.Contains(data, []byte(mark)) }) {
			continue
		}
		for at := 0; at < len(data); {
			m := f.pattern.FindSubmatchIndex(data[at:])
			if m == nil {
				break
			}
			from, to := at+m[0], at+m[1]
			if len(m) > 3 && m[2] >= 0 {
				from, to = at+m[2], at+m[3]
			}
			if !placeholder(string(data[from:to])) && !local(data[at+m[0]:at+m[1]]) {
				all = append(all, span{f, from, to})
			}
			at = to // the character after it may begin the next one
		}
	}
	return all
}

// local reports whether a connection string is of a service on the same machine, as
// those of tests and instructions are.
func local(connection []byte) bool {
	return slices.ContainsFunc([]string{"@localhost", "@127.0.0.1", "@0.0.0.0", "@[::1]", "@example.", "@host"}, func(host string) bool {
		return bytes.Contains(connection, []byte(host))
	})
}
