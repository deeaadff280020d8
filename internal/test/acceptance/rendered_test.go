//go:build linux

package acceptance

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"gopkg.in/yaml.v3"
)

// manifest is a Kubernetes object.
type manifest map[string]any

// at returns what lies at a path of keys, or nil.
func (m manifest) at(keys ...string) any {
	var v any = map[string]any(m)
	for _, key := range keys {
		fields, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = fields[key]
	}
	return v
}

func (m manifest) text(keys ...string) string {
	s, _ := m.at(keys...).(string)
	return s
}

// objects is a list of mappings at a path of keys.
func (m manifest) objects(keys ...string) []manifest {
	items, _ := m.at(keys...).([]any)
	var all []manifest
	for _, item := range items {
		if fields, ok := item.(map[string]any); ok {
			all = append(all, fields)
		}
	}
	return all
}

func (m manifest) name() string { return m.text("kind") + " " + m.text("metadata", "name") }

// renderedObjects has Helm render Botkube's chart with values files, and reads the objects, hooks included.
func renderedObjects(t *testing.T, files ...[]byte) []manifest {
	t.Helper()
	objects := renderChart(t, files...)
	var all []manifest
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		all = append(all, readManifests(t, []byte(objects[name]))...)
	}
	return all
}

// readManifests reads YAML documents.
func readManifests(t *testing.T, text []byte) []manifest {
	t.Helper()
	var all []manifest
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var m map[string]any // of a type of ours, the maps within would be of it, too
		switch err := dec.Decode(&m); {
		case err == io.EOF:
			return all
		case err != nil:
			t.Fatalf("%v in\n%s", err, text)
		case m != nil:
			all = append(all, m)
		}
	}
}

// named returns the object of a kind, of which there must be one with the name.
func named(t *testing.T, all []manifest, name string) manifest {
	t.Helper()
	var found []manifest
	for _, m := range all {
		if m.name() == name {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d objects %q, want one", len(found), name)
	}
	return found[0]
}

// usersValues are values as people have them.
var usersValues = map[string]string{
	"slack": `
communications:
  default-group:
    socketSlack:
      enabled: true
      channels: {default: {name: ops, bindings: {executors: [tools], sources: [k8s-err-events]}}}
      botToken: xoxb-1
      appToken: xapp-1
executors:
  tools:
    botkube/kubectl: {enabled: true, config: {defaultNamespace: default}}
    botkubeExtra/helm: {enabled: true}
settings: {clusterName: far-away}
`,
	"lists": `
communications:
  default-group:
    mattermost:
      enabled: true
      url: http://mattermost.chat.svc:8065
      token: abc
      team: ops
      channels: {default: {name: ops, bindings: {executors: [k8s-default-tools], sources: [k8s-err-events]}}}
executors: {k8s-default-tools: {botkube/kubectl: {enabled: true}}}
extraVolumes:
  - {name: ca, configMap: {name: company-ca}}
extraVolumeMounts:
  - {name: ca, mountPath: /company, readOnly: true}
extraObjects:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: '{{ .Release.Name }}-mine'}, data: {a: b}}
nodeSelector: {pool: tools}
image: {pullSecrets: [mine]}
`,
	"anchors": `
x-tools: &tools
  botkubeExtra/helm: {enabled: true}
executors: {k8s-default-tools: *tools}
communications:
  default-group:
    discord: {enabled: true, token: t, botID: b, channels: {default: {id: "1", bindings: {executors: [k8s-default-tools], sources: []}}}}
analytics: {disable: false}
settings: {upgradeNotifier: true, clusterName: x}
plugins: {cacheDir: /tmp, repositories: {botkube: {url: "https://elsewhere.example.com/index.yaml"}}}
`,
}

// deliveries are the ways for files to come to the agent.
var deliveries = map[string][]string{
	"pvc":   {"--pvc", "plugins"},
	"seed":  {"--seed-from", "registry.example/mirror/botkube-plugins:v1.14.0", "--pull-secret", "regcred"},
	"image": {"--image", "registry.example/mirror/botkube-plugins:v1.14.0"},
	"site":  {"--base-url", "http://mirror.tools.svc/botkube"},
}

// TestChartRendersWithValues renders Botkube's own chart with what values prints, alone and over users' values, and
// reads what would be applied.
func TestChartRendersWithValues(t *testing.T) {
	t.Parallel()
	dir := unpackAll(t)
	users := map[string]string{"alone": ""}
	for name, text := range usersValues {
		users[name] = text
	}
	for way, flags := range deliveries {
		for name, text := range users {
			t.Run(way+"/"+name, func(t *testing.T) {
				t.Parallel()
				var files [][]byte
				args := slices.Concat([]string{"values", dir, "--network-policy", "--registry", "registry.example/mirror"}, flags)
				if text != "" {
					files = append(files, []byte(text))
					args = append(args, "--values", valuesFile(t, text))
				}
				all := renderedObjects(t, append(files, printValues(t, args...))...)
				checkDeployment(t, named(t, all, "Deployment botkube"), way)
				checkConfiguration(t, all, way)
				checkURLs(t, all, way, name)
				named(t, all, "NetworkPolicy botkube-offline")
				if name == "lists" {
					checkCarried(t, all)
				}
			})
		}
	}
}

// valuesFile writes a file.
func valuesFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(tempDir(t), "values.yaml")
	writeFile(t, file, []byte(text))
	return file
}

