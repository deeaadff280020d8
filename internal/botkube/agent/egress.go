package agent

import (
	"cmp"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Egress is a connection that an agent, its node or one of its plugins makes at run time.
type Egress struct {
	// Plugin is the key of the plugin that connects, or empty for the agent itself.
	Plugin string `json:"plugin,omitempty"`
	// Destination is one scheme and host or several, without the rest, which may be secret; or
	// [DestinationInCommand] or [DestinationOwnService].
	Destination string `json:"destination"`
	// Purpose says what the connection is for.
	Purpose string `json:"purpose"`
	// Setting is the value that causes the connection.
	Setting string `json:"setting"`
	// Stop is the value that stops it, as KEY: VALUE. It is empty if the connection is what the
	// agent is for.
	Stop string `json:"stop,omitempty"`
	// InCluster means that the destination has the name of a service in the cluster.
	InCluster bool `json:"inCluster,omitempty"`
	// ByNode means that the node connects, not the agent.
	ByNode bool `json:"byNode,omitempty"`
	// OnRequest means that only a user's command or question causes the connection.
	OnRequest bool `json:"onRequest,omitempty"`
	// Proxy is the variable that names the proxy that is used, or empty.
	Proxy string `json:"proxy,omitempty"`

	// direct says that no proxy is asked.
	direct bool
}

// StoppedBy returns the value that stops the connection, as KEY: VALUE. It is empty if values only
// decide where the connection goes.
func (e Egress) StoppedBy() string {
	before, key, ofPlugin := strings.Cut(e.Setting, e.Plugin+".config.")
	switch {
	case strings.Contains(e.Stop, ": "):
		return e.Stop
	case strings.HasSuffix(e.Setting, ".enabled"):
		return e.Setting + ": false"
	case e.Plugin == "" || !ofPlugin:
		return ""
	case slices.Contains(emptyStops, key):
		return e.Setting + `: ""`
	}
	return before + e.Plugin + ".enabled: false"
}

// Egress returns the calls that an agent makes while it runs, besides those of its plugins:
// calls that values stop, chat platforms and sinks. The version is as in [Config.Enabled].
func (c *Config) Egress(version string) []Egress {
	calls := []Egress{}
	if !c.Analytics.Disable {
		// internal/analytics/segment_reporter.go
		calls = append(calls, Egress{Destination: "https://api.segment.io", Purpose: "analytics", Setting: "analytics.disable", Stop: "analytics.disable: true"})
	}
	if c.Settings.UpgradeNotifier {
		// cmd/botkube-agent/main.go, and pkg/controller/upgrade.go
		calls = append(calls, Egress{Destination: "https://api.github.com", Purpose: "update check", Setting: "settings.upgradeNotifier", Stop: "settings.upgradeNotifier: false"})
	}
	for _, p := range c.platforms(version) {
		if p.enabled {
			calls = append(calls, Egress{Destination: cmp.Or(p.destination, noAddress), Purpose: p.purpose, Setting: p.setting + ".enabled", InCluster: InCluster(p.destination)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Communications)) {
		// pkg/sink/elasticsearch.go, NewElasticsearch
		setting := "communications." + name + ".elasticsearch."
		switch e := c.Communications[name].Elasticsearch; {
		case !e.Enabled:
		case e.AWSSigning.Enabled:
			calls = append(calls, Egress{Destination: signingDestination, Purpose: "AWS credentials for Elasticsearch", Setting: setting + "awsSigning.enabled"})
		case e.SkipTLSVerify:
			i := slices.IndexFunc(calls, func(e Egress) bool { return e.Setting == setting+"enabled" })
			calls[i].direct = true
		}
	}
	return calls
}

// signingDestination has credentials of a role. Those of a machine come from the machine.
const signingDestination = "https://sts.amazonaws.com"

// These are shown instead of a configured address that is not one.
const (
	noURL     = "an address that is not a URL"
	noAddress = "an unknown address"
)

// Origin returns the scheme and host of a URL, or the host of what has no scheme.
func Origin(raw string) string {
	if raw == "" {
		return ""
	}
	u, err := ParseAddress(raw)
	switch {
	case err != nil || u.Host == "":
		return noURL
	case u.Scheme == "":
		return u.Host
	}
	return u.Scheme + "://" + u.Host
}

// ParseAddress reads a URL, or HOST[:PORT], which has no scheme then.
func ParseAddress(raw string) (*url.URL, error) {
	if !strings.Contains(raw, "://") {
		raw = "//" + raw
	}
	return url.Parse(raw)
}

// InCluster reports whether a host is by its name a service of the agent's cluster (Kubernetes,
// DNS for Services and Pods), or the agent's own machine.
func InCluster(raw string) bool {
	u, err := ParseAddress(raw)
	if err != nil || u.Hostname() == "" {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".cluster.local")
}
