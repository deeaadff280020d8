package agent

import "testing"

func TestProxyVariable(t *testing.T) {
	const proxy = "http://proxy.example:3128"
	for name, test := range map[string]struct {
		environment map[string]string
		url, want   string
	}{
		"none":            {nil, "http://mirror.tools.svc/x", ""},
		"http":            {map[string]string{"HTTP_PROXY": proxy}, "http://mirror.tools.svc/x", "HTTP_PROXY"},
		"another scheme":  {map[string]string{"HTTPS_PROXY": proxy}, "http://mirror.tools.svc/x", ""},
		"https, small":    {map[string]string{"https_proxy": proxy}, "https://mirror.tools.svc/x", "https_proxy"},
		"an exception":    {map[string]string{"HTTP_PROXY": proxy, "NO_PROXY": "10.0.0.0/8,.svc"}, "http://mirror.tools.svc/x", ""},
		"other exception": {map[string]string{"HTTP_PROXY": proxy, "NO_PROXY": "chat.svc"}, "http://mirror.tools.svc/x", "HTTP_PROXY"},
	} {
		if got := ProxyVariable(test.environment, test.url); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
