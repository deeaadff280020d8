//go:build linux

package acceptance

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// base is where the repositories of a [world] lie: {base}{repository}.yaml, and below {base}{repository}/ what its
// index names.
const base = "https://plugins.example.com/"

// elsewhere is a platform that no test runs on.
var elsewhere = platform{"plan9", "mips"}

// plugin is an entry of an index in few words.
type plugin struct {
	kind, name, version string
	// on has the platforms with a URL; none means here and elsewhere.
	on []platform
	// needs are dependencies on every platform, needsElsewhere only there.
	needs, needsElsewhere []string
	// extension is that of the plugin's file; none means a raw binary.
	extension string
	// beneath puts every dependency into an archive: its extension, and after two slashes a directory in it.
	beneath string
}

func executor(name, version string, needs ...string) plugin {
	return plugin{kind: "executor", name: name, version: version, needs: needs}
}

func source(name, version string, needs ...string) plugin {
	return plugin{kind: "source", name: name, version: version, needs: needs}
}

// url returns where the plugin's file lies on a platform; here, the platform is not part of the name.
func (p plugin) url(repository string, on platform) string {
	suffix := ""
	if on != here {
		suffix = "_" + on.OS
	}
	return base + repository + "/" + p.kind + "_" + p.name + "_" + p.version + suffix + p.extension
}

func (p plugin) dependencyURL(repository, dependency string, on platform) string {
	return strings.TrimSuffix(p.url(repository, on), p.extension) + "_deps/" + dependency + p.beneath
}

func (p plugin) entry(repository string) entry {
	platforms := p.on
	if platforms == nil {
		platforms = []platform{here, elsewhere}
	}
	e := entry{Name: p.name, Type: p.kind, Version: p.version}
	for _, on := range platforms {
		item := entryURL{URL: p.url(repository, on), Platform: on, Dependencies: map[string]entryDependency{}}
		needs := p.needs
		if on == elsewhere {
			needs = slices.Concat(p.needs, p.needsElsewhere)
		}
		for _, d := range needs {
			item.Dependencies[d] = entryDependency{p.dependencyURL(repository, d, on)}
		}
		e.URLs = append(e.URLs, item)
	}
	return e
}

// documents are indexes by repository.
type documents map[string][]byte

// with returns the documents and an index of one more repository.
func (d documents) with(repository string, plugins ...plugin) documents {
	var x index
	for _, p := range plugins {
		x.Entries = append(x.Entries, p.entry(repository))
	}
	return d.withText(repository, string(x.marshal()))
}

func (d documents) withText(repository, text string) documents {
	out := documents{repository: []byte(text)}
	maps.Copy(out, d)
	return out
}

// acme is the one index that most cases need.
func acme(plugins ...plugin) documents { return documents{}.with("acme", plugins...) }

// world is what an agent finds when it starts: upstream and its cache directory.
type world struct {
	upstream, onDisk documents
	// files are the plugins and dependencies in the cache directory, directories what stands in a file's place.
	files, directories []string
	executors, sources []string
}

// publish puts the indexes online, and a file behind every URL for this platform that any of them has.
func (w world) publish(t *testing.T) *Upstream {
	t.Helper()
	u := NewUpstream()
	for repository, document := range w.upstream {
		u.Publish(base+repository+".yaml", document)
	}
	for _, documents := range []documents{w.upstream, w.onDisk} {
		for _, document := range documents {
			publishFiles(t, u, string(document))
		}
	}
	return u
}

// publishFiles finds the URLs by their looks, for an index may be one that does not parse.
func publishFiles(t *testing.T, u *Upstream, document string) {
	t.Helper()
	for line := range strings.Lines(document) {
		_, raw, found := strings.Cut(strings.TrimSuffix(line, "\n"), "url: ")
		if !found || strings.Contains(raw, "_"+elsewhere.OS) {
			continue
		}
		at := fileURL(raw)
		packed, err := pack(at, program(memberOf(raw), fileNamed(t, at)))
		if err != nil {
			t.Fatal(err)
		}
		u.Publish(at, packed)
	}
}

// memberOf returns what the file is called in its archive: a dependency has to have its own name, beneath the URL's
// sub-directory; a plugin's must not look as if it had an extension, as it would with a version.
func memberOf(raw string) string {
	at := fileURL(raw)
	if !strings.Contains(at, "_deps/") {
		return "program"
	}
	_, subdir, _ := strings.Cut(strings.TrimPrefix(raw, at), "//")
	return path.Join(subdir, strings.TrimSuffix(path.Base(at), archiveExtension(at)))
}

// fileNamed returns a plugin or a dependency, as the path of a URL or a file says.
func fileNamed(t *testing.T, name string) []byte {
	t.Helper()
	programs, err := loadPrograms()
	if err != nil {
		t.Fatal(err)
	}
	stamp := path.Base(name)
	if strings.Contains(name, "_deps/") {
		return []byte("#!/bin/sh\necho " + stamp + "\n")
	}
	kind, _, _ := strings.Cut(stamp, "_")
	return programs.Stamped(kind, stamp, programs.Platform)
}

// cacheDir writes the directory that the agent starts from.
func (w world) cacheDir(t *testing.T) string {
	t.Helper()
	dir := tempDir(t)
	for repository, document := range w.onDisk {
		writeFile(t, filepath.Join(dir, repository+".yaml"), document)
	}
	for _, name := range w.files {
		writeFile(t, filepath.Join(dir, name), fileNamed(t, name))
	}
	for _, name := range w.directories {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o755); err != nil {
		t.Fatal(err)
	}
}

// urls has the repositories that the agent is configured with.
func (w world) urls() map[string]string {
	return map[string]string{"acme": base + "acme.yaml", "zeta": base + "zeta.yaml"}
}
