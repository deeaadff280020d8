package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The mirror that everything hostile is made of: one plugin with one dependency.
const (
	plugin     = "#!/bin/sh\necho plugin\n"
	dependency = "#!/bin/sh\necho dependency\n"
	upstream   = "https://plugins.example.com/"
	mount      = "/plugins"
)

// object is a JSON document that is to be changed. Its keys are written in order.
type object = map[string]any

// theIndex is the index of the mirror's repository, below a URL.
func theIndex(pluginURL, checksum, dependencyURL string) string {
	return fmt.Sprintf(`entries:
    - {name: a, type: executor, version: v1.0.0, urls: [{url: '%s', checksum: %s, platform: {os: linux, architecture: amd64}, dependencies: {tool: {url: '%s'}}}]}
`, pluginURL, checksum, dependencyURL)
}

var upstreamIndex = theIndex(upstream+"a", sum(plugin), upstream+"tool")

// goodLock is the mirror's lock, byte for byte as the program writes it.
var goodLock = func() string {
	var out bytes.Buffer
	check(json.Indent(&out, fmt.Appendf(nil, `{"schemaVersion": 1, "platforms": ["linux/amd64"],
"repositories": [{"name": "x", "url": "%[1]splugins-index.yaml", "index": {"size": %[2]d, "sha256": "%[3]s"}}],
"plugins": [{"repository": "x", "type": "executor", "name": "a", "version": "v1.0.0",
	"builds": [{"platform": "linux/amd64", "url": "%[1]sa", "dependencies": [{"name": "tool", "url": "%[1]stool"}]}]}],
"artifacts": [
	{"url": "%[1]sa", "size": %[4]d, "sha256": "%[5]s", "verifiedBy": "index"},
	{"url": "%[1]stool", "size": %[6]d, "sha256": "%[7]s", "verifiedBy": "none"}]}
`, upstream, len(upstreamIndex), sum(upstreamIndex), len(plugin), sum(plugin), len(dependency), sum(dependency)), "", "  "))
	return out.String()
}()

// at returns what is behind keys and positions of a document.
func at[T any](doc any, path ...any) T {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			doc = doc.(object)[p]
		case int:
			doc = doc.([]any)[p]
		}
	}
	return doc.(T)
}

// marshal writes a document as the program does: two spaces, and no HTML in mind.
func marshal(doc any) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	check(e.Encode(doc))
	return out.String()
}

func sum(content string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(content))) }

func digest(content string) string { return "sha256:" + sum(content) }

// Media types.
const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
	bundleType   = "application/vnd.botkube.mirror.plugins.v1"
	lockType     = "application/vnd.botkube.mirror.lock.v1+json"
	fileType     = "application/octet-stream"
)

func descriptor(mediaType, content string) object {
	return object{"mediaType": mediaType, "size": len(content), "digest": digest(content)}
}

// layout is an OCI layout that is being made: files by their names, in an order
// of their own.
type layout struct {
	files map[string]string
	order []string
}

func newLayout() *layout {
	l := &layout{files: map[string]string{}}
	l.set("oci-layout", `{"imageLayoutVersion":"1.0.0"}`)
	return l
}

func (l *layout) set(name, content string) {
	if _, had := l.files[name]; !had {
		l.order = append(l.order, name)
	}
	l.files[name] = content
}

// blob puts content in under its digest, and returns it.
func (l *layout) blob(content string) string {
	l.set("blobs/sha256/"+sum(content), content)
	return content
}

func (l *layout) remove(name string) {
	delete(l.files, name)
	l.order = slices.DeleteFunc(l.order, func(n string) bool { return n == name })
}

func (l *layout) entries() []entry {
	var all []entry
	for _, name := range l.order {
		all = append(all, entry{name: name, body: l.files[name], mode: 0o644})
	}
	return all
}

// index returns the index of one manifest, which is put in.
func (l *layout) index(manifest string) object {
	d := descriptor(manifestType, l.blob(manifest))
	d["platform"] = object{"architecture": "amd64", "os": "linux"}
	return object{"schemaVersion": 2, "mediaType": indexType, "manifests": []any{d}}
}

// top puts in the index, and names it.
func (l *layout) top(index string, change func(object)) *layout {
	d := descriptor(indexType, l.blob(index))
	if change != nil {
		change(d)
	}
	l.set("index.json", marshal(object{"schemaVersion": 2, "mediaType": indexType, "manifests": []any{d}}))
	return l
}

