package agent

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Destinations that are not URLs.
const (
	// DestinationInCommand is any URL that a user gives to a plugin in a command.
	DestinationInCommand = "URLs in its commands"
	// DestinationOwnService is the Service of the agent's own pod.
	DestinationOwnService = "the agent's own Service"
)

// pluginCall is a connection of an official plugin, besides the API server.
type pluginCall struct {
	purpose string
	// key is the value of the plugin that decides on it, or empty if that is enabled alone.
	key       string
	to        func(*callSettings) string
	onRequest bool
}

// callSettings are the settings that decide what plugins connect to. A plugin reads its
// own as [decode] does (pkg/plugin/config.go, mergeConfigs).
type callSettings struct {
	URL    string
	GitHub struct {
		BaseURL    string
		Repository string
		Auth       struct{ App struct{ ID string } }
	}
	APIBaseURL      string
	OpenAIBaseURL   string
	HoneycombAPIKey string
}

func always(destination string) func(*callSettings) string {
	return func(*callSettings) string { return destination }
}

const (
	gitHubAPI = "https://api.github.com"
	// gitHub is where git and downloads go, too.
	gitHub = "https://api.github.com and https://github.com"
)

// officialCalls has what each official plugin calls besides the API server, except in
// versions that are [clouded]. It was read in the plugins' sources.
// github.com/kubeshop/botkube has all plugins up to v1.8.0, and kubernetes, cm-watcher,
// kubectl and echo since; github.com/kubeshop/botkube-plugins has the others. Plugins
// with an empty list use the API server alone, or nothing (echo). The calls of
// prometheus, keptn and github-events of v1.14.0 were also seen at run time.
func officialCalls() map[PluginType]map[string][]pluginCall {
	return map[PluginType]map[string][]pluginCall{
		Source: {
			"kubernetes": {}, // internal/source/kubernetes
			"cm-watcher": {}, // cmd/source/cm-watcher/main.go
			// internal/source/argocd/setup_notifications.go: it has Argo CD call the
			// agent, by a ConfigMap.
			"argocd": {},
			// internal/source/prometheus/source.go, consumeAlerts: every five seconds
			"prometheus": {{purpose: "alerts", key: "config.url", to: func(s *callSettings) string { return Origin(s.URL) }}},
			// internal/source/keptn/source.go, consumeEvents: every five seconds
			"keptn": {{purpose: "events", key: "config.url", to: func(s *callSettings) string { return Origin(s.URL) }}},
			// internal/source/github_events/config.go, MergeConfigs, and gh/client.go: a
			// GitHub App's token comes from github.com whatever baseUrl is.
			"github-events": {
				{purpose: "repository events", key: "config.github.baseUrl", to: func(s *callSettings) string { return cmp.Or(Origin(s.GitHub.BaseURL), gitHubAPI) }},
				{purpose: "GitHub App token", key: "config.github.auth.app.id", to: gitHubApp},
			},
			// internal/source/ai-brain: config.go, assistant.go, kubescape_tools.go, and
			// internal/otelx/otel.go, whose endpoint is that of
			// honeycomb-opentelemetry-go v0.9.0. Kubescape v3.0.11: core/core/scan.go,
			// pkg/imagescan/imagescan.go, kubescape/backend v0.0.20
			// pkg/versioncheck and kubescape/regolibrary v2.0.1 gitregostore.
			"ai-brain": {
				{purpose: "AI answers", key: "config.openAIBaseURL", to: func(s *callSettings) string { return Origin(s.OpenAIBaseURL) }, onRequest: true},
				{purpose: "traces", key: "config.honeycombAPIKey", to: honeycomb},
				{purpose: "Kubescape scans", to: always("https://github.com and https://version-check.ks-services.co and https://toolbox-data.anchore.io"), onRequest: true},
			},
		},
		Executor: {
			"echo":        {}, // cmd/executor/echo/main.go
			"thread-mate": {}, // internal/executor/thread-mate/cm_sync.go: a ConfigMap
			// internal/executor/kubectl/commands.go: create and apply take URLs.
			"kubectl": {{purpose: "kubectl apply -f URL", to: always(DestinationInCommand), onRequest: true}},
			// internal/executor/helm/install.go, Help: repositories cannot be added.
			"helm": {{purpose: "charts by URL, --repo", to: always(DestinationInCommand), onRequest: true}},
			// cmd/executor/exec/main.go, Execute: install runs eget v1.3.3 (dl.go,
			// find.go), and run whatever it installed. Templates are not here, but checked.
			"exec": {
				{purpose: "exec install", to: always(gitHub), onRequest: true},
				{purpose: "exec install URL, and programs that exec runs", to: always(DestinationInCommand), onRequest: true},
			},
			// internal/executor/flux: diff_cmd.go, gh_cmd.go, executor.go
			"flux": {
				{purpose: "pull requests", to: always(gitHub), onRequest: true},
				{purpose: "the flux CLI", to: always(DestinationInCommand), onRequest: true},
			},
			// cmd/executor/gh/main.go, createGitHubIssue
			"gh": {{purpose: "issues", key: "config.github.repository", to: func(s *callSettings) string { return gitHubOf(s.GitHub.Repository) }, onRequest: true}},
			// internal/executor/doctor/executor.go, getGptClient; the key is there from
			// v1.5.0 on.
			"doctor": {{purpose: "AI answers", key: "config.apiBaseUrl", to: func(s *callSettings) string { return cmp.Or(Origin(s.APIBaseURL), openAI) }, onRequest: true}},
			// cmd/executor/ai/main.go, Execute: the incoming webhook of the agent, behind
			// which ai-brain is.
			"ai": {{purpose: "ai-brain", to: always(DestinationOwnService), onRequest: true}},
		},
	}
}

