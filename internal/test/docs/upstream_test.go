//go:build unix

package docs

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"
)

// An internet is the files of all servers, by host and path.
type internet map[string][]byte

// released is when everything in the archives was written.
var released = time.Date(2024, time.January, 2, 3, 4, 6, 0, time.UTC)

type platform struct{ os, arch string }

var platforms = []platform{{"darwin", "amd64"}, {"darwin", "arm64"}, {"linux", "amd64"}, {"linux", "arm64"}}

// A plugin is an entry of an index; deps are dependencies by name.
type plugin struct {
	name, kind string
	deps       map[string]tool
	schema     string
}

// A tool is a dependency: its URL, and the file that has its checksum.
type tool struct {
	url  func(platform) string
	sums string
	size int
}

// official returns what Botkube v1.13.0 and v1.14.0 download: the same names and URLs as the real
// files, which are a thousand times larger.
var official = sync.OnceValue(func() internet {
	n := internet{}
	kubectl := kubectlOf("v1.28.1")
	helm := helmOf("v3.6.3")
	eget := tool{func(p platform) string {
		name := "eget-1.3.3-" + p.os + "_" + p.arch
		return "github.com/zyedidia/eget/releases/download/v1.3.3/" + name + ".tar.gz//" + name
	}, ".sha256", 9 << 10}
	flux := tool{func(p platform) string {
		return "github.com/fluxcd/flux2/releases/download/v2.0.1/flux_2.0.1_" + p.os + "_" + p.arch + ".tar.gz"
	}, "flux_2.0.1_checksums.txt", 60 << 10}
	kubescape := tool{func(p platform) string {
		name := "kubescape"
		if p.arch == "arm64" {
			name += "-arm64"
		}
		return "github.com/kubescape/kubescape/releases/download/v3.0.11/" + name + map[string]string{"darwin": "-macos", "linux": "-ubuntu"}[p.os] + "-latest"
	}, "", 150 << 10}
	templates := `{"type":"object","properties":{"templates":{"type":"array","items":{"type":"object","properties":{"ref":{"type":"string","default":"github.com/kubeshop/botkube//cmd/executor/exec/templates?ref=release-1.8"}}}}}}`
	for _, version := range []string{"v1.13.0", "v1.14.0"} {
		brain := map[string]tool{"kubectl": kubectl}
		if version == "v1.14.0" {
			brain["kubescape"] = kubescape
		}
		n.release("github.com/kubeshop/botkube/releases/download/"+version+"/", version, []plugin{
			{name: "echo", kind: "executor"},
			{name: "kubectl", kind: "executor", deps: map[string]tool{"kubectl": kubectl}},
			{name: "cm-watcher", kind: "source"},
			{name: "kubernetes", kind: "source"},
		})
		n.release("github.com/kubeshop/botkube-plugins/releases/download/"+version+"/", version, []plugin{
			{name: "ai", kind: "executor"},
			{name: "gh", kind: "executor", deps: map[string]tool{"gh": ghOf("2.45.0"), "kubectl": kubectl}},
			{name: "thread-mate", kind: "executor"},
			{name: "ai-brain", kind: "source", deps: brain},
			{name: "argocd", kind: "source"},
			{name: "github-events", kind: "source"},
			{name: "exec", kind: "executor", deps: map[string]tool{"eget": eget}, schema: templates},
			{name: "flux", kind: "executor", deps: map[string]tool{"flux": flux, "gh": ghOf("2.32.1")}},
			{name: "helm", kind: "executor", deps: map[string]tool{"helm": helm}},
			{name: "keptn", kind: "source"},
			{name: "prometheus", kind: "source"},
		})
	}
	n.release("plugins.example.com/", "v0.3.0", []plugin{{name: "oncall", kind: "executor"}, {name: "tickets", kind: "source"}})
	n.release("private.example.com/", "v2.1.0", []plugin{{name: "ledger", kind: "executor"}})
	// What a bank takes in the place of the old ones.
	for _, p := range platforms {
		n.publish(helmOf("v3.19.0"), p, "helm")
		n.publish(kubectlOf("v1.34.1"), p, "kubectl")
	}
	n.charts("v1.13.0", "v1.14.0")
	return n
})

func kubectlOf(version string) tool {
	return tool{func(p platform) string {
		return "dl.k8s.io/release/" + version + "/bin/" + p.os + "/" + p.arch + "/kubectl"
	}, ".sha256", 48 << 10}
}

func helmOf(version string) tool {
	return tool{func(p platform) string {
		return "get.helm.sh/helm-" + version + "-" + p.os + "-" + p.arch + ".tar.gz//" + p.os + "-" + p.arch
	}, ".sha256sum", 52 << 10}
}

func ghOf(version string) tool {
	return tool{func(p platform) string {
		name, ext := "gh_"+version+"_"+p.os+"_"+p.arch, ".tar.gz"
		if p.os == "darwin" {
			name, ext = "gh_"+version+"_macOS_"+p.arch, ".zip"
		}
		return "github.com/cli/cli/releases/download/v" + version + "/" + name + ext + "//" + name + "/bin"
	}, "gh_" + version + "_checksums.txt", 44 << 10}
}

// The types of an index write it as the real ones are: in the order of their keys, and indented alike.
type (
	indexEntry struct {
		Name        string            `yaml:"name"`
		Type        string            `yaml:"type"`
		Description string            `yaml:"description"`
		Version     string            `yaml:"version"`
		URLs        []indexDownload   `yaml:"urls"`
		JSONSchema  map[string]string `yaml:"jsonSchema"`
	}
	indexPlatform struct {
		OS           string `yaml:"os"`
		Architecture string `yaml:"architecture"`
	}
	indexDownload struct {
		URL          string                       `yaml:"url"`
		Checksum     string                       `yaml:"checksum"`
		Platform     indexPlatform                `yaml:"platform"`
		Dependencies map[string]map[string]string `yaml:"dependencies,omitempty"`
	}
)

