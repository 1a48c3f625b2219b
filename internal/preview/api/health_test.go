package api

import "testing"

func TestHealth(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path, statuses string
		status         int
		accepted       bool
		url            string
	}{
		{"", "", 200, true, "https://api/stage/health"},
		{"", "", 204, false, "https://api/stage/health"},
		{"/", "200", 200, true, "https://api/stage/"},
		{"/up?deep=1", "200-299,401", 204, true, "https://api/stage/up?deep=1"},
		{"ready", "200-299 , 401", 401, true, "https://api/stage/ready"},
		{"ready", "200-299,401", 403, false, "https://api/stage/ready"},
	} {
		h := Health{Path: tt.path}
		if tt.statuses != "" {
			var err error
			if h.Statuses, err = ParseStatuses(tt.statuses); err != nil {
				t.Errorf("%s: %v", tt.statuses, err)
			}
		}
		for _, base := range []string{"https://api/stage", "https://api/stage/"} {
			if got := h.URL(base); got != tt.url || h.Accepts(tt.status) != tt.accepted {
				t.Errorf("%+v: %s, %d accepted: %t; want %s, %t", h, got, tt.status, h.Accepts(tt.status), tt.url, tt.accepted)
			}
		}
	}
	for _, bad := range []string{"", "ok", "200;201", "299-200", "200-", "20", "600"} {
		if _, err := ParseStatuses(bad); err == nil {
			t.Errorf("ParseStatuses(%q): no error", bad)
		}
	}
}