// emptyStops are keys of plugins' values that stop a call if they are empty. Without the others, the
// plugin calls a default address.
var emptyStops = []string{"honeycombAPIKey", "github.auth.app.id"}

// OfficialPlugin returns the key of Botkube's own plugin of a name, without a version.
func OfficialPlugin(version, name string) (PluginKey, bool) {
	for key := range OfficialPlugins(version) {
		if key.Name == name {
			return key, true
		}
	}
	return PluginKey{}, false
}

// OfficialPlugins returns Botkube's own plugins, by their keys without a version.
func OfficialPlugins(version string) map[PluginKey]PluginType {
	all, repositories := map[PluginKey]PluginType{}, DefaultRepositories(version)
	for kind, of := range officialCalls() {
		for name := range of {
			at := 0
			if !slices.Contains([]string{"kubernetes", "cm-watcher", "kubectl", "echo"}, name) {
				at = len(repositories) - 1
			}
			all[PluginKey{Repository: repositories[at].Name, Name: name}] = kind
		}
	}
	return all
}

const openAI = "https://api.openai.com"

func gitHubApp(s *callSettings) string {
	if id := s.GitHub.Auth.App.ID; id == "" || id == "0" {
		return ""
	}
	return gitHubAPI
}

func honeycomb(s *callSettings) string {
	if s.HoneycombAPIKey == "" {
		return ""
	}
	return "https://api.honeycomb.io"
}

// gitHubOf returns the API that gh calls for a repository: [HOST/]OWNER/REPO, or a
// URL (cli/cli, internal/ghrepo/repo.go, FromFullName, and
// internal/ghinstance/host.go, RESTPrefix).
func gitHubOf(repository string) string {
	host := ""
	switch parts := strings.Split(repository, "/"); {
	case strings.Contains(repository, "://"):
		_, host, _ = strings.Cut(Origin(repository), "://")
	case strings.HasPrefix(repository, "git@"):
		host, _, _ = strings.Cut(strings.TrimPrefix(repository, "git@"), ":")
	case len(parts) == 3:
		host = parts[0]
	}
	host = strings.TrimPrefix(strings.ToLower(host), "www.")
	if host == "" || host == "github.com" || strings.HasSuffix(host, ".github.com") {
		return gitHubAPI
	}
	return Origin("https://" + host)
}

