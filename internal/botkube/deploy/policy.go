package deploy

import (
	"net"
	"net/netip"
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
	Allow      []Network
	// PluginEgress is what the agent and its plugins call, proxies included.
	agent.PluginEgress
}

// Network is some addresses, and a TCP port or 0 for all.
type Network struct {
	Prefix netip.Prefix
	Port   int
}

// ParseNetwork reads CIDR[:PORT] or ADDRESS[:PORT]. An IPv6 address before a
// port stands in brackets.
func ParseNetwork(s string) (Network, error) {
	if n, ok := parsePrefix(s); ok {
		return Network{Prefix: n}, nil
	}
	i := max(0, strings.LastIndexByte(s, ':'))
	host := s[:i]
	bracketed := strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")
	if bracketed {
		host = host[1 : i-1]
	}
	prefix, ok := parsePrefix(host)
	port, err := strconv.ParseUint(strings.TrimPrefix(s[i:], ":"), 10, 16)
	if !ok || err != nil || port == 0 || prefix.Addr().Is6() != bracketed {
		return Network{}, fault.New(fault.Usage, "%.80q is not a network", s).
			WithHint("write ADDRESS or ADDRESS/BITS, and :PORT if needed, for example 10.0.0.0/8:6443 or [fd00::/8]:6443")
	}
	return Network{prefix, int(port)}, nil
}

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

// privateRanges may have an API server: RFC 1918, RFC 6598 (cloud providers) and RFC 4193. A
// policy sees the server's own address, not that of the Service kubernetes.
var privateRanges = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"}

// localDNS is where NodeLocal DNSCache listens on every node.
const localDNS = "169.254.20.10/32"

func (o *Options) checkPolicy() error {
	to := o.blocked()
	if to == "" {
		return nil
	}
	return fault.New(fault.Usage, "the NetworkPolicy would block the mirror: it cannot allow %s by name", to).
		WithHint("give its address: --allow ADDRESS:PORT")
}

// blocked returns what the policy would block on the way to the mirror, or "".
func (o *Options) blocked() string {
	if o.Policy == nil || o.Site == nil || len(o.Policy.Allow) > 0 {
		return ""
	}
	to := agent.Redact(o.Site.BaseURL)
	if proxy := agent.Proxy(o.Environment, o.Site.BaseURL); proxy != "" {
		to = proxy
	}
	if _, ok := ruleFor(agent.Egress{Destination: to}); ok {
		return ""
	}
	return to
}

func (o *Options) policy() object {
	kube := newObject().set("namespaceSelector", namespace("kube-system"))
	dns := rule(list(kube, commented(ipBlock(localDNS), "NodeLocal DNSCache")), port("UDP", 53), port("TCP", 53))
	rules := append([]any{commented(dns, "DNS")}, o.Policy.apiRules()...)
	named, unnamed := o.destinationRules()
	rules = append(rules, named...)
	for _, n := range o.Policy.Allow {
		rules = append(rules, commented(networkRule(n), "by --allow"))
	}
	comment := []string{"everything else is denied"}
	if len(unnamed) > 0 {
		how := "To allow these, give their addresses, or a gateway's, with --allow:"
		if len(o.Policy.Allow) > 0 {
			how = "These are allowed only if --allow names their addresses, or a gateway's:"
		}
		comment = append(comment, "A NetworkPolicy cannot allow host names. "+how)
	}
	for _, name := range unnamed {
		comment = append(comment, "  "+name)
	}
	spec := newObject().
		set("podSelector", agentPods(), "only the agent's pods").
		set("policyTypes", []string{"Egress"}).
		set("egress", list(rules...), comment...)
	return newObject().set("apiVersion", "networking.k8s.io/v1").set("kind", "NetworkPolicy").set("metadata", metadata(policyName)).set("spec", spec)
}

