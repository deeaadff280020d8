package deploy

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Policy says what the agent's pods may call.
type Policy struct {
	// APIServers are where the API server is; none is [privateRanges].
	APIServers []Network
	// Allow is what else may be called.
	Allow []Network
	// Destinations are what the agent's configuration has it and its plugins call,
	// proxies included.
	Destinations []Destination
	// Unknown are plugins of which it is not known whom they call.
	Unknown []string
}

// Destination is something that the agent calls.
type Destination struct {
	// URL is one, or a host with or without a port, or [agent.DestinationOwnService].
	URL string
	// What says what for.
	What string
	// InCluster says that it is known to be a Service.
	InCluster bool
	// Proxied says that it is reached through a proxy, which has a destination of its
	// own.
	Proxied bool
}

// Network is some addresses, and a TCP port of theirs or 0 for all.
type Network struct {
	Prefix netip.Prefix
	Port   int
}

// ParseNetwork reads CIDR[:PORT] or ADDRESS[:PORT]. An IPv6 address before a
// port stands in brackets.
func ParseNetwork(s string) (Network, error) {
	bad := fault.New(fault.Usage, "%.80q is no network", s).WithHint("write ADDRESS, ADDRESS/BITS, or one of them with :PORT behind it, for example 10.0.0.0/8:6443, or [fd00::/8]:6443")
	if n, ok := parsePrefix(s); ok {
		return Network{Prefix: n}, nil
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return Network{}, bad
	}
	host, bracketed := s[:i], false
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host, bracketed = strings.CutSuffix(inner, "]")
		if !bracketed {
			return Network{}, bad
		}
	}
	prefix, ok := parsePrefix(host)
	port, err := strconv.ParseUint(s[i+1:], 10, 16)
	if !ok || err != nil || port == 0 || prefix.Addr().Is6() != bracketed {
		return Network{}, bad
	}
	return Network{prefix, int(port)}, nil
}

// parsePrefix reads an address with or without a length.
func parsePrefix(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), !p.Addr().Is4In6()
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}

// privateRanges are where an API server is that is not on the internet: those of
// RFC 1918, RFC 6598 (cloud providers) and RFC 4193. A policy sees the address of
// the server itself, not that of the Service kubernetes.
var privateRanges = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"}

// apiPorts are the ports of API servers: managed ones, and those of kubeadm, k3s,
// kind and OpenShift.
var apiPorts = []int{443, 6443}

// localDNS is where NodeLocal DNSCache listens on every node.
const localDNS = "169.254.20.10/32"

func (o *Options) checkPolicy() error {
	if o.Policy == nil || o.Site == nil || len(o.Policy.Allow) > 0 {
		return nil
	}
	to := agent.Redact(o.Site.BaseURL)
	if proxy := agent.Proxy(o.Environment, o.Site.BaseURL); proxy != "" {
		to = proxy
	}
	if _, ok := ruleFor(Destination{URL: to}); ok {
		return nil
	}
	return fault.New(fault.Usage, "a NetworkPolicy cannot allow %s by its name, so the agent could not reach the mirror", to).
		WithHint("give its address: --allow ADDRESS:PORT")
}

// policy is the NetworkPolicy of the agent's pods.
func (o *Options) policy() object {
	rules := append([]any{dnsRule()}, o.Policy.apiRules()...)
	named, unnamed := o.destinationRules()
	rules = append(rules, named...)
	for _, n := range o.Policy.Allow {
		rules = append(rules, commented(networkRule(n), "by --allow"))
	}
	spec := newObject().
		set("podSelector", newObject().set("matchLabels", labels(agentLabels...)), "the agent's pods, and no other").
		set("policyTypes", []string{"Egress"}).
		set("egress", list(rules...), unreachable(unnamed)...)
	return newObject().set("apiVersion", "networking.k8s.io/v1").set("kind", "NetworkPolicy").set("metadata", metadata(policyName)).set("spec", spec)
}

// destinationRules returns the rules for what the agent calls, and what there can be
// none for.
func (o *Options) destinationRules() (rules []any, unnamed []string) {
	all := o.Policy.Destinations
	if o.Site != nil {
		proxied := agent.ProxyVariable(o.Environment, o.Site.BaseURL) != ""
		all = append([]Destination{{URL: o.Site.BaseURL, What: "the mirror", Proxied: proxied}}, all...)
	}
	var done []string
	for _, d := range all {
		host, port := hostPort(d.URL)
		key := net.JoinHostPort(host, strconv.Itoa(port))
		if host == "" {
			key = d.URL
		}
		if loopback(host) || slices.Contains(done, key) {
			continue
		}
		done = append(done, key)
		if rule, ok := ruleFor(d); ok {
			rules = append(rules, commented(rule, shown(d)))
		} else if !d.Proxied {
			unnamed = append(unnamed, shown(d))
		}
	}
	return rules, unnamed
}

// denied are the destinations that a policy cannot name, unless addresses were given,
// which may be theirs.
func (o *Options) denied() []string {
	if o.Policy == nil || len(o.Policy.Allow) > 0 {
		return nil
	}
	_, unnamed := o.destinationRules()
	slices.Sort(unnamed)
	return unnamed
}

