package deploy

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/helmvalues"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	amd64 = agent.Platform{OS: "linux", Arch: "amd64"}
	arm64 = agent.Platform{OS: "linux", Arch: "arm64"}
)

// base is a mirror of two repositories, of which the chart knows one more.
func base() Options {
	return Options{
		Target: "bundle.tar", BotkubeVersion: "v1.14.0", LockDigest: "sha256:" + strings.Repeat("0", 64),
		Platforms: []agent.Platform{amd64}, Mount: "/plugins",
		Repositories: []agent.Repository{{Name: "botkube", URL: "http://mirror.invalid/botkube/plugins-index.yaml"}, {Name: "on", URL: "http://mirror.invalid/on/plugins-index.yaml"}},
		Absent:       []string{"botkubeExtra"},
	}
}

func withClaim(o Options) Options {
	o.Claim = &Claim{Name: "plugins"}
	return o
}

func withSeed(o Options) Options {
	o.Claim = &Claim{Name: "plugins", Seed: &Seed{Image: "r.example/m/botkube-plugins:v1.14.0", Storage: "5Gi", StorageClass: "fast", AccessMode: "ReadWriteOnce", LockDigest: "sha256:" + strings.Repeat("1", 64)}}
	return o
}

func withImage(o Options) Options {
	o.Image = &ImageVolume{Reference: "r.example/m/botkube-plugins:v1.14.0", Path: "plugins"}
	o.Platforms = []agent.Platform{amd64, arm64}
	return o
}

func withSite(o Options) Options {
	o.Site = &Site{
		BaseURL: "https://10.1.2.3:8443/botkube", Written: "https://mirror.example.com",
		Templates: []Templates{
			{Group: "tools", Plugin: "botkubeExtra/exec", URLs: []string{"https://10.1.2.3:8443/botkube/files/aa/t.tar.gz?checksum=sha256:00"}},
			{Group: "tools", Plugin: "other/exec", URLs: []string{"https://10.1.2.3:8443/botkube/files/bb/t.tar.gz"}},
		},
	}
	o.Platforms = []agent.Platform{amd64, arm64}
	return o
}

// everything uses whatever there is.
func everything(o Options) Options {
	o.AgentImage = &ChartImage{Registry: "r.example", Repository: "m/botkube", Tag: "v1.14.0"}
	o.PullSecrets = []string{"regcred", "yes"}
	o.Missing = []string{"botkubeExtra/helm"}
	o.Policy = &Policy{
		Allow: []Network{network("192.0.2.7:8080"), network("2001:db8::/32")},
		PluginEgress: agent.PluginEgress{Calls: []agent.Egress{
			{Destination: "http://mattermost.chat.svc.cluster.local:8065", Purpose: "Mattermost", InCluster: true},
			{Destination: "https://slack.com and wss://*.slack.com", Purpose: "Slack"},
			{Destination: "https://hooks.example.com", Purpose: "webhook"},
		}},
	}
	o.Configured = true
	o.User = map[string]any{
		"extraVolumes":      []any{map[string]any{"name": "ca", "configMap": map[string]any{"name": "ca"}}, map[string]any{"name": volumeName, "emptyDir": map[string]any{}}},
		"extraVolumeMounts": []any{map[string]any{"name": "ca", "mountPath": "/company"}},
		"extraObjects":      []any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "{{ .Release.Name }}-mine"}}},
		"tolerations":       []any{map[string]any{"key": "tools", "operator": "Exists"}},
		"nodeSelector":      map[string]any{"pool": "tools", "kubernetes.io/arch": "any"},
		"image":             map[string]any{"pullSecrets": []any{"mine", "regcred"}},
		"plugins":           map[string]any{"repositories": map[string]any{"botkube": map[string]any{"headers": map[string]any{"X-API-Key": "s3cret"}}}},
	}
	return o
}

func network(s string) Network {
	n, err := ParseNetwork(s)
	if err != nil {
		panic(err)
	}
	return n
}

