package acceptance

import (
	"fmt"
	"slices"
	"strings"
)

// Version is the Botkube version that [PublishRelease] publishes.
const Version = "v1.14.0"

// IndexURLs has where the plugin repositories of that version keep their indexes, by the names that the agent's
// default configuration gives them.
var IndexURLs = map[string]string{
	"botkube":      releaseURL("botkube") + "plugins-index.yaml",
	"botkubeExtra": releaseURL("botkube-plugins") + "plugins-index.yaml",
}

func releaseURL(project string) string {
	return "https://github.com/kubeshop/" + project + "/releases/download/" + Version + "/"
}

var releasePlatforms = []platform{{"darwin", "amd64"}, {"darwin", "arm64"}, {"linux", "amd64"}, {"linux", "arm64"}}

// releasePlugin is one plugin of the release.
type releasePlugin struct {
	repository, kind, name string
	dependencies           []releaseDependency
	schemaURL              string
}

func (p releasePlugin) key() string { return p.repository + "/" + p.name }

// stamp is the identity of the plugin on one platform; see package self of module agent.
func (p releasePlugin) stamp(on platform) string {
	return strings.Join([]string{p.repository, p.kind, p.name, Version, on.String()}, " ")
}

// refSchemaURL serves the only schema that an index refers to instead of quoting it.
const refSchemaURL = "https://raw.githubusercontent.com/kubeshop/botkube-plugins/main/prometheus.json"

// releasePlugins is a selection of the real release that has every shape of dependency in it.
var releasePlugins = []releasePlugin{
	{repository: "botkube", kind: "executor", name: "echo"},
	{repository: "botkube", kind: "executor", name: "kubectl", dependencies: []releaseDependency{kubectl}},
	{repository: "botkube", kind: "source", name: "cm-watcher"},
	{repository: "botkube", kind: "source", name: "kubernetes"},
	{repository: "botkubeExtra", kind: "executor", name: "gh", dependencies: []releaseDependency{ghCLI("2.45.0"), kubectl}},
	{repository: "botkubeExtra", kind: "source", name: "ai-brain", dependencies: []releaseDependency{kubectl, kubescape}},
	{repository: "botkubeExtra", kind: "executor", name: "exec", dependencies: []releaseDependency{eget}},
	{repository: "botkubeExtra", kind: "executor", name: "flux", dependencies: []releaseDependency{flux, ghCLI("2.32.1")}},
	{repository: "botkubeExtra", kind: "executor", name: "helm", dependencies: []releaseDependency{helm}},
	{repository: "botkubeExtra", kind: "source", name: "prometheus", schemaURL: refSchemaURL},
}

// releaseDependency is a program that plugins need, where its publisher keeps it.
type releaseDependency struct {
	name, version string
	// url is as the index has it: with the sub-directory, if any.
	url func(platform) string
	// members is the archive's content; nil for a raw file.
	members func(on platform, script []byte) []member
	// sums publishes the checksum in the publisher's way.
	sums func(u *Upstream, url, sum string, on platform)
}

// script is what the dependency does: print its identity.
func (d releaseDependency) script(on platform) []byte {
	return fmt.Appendf(nil, "#!/bin/sh\necho %s\n", d.says(on))
}

func (d releaseDependency) says(on platform) string {
	return d.name + " " + d.version + " " + on.String()
}

var kubectl = releaseDependency{
	name: "kubectl", version: "v1.28.1",
	url:  func(p platform) string { return "https://dl.k8s.io/release/v1.28.1/bin/" + p.String() + "/kubectl" },
	sums: func(u *Upstream, url, sum string, _ platform) { u.Publish(url+".sha256", []byte(sum)) },
}

var helm = releaseDependency{
	name: "helm", version: "v3.6.3",
	url: func(p platform) string {
		return fmt.Sprintf("https://get.helm.sh/helm-v3.6.3-%s-%s.tar.gz//%[1]s-%s", p.OS, p.Arch)
	},
	members: func(p platform, script []byte) []member {
		dir := p.OS + "-" + p.Arch + "/"
		return []member{document(dir + "LICENSE"), document(dir + "README.md"), program(dir+"helm", script)}
	},
	sums: sumsBeside(".sha256sum"),
}

var eget = releaseDependency{
	name: "eget", version: "v1.3.3",
	url: func(p platform) string {
		return fmt.Sprintf("https://github.com/zyedidia/eget/releases/download/v1.3.3/eget-1.3.3-%s_%s.tar.gz//eget-1.3.3-%[1]s_%s", p.OS, p.Arch)
	},
	members: func(p platform, script []byte) []member {
		dir := "eget-1.3.3-" + p.OS + "_" + p.Arch + "/"
		return []member{document(dir + "LICENSE"), program(dir+"eget", script), document(dir + "eget.1")}
	},
	sums: sumsBeside(".sha256"),
}

var flux = releaseDependency{
	name: "flux", version: "v2.0.1",
	url: func(p platform) string {
		return fmt.Sprintf("https://github.com/fluxcd/flux2/releases/download/v2.0.1/flux_2.0.1_%s_%s.tar.gz", p.OS, p.Arch)
	},
	members: func(_ platform, script []byte) []member { return []member{program("flux", script)} },
	sums:    sumsTogether("flux_2.0.1_checksums.txt"),
}

