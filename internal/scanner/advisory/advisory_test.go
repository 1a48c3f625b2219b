package advisory

import (
	"slices"
	"testing"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	got := IDs("https://github.com/advisories/GHSA-35jh-r3h4-6jhm", "CVE-2021-23337 and GO-2022-1059", "DSA-5532-1 RHSA-2021:1 CVE-21-1", "GHSA-35jh-r3h4-6jhm")
	if want := []string{"GHSA-35jh-r3h4-6jhm", "CVE-2021-23337", "GO-2022-1059"}; !slices.Equal(got, want) {
		t.Errorf("IDs = %q, want %q", got, want)
	}
}

// The scores are those of the advisories and of the examples of FIRST.
func TestScore(t *testing.T) {
	t.Parallel()
	for vector, want := range map[string]float64{
		"CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H":                    7.2, // CVE-2021-23337
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H":                    9.8, // CVE-2021-44906
		"CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N":                    6.1, // CVE-2013-1937
		"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N": 9.3,
		"AV:N/AC:L/Au:N/C:P/I:P/A:P":                                      0, // version 2
		"CVSS:3.1/AV:N":                                                   0,
		"":                                                                0,
	} {
		if got := Score(vector); got != want {
			t.Errorf("Score(%q) = %v, want %v", vector, got, want)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{{"Go", "v0.3.5", "0.3.5"}, {"go", "go1.26.8", "1.26.8"}, {"npm", "v1", "v1"}} {
		if got := Version(c[0], c[1]); got != c[2] {
			t.Errorf("Version(%q, %q) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}
