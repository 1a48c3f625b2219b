package view

import "testing"

func TestCommandNamesWhatThePersonTyped(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mage, name, want string
	}{
		{"", "abort", "deploy --command abort --namespace shop --deployment-name web"},
		{"", Attach, "deploy --attach --namespace shop --deployment-name web"},
		{"1", "abort", "go tool mage deploy:abort -namespace=shop -deploymentName=web"},
		{"1", Attach, "go tool mage deploy:attach -namespace=shop -deploymentName=web"},
	} {
		getenv := func(name string) string { return map[string]string{"CANDLEFISH_MAGE": test.mage}[name] }
		if got := Command(getenv, test.name, "shop", "web"); got != test.want {
			t.Errorf("CANDLEFISH_MAGE=%s: Command(%s) = %q, want %q", test.mage, test.name, got, test.want)
		}
	}
}
