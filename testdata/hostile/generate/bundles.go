package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// bundles are tar files. Those whose entries are files make layout directories, too.
func (t tree) bundles() {
	add := func(name string, whole []byte) { t.keep("bundles/"+name+".tar.gz", gzipped(whole)) }
	made := func(name string, b bundle) { add(name, tarOf(b.layout().entries()...)) }
	made("good", bundle{})
	for _, name := range someLocks {
		made("lock-"+name, bundle{lock: hostileLocks()[name]})
	}
	bundleDocuments(made)
	bundleFiles(add)
	bundleTars(add)
}

// first returns the first descriptor of a list.
func first(doc object, list string) object { return at[object](doc, list, 0) }

// descriptorLies are things that no descriptor should say.
var descriptorLies = map[string]func(object){
	"size-more":      func(d object) { d["size"] = d["size"].(int) + 1 },
	"size-negative":  func(d object) { d["size"] = -1 },
	"size-huge":      func(d object) { d["size"] = int64(1) << 60 },
	"digest-other":   func(d object) { d["digest"] = digest("something else") },
	"digest-path":    func(d object) { d["digest"] = "sha256:../../../../escaped" },
	"digest-sha512":  func(d object) { d["digest"] = "sha512:" + strings.Repeat("a", 128) },
	"digest-escape":  func(d object) { d["digest"] = "sha256:\x1b[31mred" },
	"type-escape":    func(d object) { d["mediaType"] = "\x1b[31mred\x1b]0;title\x07" },
	"type-lies":      func(d object) { d["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip" },
	"urls":           func(d object) { d["urls"] = []any{"http://127.0.0.1:1/", "file:///etc/passwd"} },
	"data":           func(d object) { d["data"] = "aGVsbG8=" },
	"unknown-key":    func(d object) { d["surprise"] = "x" },
	"key-other-case": func(d object) { d["Digest"] = digest("something else") },
}

func bundleDocuments(made func(string, bundle)) {
	for name, lie := range descriptorLies {
		made("layer-"+name, bundle{manifest: func(m object) { lie(first(m, "layers")) }})
		made("config-"+name, bundle{manifest: func(m object) { lie(m["config"].(object)) }})
		made("manifest-"+name, bundle{top: func(x object) { lie(first(x, "manifests")) }})
		made("index-"+name, bundle{topInLayout: lie})
	}
	manifest := func(name string, change func(m object)) { made("manifest-"+name, bundle{manifest: change}) }
	manifest("layers-foreign", func(m object) {
		m["layers"] = append(m["layers"].([]any), descriptor(layerType, "x"))
	})
	manifest("layers-fewer", func(m object) { m["layers"] = m["layers"].([]any)[:1] })
	manifest("layers-twice", func(m object) { m["layers"] = append(m["layers"].([]any), first(m, "layers")) })
	manifest("layers-many", func(m object) { m["layers"] = slices.Repeat([]any{first(m, "layers")}, 5000) })
	manifest("layers-reversed", func(m object) { slices.Reverse(m["layers"].([]any)) })
	manifest("subject", func(m object) { m["subject"] = descriptor(manifestType, "x") })
	manifest("schema-future", func(m object) { m["schemaVersion"] = 3 })
	manifest("artifact-type", func(m object) { m["artifactType"] = "\x1b[31mred" })
	manifest("title-path", func(m object) {
		first(m, "layers")["annotations"] = object{"org.opencontainers.image.title": "../../escaped"}
	})
	manifest("title-escape", func(m object) {
		first(m, "layers")["annotations"] = object{"org.opencontainers.image.title": "\x1b[31mred"}
	})
	index := func(name string, change func(x object)) { made("index-"+name, bundle{top: change}) }
	index("platform-lies", func(x object) { first(x, "manifests")["platform"] = object{"os": "plan9", "architecture": "mips"} })
	index("platform-escape", func(x object) {
		first(x, "manifests")["platform"] = object{"os": "\x1b[31m", "architecture": "\x1b]0;title\x07"}
	})
	index("platform-none", func(x object) { delete(first(x, "manifests"), "platform") })
	index("nothing", func(x object) { x["manifests"] = []any{} })
	index("manifest-twice", func(x object) { x["manifests"] = append(x["manifests"].([]any), first(x, "manifests")) })
	index("manifest-not-there", func(x object) { x["manifests"] = append(x["manifests"].([]any), descriptor(manifestType, "x")) })
	index("manifests-many", func(x object) { x["manifests"] = slices.Repeat([]any{first(x, "manifests")}, 10_000) })
	index("index-in-index", func(x object) { x["manifests"] = []any{descriptor(indexType, "x")} })
	index("version-escape", func(x object) { x["annotations"] = object{"org.opencontainers.image.version": "\x1b[31m"} })
	index("member-escape", func(x object) {
		first(x, "manifests")["annotations"] = object{"io.botkube.mirror.member": "\x1b[31mred"}
	})
	made("index-deep", bundle{imageIndexRaw: func(string) string { return strings.Repeat(`{"manifests":[`, 20_000) }})
	made("manifest-deep", bundle{manifestText: func(string) string { return strings.Repeat(`{"layers":[`, 20_000) }})
	made("manifest-trailing", bundle{manifestText: func(m string) string { return m + "{}" }})
	made("manifest-keys-twice", bundle{manifestText: func(m string) string { return strings.Replace(m, "{", `{"schemaVersion": 1,`, 1) }})
	made("blob-of-index-is-another", bundle{index: "entries: []\n"})
	made("tag-escape", bundle{topInLayout: func(d object) {
		d["annotations"] = object{"org.opencontainers.image.ref.name": "\x1b[31mred"}
	}})
}

// bundleFiles are layouts whose files are not what they should be.
func bundleFiles(add func(string, []byte)) {
	changed := func(name string, change func(l *layout)) {
		l := bundle{}.layout()
		change(l)
		add(name, tarOf(l.entries()...))
	}
	of := func(content string) string { return "blobs/sha256/" + sum(content) }
	lock := goodLock
	changed("blob-other", func(l *layout) { l.files[of(plugin)] = strings.ToUpper(plugin) })
	changed("blob-longer", func(l *layout) { l.files[of(plugin)] += "\n" })
	changed("blob-shorter", func(l *layout) { l.files[of(plugin)] = "#" })
	changed("blob-missing", func(l *layout) { l.remove(of(plugin)) })
	changed("lock-other", func(l *layout) { l.files[of(lock)] = strings.Replace(lock, "v1.0.0", "v6.6.6", 1) })
	changed("lock-missing", func(l *layout) { l.remove(of(lock)) })
	changed("index-json-missing", func(l *layout) { l.remove("index.json") })
	changed("index-json-a-circle", func(l *layout) {
		l.set("index.json", marshal(object{"schemaVersion": 2, "manifests": []any{descriptor(indexType, l.blob(marshal(object{"schemaVersion": 2, "mediaType": indexType, "manifests": []any{object{"mediaType": indexType, "size": 2, "digest": digest("{}")}}})))}}))
	})
	changed("index-json-names-itself", func(l *layout) {
		l.set("index.json", marshal(object{"schemaVersion": 2, "manifests": []any{object{"mediaType": indexType, "size": 100, "digest": "sha256:" + strings.Repeat("0", 64)}}}))
		l.set("blobs/sha256/"+strings.Repeat("0", 64), l.files["index.json"])
	})
	for name, n := range map[string]int{"many": 40_000, "some": 20_000} {
		changed("index-json-"+name, func(l *layout) {
			one := strings.Join(strings.Fields(marshal(descriptor(manifestType, "x"))), "")
			l.set("index.json", `{"schemaVersion":2,"manifests":[`+strings.TrimSuffix(strings.Repeat(one+",", n), ",")+`]}`)
		})
	}
	changed("index-json-deep", func(l *layout) { l.set("index.json", strings.Repeat(`{"manifests":[`, 20_000)) })
	changed("layout-future", func(l *layout) { l.set("oci-layout", `{"imageLayoutVersion":"99.0.0"}`) })
	changed("layout-escape", func(l *layout) { l.set("oci-layout", "{\"imageLayoutVersion\":\"\\u001b[31mred\"}") })
	changed("layout-missing", func(l *layout) { l.remove("oci-layout") })
	changed("blobs-is-a-file", func(l *layout) {
		for _, name := range slices.Clone(l.order) {
			if strings.HasPrefix(name, "blobs/") {
				l.remove(name)
			}
		}
		l.set("blobs", "")
	})
	changed("blob-in-upper-case", func(l *layout) {
		content := l.files[of(plugin)]
		l.remove(of(plugin))
		l.set("blobs/sha256/"+strings.ToUpper(sum(plugin)), content)
	})
	changed("surplus-escape", func(l *layout) { l.set("a\x1b[31mred", "") })
}

// bundleTars are a whole bundle in a tar file that no archiver writes.
func bundleTars(add func(string, []byte)) {
	all := bundle{}.layout().entries()
	whole := tarOf(all...)
	also := func(name string, more ...entry) {
		add("tar-"+name, tarOf(append(slices.Clone(all), more...)...))
	}
	for name, path := range map[string]string{"dotdot": "../escaped", "absolute": "/botkube-mirror-hostile", "backslash": `..\escaped`, "dotdot-inside": "blobs/../../escaped", "escape": "a/../\x1b[31mred"} {
		also(name, file(path, stolen))
	}
	also("pax-dotdot", pax(tar.TypeXHeader, record("path", "../escaped")), file("x", stolen))
	also("pax-zero", pax(tar.TypeXHeader, record("path", "a\x00b")), file("x", stolen))
	also("pax-size", pax(tar.TypeXHeader, record("size", "-5")), file("x", stolen))
	also("pax-size-huge", pax(tar.TypeXHeader, record("size", "9223372036854775807")), file("x", stolen))
	also("pax-global", pax(tar.TypeXGlobalHeader, record("path", "index.json")))
	also("pax-length", entry{name: "x", kind: tar.TypeXHeader, body: "99 path=x\n"}, file("x", ""))
	also("pax-long", entry{name: "x", kind: tar.TypeXHeader, body: record("comment", strings.Repeat("c", 2<<20))}, file("x", ""))
	also("sparse", pax(tar.TypeXHeader, record("GNU.sparse.major", "1")), file("x", ""))
	also("symlink", link(tar.TypeSymlink, "way", "../../escaped"))
	also("symlink-blobs", link(tar.TypeSymlink, "blobs", "/etc"))
	also("hardlink", link(tar.TypeLink, "way", "../escaped"))
	also("character-device", entry{name: "odd", kind: tar.TypeChar})
	also("block-device", entry{name: "odd", kind: tar.TypeBlock})
	also("fifo", entry{name: "odd", kind: tar.TypeFifo})
	also("unknown-kind", entry{name: "odd\x1b[31m", kind: 'Z'})
	also("size-negative", entry{name: "odd", size: strings.Repeat("\xff", 12)})
	also("size-huge", entry{name: "odd", size: "77777777777"})
	also("directory-of-a-size", entry{name: "d/", kind: tar.TypeDir, size: "00000001000"})
	also("index-twice", file("./index.json", "{}"))
	also("layout-twice", file("x/../oci-layout", "{}"), file("./oci-layout", "{}"))
	also("blob-twice", file("./blobs/sha256/"+sum(plugin), plugin))
	add("tar-thousands", tarOf(append(slices.Repeat([]entry{file("n", "")}, 10_000), all...)...))
	add("tar-trailing-garbage", append(bytes.Clone(whole), "surplus"...))
	add("tar-second", append(bytes.Clone(whole), whole...))
	add("tar-long-trailing", append(bytes.Clone(whole), make([]byte, 5<<20)...))
	for i, n := range []int{0, 1, 511, 512, 513, len(whole) / 2, len(whole) - 1024, len(whole) - 512, len(whole) - 1} {
		add(fmt.Sprintf("tar-cut-%d", i), whole[:n])
	}
	links := slices.Clone(all)
	name := "blobs/sha256/" + sum(plugin)
	links[slices.IndexFunc(all, func(e entry) bool { return e.name == name })] = link(tar.TypeSymlink, name, "/etc/passwd")
	add("tar-blob-is-a-link", tarOf(links...))
	padding := bytes.Clone(whole)
	padding[block+len(all[0].body)+3] = 1
	add("tar-padding", padding)
	checksum := bytes.Clone(whole)
	checksum[150] ^= 1
	add("tar-checksum", checksum)
}
