package main

import (
	"crypto/sha256"
	"fmt"
	"path"
)

var (
	linuxAMD64   = platform{OS: "linux", Architecture: "amd64"}
	linuxARM64   = platform{OS: "linux", Architecture: "arm64"}
	darwinARM64  = platform{OS: "darwin", Architecture: "arm64"}
	windowsAMD64 = platform{OS: "windows", Architecture: "amd64"}
)

func (p platform) file() string { return p.OS + "_" + p.Architecture }

// plugin is an entry of an index before its files are written.
type plugin struct {
	name, kind, version string
	description         string
	documentation       string
	// ext is the extension of its archives, or "" for raw binaries.
	ext string
	// dir is where its archives lie, relative to the index.
	dir string
	// size is how many bytes follow the first lines of its program.
	size         int
	platforms    []platform
	dependencies []func(tree, platform) (name, url string)
	schema       schema
	request      *externalRequest
	recommended  bool
	// typedChecksum writes sha256:HEX instead of HEX.
	typedChecksum bool
}

func buildMain(t tree) {
	t["schemas/ticker.json"] = []byte(schemaOf("Ticker", "interval", "How often an event is sent"))
	all := []platform{linuxAMD64, linuxARM64, darwinARM64}
	hello := plugin{
		name: "hello", kind: "executor", version: "v1.0.0", ext: ".tar.gz", dir: "archives/v1.0.0",
		description:   "Says hello.",
		documentation: "https://example.com/docs/hello",
		platforms:     append(all[:len(all):len(all)], windowsAMD64),
		dependencies:  []func(tree, platform) (string, string){greet},
		schema:        schema{Value: schemaOf("Hello", "greeting", "What is said")},
		recommended:   true,
	}
	newer := hello
	newer.version, newer.dir = "v1.1.0", "archives"
	newer.dependencies = append(newer.dependencies, speak)
	buildIndex(t, "", []plugin{
		hello,
		newer,
		{
			name: "raw", kind: "executor", version: "1.0.0", dir: "archives",
			description:   "Is published as a plain binary.",
			platforms:     all,
			dependencies:  []func(tree, platform) (string, string){whisper},
			schema:        schema{Value: schemaOf("Raw", "mode", "How it runs")},
			typedChecksum: true,
		},
		{
			name: "xz", kind: "executor", version: "v1.0.0", ext: ".tar.xz", dir: "archives",
			description:  "Is published as .tar.xz.",
			platforms:    all,
			dependencies: []func(tree, platform) (string, string){squeeze},
			schema:       schema{Value: schemaOf("XZ", "level", "How hard it squeezes")},
		},
		{
			name: "bzip", kind: "source", version: "v1.0.0", ext: ".tar.bz2", dir: "archives",
			description:  "Is published as .tar.bz2.",
			platforms:    all,
			dependencies: []func(tree, platform) (string, string){parcel},
			schema:       schema{Value: schemaOf("Bzip", "queue", "What it reads")},
		},
		{
			name: "ticker", kind: "source", version: "v1.0.0", ext: ".zip", dir: "archives",
			description:   "Sends an event now and then.",
			documentation: "https://example.com/docs/ticker",
			platforms:     all,
			dependencies:  []func(tree, platform) (string, string){clock, greet},
			schema:        schema{RefURL: "schemas/ticker.json"},
			request:       &externalRequest{payload{schema{Value: schemaOf("Tick", "at", "When to send the next event")}}},
			recommended:   true,
		},
		{
			name: "zstd", kind: "source", version: "v1.0.0", ext: ".tar.zst", dir: "archives",
			description:  "Is published as .tar.zst.",
			platforms:    all,
			dependencies: []func(tree, platform) (string, string){zones},
			schema:       schema{Value: schemaOf("Zstd", "zone", "Whose time it tells")},
		},
	})
}

// buildExtra is a second repository. It shares a dependency with the first.
func buildExtra(t tree) {
	shared := func(t tree, p platform) (string, string) {
		name, url := greet(t, p)
		return name, "../" + url
	}
	buildIndex(t, "extra", []plugin{{
		name: "parrot", kind: "executor", version: "v0.3.0", ext: ".tar.gz", dir: "archives",
		description:  "Repeats what it hears.",
		platforms:    []platform{linuxAMD64, linuxARM64, darwinARM64},
		dependencies: []func(tree, platform) (string, string){shared},
		schema:       schema{Value: schemaOf("Parrot", "times", "How often it repeats")},
	}})
}

func buildIndex(t tree, dir string, plugins []plugin) {
	var x index
	for _, p := range plugins {
		e := entry{
			Name: p.name, Type: p.kind, Version: p.version,
			Description: p.description, DocumentationURL: p.documentation,
			JSONSchema: p.schema, ExternalRequest: p.request, Recommended: p.recommended,
		}
		for _, at := range p.platforms {
			e.URLs = append(e.URLs, p.download(t, dir, at))
		}
		x.Entries = append(x.Entries, e)
	}
	t[path.Join(dir, "plugins-index.yaml")] = x.marshal()
}

