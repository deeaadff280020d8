package chart

import (
	"reflect"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// TestUnknownPlatforms configures platforms that agents of a version have, had, or never had.
func TestUnknownPlatforms(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		version, platforms string
		want               []string
	}{
		"known":             {"v1.14.0", "{c: {socketSlack: {enabled: true}}}", nil},
		"in another case":   {"v1.14.0", "{c: {socketslack: {enabled: true}}}", nil},
		"of an older agent": {"v1.14.0", "{c: {slack: {enabled: true}}}", []string{"communications.c.slack"}},
		"in that agent":     {"v1.8.0", "{c: {slack: {enabled: true}}}", nil},
		"in quotes":         {"v1.14.0", "{c: {slack: {enabled: 'true'}}}", []string{"communications.c.slack"}},
		"not enabled":       {"v1.14.0", "{c: {slack: {enabled: false}}, d: {slack: {enabled: 'false'}}, e: {slack: {}}, f: {slack: null}}", nil},
		"several, in order": {"v1.14.0", "{d: {teams: {enabled: true}}, c: {irc: {enabled: true}, discord: {enabled: true}}}", []string{"communications.c.irc", "communications.d.teams"}},
	} {
		if got := read(t, tt.version, "communications: "+tt.platforms).UnknownPlatforms(tt.version); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestCommunications wants the platforms of values, or those of the Secret that they name.
func TestCommunications(t *testing.T) {
	t.Parallel()
	const secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: platforms}\nstringData: {comm_config.yaml: \"communications: {own: {discord: {enabled: true}}}\"}\n"
	for name, tt := range map[string]struct {
		texts []string
		want  string
	}{
		"values":   {[]string{slack}, "default-group"},
		"a Secret": {[]string{"existingCommunicationsSecretName: platforms\n", secret}, "own"},
		"objects":  {[]string{objectsOf(global, communications)}, "c"},
	} {
		if got := read(t, "v1.14.0", tt.texts...).Communications; len(got) != 1 || got[tt.want] == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Without files, there are the chart's own values.
func TestNoFiles(t *testing.T) {
	t.Parallel()
	v, err := Read("v1.14.0", nil, false)
	if err != nil || v.Merged["image"] == nil {
		t.Errorf("%v, %v", v, err)
	}
}

// The longest file that is read is refused for what it is, a longer one for its length.
func TestLongestFile(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{agent.MaxConfig: "UTF-32", agent.MaxConfig + 1: "it has 4194305 bytes, and the limit is 4194304"} {
		utf32 := append([]byte{0xff, 0xfe, 0, 0}, make([]byte, n-4)...)
		if _, err := Read("v1.14.0", []File{{Name: "f", Data: utf32}}, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// TestReleaseAmongFiles has the values of a release count in the order in which it is given.
func TestReleaseAmongFiles(t *testing.T) {
	t.Parallel()
	const release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: botkube, namespace: chat}\nspec:\n" +
		"  chart: {spec: {chart: botkube, version: 1.14.0, sourceRef: {kind: HelmRepository, name: botkube}}}\n" +
		"  values: {settings: {clusterName: release, upgradeNotifier: false}}\n"
	all := map[string]string{
		"object":  "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n",
		"before":  "settings: {clusterName: before, upgradeNotifier: true}\n",
		"release": release,
		"after":   "settings: {clusterName: after}\n",
	}
	for order, want := range map[string]string{
		"object before release":       "release false",
		"object before release after": "after false",
		"release before":              "before true",
		"object release":              "release false",
	} {
		var given []File
		for name := range strings.FieldsSeq(order) {
			given = append(given, File{Name: name, Data: []byte(all[name])})
		}
		v, err := Read("v1.14.0", given, false)
		if err != nil {
			t.Errorf("%s: %v", order, err)
			continue
		}
		settings := mapping(v.Merged["settings"])
		got := settings["clusterName"].(string) + map[any]string{true: " true", false: " false"}[settings["upgradeNotifier"]]
		if got != want {
			t.Errorf("%s: %s, want %s", order, got, want)
		}
	}
}

// Below the name of the chart, every section tells that values are for a chart around it;
// below another key, only what no other chart has.
func TestValuesAroundTheChart(t *testing.T) {
	t.Parallel()
	for values, want := range map[string]string{
		"botkube: {sources: {g: {}}}":       "botkube",
		"botkube: {analytics: {}}":          "botkube",
		"chatops: {sources: {g: {}}}":       "",
		"chatops: {executors: {g: {}}}":     "chatops",
		"sources: {communications: {a: b}}": "",
		"botkube: {replicas: 1}":            "",
	} {
		if got := within(parsed(t, values)); got != want {
			t.Errorf("%s: %q, want %q", values, got, want)
		}
	}
}

func parsed(t *testing.T, text string) map[string]any {
	t.Helper()
	document, err := agent.ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestMissingSecret(t *testing.T) {
	t.Parallel()
	for instead, want := range map[string]string{
		"":                  `the Secret "a" with the chat platforms (existingCommunicationsSecretName) is not given: which plugins its channels use is unknown`,
		" (but another is)": `the Secret "a" with the chat platforms (existingCommunicationsSecretName) is not given (but another is): which plugins its channels use is unknown`,
	} {
		if got := missingSecret("a", instead).Error(); got != want {
			t.Errorf("%s", got)
		}
	}
}

func TestNotGiven(t *testing.T) {
	t.Parallel()
	const deployment = "---\napiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{image: a/b:c, env: [{name: BOTKUBE_CONFIG_PATHS, value: x}]}]}}}\n"
	if got := read(t, "", objectsOf(global, communications)).NotGiven; !reflect.DeepEqual(got, []string{"the agent's Deployment"}) {
		t.Errorf("without a Deployment: %q", got)
	}
	if got := read(t, "", objectsOf(global, communications)+deployment).NotGiven; len(got) != 0 {
		t.Errorf("with a Deployment: %q", got)
	}
}

func TestImageTags(t *testing.T) {
	t.Parallel()
	for image, want := range map[string][2]string{
		"ghcr.io/kubeshop/botkube:v1.14.0":     {"v1.14.0", "v1.14.0"},
		"ghcr.io/kubeshop/botkube:1.14.0-rc.1": {"1.14.0-rc.1", "v1.14.0-rc.1"},
		"registry:5000/botkube":                {"", ""},
		"botkube:v1.14.0@sha256:00":            {"v1.14.0", "v1.14.0"},
		"botkube@sha256:00":                    {"", ""},
		":v1.14.0":                             {"v1.14.0", "v1.14.0"},
		"botkube:latest":                       {"latest", ""},
		"":                                     {"", ""},
	} {
		if got := [2]string{tagIn(image), ImageVersion(image)}; got != want {
			t.Errorf("%s: %q, want %q", image, got, want)
		}
	}
}