// printValues runs values, which needs no network, and returns what it prints.
func printValues(t *testing.T, args ...string) []byte {
	t.Helper()
	got := runProduct(t, startProxy(t, nil), args...)
	if got.code != 0 {
		t.Fatalf("botkube-mirror %q: exit code %d\n%s", args, got.code, got.stderr)
	}
	return []byte(got.stdout)
}

// unpackAll is the directory of the whole release for the path /plugins. It is to be looked at only.
func unpackAll(t *testing.T) string {
	t.Helper()
	unpacked.once.Do(func() {
		dir := filepath.Join(scratch, "unpacked")
		runOffline(t, "unpack", bundleAll(t), "-o", dir)
		unpacked.dir = dir
	})
	if unpacked.dir == "" {
		t.Fatal("the bundle could not be unpacked; see the first test that asked for it")
	}
	return unpacked.dir
}

var unpacked struct {
	once sync.Once
	dir  string
}

// checkDeployment wants each path to be mounted once, of a volume that there is, the cache directory among them,
// read-only where nothing is to be written.
func checkDeployment(t *testing.T, d manifest, way string) {
	t.Helper()
	pod := manifest(d.at("spec", "template", "spec").(map[string]any))
	volumes := map[string]manifest{}
	for _, v := range pod.objects("volumes") {
		if volumes[v.text("name")] != nil {
			t.Errorf("two volumes are called %s", v.text("name"))
		}
		volumes[v.text("name")] = v
	}
	container := pod.objects("containers")[0]
	mounts := map[string]manifest{}
	for _, m := range container.objects("volumeMounts") {
		at := m.text("mountPath")
		if mounts[at] != nil {
			t.Errorf("%s is mounted twice", at)
		}
		mounts[at] = m
		if volumes[m.text("name")] == nil {
			t.Errorf("%s is mounted of volume %s, which there is not", at, m.text("name"))
		}
	}
	if m := mounts["/tmp"]; m == nil || m.text("name") != "cache-volume" {
		t.Errorf("/tmp is %v, want the chart's own volume", m)
	}
	if way == "site" {
		return
	}
	cache := mounts["/plugins"]
	if cache == nil {
		t.Fatalf("nothing is mounted at /plugins: %v", mounts)
	}
	if cache.at("readOnly") != true {
		t.Errorf("/plugins is not mounted read-only: %v", cache)
	}
	volume := volumes[cache.text("name")]
	if way == "image" && volume.text("image", "reference") == "" || way != "image" && volume.text("persistentVolumeClaim", "claimName") == "" {
		t.Errorf("/plugins is of %v", volume)
	}
	if got := pod.text("nodeSelector", "kubernetes.io/arch"); got != here.Arch {
		t.Errorf("the nodes' architecture is %q, want %q", got, here.Arch)
	}
	if got := container.text("image"); got != "registry.example/mirror/botkube:"+Version {
		t.Errorf("the agent's image is %s", got)
	}
}

// checkConfiguration reads global_config.yaml.
func checkConfiguration(t *testing.T, all []manifest, way string) {
	t.Helper()
	c := readManifests(t, []byte(named(t, all, "ConfigMap botkube-global-config").text("data", "global_config.yaml")))[0]
	wantDir, wantURL := "/plugins", "http://mirror.invalid/botkube/plugins-index.yaml"
	if way == "site" {
		wantDir, wantURL = "/tmp", "http://mirror.tools.svc/botkube/"+Version+"/botkube/plugins-index.yaml"
	}
	if got := c.text("plugins", "cacheDir"); got != wantDir {
		t.Errorf("cacheDir is %q, want %q", got, wantDir)
	}
	if got := c.text("plugins", "repositories", "botkube", "url"); got != wantURL {
		t.Errorf("the index of botkube is at %q, want %q", got, wantURL)
	}
	if c.at("analytics", "disable") != true || c.at("settings", "upgradeNotifier") != false {
		t.Errorf("analytics: %v, settings: %v", c.at("analytics"), c.at("settings"))
	}
}