// hiddenProxies are the variables of the user's extraEnv that name proxies which are
// not in the values, but in a Secret or the like; none where addresses were given.
func (o *Options) hiddenProxies() []string {
	all := o.userList("extraEnv")
	if all == nil || o.Policy == nil || len(o.Policy.Allow) > 0 {
		return nil
	}
	var names []string
	for _, v := range all.Content {
		name := valueOf(v, "name")
		if name != nil && valueOf(v, "valueFrom") != nil && slices.Contains([]string{"HTTP_PROXY", "HTTPS_PROXY"}, strings.ToUpper(name.Value)) {
			names = append(names, name.Value)
		}
	}
	return names
}

// loopback reports whether a host is the pod itself, which no policy is about.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// unreachable is the comment about what a policy cannot express.
func unreachable(names []string) []string {
	lines := []string{"what is not here is denied"}
	if len(names) == 0 {
		return lines
	}
	lines = append(lines, "A NetworkPolicy knows no names. These are allowed only if --allow has their addresses, or a gateway's:")
	slices.Sort(names)
	for _, name := range names {
		lines = append(lines, "  "+name)
	}
	return lines
}

func shown(d Destination) string {
	s := agent.Redact(d.URL)
	if d.What != "" {
		s = d.What + ": " + s
	}
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return s
}

func dnsRule() *yaml.Node {
	ports := list(port("UDP", 53), port("TCP", 53))
	kube := newObject().set("namespaceSelector", namespace("kube-system"))
	local := newObject().set("ipBlock", labels("cidr", localDNS))
	return commented(newObject().set("to", list(kube, commented(local, "NodeLocal DNSCache"))).set("ports", ports), "DNS")
}

// apiRules allow the API server.
func (p *Policy) apiRules() []any {
	var rules []any
	for _, n := range p.APIServers {
		rule := newObject().set("to", list(ipBlock(n.Prefix)))
		ports := apiPorts
		if n.Port != 0 {
			ports = []int{n.Port}
		}
		rules = append(rules, commented(rule.set("ports", tcp(ports...)), "the API server, by --api-server"))
	}
	if len(rules) > 0 {
		return rules
	}
	var to []any
	for _, r := range privateRanges {
		to = append(to, newObject().set("ipBlock", labels("cidr", r)))
	}
	return []any{commented(newObject().set("to", list(to...)).set("ports", tcp(apiPorts...)),
		"the API server, which has no label to select it by: private addresses, never the internet. Narrow it with",
		"--api-server ADDRESS:PORT, from kubectl get endpointslices -n default -l kubernetes.io/service-name=kubernetes")}
}

func networkRule(n Network) object {
	rule := newObject().set("to", list(ipBlock(n.Prefix)))
	if n.Port != 0 {
		rule.set("ports", tcp(n.Port))
	}
	return rule
}

func ipBlock(p netip.Prefix) object {
	return newObject().set("ipBlock", labels("cidr", p.String()))
}

func tcp(ports ...int) *yaml.Node {
	all := list()
	for _, n := range ports {
		all.Content = append(all.Content, port("TCP", n).node)
	}
	return all
}

func port(protocol string, n int) object {
	return newObject().set("protocol", protocol).set("port", n)
}

// namespace selects a namespace by the label that every one has (Kubernetes 1.22).
func namespace(name string) object {
	return newObject().set("matchLabels", labels("kubernetes.io/metadata.name", name))
}

// ruleFor returns the rule that allows a destination, if labels or addresses can
// say where it is. A Service's own port is of no use: a policy sees the pod's.
func ruleFor(d Destination) (object, bool) {
	if d.URL == agent.DestinationOwnService {
		return newObject().set("to", list(newObject().set("podSelector", newObject().set("matchLabels", labels(agentLabels...))))), true
	}
	host, port := hostPort(d.URL)
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return networkRule(Network{netip.PrefixFrom(ip, ip.BitLen()), port}), true
	}
	peer := newObject()
	switch ns := namespaceOf(host, d.InCluster); {
	case host == "":
		return object{}, false
	case ns != "":
		peer.set("namespaceSelector", namespace(ns))
	case !strings.Contains(host, "."):
		peer.set("podSelector", newObject(), "in the agent's own namespace")
	default:
		return object{}, false
	}
	return newObject().set("to", list(peer)), true
}

// namespaceOf returns the namespace of a Service by its name in the cluster's DNS:
// SERVICE.NAMESPACE.svc[.DOMAIN], or where it is known to be one, SERVICE.NAMESPACE.
func namespaceOf(host string, inCluster bool) string {
	parts := strings.Split(host, ".")
	if i := slices.Index(parts, "svc"); i >= 2 && labelForm.MatchString(parts[i-1]) {
		return parts[i-1]
	}
	if inCluster && len(parts) == 2 && labelForm.MatchString(parts[1]) {
		return parts[1]
	}
	return ""
}

// hostPort returns the host of a URL, or of HOST[:PORT], in lower case, and the
// port; 0 if it is not known.
func hostPort(raw string) (string, int) {
	if !strings.Contains(raw, "://") {
		raw = "//" + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", 0
	}
	port, _ := strconv.Atoi(u.Port())
	if port == 0 {
		port = map[string]int{"http": 80, "ws": 80, "https": 443, "wss": 443}[u.Scheme]
	}
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), port
}
