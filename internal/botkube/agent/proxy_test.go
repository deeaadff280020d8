package agent

import (
	"fmt"
	"testing"
)

func TestProxyVariable(t *testing.T) {
	t.Parallel()
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

func TestProxyEgress(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environment map[string]string
		want        string
	}{
		"none":                               {nil, "[]"},
		"one, with secrets":                  {map[string]string{"HTTPS_PROXY": "http://user:s3cret@proxy.example:3128/s3cret"}, "[http://proxy.example:3128 by HTTPS_PROXY]"},
		"both the same":                      {map[string]string{"https_proxy": "http://proxy.tools.svc", "HTTP_PROXY": "http://proxy.tools.svc"}, "[http://proxy.tools.svc by https_proxy and HTTP_PROXY in cluster]"},
		"two":                                {map[string]string{"HTTPS_PROXY": "http://a.example:1", "HTTP_PROXY": "socks5://b.example:2"}, "[http://a.example:1 by HTTPS_PROXY socks5://b.example:2 by HTTP_PROXY]"},
		"without a scheme":                   {map[string]string{"HTTPS_PROXY": "user:s3cret@proxy.example:3128"}, "[http://proxy.example:3128 by HTTPS_PROXY]"},
		"a password with a slash and digits": {map[string]string{"HTTPS_PROXY": "http://user:12/s3cret@proxy.example:3128"}, "[an address that is not a URL by HTTPS_PROXY]"},
		"a password with a slash":            {map[string]string{"HTTPS_PROXY": "http://user:s3c/s3cret@proxy.example:3128"}, "[an address that is not a URL by HTTPS_PROXY]"},
		"none for anybody":                   {map[string]string{"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "*"}, "[]"},
	} {
		shown := []string{}
		for _, e := range ProxyEgress(test.environment) {
			s := e.Destination + " by " + e.Setting
			if e.InCluster {
				s += " in cluster"
			}
			shown = append(shown, s)
		}
		if got := fmt.Sprint(shown); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestEgressProxyVariable(t *testing.T) {
	t.Parallel()
	environment := map[string]string{"HTTPS_PROXY": "http://proxy.example", "HTTP_PROXY": "http://proxy.example", "NO_PROXY": ".svc,slack.com"}
	for destination, want := range map[string]string{
		"https://api.github.com":                           "HTTPS_PROXY",
		"http://prometheus.example:9090":                   "HTTP_PROXY",
		"http://prometheus.monitoring.svc:9090":            "",
		"https://discord.com and wss://gateway.discord.gg": "HTTPS_PROXY",
		"https://api.github.com and https://slack.com":     "",
		slackDestination:                                   "",
		"ws://chat.example":                                "HTTP_PROXY",
		"teams.botkube.io:50054":                           "HTTPS_PROXY",
		DestinationInCommand:                               "",
		DestinationOwnService:                              "",
		noURL:                                              "",
		noAddress:                                          "",
	} {
		if got := (Egress{Destination: destination}).ProxyVariable(environment); got != want {
			t.Errorf("%s: %q, want %q", destination, got, want)
		}
	}
	if got := (Egress{Destination: "ghcr.io", ByNode: true}).ProxyVariable(environment); got != "" {
		t.Errorf("a node has the proxy %q of the agent", got)
	}
	for settings, want := range map[string]string{"": "HTTPS_PROXY", "skipTLSVerify: true, ": "", "skipTLSVerify: true, awsSigning: {enabled: true}, ": "HTTPS_PROXY"} {
		calls := config(t, nil, "analytics: {disable: true}\ncommunications: {c: {elasticsearch: {"+settings+"enabled: true, server: https://search.example}}}").Egress("")
		if got := calls[0].ProxyVariable(environment); got != want {
			t.Errorf("%sto Elasticsearch: %q, want %q", settings, got, want)
		}
	}
}