// checkCarried wants what is the user's own to be there still.
func checkCarried(t *testing.T, all []manifest) {
	t.Helper()
	named(t, all, "ConfigMap botkube-mine")
	pod := manifest(named(t, all, "Deployment botkube").at("spec", "template", "spec").(map[string]any))
	if !slices.ContainsFunc(pod.objects("volumes"), func(v manifest) bool { return v.text("configMap", "name") == "company-ca" }) {
		t.Error("the user's own volume is gone")
	}
	if got := pod.text("nodeSelector", "pool"); got != "tools" {
		t.Error("the user's own nodeSelector is gone")
	}
	if !slices.ContainsFunc(pod.objects("imagePullSecrets"), func(s manifest) bool { return s.text("name") == "mine" }) {
		t.Error("the user's own pull secret is gone")
	}
}

var externalURL = regexp.MustCompile(`https?://[^\s"'<>]+`)

// checkURLs wants every URL of every object to be one of the mirror, of the cluster or of the user's chat platform.
func checkURLs(t *testing.T, all []manifest, way, user string) {
	t.Helper()
	allowed := []string{"http://mirror.invalid/", "http://botkube.botkube.svc.cluster.local:2115"}
	if way == "site" {
		allowed = []string{"http://mirror.tools.svc/botkube/", "http://botkube.botkube.svc.cluster.local:2115"}
	}
	if user == "lists" {
		allowed = append(allowed, "http://mattermost.chat.svc:8065")
	}
	for _, m := range all {
		text, err := yaml.Marshal(map[string]any(m))
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range externalURL.FindAllString(string(text), -1) {
			if !slices.ContainsFunc(allowed, func(prefix string) bool { return strings.HasPrefix(u, prefix) }) {
				t.Errorf("%s names %s", m.name(), u)
			}
		}
	}
}

// TestAgentStartsWithRenderedConfiguration gives the real plugin manager what Botkube's chart renders of a user's
// values and of ours, and Botkube's own code reads: it starts what is enabled from the mirror, and asks for nothing.
func TestAgentStartsWithRenderedConfiguration(t *testing.T) {
	t.Parallel()
	m := pullAll(t)
	for name, text := range usersValues {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := printValues(t, "values", m.dir, "--pvc", "plugins", "--values", valuesFile(t, text))
			rendered := configurationOf(t, renderChart(t, []byte(text), values))
			checkEnabled(t, m.start(t, agentConfig{Rendered: &rendered}), askCollector(t, []configuration{rendered})[0])
			// With a network, it would ask for nothing either.
			if report, asked := m.asksFor(t, agentConfig{Rendered: &rendered}); report.Error != "" || len(asked) > 0 {
				t.Errorf("the agent asked for %q: %s", asked, report.Error)
			}
		})
	}
}

// TestAgentDownloadsFromSiteByRenderedConfiguration is the same with an empty cache directory and a site.
func TestAgentDownloadsFromSiteByRenderedConfiguration(t *testing.T) {
	t.Parallel()
	const base = "http://mirror.tools.svc/botkube"
	dir := filepath.Join(tempDir(t), "site")
	runOffline(t, "unpack", bundleAll(t), "-o", "site:"+dir, "--base-url", base)
	text := usersValues["slack"]
	rendered := configurationOf(t, renderChart(t, []byte(text), printValues(t, "values", dir, "--base-url", base, "--values", valuesFile(t, text))))
	proxy := startProxyTo(t, http.StripPrefix("/botkube", http.FileServer(http.Dir(dir))))
	report := runOnline(t, proxy, agentConfig{CacheDir: tempDir(t), Rendered: &rendered})
	checkEnabled(t, report, askCollector(t, []configuration{rendered})[0])
	fetched := proxy.Fetched()
	if len(fetched) == 0 {
		t.Error("the agent downloaded nothing")
	}
	for _, u := range fetched {
		if !strings.HasPrefix(u, base+"/") {
			t.Errorf("the agent asked for %s", u)
		}
	}
}

// checkEnabled wants every enabled plugin to say who it is.
func checkEnabled(t *testing.T, report agentReport, want enabledPlugins) {
	t.Helper()
	if len(want.Executors)+len(want.Sources) == 0 {
		t.Fatal("nothing is enabled: the test says nothing")
	}
	checkAnswers(t, agentConfig{Executors: want.Executors, Sources: want.Sources}, report)
}