// officialIndexes begin the URLs of Botkube's own indexes: releases of both repositories, and
// the Cloud's.
var officialIndexes = []string{
	"https://github.com/kubeshop/botkube/releases/", "https://github.com/kubeshop/botkube-plugins/releases/", "https://api.botkube.io/",
}

// Official reports whether a repository counts as Botkube's own, by the chart's name for it or
// by its index.
func (r Repository) Official() bool {
	return isDefault(r.Name, extraSince) || slices.ContainsFunc(officialIndexes, func(begin string) bool { return strings.HasPrefix(r.URL, begin) })
}

// PluginEgress has the known connections of the plugins that an agent starts.
type PluginEgress struct {
	// Calls are those made by themselves or on request, without those to the API server.
	Calls []Egress
	// Unknown are the keys of plugins that are not Botkube's own.
	Unknown []string
	// NeedCloud are the keys of plugins that do nothing without Botkube Cloud.
	NeedCloud []string
}

// PluginEgress returns what the plugins that the agent starts call. Of each, ofBotkube says
// whether it is from Botkube's own repositories, and which version the agent starts.
func (c *Config) PluginEgress(version string, ofBotkube func(PluginType, PluginKey) (version string, own bool)) PluginEgress {
	var out PluginEgress
	official := officialCalls()
	for _, p := range c.Enabled(version).All() {
		key, err := DecomposePluginKey(p.Key)
		if err != nil {
			continue // the agent refuses it
		}
		known, is := official[p.Type][key.Name]
		switch version, own := ofBotkube(p.Type, key); {
		case !is || !own:
			out.Unknown = append(out.Unknown, p.Key)
		case clouded(key.Name, version):
			out.NeedCloud = append(out.NeedCloud, p.Key)
		default:
			out.Calls = append(out.Calls, c.calls(p, known)...)
		}
	}
	out.Unknown = slices.Compact(slices.Sorted(slices.Values(out.Unknown)))
	out.NeedCloud = slices.Compact(slices.Sorted(slices.Values(out.NeedCloud)))
	return out
}

// clouded reports whether a version of an official plugin does nothing without Botkube Cloud
// (botkube-plugins, internal/auth at v1.9.0 to v1.13.0).
func clouded(name, version string) bool {
	free := []string{"kubernetes", "cm-watcher", "kubectl", "echo", "thread-mate"}
	return !slices.Contains(free, name) && version != "" && Since(version, "v1.9.0") && !Since(version, "v1.14.0")
}

// calls returns what a plugin calls as its groups configure it, each once.
func (c *Config) calls(p EnabledPlugin, known []pluginCall) []Egress {
	groups := c.Executors
	if p.Type == Source {
		groups = c.Sources
	}
	var calls []Egress
	for _, call := range known {
		for _, group := range p.Groups {
			var s callSettings
			// The plugin itself refuses a value of the wrong type.
			_ = decode(groups[group].Plugins[p.Key].Config, &s)
			to := call.to(&s)
			same := func(other Egress) bool {
				return other.Destination == to && (other.Purpose == call.purpose || to == gitHubAPI)
			}
			if to == "" || slices.ContainsFunc(calls, same) {
				continue
			}
			calls = append(calls, Egress{
				Plugin: p.Key, Destination: to, Purpose: call.purpose,
				Setting:   fmt.Sprintf("%ss.%s.%s.%s", p.Type, group, p.Key, cmp.Or(call.key, "enabled")),
				InCluster: to == DestinationOwnService || strings.Contains(to, "://") && InCluster(to), OnRequest: call.onRequest,
			})
		}
	}
	return calls
}