func (n internet) release(base, version string, plugins []plugin) {
	var entries []indexEntry
	for _, x := range plugins {
		schema := x.schema
		if schema == "" {
			schema = `{"type":"object"}`
		}
		e := indexEntry{Name: x.name, Type: x.kind, Description: x.name + " for Botkube.", Version: version, JSONSchema: map[string]string{"value": schema}}
		for _, p := range platforms {
			name := x.kind + "_" + x.name + "_" + p.os + "_" + p.arch
			url := base + name + ".tar.gz"
			n[url] = tarball(map[string][]byte{name: binaryFor(p, url, 12<<10+len(x.name)*500)})
			d := indexDownload{URL: "https://" + url, Checksum: sum(n[url]), Platform: indexPlatform{p.os, p.arch}}
			for dep, t := range x.deps {
				if d.Dependencies == nil {
					d.Dependencies = map[string]map[string]string{}
				}
				d.Dependencies[dep] = map[string]string{"url": "https://" + n.publish(t, p, dep)}
			}
			e.URLs = append(e.URLs, d)
		}
		entries = append(entries, e)
	}
	var index bytes.Buffer
	e := yaml.NewEncoder(&index)
	e.SetIndent(4)
	check(e.Encode(map[string]any{"entries": entries}))
	n[base+"plugins-index.yaml"] = index.Bytes()
}

// publish adds the file of a tool and its checksum, and returns the URL without its scheme.
func (n internet) publish(t tool, p platform, name string) string {
	url := t.url(p)
	file, dir, _ := strings.Cut(url, "//")
	if n[file] != nil {
		return url
	}
	body := binaryFor(p, file, t.size)
	switch members := map[string][]byte{path.Join(dir, name): body, path.Join(strings.TrimSuffix(dir, "/bin"), "LICENSE"): []byte("Do as you please.\n")}; {
	case strings.HasSuffix(file, ".zip"):
		body = zipped(members)
	case strings.HasSuffix(file, ".tar.gz"):
		body = tarball(members)
	}
	n[file] = body
	line := sum(body) + "  " + path.Base(file) + "\n"
	switch {
	case t.sums == "":
	case t.sums == ".sha256" && dir == "":
		n[file+t.sums] = []byte(sum(body)) // as dl.k8s.io does
	case strings.HasPrefix(t.sums, "."):
		n[file+t.sums] = []byte(line)
	default:
		sums := path.Join(path.Dir(file), t.sums)
		n[sums] = append(n[sums], line...)
	}
	return url
}

func (n internet) charts(versions ...string) {
	index := "apiVersion: v1\nentries:\n  botkube:\n"
	for _, version := range versions {
		chart := tarball(map[string][]byte{
			"botkube/Chart.yaml":        fmt.Appendf(nil, "apiVersion: v1\nappVersion: %s\ndescription: Controller for the Botkube Slack app\nname: botkube\nversion: %s\n", version, version),
			"botkube/values.yaml":       []byte("image:\n  registry: ghcr.io\n  repository: kubeshop/botkube\n"),
			"botkube/templates/cm.yaml": []byte("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: botkube\n"),
		})
		file := "botkube-" + version + ".tgz"
		n["charts.botkube.io/"+file] = chart
		index += fmt.Sprintf("  - digest: %s\n    name: botkube\n    urls:\n    - https://charts.botkube.io/%s\n    version: %s\n", sum(chart), file, version)
	}
	n["charts.botkube.io/index.yaml"] = []byte(index)
}

// binaryFor returns what looks like a static program for a platform, of random bytes that a name
// determines.
func binaryFor(p platform, name string, size int) []byte {
	var out bytes.Buffer
	if p.os == "linux" {
		machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[p.arch]
		write(&out, elf.Header64{
			Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
			Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
			Entry: 0x10000, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
		})
		write(&out, elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: 0x10000, Filesz: 120, Memsz: 120})
	} else {
		cpu := map[string]uint32{"amd64": 0x01000007, "arm64": 0x0100000c}[p.arch]
		write(&out, [8]uint32{0xfeedfacf, cpu, 3, 2})
	}
	random := make([]byte, size)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(name))).Read(random)
	out.Write(random)
	return out.Bytes()
}

// tarball and zipped do not compress: their bytes are the same with every version of Go.
func tarball(members map[string][]byte) []byte {
	var out bytes.Buffer
	zw := must(gzip.NewWriterLevel(&out, gzip.NoCompression))
	tw := tar.NewWriter(zw)
	for _, name := range sorted(members) {
		check(tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(members[name])), ModTime: released, Format: tar.FormatUSTAR}))
		must(tw.Write(members[name]))
	}
	check(tw.Close())
	check(zw.Close())
	return out.Bytes()
}

func zipped(members map[string][]byte) []byte {
	var out bytes.Buffer
	zw := zip.NewWriter(&out)
	for _, name := range sorted(members) {
		h := &zip.FileHeader{Name: name, Method: zip.Store, Modified: released}
		h.SetMode(0o755)
		must(must(zw.CreateHeader(h)).Write(members[name]))
	}
	check(zw.Close())
	return out.Bytes()
}

func write(w io.Writer, v any) { check(binary.Write(w, binary.LittleEndian, v)) }

func sum(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