// TestRenderedJobSeedsVolume runs the Job that the chart renders, as a node would: the image's program with the Job's
// arguments, as the agent's user, with nothing to write to but the volume. The agent starts from that volume, with
// what the chart rendered beside the Job.
func TestRenderedJobSeedsVolume(t *testing.T) {
	t.Parallel()
	if err := namespacesWork(); err != nil {
		t.Skipf("the image's program cannot be given a root of its own: %v", err)
	}
	m := mirrored{dir: tempDir(t), mount: pullAll(t).mount}
	file := filepath.Join(tempDir(t), "image.tar")
	runOffline(t, "unpack", bundleAll(t), "-o", "image:"+file, "--mount", m.mount)
	text := usersValues["slack"]
	values := printValues(t, "values", file, "--seed-from", "registry.example/mirror/botkube-plugins:v1.14.0", "--values", valuesFile(t, text))
	pod := podOf(named(t, renderedObjects(t, []byte(text), values), "Job botkube-plugins-seed"))
	security := pod.at("spec", "securityContext").(map[string]any)
	if security["runAsUser"] != agentUser || security["runAsGroup"] != agentUser || security["runAsNonRoot"] != true {
		t.Fatalf("the Job runs as %v", security)
	}
	image := openImage(t, file).here(t)
	config, err := image.ConfigFile()
	entrypoint := must(t, config, err).Config.Entrypoint
	seedFrom(t, flatten(t, image), pod.objects("spec", "containers")[0], entrypoint, m)
	rendered := configurationOf(t, renderChart(t, []byte(text), values))
	checkEnabled(t, m.start(t, agentConfig{Rendered: &rendered}), askCollector(t, []configuration{rendered})[0])
}

// seedFrom runs a container whose only volume is m.
func seedFrom(t *testing.T, root string, container manifest, entrypoint []string, m mirrored) {
	t.Helper()
	volume := container.objects("volumeMounts")[0].text("mountPath")
	if err := os.Mkdir(filepath.Join(root, volume), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(m.dir, agentUser, agentUser); err != nil {
		t.Fatal(err)
	}
	args := slices.Clone(entrypoint[1:])
	for _, a := range container.at("args").([]any) {
		args = append(args, a.(string))
	}
	cmd, err := namespace{Root: root, Source: m.dir, Target: volume, Writable: true, Command: entrypoint[0], Args: args}.command()
	if out, err := must(t, cmd, err).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
}

// TestAgentRefusesWhatIsNotMirrored has values enable a plugin of a repository that is not mirrored: no object names that
// any more, and the agent gives up at once, without a call.
func TestAgentRefusesWhatIsNotMirrored(t *testing.T) {
	t.Parallel()
	m := mirrored{dir: filepath.Join(tempDir(t), "kubectl")}
	m.mount = mountFor(t, m.dir)
	runOffline(t, "unpack", bundleAll(t), "-o", m.dir, "--mount", m.mount, "--plugin", "botkube/kubectl")
	text := usersValues["slack"]
	got := runProduct(t, startProxy(t, nil), "values", m.dir, "--pvc", "plugins", "--values", valuesFile(t, text))
	if want := "botkube/kubernetes, botkubeExtra/helm"; got.code != 0 || !strings.Contains(got.stderr, want) {
		t.Errorf("exit code %d, and noted is %q, want %q", got.code, got.stderr, want)
	}
	objects := renderChart(t, []byte(text), []byte(got.stdout))
	for name, object := range objects {
		if strings.Contains(object, "github.com/kubeshop/botkube-plugins/releases") {
			t.Errorf("%s names the repository", name)
		}
	}
	rendered := configurationOf(t, objects)
	report, asked := m.asksFor(t, agentConfig{Rendered: &rendered})
	if want := `repository "botkubeExtra" is not defined`; !strings.Contains(report.Error, want) || len(asked) > 0 {
		t.Errorf("the agent says %q, want %q; it asked for %q", report.Error, want, asked)
	}
}

// TestAgentDownloadsFromServerByRenderedConfiguration is the same with botkube-mirror serve, in a network where there
// is nothing else.
func TestAgentDownloadsFromServerByRenderedConfiguration(t *testing.T) {
	t.Parallel()
	s := startServer(t, bundleAll(t))
	base, _, found := strings.Cut(s.indexes["botkube"], "/"+Version+"/")
	if !found {
		t.Fatalf("the server has the index of botkube at %q", s.indexes["botkube"])
	}
	text := usersValues["slack"]
	rendered := configurationOf(t, renderChart(t, []byte(text), printValues(t, "values", bundleAll(t), "--base-url", base, "--values", valuesFile(t, text))))
	checkEnabled(t, s.startAgent(t, agentConfig{Rendered: &rendered}), askCollector(t, []configuration{rendered})[0])
	if len(s.calls(t)) == 0 {
		t.Error("the agent downloaded nothing")
	}
}
