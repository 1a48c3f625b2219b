package action

import (
	"strings"
	"testing"
)

func TestTyped(t *testing.T) {
	t.Parallel()
	const pkg = "github.com/candlefish/deploy-action/actions/deploy"
	cached := "/home/me/.cache/go-build/62/" + strings.Repeat("0a", 32) + "-d/deploy"
	for _, test := range []struct{ arg0, mainPackage, want string }{
		{"deploy", pkg, "deploy"},
		{"./bin/deploy", pkg, "./bin/deploy"},
		{"/opt/my tools/deploy", pkg, "'/opt/my tools/deploy'"},
		{"/opt/joe's/deploy", pkg, `'/opt/joe'\''s/deploy'`},
		{"/tmp/go-build1243847781/b001/exe/deploy", pkg, "go run " + pkg},
		{cached, pkg, "go run " + pkg},
		{cached, "", ""},
		{"/home/me/go-build/deploy", pkg, "/home/me/go-build/deploy"},
		{"", pkg, ""},
	} {
		if got := typed(test.arg0, test.mainPackage); got != test.want {
			t.Errorf("typed(%q, %q) = %q, want %q", test.arg0, test.mainPackage, got, test.want)
		}
	}
}
