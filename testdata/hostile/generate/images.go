package main

import (
	"archive/tar"
	"bytes"
	"slices"
	"strings"
)

// images are mountable images in tar files.
func (t tree) images() {
	made := func(name string, im image) {
		t.keep("images/"+name+".tar.gz", gzipped(tarOf(im.layout().entries()...)))
	}
	made("good", image{})
	imageDocuments(made)
	imageLayers(made)
	for _, name := range someLocks {
		made("lock-"+name, image{lock: hostileLocks()[name]})
	}
	made("lock-huge", image{lock: goodLock + strings.Repeat(" ", 17<<20)})
}

func imageDocuments(made func(string, image)) {
	for name, lie := range descriptorLies {
		made("layer-"+name, image{manifest: func(m object) { lie(at[object](m, "layers", 1)) }})
		made("config-"+name, image{manifest: func(m object) { lie(m["config"].(object)) }})
		made("manifest-"+name, image{top: func(x object) { lie(first(x, "manifests")) }})
	}
	platform := func(name, os, arch string) {
		top := func(x object) { first(x, "manifests")["platform"] = object{"os": os, "architecture": arch} }
		made("platform-"+name, image{top: top})
		made("platform-"+name+"-both", image{top: top, config: func(c object) { c["os"], c["architecture"] = os, arch }})
	}
	platform("lies", "plan9", "mips")
	platform("escape", "\x1b[31mred", "\x1b]0;title\x07")
	platform("path", "../..", "escaped")
	platform("nothing", "", "")
	platform("long", strings.Repeat("n", 5000), "amd64")
	labels := func(c object) object { return at[object](c, "config", "Labels") }
	for name, at := range map[string]string{"relative": "plugins", "dotdot": "/plugins/../etc", "root": "/", "escape": "/pl\x1b[31mugins", "long": "/" + strings.Repeat("m", 5000), "newline": "/a\nb", "etc": "/etc"} {
		made("mount-"+name, image{config: func(c object) { labels(c)["io.botkube.mirror.mount"] = at }})
		made("mount-"+name+"-throughout", image{mount: at})
	}
	made("label-of-documents", image{config: func(c object) { labels(c)["io.botkube.mirror.documents"] = "\x1b[31m" }})
	made("diff-ids-fewer", image{config: func(c object) { r := c["rootfs"].(object); r["diff_ids"] = r["diff_ids"].([]any)[1:] }})
	made("diff-ids-many", image{config: func(c object) { r := c["rootfs"].(object); r["diff_ids"] = slices.Repeat(r["diff_ids"].([]any), 5000) }})
	made("diff-ids-other", image{config: func(c object) { at[[]any](c, "rootfs", "diff_ids")[0] = digest("x") }})
	made("diff-ids-escape", image{config: func(c object) { at[[]any](c, "rootfs", "diff_ids")[0] = "sha256:\x1b[31m" }})
	made("history-escape", image{
		config: func(c object) {
			c["history"] = []any{object{"comment": "\x1b[31mred"}, object{"comment": "\x1b[31mred"}}
		},
		files: func(all []entry) []entry { return append(all, file("plugins/x/unasked", "")) }, packed: damagedEnd,
	})
	made("index-manifests-many", image{top: func(x object) { x["manifests"] = slices.Repeat([]any{first(x, "manifests")}, 10_000) }})
	made("index-manifest-twice", image{top: func(x object) { x["manifests"] = append(x["manifests"].([]any), first(x, "manifests")) }})
	made("index-in-index", image{top: func(x object) { x["manifests"] = []any{descriptor(indexType, "x")} }})
	for name, tag := range map[string]string{"escape": "\x1b[31mred\x1b]0;title\x07", "newline": "v1\nbotkube-mirror: all is well", "long": strings.Repeat("t", 5000), "other": "v6.6.6"} {
		made("tag-"+name, image{inLayout: func(d object) { d["annotations"] = object{"org.opencontainers.image.ref.name": tag} }})
	}
}

// damagedEnd changes the checksum of what is compressed.
func damagedEnd(packed []byte) []byte {
	packed = bytes.Clone(packed)
	packed[len(packed)-6] ^= 1
	return packed
}