// destinationRules returns the rules for what the agent calls, and what no rule can name.
func (o *Options) destinationRules() (rules []any, unnamed []string) {
	all := o.Policy.Calls
	if o.Site != nil {
		mirror := agent.Egress{Destination: o.Site.BaseURL, Purpose: "the mirror", Proxy: agent.ProxyVariable(o.Environment, o.Site.BaseURL)}
		all = append([]agent.Egress{mirror}, all...)
	}
	done := map[string]bool{}
	for _, e := range all {
		if e.Stop != "" || e.Destination == agent.DestinationInCommand {
			continue // the values stop it, or nothing can be said about it
		}
		host, port := hostPort(e.Destination)
		key := net.JoinHostPort(host, strconv.Itoa(port))
		if host == "" {
			key = e.Destination
		}
		ip, err := netip.ParseAddr(host)
		itself := host == "localhost" || err == nil && ip.IsLoopback() // no policy is about a pod itself
		if itself || done[key] {
			continue
		}
		done[key] = true
		if rule, ok := ruleFor(e); ok {
			rules = append(rules, commented(rule, shown(e)))
		} else if e.Proxy == "" {
			unnamed = append(unnamed, shown(e))
		}
	}
	slices.Sort(unnamed)
	return rules, unnamed
}

// hiddenProxies are variables of the user's extraEnv that name proxies outside of the values.
func (o *Options) hiddenProxies() []string {
	var names []string
	for _, v := range o.userList("extraEnv") {
		name := textOf(v, "name")
		if valueOf(v, "valueFrom") != nil && slices.Contains([]string{"HTTP_PROXY", "HTTPS_PROXY"}, strings.ToUpper(name)) {
			names = append(names, name)
		}
	}
	return names
}

func shown(e agent.Egress) string {
	s := agent.Redact(e.Destination)
	if e.Purpose != "" {
		s = e.Purpose + ": " + s
	}
	if e.Plugin != "" {
		s = e.Plugin + " for " + s
	}
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return s
}

func (p *Policy) apiRules() []any {
	ports := []any{port("TCP", 443), port("TCP", 6443)} // managed ones; kubeadm, k3s, kind and OpenShift
	var rules, to []any
	for _, n := range p.APIServers {
		at := ports
		if n.Port != 0 {
			at = []any{port("TCP", n.Port)}
		}
		rules = append(rules, commented(rule(list(ipBlock(n.Prefix.String())), at...), "the API server (--api-server)"))
	}
	if len(rules) > 0 {
		return rules
	}
	for _, r := range privateRanges {
		to = append(to, ipBlock(r))
	}
	return []any{commented(rule(list(to...), ports...),
		"the API server: all private addresses, as no label selects it. To narrow this, use",
		"--api-server ADDRESS:PORT, from kubectl get endpointslices -n default -l kubernetes.io/service-name=kubernetes")}
}

func rule(to *yaml.Node, ports ...any) object {
	return newObject().set("to", to).setUnless(len(ports) == 0, "ports", list(ports...))
}

func networkRule(n Network) object {
	to := list(ipBlock(n.Prefix.String()))
	if n.Port == 0 {
		return rule(to)
	}
	return rule(to, port("TCP", n.Port))
}

func ipBlock(cidr string) object { return newObject().set("ipBlock", labels("cidr", cidr)) }

func port(protocol string, n int) object {
	return newObject().set("protocol", protocol).set("port", n)
}

// namespace selects a namespace by the label that every one has (Kubernetes 1.22).
func namespace(name string) object {
	return newObject().set("matchLabels", labels("kubernetes.io/metadata.name", name))
}

// ruleFor returns the rule for a destination, if labels or addresses can tell where it is. A
// policy sees the ports of pods, not those of Services.
func ruleFor(e agent.Egress) (object, bool) {
	if e.Destination == agent.DestinationOwnService {
		return rule(list(newObject().set("podSelector", agentPods()))), true
	}
	host, port := hostPort(e.Destination)
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return networkRule(Network{netip.PrefixFrom(ip, ip.BitLen()), port}), true
	}
	peer := newObject()
	switch ns := namespaceOf(host, e.InCluster); {
	case ns != "":
		peer.set("namespaceSelector", namespace(ns))
	case host == "" || strings.Contains(host, "."):
		return object{}, false
	default:
		peer.set("podSelector", newObject(), "in the agent's own namespace")
	}
	return rule(list(peer)), true
}

// namespaceOf returns the namespace in a Service's name: SERVICE.NAMESPACE.svc[.DOMAIN], or of a
// known Service, SERVICE.NAMESPACE.
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

// hostPort returns the host in lower case, and the port or 0, of a URL or of HOST[:PORT].
func hostPort(raw string) (string, int) {
	u, err := agent.ParseAddress(raw)
	if err != nil {
		return "", 0
	}
	port, _ := strconv.Atoi(u.Port())
	if port == 0 {
		port = map[string]int{"http": 80, "ws": 80, "https": 443, "wss": 443}[u.Scheme]
	}
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), port
}
