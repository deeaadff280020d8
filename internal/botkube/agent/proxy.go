package agent

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// ProxyVariable returns the variable that names the proxy for a URL, or "". The agent's clients,
// for indexes and for files, take the proxies of their environment (net/http,
// ProxyFromEnvironment).
func ProxyVariable(environment map[string]string, raw string) string {
	variable, _ := proxyOf(environment, raw)
	return variable
}

// Proxy returns the scheme and host of the proxy for a URL, or "".
func Proxy(environment map[string]string, raw string) string {
	variable, proxy := proxyOf(environment, raw)
	if variable == "" {
		return ""
	}
	if strings.Contains(proxy.Path, "@") {
		return noURL // a password has a slash in it, so that the host is none
	}
	return proxy.Scheme + "://" + proxy.Host
}

func proxyOf(environment map[string]string, raw string) (string, *url.URL) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", nil
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
	proxy, err := proxies.ProxyFunc()(u)
	if err != nil || proxy == nil {
		return "", nil
	}
	if u.Scheme == "https" {
		return https, proxy
	}
	return http, proxy
}

// ProxyEgress returns the proxies of an agent's environment. Plugins and what they run have it
// too (hashicorp/go-plugin, client.go, Start; pkg/plugin/command.go, ExecuteCommand).
func ProxyEgress(environment map[string]string) []Egress {
	var calls []Egress
	for _, outside := range []string{"https://outside.invalid", "http://outside.invalid"} {
		variable, proxy := ProxyVariable(environment, outside), Proxy(environment, outside)
		switch {
		case variable == "":
		case len(calls) > 0 && calls[0].Destination == proxy:
			calls[0].Setting += " and " + variable
		default:
			calls = append(calls, Egress{Destination: proxy, Purpose: "requests through a proxy", Setting: variable, InCluster: InCluster(proxy)})
		}
	}
	return calls
}

// ProxyVariable returns the variable that names the proxy for all of the call, or "". Chat
// platforms, sinks and plugins take the proxies of their environment, as agents do: WebSockets
// those of HTTP (gorilla/websocket, DefaultDialer), and gRPC those of HTTPS.
func (e Egress) ProxyVariable(environment map[string]string) string {
	if e.ByNode || e.direct || slices.Contains([]string{DestinationInCommand, DestinationOwnService, noURL, noAddress}, e.Destination) {
		return ""
	}
	variable := ""
	for _, to := range strings.Split(e.Destination, " and ") {
		switch scheme, rest, found := strings.Cut(to, "://"); {
		case !found:
			to = "https://" + to
		case scheme == "ws" || scheme == "wss":
			to = "http" + strings.TrimPrefix(scheme, "ws") + "://" + rest
		}
		if variable = ProxyVariable(environment, to); variable == "" {
			return ""
		}
	}
	return variable
}
