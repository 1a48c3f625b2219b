package finding

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// equivalent are rules of different tools that report the same thing at the same
// line. The left ones are Hadolint's (README.md of github.com/hadolint/hadolint,
// table "Rules"), the right ones Trivy's (checks/docker in
// github.com/aquasecurity/trivy-checks): those whose titles and conditions agree.
// DL3006 and DL3007 split what DS-0001 has as one.
var equivalent = map[string]string{
	"DL3000": "DS-0009", // a relative WORKDIR
	"DL3002": "DS-0002", // the last user is root
	"DL3003": "DS-0013", // cd instead of WORKDIR
	"DL3004": "DS-0010", // sudo
	"DL3005": "DS-0024", // apt-get dist-upgrade
	"DL3006": "DS-0001", // an image without a tag
	"DL3007": "DS-0001", // the tag latest
	"DL3011": "DS-0008", // a port out of range
	"DL3012": "DS-0023", // several HEALTHCHECK
	"DL3014": "DS-0021", // apt-get without -y
	"DL3015": "DS-0029", // apt-get without --no-install-recommends
	"DL3019": "DS-0025", // apk add without --no-cache
	"DL3020": "DS-0005", // ADD instead of COPY
	"DL3021": "DS-0011", // COPY of several to no folder
	"DL3023": "DS-0006", // COPY from the stage itself
	"DL3024": "DS-0012", // two stages of one name
	"DL3032": "DS-0015", // yum clean all is missing
	"DL3036": "DS-0020", // zypper clean is missing
	"DL3040": "DS-0019", // dnf clean all is missing
	"DL3057": "DS-0026", // no HEALTHCHECK
	"DL4000": "DS-0022", // MAINTAINER
	"DL4001": "DS-0014", // both wget and curl
	"DL4003": "DS-0016", // several CMD
	"DL4004": "DS-0007", // several ENTRYPOINT
}

// check matches the identifiers of Trivy's checks, of which there were three forms
// so far: DS002, AVD-DS-0002 and DS-0002.
var check = regexp.MustCompile(`^(?:AVD-)?([A-Z]{2,8})-?(\d{3,5})$`)

// family returns the name of a rule that all tools share which report the same, and
// whether it is known that several do.
func family(tool, rule string) (string, bool) {
	id := strings.ToUpper(strings.TrimSpace(rule))
	if same, ok := equivalent[id]; ok {
		return same, true
	}
	if m := check.FindStringSubmatch(id); m != nil && (strings.HasPrefix(tool, "trivy") || m[1] == "DS") {
		n, _ := strconv.Atoi(m[2]) // digits
		return fmt.Sprintf("%s-%04d", m[1], n), true
	}
	return tool + "/" + strings.TrimSpace(rule), false
}

// weakness matches a CWE as tools write it: "CWE-79", "CWE-79: Improper
// Neutralization ...", "external/cwe/cwe-079"; bare, "79".
var (
	weakness = regexp.MustCompile(`(?i)\bcwe[-: ]?0*([1-9]\d{0,4})\b`)
	bare     = regexp.MustCompile(`^\s*0*([1-9]\d{0,4})\s*$`)
)

// vague are weaknesses that say too little to tell that two results are the same:
// the pillars of the list (https://cwe.mitre.org/data/definitions/1000.html), which
// MITRE discourages for this use, and the categories that old data has.
var vague = strings.Fields("284 435 664 682 691 693 697 703 707 710 " +
	"2 16 17 18 19 21 189 199 254 255 264 265 275 310 320 355 361 371 388 389 399 417 429 438 442 452 465")

// weaknesses returns the CWEs that say something.
func weaknesses(cwe []string) []string {
	var found []string
	for _, text := range cwe {
		m := weakness.FindStringSubmatch(text)
		if m == nil {
			m = bare.FindStringSubmatch(text)
		}
		if m != nil && !slices.Contains(vague, m[1]) {
			found = append(found, "CWE-"+m[1])
		}
	}
	return found
}