func TestGolden(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		render  func(Options) (*Rendering, error)
	}{
		"pvc":              {withClaim(base()), Values},
		"seed":             {withSeed(base()), Values},
		"image":            {withImage(base()), Values},
		"site":             {withSite(base()), Values},
		"image-everything": {everything(withImage(base())), Values},
		"seed-everything":  {everything(withSeed(base())), Values},
		"site-everything":  {everything(withSite(base())), Values},
		"manifests-seed":   {everything(withSeed(base())), Manifests},
		"manifests-site":   {everything(withSite(base())), Manifests},
		"patch-pvc":        {everything(withClaim(base())), Patch},
		"patch-image":      {withImage(base()), Patch},
		"patch-site":       {withSite(base()), Patch},
	} {
		t.Run(name, func(t *testing.T) {
			got := render(t, test.render, test.options)
			file := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s is not what is rendered; run: go test ./internal/botkube/deploy -update, and read the difference\n%s", file, got)
			}
			if again := render(t, test.render, test.options); !bytes.Equal(got, again) {
				t.Error("the same options give other bytes")
			}
			if strings.Contains(string(got), "s3cret") {
				t.Error("a header of the user's is shown")
			}
		})
	}
}

func render(t *testing.T, how func(Options) (*Rendering, error), o Options) []byte {
	t.Helper()
	r, err := how(o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.YAML()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestQuote wants escapes for what must not stand in a log to mean the same.
func TestQuote(t *testing.T) {
	o := withClaim(base())
	const odd = "a ##[group]b: c\\\n  ::warning::x\n::y\u202e\n"
	o.User = map[string]any{"extraVolumes": []any{map[string]any{odd: odd, "name": odd}}}
	r, err := Values(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Quote(func(s string) bool { return s == odd })
	text, err := r.YAML()
	if err != nil {
		t.Fatal(err)
	}
	escaped := strings.NewReplacer("##[", `\x23#[`, "\u202e", `\u202e`).Replace(string(text))
	var got map[string][]map[string]any
	values, err := helmvalues.Parse([]byte(escaped))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(values["extraVolumes"])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`{"v": `+string(data)+`}`), &got); err != nil || got["v"][0][odd] != odd || got["v"][0]["name"] != odd {
		t.Errorf("%q, %v in\n%s", got, err, escaped)
	}
	if strings.Contains(escaped, "\n  ::") || strings.Contains(escaped, "\n::") {
		t.Error(escaped)
	}
}

// TestJSON wants JSON to say what YAML says.
func TestJSON(t *testing.T) {
	for _, o := range []Options{withClaim(base()), everything(withSeed(base())), everything(withSite(base()))} {
		r, err := Values(o)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var ofJSON, ofYAML any
		if err := yaml.Unmarshal(data, &ofJSON); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(render(t, Values, o), &ofYAML); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(ofJSON, ofYAML) {
			t.Errorf("as JSON it is\n%s", data)
		}
	}
}

// TestVariablesThatAgree are no reason to refuse anything.
func TestVariablesThatAgree(t *testing.T) {
	for _, o := range []Options{withClaim(base()), withSite(base())} {
		o.Environment = map[string]string{"BOTKUBE_PLUGINS_CACHE__DIR": o.cacheDir(), "BOTKUBE_ANALYTICS_DISABLE": "true", "BOTKUBE_SETTINGS_CLUSTER__NAME": "x", "HTTPS_PROXY": "x"}
		if _, err := Values(o); err != nil {
			t.Error(err)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"a mount that is the chart's":     {func(o *Options) { o.Mount = "/tmp" }, "mounts another volume at /tmp"},
		"a mount above the chart's":       {func(o *Options) { o.Mount = "/var/run" }, "mounts another volume at /var/run/"},
		"a mount for a template":          {func(o *Options) { o.Mount = "/{{ .Values }}" }, "the chart cannot mount the mirror at"},
		"a mount with a colon":            {func(o *Options) { o.Mount = "/a: b" }, "the chart cannot mount the mirror at"},
		"a relative mount":                {func(o *Options) { o.Mount = "plugins" }, "the chart cannot mount the mirror at"},
		"several platforms":               {func(o *Options) { o.Platforms = []agent.Platform{amd64, arm64} }, "is for linux/amd64 and linux/arm64, but a volume can hold"},
		"no platform":                     {func(o *Options) { o.Platforms = nil }, "not for a platform"},
		"a claim's name":                  {func(o *Options) { o.Claim.Name = "Plugins" }, "--pvc"},
		"a claim's name with a quote":     {func(o *Options) { o.Claim.Name = `a"b` }, "--pvc"},
		"a claim's name that is too long": {func(o *Options) { o.Claim.Name = strings.Repeat("a", 254) }, "--pvc"},
		"a claim's name, for a Job":       {func(o *Options) { *o = withSeed(*o); o.Claim.Name = strings.Repeat("a", 59) }, "not a valid name"},
		"a sub-path that leads out":       {func(o *Options) { o.Claim.SubPath = "../x" }, "--sub-path"},
		"an absolute sub-path":            {func(o *Options) { o.Claim.SubPath = "/x" }, "--sub-path"},
		"a size":                          {func(o *Options) { *o = withSeed(*o); o.Claim.Seed.Storage = "much" }, "--storage-size"},
		"no size":                         {func(o *Options) { *o = withSeed(*o); o.Claim.Seed.Storage = "0" }, "--storage-size"},
		"a storage class":                 {func(o *Options) { *o = withSeed(*o); o.Claim.Seed.StorageClass = "a b" }, "--storage-class"},
		"an access mode":                  {func(o *Options) { *o = withSeed(*o); o.Claim.Seed.AccessMode = "ReadOnlyMany" }, "--access-mode"},
		"a secret's name":                 {func(o *Options) { o.PullSecrets = []string{"a_b"} }, "--pull-secret"},
		"a site without address":          {func(o *Options) { *o = withSite(base()); o.Site.BaseURL = "https://m.example"; o.Policy = &Policy{} }, "cannot allow https://m.example by name"},
		"a variable for the directory":    {func(o *Options) { o.Environment = map[string]string{"BOTKUBE_PLUGINS_CACHE__DIR": "/x"} }, "the variable BOTKUBE_PLUGINS_CACHE__DIR in extraEnv of your values overrides plugins.cacheDir"},
		"a variable for a repository": {func(o *Options) {
			o.Environment = map[string]string{"BOTKUBE_PLUGINS_REPOSITORIES_BOTKUBE_URL": "https://x.example"}
		}, "overrides plugins.repositories.botkube.url"},
		"a variable for analytics": {func(o *Options) { o.Environment = map[string]string{"BOTKUBE_ANALYTICS_DISABLE": "false"} }, "overrides analytics.disable"},
		"a list that is none":      {func(o *Options) { o.User = map[string]any{"extraVolumes": "x"} }, "extraVolumes"},
		"a pull secret that is no name": {func(o *Options) {
			o.User = map[string]any{"image": map[string]any{"pullSecrets": []any{map[string]any{"name": "x"}}}}
		}, "image.pullSecrets"},
		"Botkube Cloud":                    {func(o *Options) { o.User = user("config", "provider", "identifier", "x") }, "Botkube Cloud"},
		"a mount of the user's in the way": {func(o *Options) { o.User = mounts("/plugins/") }, `mount the volume "mine"`},
		"one below":                        {func(o *Options) { o.User = mounts("/plugins/x") }, `mount the volume "mine"`},
	} {
		t.Run(name, func(t *testing.T) {
			o := withClaim(base())
			test.change(&o)
			_, err := Values(o)
			if err == nil || !strings.Contains(err.Error(), test.want) || fault.KindOf(err) != fault.Usage {
				t.Errorf("%v, want %q", err, test.want)
			}
			for form, render := range map[string]func(Options) (*Rendering, error){"manifests": Manifests, "a patch": Patch} {
				if _, ofForm := render(o); (ofForm == nil) != (err == nil) {
					t.Errorf("as %s: %v", form, ofForm)
				}
			}
		})
	}
}

// TestMountedAlready has the user's values mount the mirror as it should be.
func TestMountedAlready(t *testing.T) {
	own := func(volume, mount string) map[string]any {
		values, err := helmvalues.Parse([]byte("extraVolumes: [{name: mine, " + volume + "}]\nextraVolumeMounts: [{name: mine, mountPath: /plugins/" + mount + "}]"))
		if err != nil {
			t.Fatal(err)
		}
		return values
	}
	claim, image := withClaim(base()), withImage(base())
	right := "persistentVolumeClaim: {claimName: " + claim.Claim.Name + "}"
	for name, test := range map[string]struct {
		options Options
		user    map[string]any
		ok      bool
	}{
		"the claim":         {claim, own(right, ", subPath: "+claim.Claim.SubPath), true},
		"another claim":     {claim, own("persistentVolumeClaim: {claimName: other}", ""), false},
		"another directory": {claim, own(right, ", subPath: other"), false},
		"something else":    {claim, own("emptyDir: {}", ""), false},
		"the image":         {image, own("image: {reference: '"+image.Image.Reference+"'}", ", subPath: "+image.Image.Path), true},
		"another image":     {image, own("image: {reference: x}", ", subPath: "+image.Image.Path), false},
	} {
		test.options.User = test.user
		made, err := Values(test.options)
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err == nil {
			if text, _ := made.YAML(); strings.Contains(string(text), "extraVolume") {
				t.Errorf("%s: it is mounted twice:\n%s", name, text)
			}
		}
	}
}

// TestWatcher leaves out the second container of old charts.
func TestWatcher(t *testing.T) {
	o := withClaim(base())
	o.Watcher = true
	for want, render := range map[string]func(Options) (*Rendering, error){
		"configWatcher:\n": Values, "configWatcher:\n      ": Manifests, "- name: cfg-watcher\n          \"$patch\": delete": Patch,
	} {
		made, err := render(o)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := made.YAML(); !strings.Contains(string(text), want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
}

// TestMirroredWatcher keeps it, with the image that push put beside the agent's.
func TestMirroredWatcher(t *testing.T) {
	o := withClaim(base())
	o.Watcher, o.WatcherImage = true, &ChartImage{Registry: "r.example", Repository: "m/k8s-sidecar", Tag: "v1.4.1"}
	for _, test := range []struct {
		render     func(Options) (*Rendering, error)
		want, lack string
	}{
		{Values, "registry: r.example\n    repository: m/k8s-sidecar\n    tag: v1.4.1\n", "enabled: false"},
		{Manifests, "analytics:", "configWatcher"},
		{Patch, "- name: cfg-watcher\n          image: r.example/m/k8s-sidecar:v1.4.1", "$patch"},
	} {
		made, err := test.render(o)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := made.YAML()
		if !strings.Contains(string(text), test.want) || strings.Contains(string(text), test.lack) {
			t.Errorf("there is no %q, or %q, in\n%s", test.want, test.lack, text)
		}
	}
	o.Watcher = false // of a later chart
	if made, err := Values(o); err != nil {
		t.Error(err)
	} else if text, _ := made.YAML(); strings.Contains(string(text), "configWatcher") {
		t.Errorf("a chart without that container gets\n%s", text)
	}
}

// user nests a value.
func user(path ...string) map[string]any {
	var v any = path[len(path)-1]
	for i := len(path) - 2; i >= 0; i-- {
		v = map[string]any{path[i]: v}
	}
	return v.(map[string]any)
}

func mounts(at string) map[string]any {
	return map[string]any{"extraVolumeMounts": []any{map[string]any{"name": "mine", "mountPath": at}}}
}

func TestParseNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8 0", "10.1.2.3": "10.1.2.3/32 0", "10.1.2.3:6443": "10.1.2.3/32 6443", "10.1.2.3/8:443": "10.0.0.0/8 443",
		"fd00::/8": "fd00::/8 0", "[fd00::1]:443": "fd00::1/128 443", "[fd00::/8]:1": "fd00::/8 1", "::1": "::1/128 0",
	} {
		n, err := ParseNetwork(in)
		if got := n.Prefix.String() + " " + port("TCP", n.Port).get("port").Value; err != nil || got != want {
			t.Errorf("%s is %s (%v), want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "example.com", "10.0.0.0/33", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:x", "[10.0.0.1]:1", "[fd00::1:1", "fe80::1%eth0", "::ffff:10.0.0.1", "10.0.0.0/8:", "-1"} {
		if n, err := ParseNetwork(in); err == nil {
			t.Errorf("%q is taken for %v", in, n)
		}
	}
}

func TestDestinations(t *testing.T) {
	for url, want := range map[string]string{
		"http://mattermost.chat.svc:8065":           "namespace chat",
		"http://mattermost.chat.svc.cluster.local/": "namespace chat",
		"mattermost.chat.svc.example.org:80":        "namespace chat",
		"https://0.mattermost.chat.svc":             "namespace chat",
		"http://Mattermost:8065":                    "own namespace",
		"https://10.1.2.3":                          "10.1.2.3/32:443",
		"http://[fd00::1]:8065":                     "fd00::1/128:8065",
		"10.1.2.3":                                  "10.1.2.3/32",
		"http://localhost:1":                        "nothing",
		"http://127.0.0.1:1":                        "nothing",
		"https://mattermost.example.com":            "named",
		"https://svc.example.com":                   "named",
		"https://slack.com and wss://*.slack.com":   "named",
		"": "named",
	} {
		o := Options{Policy: &Policy{PluginEgress: agent.PluginEgress{Calls: []agent.Egress{{Destination: url}, {Destination: url}}}}}
		rules, names := o.destinationRules()
		if got := describe(rules, names); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
	o := Options{Policy: &Policy{PluginEgress: agent.PluginEgress{Calls: []agent.Egress{{Destination: "http://mattermost.chat", InCluster: true}}}}}
	if got := describe(o.destinationRules()); got != "namespace chat" {
		t.Errorf("a Service's name without svc: %s", got)
	}
}

// describe says in words what one rule allows.
func describe(rules []any, names []string) string {
	if len(rules)+len(names) > 1 {
		return "more than one"
	}
	if len(names) > 0 {
		return "named"
	}
	if len(rules) == 0 {
		return "nothing"
	}
	rule := object{nodeOf(rules[0])}
	peer := object{rule.get("to").Content[0]}
	if cidr := peer.get("ipBlock", "cidr"); cidr != nil {
		if ports := rule.get("ports"); ports != nil {
			return cidr.Value + ":" + valueOf(ports.Content[0], "port").Value
		}
		return cidr.Value
	}
	if ns := peer.get("namespaceSelector", "matchLabels", "kubernetes.io/metadata.name"); ns != nil {
		return "namespace " + ns.Value
	}
	return "own namespace"
}

func TestStorageFor(t *testing.T) {
	for bytes, want := range map[int64]string{0: "1Gi", 1: "1Gi", 100 << 20: "1Gi", 103 << 20: "2Gi", 1 << 30: "10Gi"} {
		if got := StorageFor(bytes); got != want {
			t.Errorf("%d bytes need %s, want %s", bytes, got, want)
		}
	}
}

// TestComments wants a name from outside to stay in its comment.
func TestComments(t *testing.T) {
	o := withClaim(base())
	o.Target = "x\nplugins: {cacheDir: /elsewhere}\u0085a: b\u2028c: d\x1b[31m"
	text := render(t, Values, o)
	var v struct {
		Plugins struct {
			CacheDir string `yaml:"cacheDir"`
		}
		A, C any
	}
	if err := yaml.Unmarshal(text, &v); err != nil || v.Plugins.CacheDir != "/plugins" || v.A != nil || v.C != nil {
		t.Errorf("%v of\n%s", err, text)
	}
	if bytes.ContainsRune(text, '\x1b') {
		t.Error("a control character is printed")
	}
}

// TestDeniedIsTold wants nobody to find out by a silent agent what a policy denies.
func TestDeniedIsTold(t *testing.T) {
	o := base()
	o.Configured, o.User = true, map[string]any{}
	o.Policy = &Policy{PluginEgress: agent.PluginEgress{Calls: []agent.Egress{{Destination: "https://chat.example", Purpose: "chat"}, {Destination: "http://prometheus.monitoring.svc:9090", InCluster: true}}}}
	const want = "the agent will not reach chat: https://chat.example: give their addresses"
	if got := strings.Join(o.Notes(), "\n"); !strings.Contains(got, want) || strings.Contains(got, "prometheus") {
		t.Errorf("the notes are %q", got)
	}
	o.Policy.Allow = []Network{{Prefix: netip.MustParsePrefix("10.0.0.1/32")}}
	if got := o.Notes(); len(got) > 0 {
		t.Errorf("with an address given, the notes are %q", got)
	}
}

// proxied has an agent that asks for everything outside through a proxy.
func proxied(proxy string, more ...agent.Egress) Options {
	o := withSite(base())
	o.Site = &Site{BaseURL: "https://mirror.example.com"}
	o.Configured, o.User = true, map[string]any{}
	o.Environment = map[string]string{"HTTPS_PROXY": "http://user:s3cret@" + proxy, "NO_PROXY": ".svc"}
	o.Policy = &Policy{PluginEgress: agent.PluginEgress{Calls: append(more,
		agent.Egress{Destination: "https://slack.com and wss://*.slack.com", Purpose: "Slack", Proxy: "HTTPS_PROXY"},
		agent.Egress{Destination: "http://" + proxy, Purpose: "requests through a proxy", InCluster: agent.InCluster(proxy)})}}
	return o
}

// TestPolicyOfProxy wants the way to a proxy, and no more for what lies behind it.
func TestPolicyOfProxy(t *testing.T) {
	for name, test := range map[string]struct {
		proxy, want string
		// refused is why there is no policy, which no note repeats.
		refused string
	}{
		"a Service":   {proxy: "squid.infra.svc:3128", want: "kubernetes.io/metadata.name: infra"},
		"an address":  {proxy: "192.0.2.7:3128", want: "port: 3128"},
		"beside it":   {proxy: "127.0.0.1:3128"},
		"a host name": {proxy: "proxy.example:3128", refused: "cannot allow http://proxy.example:3128 by name"},
	} {
		o := proxied(test.proxy)
		notes := strings.Join(o.Notes(), "\n")
		if strings.Contains(notes, "NetworkPolicy cannot allow host names") || strings.Contains(notes, "Slack") {
			t.Errorf("%s: the notes are %q", name, notes)
		}
		if err := o.Check(); test.refused != "" {
			if err == nil || !strings.Contains(err.Error(), test.refused) {
				t.Errorf("%s: %v", name, err)
			}
			o.Policy.Allow = []Network{network("192.0.2.9:3128")}
		}
		text := string(render(t, Values, o))
		if !strings.Contains(text, test.want) || strings.Contains(text, "Slack") || strings.Contains(text, "s3cret") {
			t.Errorf("%s: %s", name, text)
		}
	}
	// What is not asked for through the proxy needs an address as before.
	o := proxied("squid.infra.svc:3128", agent.Egress{Destination: "https://direct.example", Purpose: "webhook"})
	if notes := strings.Join(o.Notes(), "\n"); !strings.Contains(notes, "will not reach webhook: https://direct.example: give") {
		t.Errorf("the notes are %q", notes)
	}
}

// TestProxyFromSecret wants to be told of a proxy that the values do not name.
func TestProxyFromSecret(t *testing.T) {
	o := withClaim(base())
	o.Configured, o.Policy = true, &Policy{}
	from := map[string]any{"secretKeyRef": map[string]any{"name": "proxy", "key": "url"}}
	o.User = map[string]any{"extraEnv": []any{
		map[string]any{"name": "https_proxy", "valueFrom": from}, map[string]any{"name": "OTHER", "valueFrom": from}, map[string]any{"name": "HTTP_PROXY", "value": "http://proxy.svc"}, "odd",
	}}
	const want = "the NetworkPolicy blocks the proxies in https_proxy (extraEnv)"
	if got := strings.Join(o.Notes(), "\n"); !strings.Contains(got, want) {
		t.Errorf("the notes are %q", got)
	}
	o.Policy.Allow = []Network{network("192.0.2.9")}
	if got := o.Notes(); len(got) > 0 {
		t.Errorf("with an address given, the notes are %q", got)
	}
}

func TestPolicyOfPlugins(t *testing.T) {
	o := withClaim(base())
	o.Configured, o.User = true, map[string]any{}
	o.Policy = &Policy{
		PluginEgress: agent.PluginEgress{Calls: []agent.Egress{{Destination: agent.DestinationOwnService, Purpose: "o/ai for ai-brain", InCluster: true}, {Destination: "http://prometheus.monitoring.svc:9090", Purpose: "o/prometheus for alerts", InCluster: true}}, Unknown: []string{"demo/hello"}},
	}
	const want = `
        # o/ai for ai-brain: the agent's own Service
        - to:
            - podSelector:
                matchLabels:
                  app: botkube
                  component: controller
        # o/prometheus for alerts: http://prometheus.monitoring.svc:9090
        - to:
            - namespaceSelector:
                matchLabels:
                  kubernetes.io/metadata.name: monitoring
`
	if text := string(render(t, Values, o)); !strings.Contains(text, want) {
		t.Error(text)
	}
	if notes := strings.Join(o.Notes(), "\n"); !strings.Contains(notes, "unless --allow names them: demo/hello") || strings.Contains(notes, "will not reach") {
		t.Errorf("the notes are %q", notes)
	}
}