func imageLayers(made func(string, image)) {
	// In turn, they are in the layer that files come from and in that of documents.
	n := 0
	add := func(name string, more ...entry) {
		change := func(all []entry) []entry { return append(all, more...) }
		if n++; n%2 == 0 {
			made("files-"+name, image{files: change})
			return
		}
		made("documents-"+name, image{documents: change})
	}
	add("whiteout", file("plugins/x/.wh.executor_v1.0.0_a", ""))
	add("whiteout-all", file("plugins/x/.wh..wh..opq", ""))
	add("whiteout-outside", file("etc/.wh.passwd", ""))
	add("symlink-out", link(tar.TypeSymlink, "plugins/x/way", "../../../escaped"))
	add("symlink-over-binary", link(tar.TypeSymlink, "plugins/x/executor_v1.0.0_a", "/bin/sh"))
	add("symlink-over-mount", link(tar.TypeSymlink, "plugins", "/etc"))
	add("hardlink", link(tar.TypeLink, "plugins/x/way", "etc/passwd"))
	add("device", entry{name: "plugins/x/odd", kind: tar.TypeChar})
	add("fifo", entry{name: "plugins/x/odd", kind: tar.TypeFifo})
	add("outside", file("etc/passwd", stolen))
	add("outside-escape", file("etc/\x1b[31mred\x1b]0;title\x07", stolen))
	add("outside-newline", pax(tar.TypeXHeader, record("path", "etc/a\nbotkube-mirror: all is well")), file("x", stolen))
	add("unasked", file("plugins/x/executor_v2.0.0_a", stolen))
	add("unasked-escape", file("plugins/x/\x1b[31mred", stolen))
	add("unasked-index", file("plugins/y\x1b[31m.yaml", "entries: []\n"))
	add("dotdot", file("plugins/../../escaped", stolen))
	add("binary-twice", file("plugins/x/executor_v1.0.0_a", plugin))
	add("binary-other-case", file("plugins/X/executor_v1.0.0_a", plugin))
	add("size-huge", entry{name: "plugins/x/odd", size: "77777777777"})
	add("size-negative", entry{name: "plugins/x/odd", size: strings.Repeat("\xff", 12)})
	add("sparse", pax(tar.TypeXHeader, record("GNU.sparse.major", "0"), record("GNU.sparse.minor", "1"), record("GNU.sparse.size", "7000000000"), record("GNU.sparse.numblocks", "0"), record("GNU.sparse.map", "")), file("plugins/x/odd", ""))
	add("pax-huge", entry{name: "x", kind: tar.TypeXHeader, size: "77777777777", body: "99 path=x\n"})
	change := func(name string, of func(string) string) {
		made("sums-"+name, image{sums: of})
		made("rewritten-"+name, image{rewritten: of})
	}
	change("nothing", func(string) string { return "" })
	change("escape", func(s string) string { return s + strings.Repeat("0", 64) + "  \x1b[31mred\n" })
	change("dotdot", func(s string) string { return strings.ReplaceAll(s, "executor_v1.0.0_a", "../../escaped") })
	change("newline", func(s string) string { return s + "\n\n\x00\n" })
	made("rewritten-elsewhere", image{rewritten: func(s string) string {
		return strings.ReplaceAll(s, "file:///plugins", "https://\x1b[31mevil.example.com")
	}})
	made("rewritten-name-escape", image{rewritten: func(s string) string { return strings.Replace(s, "name: a", `name: "\e[31mred"`, 1) }})
	made("layer-not-gzip", image{packed: func([]byte) []byte { return []byte("<html>log in</html>") }})
	made("layer-cut", image{packed: func(p []byte) []byte { return p[:len(p)/2] }})
	made("layer-checksum", image{packed: damagedEnd})
	made("layer-trailing", image{packed: func(p []byte) []byte { return append(p, "surplus"...) }})
	made("layer-called-plain", image{layerType: "application/vnd.oci.image.layer.v1.tar"})
	made("layer-called-zstd", image{layerType: "application/vnd.oci.image.layer.v1.tar+zstd"})
	made("layer-is-a-bomb", image{packed: func([]byte) []byte { return bytes.Repeat(gzipped(make([]byte, 8<<20)), 12) }})
	made("no-mode", image{files: func(all []entry) []entry { all[0].mode = 0o40000; return all }})
	made("setuid", image{files: func(all []entry) []entry { all[0].mode = 0o6777; return all }})
}
