package sandboxtest

import "testing"

func TestNamespaceName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, want string }{
		{"TestX", "t-testx-abcdef"},
		{"TestCanary/slow gateway_#01", "t-testcanary-slow-gateway-01-abcdef"},
		{"TestA/" + "very_long_name_of_a_subtest_that_goes_on", "t-testa-very-long-name-of-a-subt-abcdef"},
		{"Test/Ü", "t-test-abcdef"},
	} {
		if got := namespaceName(test.name, "ABCDEFGHIJ"); got != test.want {
			t.Errorf("namespaceName(%q) = %q, want %q", test.name, got, test.want)
		}
	}
}