// ghCLI is GitHub's command line, a zip with another name for the system on macOS.
func ghCLI(version string) releaseDependency {
	root := func(p platform) string {
		return "gh_" + version + "_" + strings.Replace(p.OS, "darwin", "macOS", 1) + "_" + p.Arch
	}
	return releaseDependency{
		name: "gh", version: "v" + version,
		url: func(p platform) string {
			extension := ".tar.gz"
			if p.OS == "darwin" {
				extension = ".zip"
			}
			return "https://github.com/cli/cli/releases/download/v" + version + "/" + root(p) + extension + "//" + root(p) + "/bin"
		},
		members: func(p platform, script []byte) []member {
			return []member{
				document(root(p) + "/LICENSE"),
				program(root(p)+"/bin/gh", script),
				document(root(p) + "/share/man/man1/gh.1"),
			}
		},
		sums: sumsTogether("gh_" + version + "_checksums.txt"),
	}
}

var kubescape = releaseDependency{
	name: "kubescape", version: "v3.0.11",
	url: func(p platform) string {
		system := map[string]string{"linux": "ubuntu", "darwin": "macos"}[p.OS]
		arch := map[string]string{"arm64": "arm64-"}[p.Arch]
		return "https://github.com/kubescape/kubescape/releases/download/v3.0.11/kubescape-" + arch + system + "-latest"
	},
	sums: sumsBeside(".sha256"),
}

// sumsBeside publishes "hex  name" next to each file.
func sumsBeside(suffix string) func(*Upstream, string, string, platform) {
	return func(u *Upstream, url, sum string, _ platform) {
		u.Publish(url+suffix, []byte(sumLine(url, sum)))
	}
}

// sumsTogether collects the lines of all platforms in one file, as goreleaser does.
func sumsTogether(name string) func(*Upstream, string, string, platform) {
	return func(u *Upstream, url, sum string, _ platform) {
		at := url[:strings.LastIndex(url, "/")+1] + name
		line := sumLine(url, sum)
		before := string(u.files[at].content)
		if !strings.Contains(before, line) {
			u.Publish(at, []byte(before+line))
		}
	}
}

func sumLine(url, sum string) string {
	return sum + "  " + url[strings.LastIndex(url, "/")+1:] + "\n"
}

// Programs has the plugin program of each kind, built for one platform. The files of other platforms hold text.
type Programs struct {
	Platform         platform
	Executor, Source []byte
}

// Stamped returns the program of a kind as the plugin with that stamp.
func (p Programs) Stamped(kind, stamp string, on platform) []byte {
	code := map[string][]byte{"executor": p.Executor, "source": p.Source}[kind]
	if on != p.Platform {
		code = []byte("#!/bin/sh\n# no program of " + p.Platform.String())
	}
	return slices.Concat(code, []byte("\n"+stamp+"\n"))
}

// PublishRelease publishes the release: both indexes, the plugins' archives, and the dependencies.
func PublishRelease(u *Upstream, programs Programs) error {
	indexes := map[string]*index{"botkube": {}, "botkubeExtra": {}}
	for _, p := range releasePlugins {
		e, err := publishPlugin(u, programs, p)
		if err != nil {
			return fmt.Errorf("publishing %s: %w", p.key(), err)
		}
		indexes[p.repository].Entries = append(indexes[p.repository].Entries, e)
	}
	for name, x := range indexes {
		u.Publish(IndexURLs[name], x.marshal())
	}
	u.Publish(refSchemaURL, []byte(`{"title": "Prometheus", "type": "object"}`))
	return nil
}

func publishPlugin(u *Upstream, programs Programs, p releasePlugin) (entry, error) {
	e := entry{Name: p.name, Type: p.kind, Description: "Says who it is.", Version: Version, Recommended: p.name == "kubectl"}
	e.JSONSchema = entrySchema{Value: "{\n  \"title\": \"" + p.name + "\",\n  \"type\": \"object\"\n}\n"}
	if p.schemaURL != "" {
		e.JSONSchema = entrySchema{RefURL: p.schemaURL}
	}
	for _, on := range releasePlatforms {
		base := fmt.Sprintf("%s_%s_%s_%s", p.kind, p.name, on.OS, on.Arch)
		at := strings.TrimSuffix(IndexURLs[p.repository], "plugins-index.yaml") + base + ".tar.gz"
		archive, err := pack(at, program(base, programs.Stamped(p.kind, p.stamp(on), on)))
		if err != nil {
			return entry{}, err
		}
		item := entryURL{URL: at, Checksum: u.Publish(at, archive), Platform: on}
		for _, d := range p.dependencies {
			if item.Dependencies == nil {
				item.Dependencies = map[string]entryDependency{}
			}
			item.Dependencies[d.name] = entryDependency{URL: d.url(on)}
			if err := publishDependency(u, d, on); err != nil {
				return entry{}, err
			}
		}
		e.URLs = append(e.URLs, item)
	}
	return e, nil
}

func publishDependency(u *Upstream, d releaseDependency, on platform) error {
	at := fileURL(d.url(on))
	members := []member{program(d.name, d.script(on))}
	if d.members != nil {
		members = d.members(on, d.script(on))
	}
	content, err := pack(at, members...)
	if err != nil {
		return err
	}
	d.sums(u, at, u.Publish(at, content), on)
	return nil
}

// fileURL returns the URL that is requested for a URL in an index: without the sub-directory and
// the query.
func fileURL(raw string) string {
	raw, _, _ = strings.Cut(raw, "?")
	scheme, rest, _ := strings.Cut(raw, "://")
	rest, _, _ = strings.Cut(rest, "//")
	return scheme + "://" + rest
}