// bundle is a bundle that is being made. Each function may change a document
// before its digest is taken, and may be nil.
type bundle struct {
	lock                        string
	index                       string
	manifest, top, topInLayout  func(object)
	manifestText, imageIndexRaw func(string) string
}

func (b bundle) layout() *layout {
	l := newLayout()
	titled := func(title, content string) any {
		d := descriptor(fileType, l.blob(content))
		d["annotations"] = object{"org.opencontainers.image.title": title}
		return d
	}
	manifest := object{
		"schemaVersion": 2, "mediaType": manifestType, "artifactType": bundleType, "config": descriptor(lockType, l.blob(cmp.Or(b.lock, goodLock))),
		"layers": []any{titled("plugins.example.com/plugins-index.yaml", cmp.Or(b.index, upstreamIndex)), titled("plugins.example.com/a", plugin), titled("plugins.example.com/tool", dependency)},
	}
	index := l.index(changed(manifest, b.manifest, b.manifestText))
	index["artifactType"] = bundleType
	return l.top(changed(index, b.top, b.imageIndexRaw), b.topInLayout)
}

func changed(doc object, change func(object), text func(string) string) string {
	if change != nil {
		change(doc)
	}
	out := marshal(doc)
	if text != nil {
		out = text(out)
	}
	return out
}

// image is a mountable image that is being made.
type image struct {
	lock string
	// sums and rewritten are documents of the directory.
	sums, rewritten                 func(string) string
	documents, files                func([]entry) []entry
	packed                          func([]byte) []byte
	layerType                       string
	config, manifest, top, inLayout func(object)
	mount                           string
}

func (im image) layout() *layout {
	l := newLayout()
	im.mount, im.lock, im.layerType = cmp.Or(im.mount, mount), cmp.Or(im.lock, goodLock), cmp.Or(im.layerType, layerType)
	in := strings.TrimPrefix(im.mount, "/")
	files := map[string]string{"x/executor_v1.0.0_a": plugin, "x/executor_v1.0.0_a_deps/tool": dependency}
	rewritten := theIndex("file://"+im.mount+"/x/executor_v1.0.0_a", sum(plugin), "file://"+im.mount+"/x/executor_v1.0.0_a_deps/tool?checksum=sha256:"+sum(dependency))
	if im.rewritten != nil {
		rewritten = im.rewritten(rewritten)
	}
	documents := map[string]string{".botkube-mirror/lock.json": im.lock, "x.yaml": rewritten}
	all := maps.Clone(files)
	maps.Copy(all, documents)
	sums := ""
	for _, name := range slices.Sorted(maps.Keys(all)) {
		sums += sum(all[name]) + "  " + name + "\n"
	}
	if im.sums != nil {
		sums = im.sums(sums)
	}
	documents[".botkube-mirror/SHA256SUMS"] = sums
	var layers [2][]entry
	for i, of := range []map[string]string{files, documents} {
		for _, name := range slices.Sorted(maps.Keys(of)) {
			layers[i] = append(layers[i], entry{name: in + "/" + name, body: of[name], mode: []int64{0o755, 0o644}[i]})
		}
		if change := []func([]entry) []entry{im.files, im.documents}[i]; change != nil {
			layers[i] = change(layers[i])
		}
	}
	return im.put(l, layers)
}

// put writes the image of its two layers.
func (im image) put(l *layout, of [2][]entry) *layout {
	var layers, diffs []any
	for _, entries := range of {
		unpacked := tarOf(entries...)
		packed := gzipped(unpacked)
		if im.packed != nil {
			packed = im.packed(packed)
		}
		layers = append(layers, descriptor(im.layerType, l.blob(string(packed))))
		diffs = append(diffs, digest(string(unpacked)))
	}
	config := object{
		"architecture": "amd64", "os": "linux", "rootfs": object{"type": "layers", "diff_ids": diffs},
		"config": object{"Labels": object{"io.botkube.mirror.documents": diffs[1], "io.botkube.mirror.mount": im.mount}},
	}
	manifest := object{
		"schemaVersion": 2, "mediaType": manifestType, "config": descriptor(configType, l.blob(changed(config, im.config, nil))),
		"layers": layers, "annotations": object{"io.botkube.mirror.mount": im.mount},
	}
	index := l.index(changed(manifest, im.manifest, nil))
	index["annotations"] = object{"io.botkube.mirror.mount": im.mount}
	return l.top(changed(index, im.top, nil), im.inLayout)
}
