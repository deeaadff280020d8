package agent

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// started returns a configuration with a plugin in one group, or several.
func started(t *testing.T, kind PluginType, key string, configs ...string) *Config {
	t.Helper()
	var groups, names []string
	for i, c := range configs {
		name := fmt.Sprintf("g%d", i)
		names = append(names, name)
		groups = append(groups, fmt.Sprintf("%s: {%s: {enabled: true, config: %s}}", name, key, c))
	}
	bound := strings.Join(names, ",")
	return config(t, nil, fmt.Sprintf("%ss: {%s}\nactions: {a: {enabled: true, bindings: {%ss: [%s]}}}", kind, strings.Join(groups, ","), kind, bound))
}

// ownIn has the plugins of the repository o for Botkube's own.
func ownIn(version string) func(PluginType, PluginKey) (string, bool) {
	return func(_ PluginType, key PluginKey) (string, bool) {
		return cmp.Or(key.Version, version), key.Repository == "o"
	}
}

func TestPluginEgress(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind    PluginType
		key     string
		version string
		configs []string
		// want has a line for each call: destination, the end of the setting, and what else is true.
		want []string
	}{
		"an address":                  {Source, "o/prometheus", "", []string{"{url: 'http://u:s3cret@prometheus.monitoring.svc:9090/s3cret?token=s3cret'}"}, []string{"http://prometheus.monitoring.svc:9090 g0.o/prometheus.config.url in cluster"}},
		"no address":                  {Source, "o/prometheus", "", []string{"null"}, nil},
		"an address that is none":     {Source, "o/keptn", "", []string{"{url: 'http://s3cret:s3cret/@x'}"}, []string{"an address that is not a URL g0.o/keptn.config.url"}},
		"has the wrong type":          {Source, "o/keptn", "", []string{"{url: {a: s3cret}}"}, nil},
		"each group its own, once":    {Source, "o/keptn", "", []string{"{url: http://a.example}", "{url: http://b.example, token: s3cret}", "{url: http://a.example}"}, []string{"http://a.example g0.o/keptn.config.url", "http://b.example g1.o/keptn.config.url"}},
		"GitHub":                      {Source, "o/github-events@v1.14.0", "", []string{"{github: {auth: {accessToken: s3cret}}}"}, []string{"https://api.github.com g0.o/github-events@v1.14.0.config.github.baseUrl"}},
		"GitHub Enterprise":           {Source, "o/github-events", "", []string{"{GitHub: {baseURL: https://ghe.example/api/v3}}"}, []string{"https://ghe.example g0.o/github-events.config.github.baseUrl"}},
		"an App of GitHub Enterprise": {Source, "o/github-events", "", []string{"{github: {baseUrl: https://ghe.example, auth: {app: {id: 7, privateKey: s3cret}}}}"}, []string{"https://ghe.example g0.o/github-events.config.github.baseUrl", "https://api.github.com g0.o/github-events.config.github.auth.app.id"}},
		"an App of GitHub":            {Source, "o/github-events", "", []string{"{github: {auth: {app: {id: 7}}}}"}, []string{"https://api.github.com g0.o/github-events.config.github.baseUrl"}},
		"no App":                      {Source, "o/github-events", "", []string{"{github: {baseUrl: https://ghe.example, auth: {app: {id: 0}}}}"}, []string{"https://ghe.example g0.o/github-events.config.github.baseUrl"}},
		"answers":                     {Source, "o/ai-brain", "v1.14.0", []string{"{openAIBaseURL: http://llm.ai.svc/v1, openAIAPIToken: s3cret}"}, []string{"http://llm.ai.svc g0.o/ai-brain.config.openAIBaseURL in cluster on request", "https://github.com and https://version-check.ks-services.co and https://toolbox-data.anchore.io g0.o/ai-brain.enabled on request"}},
		"traces":                      {Source, "o/ai-brain", "", []string{"{honeycombAPIKey: s3cret}"}, []string{"https://api.honeycomb.io g0.o/ai-brain.config.honeycombAPIKey", "https://github.com and https://version-check.ks-services.co and https://toolbox-data.anchore.io g0.o/ai-brain.enabled on request"}},
		"the API server alone":        {Source, "o/kubernetes", "", []string{"{}"}, nil},
		"commands":                    {Executor, "o/helm", "", []string{"{}", "{}"}, []string{"URLs in its commands g0.o/helm.enabled on request"}},
		"exec":                        {Executor, "o/exec", "", []string{"{}"}, []string{"https://api.github.com and https://github.com g0.o/exec.enabled on request", "URLs in its commands g0.o/exec.enabled on request"}},
		"gh":                          {Executor, "o/gh", "", []string{"{github: {repository: a/b, token: s3cret}}"}, []string{"https://api.github.com g0.o/gh.config.github.repository on request"}},
		"gh elsewhere":                {Executor, "o/gh", "", []string{"{github: {repository: ghe.example/a/b}}"}, []string{"https://ghe.example g0.o/gh.config.github.repository on request"}},
		"gh by URL":                   {Executor, "o/gh", "", []string{"{github: {repository: 'https://u:s3cret@GHE.example/a/b'}}"}, []string{"https://ghe.example g0.o/gh.config.github.repository on request"}},
		"gh by ssh":                   {Executor, "o/gh", "", []string{"{github: {repository: 'git@ghe.example:a/b.git'}}"}, []string{"https://ghe.example g0.o/gh.config.github.repository on request"}},
		"gh by GitHub's URL":          {Executor, "o/gh", "", []string{"{github: {repository: 'https://www.github.com/a/b'}}"}, []string{"https://api.github.com g0.o/gh.config.github.repository on request"}},
		"doctor":                      {Executor, "o/doctor", "v1.8.0", []string{"{apiKey: s3cret}"}, []string{"https://api.openai.com g0.o/doctor.config.apiBaseUrl on request"}},
		"doctor elsewhere":            {Executor, "o/doctor", "v1.8.0", []string{"{apiBaseUrl: https://llm.example/v1}"}, []string{"https://llm.example g0.o/doctor.config.apiBaseUrl on request"}},
		"the agent itself":            {Executor, "o/ai", "", []string{"{}"}, []string{"the agent's own Service g0.o/ai.enabled in cluster on request"}},
	} {
		found := started(t, test.kind, test.key, test.configs...).PluginEgress(test.version, ownIn(test.version))
		var got []string
		for _, e := range found.Calls {
			line := e.Destination + " " + strings.TrimPrefix(e.Setting, string(test.kind)+"s.")
			if e.InCluster {
				line += " in cluster"
			}
			if e.OnRequest {
				line += " on request"
			}
			if e.Plugin != test.key || e.Purpose == "" || e.Stop != "" {
				t.Errorf("%s: %+v", name, e)
			}
			got = append(got, line)
		}
		if !slices.Equal(got, test.want) || len(found.Unknown)+len(found.NeedCloud) > 0 {
			t.Errorf("%s:\n%s\nand %+v, want\n%s", name, strings.Join(got, "\n"), found, strings.Join(test.want, "\n"))
		}
		if strings.Contains(fmt.Sprint(found), "s3cret") {
			t.Errorf("%s: a secret is shown: %v", name, found)
		}
	}
}