func (p plugin) download(t tree, dir string, at platform) download {
	stem := p.kind + "_" + p.name + "_" + at.file()
	content := []byte(lengthened(script(p.name, p.version, at), p.size))
	if p.ext != "" {
		member := stem
		if at.OS == "windows" {
			member += ".exe"
		}
		content = pack(p.ext, binary(member, string(content)))
	}
	d := download{URL: path.Join(p.dir, stem+p.ext), Checksum: digest(content), Platform: at, Dependencies: map[string]dependency{}}
	if p.typedChecksum {
		d.Checksum = "sha256:" + d.Checksum
	}
	t[path.Join(dir, d.URL)] = content
	for _, add := range p.dependencies {
		name, url := add(t, at)
		d.Dependencies[name] = dependency{URL: url}
	}
	return d
}

// greet is a raw file, vouched for as dl.k8s.io does: FILE.sha256 holds bare
// digits. Several plugins share it.
func greet(t tree, p platform) (name, url string) {
	url = path.Join("dependencies/greet/v1.0.0", p.OS, p.Architecture, "greet")
	t[url] = []byte(script("greet", "v1.0.0", p))
	t[url+".sha256"] = []byte(digest(t[url]))
	return "greet", url
}

// speak lies in a sub-directory beside a README, as on get.helm.sh: FILE.sha256sum
// holds a line of sha256sum.
func speak(t tree, p platform) (name, url string) {
	dir := p.OS + "-" + p.Architecture
	url = "dependencies/speak-v1.2.0-" + dir + ".tar.gz"
	t[url] = pack(url,
		directory(dir),
		text(dir+"/LICENSE", "Do as you please.\n"),
		text(dir+"/README.md", "# speak\n\nSays what it is given.\n"),
		binary(dir+"/speak", script("speak", "v1.2.0", p)),
	)
	t[url+".sha256sum"] = []byte(sumLine(t, url))
	return "speak", url + "//" + dir
}

// clock lies deep in a zip, vouched for by one file for all its platforms, as
// goreleaser writes it.
func clock(t tree, p platform) (name, url string) {
	root := "clock_1.0.0_" + p.file()
	url = "dependencies/" + root + ".zip"
	t[url] = pack(url,
		directory(root),
		text(root+"/README.md", "# clock\n"),
		directory(root+"/bin"),
		binary(root+"/bin/clock", script("clock", "1.0.0", p)),
	)
	sums := "dependencies/clock_1.0.0_checksums.txt"
	t[sums] = append(t[sums], sumLine(t, url)...)
	return "clock", url + "//" + root + "/bin"
}

// parcel is vouched for as eget is: FILE.sha256 holds a line of sha256sum.
func parcel(t tree, p platform) (name, url string) {
	url = "dependencies/parcel-1.3.3-" + p.file() + ".tgz"
	t[url] = pack(url,
		text("README.md", "# parcel\n"),
		binary("parcel", script("parcel", "1.3.3", p)),
	)
	t[url+".sha256"] = []byte(sumLine(t, url))
	return "parcel", url
}

// squeeze is vouched for by its own URL.
func squeeze(t tree, p platform) (name, url string) {
	url = "dependencies/squeeze-0.9.0-" + p.file() + ".txz"
	t[url] = pack(url,
		binary("squeeze", script("squeeze", "0.9.0", p)),
		text("squeeze.1", ".TH squeeze 1\n"),
	)
	return "squeeze", url + "?checksum=sha256:" + digest(t[url])
}

// zones is an archive that the plugin wants as it is.
func zones(t tree, p platform) (name, url string) {
	url = "dependencies/zones-" + p.file() + ".tar.gz"
	t[url] = pack(url, text("zones/utc", "UTC+00:00 "+p.file()+"\n"))
	t[url+".sha256"] = []byte(digest(t[url]))
	return "zones", url + "?archive=false"
}

// whisper is a raw file that nobody vouches for.
func whisper(t tree, p platform) (name, url string) {
	url = "dependencies/whisper-" + p.file()
	t[url] = []byte(script("whisper", "v0.1.0", p))
	return "whisper", url
}

func script(name, version string, p platform) string {
	return fmt.Sprintf("#!/bin/sh\necho %q\n", fmt.Sprintf("%s %s for %s/%s", name, version, p.OS, p.Architecture))
}

func schemaOf(title, property, description string) string {
	return fmt.Sprintf(`{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "title": %q,
  "type": "object",
  "properties": {
    %q: {
      "description": %q,
      "type": "string"
    }
  },
  "additionalProperties": false
}
`, title, property, description)
}

func digest(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

func sumLine(t tree, name string) string {
	return digest(t[name]) + "  " + path.Base(name) + "\n"
}
