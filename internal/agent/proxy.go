package agent

import (
	"net/url"

	"golang.org/x/net/http/httpproxy"
)

// ProxyVariable returns the variable of an environment that names the proxy through
// which an agent asks for a URL, or "" if it asks directly. Both of its clients, for
// indexes and for files, take the proxies of their environment (net/http,
// ProxyFromEnvironment).
func ProxyVariable(environment map[string]string, raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	of := func(name, lower string) (string, string) {
		if v := environment[name]; v != "" {
			return name, v
		}
		return lower, environment[lower]
	}
	_, except := of("NO_PROXY", "no_proxy")
	http, plain := of("HTTP_PROXY", "http_proxy")
	https, secure := of("HTTPS_PROXY", "https_proxy")
	proxies := httpproxy.Config{HTTPProxy: plain, HTTPSProxy: secure, NoProxy: except}
	if proxy, err := proxies.ProxyFunc()(u); err != nil || proxy == nil {
		return ""
	}
	if u.Scheme == "https" {
		return https
	}
	return http
}