func TestUnknownEgress(t *testing.T) {
	t.Parallel()
	c := config(t, nil, `
executors: {g: {o/future: {enabled: true}, other/helm: {enabled: true}, o/helm: {enabled: true}, none: {enabled: true}}}
sources: {g: {other/x@v1.0.0: {enabled: true}, o/off: {enabled: false}, o/helm: {enabled: true}}}
actions: {a: {enabled: true, bindings: {executors: [g], sources: [g]}}}`)
	found := c.PluginEgress("", ownIn(""))
	// There is a helm among executors only.
	if got, want := fmt.Sprint(found.Unknown), "[o/future o/helm other/helm other/x@v1.0.0]"; got != want || len(found.Calls) != 1 {
		t.Errorf("%s, want %s; %v", got, want, found.Calls)
	}
}

// TestClouded wants nothing to be said of calls that are not made.
func TestClouded(t *testing.T) {
	t.Parallel()
	c := config(t, nil, `
executors: {g: {o/helm: {enabled: true}, o/gh@v1.8.0: {enabled: true}, o/kubectl: {enabled: true}, other/helm: {enabled: true}}}
sources: {g: {o/prometheus: {enabled: true, config: {url: http://prometheus}}}}
actions: {a: {enabled: true, bindings: {executors: [g], sources: [g]}}}`)
	for version, want := range map[string]string{
		"v1.8.0": "[]", "v1.9.0": "[o/helm o/prometheus]", "v1.13.0": "[o/helm o/prometheus]", "v1.14.0": "[]", "": "[]",
	} {
		found := c.PluginEgress("", ownIn(version))
		if got := fmt.Sprint(found.NeedCloud); got != want || len(found.Calls)+len(found.NeedCloud) != 4 {
			t.Errorf("%s: %s, want %s, and %v", version, got, want, found.Calls)
		}
	}
}

func TestOfficial(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, url string
		want      bool
	}{
		{"botkube", "https://mirror.example/index.yaml", true},
		{"botkubeExtra", "", true},
		{"mine", "https://github.com/kubeshop/botkube-plugins/releases/download/v1.14.0/plugins-index.yaml", true},
		{"cloud", "https://api.botkube.io/plugins/index.yaml", true},
		{"mine", "https://github.com/kubeshop/botkube-of-somebody/releases/download/v1.14.0/plugins-index.yaml", false},
		{"mine", "https://example.com/?https://api.botkube.io/", false},
	} {
		if got := (Repository{Name: test.name, URL: test.url}).Official(); got != test.want {
			t.Errorf("%s of %s: %t", test.name, test.url, got)
		}
	}
}

func TestOfficialPlugin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ version, name, want string }{
		{"v1.14.0", "kubectl", "botkube/kubectl"},
		{"v1.14.0", "kubernetes", "botkube/kubernetes"},
		{"v1.14.0", "helm", "botkubeExtra/helm"},
		{"v1.14.0-rc.1", "prometheus", "botkubeExtra/prometheus"},
		{"v1.13.0", "helm", "botkube/helm"},
		{"v1.14.0", "mine", ""},
	} {
		key, is := OfficialPlugin(test.version, test.name)
		if is != (test.want != "") || is && key.String() != test.want {
			t.Errorf("%s of %s: %s, %t", test.name, test.version, key, is)
		}
	}
}
