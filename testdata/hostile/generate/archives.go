package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/mholt/archiver/v4"
)

// The file that a test wants of every archive, as a plugin or as a dependency.
const (
	wanted  = "tool"
	content = "#!/bin/sh\necho tool\n"
)

// tool is the one honest entry.
var tool = file(wanted, content)

// stolen is what an escape would write.
const stolen = "hello from the archive\n"

// archives are upstream's plugins and dependencies. Each has the file that is
// wanted, and something that no honest archive has.
func (t tree) archives() {
	tars := map[string][]entry{}
	escapes(tars)
	links(tars)
	oddEntries(tars)
	t.names(tars)
	headers(tars)
	for name, entries := range tars {
		t.keep("archives/"+name+".tar.gz", gzipped(tarOf(entries...)))
	}
	t.truncated()
	t.streams()
	t.bombs()
	t.zips()
}

func escapes(tars map[string][]entry) {
	for name, path := range map[string]string{
		"dotdot":                "../escaped",
		"dotdot-deep":           strings.Repeat("../", 30) + "botkube-mirror-hostile",
		"dotdot-inside":         "a/../../escaped",
		"dotdot-harmless":       "a/../b",
		"absolute":              "/botkube-mirror-hostile",
		"absolute-double":       "//botkube-mirror-hostile",
		"backslash":             `..\escaped`,
		"backslash-absolute":    `\botkube-mirror-hostile`,
		"drive":                 `C:\botkube-mirror-hostile`,
		"drive-slash":           "C:/botkube-mirror-hostile",
		"share":                 `\\server\share\file`,
		"dotdot-wanted":         "../tool",
		"dotdot-wanted-deeper":  "x/../../tool",
		"dotdot-with-backslash": `x\..\..\tool`,
	} {
		tars["path-"+name] = []entry{tool, file(path, stolen)}
	}
	tars["path-pax"] = []entry{tool, pax(tar.TypeXHeader, record("path", "../escaped")), file("harmless", stolen)}
	tars["path-pax-wanted"] = []entry{pax(tar.TypeXHeader, record("path", "../../"+wanted)), file(wanted, content)}
	tars["path-gnu"] = []entry{tool, {name: "././@LongLink", kind: tar.TypeGNULongName, body: "../escaped\x00", magic: "ustar  \x00"}, {name: "harmless", body: stolen, magic: "ustar  \x00"}}
	tars["path-pax-global"] = []entry{pax(tar.TypeXGlobalHeader, record("path", "../escaped")), tool, file("harmless", stolen)}
}

func links(tars map[string][]entry) {
	for name, to := range map[string]string{"out": "../../escaped", "absolute": "/etc/passwd", "backslash": `..\..\escaped`} {
		tars["symlink-"+name] = []entry{tool, link(tar.TypeSymlink, "way", to)}
		tars["hardlink-"+name] = []entry{tool, link(tar.TypeLink, "way", to)}
	}
	tars["symlink-then-through"] = []entry{tool, link(tar.TypeSymlink, "way", ".."), file("way/escaped", stolen)}
	tars["symlink-then-over"] = []entry{link(tar.TypeSymlink, wanted, "/etc/passwd"), tool}
	tars["symlink-wanted"] = []entry{file("other.txt", stolen), link(tar.TypeSymlink, wanted, "other.txt")}
	tars["symlink-wanted-self"] = []entry{link(tar.TypeSymlink, wanted, wanted)}
	tars["symlink-wanted-after"] = []entry{tool, link(tar.TypeSymlink, wanted, "other")}
	tars["hardlink-wanted"] = []entry{file("other.txt", stolen), link(tar.TypeLink, wanted, "other.txt")}
	tars["symlink-long"] = []entry{tool, pax(tar.TypeXHeader, record("linkpath", strings.Repeat("a/", 4000)+"b")), link(tar.TypeSymlink, "way", "x")}
	tars["symlink-chain"] = []entry{tool, link(tar.TypeSymlink, "a", "b/.."), link(tar.TypeSymlink, "b", ".."), file("a/escaped", stolen)}
}

func oddEntries(tars map[string][]entry) {
	for name, kind := range map[string]byte{"character-device": tar.TypeChar, "block-device": tar.TypeBlock, "fifo": tar.TypeFifo} {
		tars[name] = []entry{tool, {name: "odd", kind: kind}}
		tars[name+"-wanted"] = []entry{{name: wanted, kind: kind}}
	}
	tars["directory-wanted"] = []entry{{name: wanted + "/", kind: tar.TypeDir}}
	tars["directory-wanted-filled"] = []entry{{name: wanted + "/", kind: tar.TypeDir}, file(wanted+"/"+"inner.txt", stolen)}
	tars["unknown-kind"] = []entry{{name: wanted, kind: 'Z', body: content}}
	tars["twice"] = []entry{file(wanted, stolen), tool}
	tars["no-name"] = []entry{{name: "", body: stolen}, tool}
	tars["dot"] = []entry{{name: ".", body: stolen}, tool}
	tars["setuid"] = []entry{{name: wanted, body: content, mode: 0o6777}}
	tars["no-mode"] = []entry{{name: wanted, body: content, mode: 0o40000}}
	tars["nothing"] = nil
	tars["only-a-readme"] = []entry{file("README.md", "Nothing to run here.\n")}
	tars["empty-file"] = []entry{file(wanted, "")}
	tars["thousands"] = append([]entry{tool}, slices.Repeat([]entry{file("n", "")}, 20_001)...)
}

// names are those that a message or a file system might choke on.
func (t tree) names(tars map[string][]entry) {
	for name, odd := range map[string]string{
		"escape":      "a\x1b[31mred\x1b]0;title\x07",
		"newline":     "a\nbotkube-mirror: all is well",
		"return":      "a\rdone",
		"c1":          "a\u009b31mred",
		"not-utf8":    "a\xff\xfe\x9b31m",
		"zero-in-pax": "a\x00b",
		"long":        strings.Repeat("n", 5000),
		"deep":        strings.Repeat("d/", 2400) + "f",
		"bidi":        "a\u202egnp.exe",
	} {
		tars["name-"+name] = []entry{tool, pax(tar.TypeXHeader, record("path", odd)), file("x", stolen)}
		// With nothing that could be taken, messages list what there is.
		tars["name-"+name+"-alone"] = []entry{pax(tar.TypeXHeader, record("path", odd+".txt")), file("x", stolen)}
	}
	tars["name-gnu-long"] = []entry{tool, {name: "././@LongLink", kind: tar.TypeGNULongName, body: strings.Repeat("n", 5000) + "\x00", magic: "ustar  \x00"}, {name: "x", body: stolen, magic: "ustar  \x00"}}
}

// headers say what cannot be.
func headers(tars map[string][]entry) {
	tars["size-negative"] = []entry{tool, {name: "odd", size: strings.Repeat("\xff", 12)}}
	tars["size-huge"] = []entry{tool, {name: "odd", size: "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff"}}
	tars["size-huge-wanted"] = []entry{{name: wanted, size: "77777777777", body: content}}
	tars["size-garbage"] = []entry{{name: wanted, size: "garbage!", body: content}}
	tars["size-of-directory"] = []entry{tool, {name: "d/", kind: tar.TypeDir, size: "00000010000"}}
	tars["size-pax-negative"] = []entry{tool, pax(tar.TypeXHeader, record("size", "-1")), file("odd", stolen)}
	tars["size-pax-huge"] = []entry{tool, pax(tar.TypeXHeader, record("size", "9223372036854775807")), file("odd", stolen)}
	tars["size-pax-smaller"] = []entry{pax(tar.TypeXHeader, record("size", "3")), tool}
	tars["pax-length"] = []entry{tool, {name: "x", kind: tar.TypeXHeader, body: "99 path=x\n"}, file("odd", stolen)}
	tars["pax-of-nothing"] = []entry{tool, pax(tar.TypeXHeader, record("path", "x"))}
	tars["pax-huge"] = []entry{tool, {name: "x", kind: tar.TypeXHeader, size: "77777777777", body: "99 path=x\n"}}
	tars["gnu-long-of-nothing"] = []entry{tool, {name: "././@LongLink", kind: tar.TypeGNULongName, body: "name\x00", magic: "ustar  \x00"}}
	tars["sparse-pax"] = []entry{pax(tar.TypeXHeader, record("GNU.sparse.major", "1"), record("GNU.sparse.minor", "0"), record("GNU.sparse.name", wanted), record("GNU.sparse.realsize", "99999999999")), file(wanted, "1\n0\n1\n"+strings.Repeat("\x00", 506)+"x")}
	tars["sparse-gnu"] = []entry{{name: wanted, kind: tar.TypeGNUSparse, magic: "ustar  \x00"}}
	tars["sparse-bomb"] = []entry{pax(tar.TypeXHeader, record("GNU.sparse.major", "0"), record("GNU.sparse.minor", "1"), record("GNU.sparse.size", "7000000000"), record("GNU.sparse.numblocks", "0"), record("GNU.sparse.map", "")), file(wanted, "")}
}

// truncated ends at every kind of place.
func (t tree) truncated() {
	whole := tarOf(tool, file("other", strings.Repeat(stolen, 40)))
	for name, n := range map[string]int{"first-header": 100, "after-header": block, "in-content": block + 5, "in-padding": block + 100, "second-header": 2*block + 20, "second-content": 3*block + 600, "between": 2 * block} {
		t.keep("archives/truncated-tar-"+name+".tar.gz", gzipped(whole[:n]))
	}
	packed := gzipped(whole)
	for name, n := range map[string]int{"magic": 1, "header": 6, "stream": len(packed) / 2, "checksum": len(packed) - 6, "last-byte": len(packed) - 1} {
		t.keep("archives/truncated-gzip-"+name+".tar.gz", packed[:n])
	}
	z := zipOf(member{name: wanted, body: content}, member{name: "other", body: stolen})
	for name, n := range map[string]int{"local": 10, "content": 40, "directory": len(z) - 60, "end": len(z) - 5} {
		t.keep("archives/truncated-zip-"+name+".zip", z[:n])
	}
}

// streams are compressed in odd ways.
func (t tree) streams() {
	whole := tarOf(tool)
	packed := gzipped(whole)
	damaged := damagedEnd(packed)
	for name, data := range map[string][]byte{
		"empty.tar.gz":                   nil,
		"empty.zip":                      nil,
		"zip-of-nothing.zip":             zipEnd(nil, nil, 0),
		"not-gzip.tar.gz":                []byte("<html>Please log in</html>"),
		"not-zip.zip":                    []byte("<html>Please log in</html>"),
		"gzip-checksum.tar.gz":           damaged,
		"gzip-trailing-garbage.tar.gz":   append(bytes.Clone(packed), "surplus"...),
		"gzip-second-member-cut.tar.gz":  append(bytes.Clone(packed), packed[:20]...),
		"gzip-second-member-bad.tar.gz":  append(bytes.Clone(packed), damaged...),
		"gzip-reserved-flags.tar.gz":     append([]byte{0x1f, 0x8b, 8, 0xe0}, packed[4:]...),
		"gzip-unknown-method.tar.gz":     append([]byte{0x1f, 0x8b, 9, 0}, packed[4:]...),
		"gzip-endless-name.tar.gz":       append([]byte{0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3}, bytes.Repeat([]byte("n"), 4000)...),
		"gzip-in-gzip.tar.gz":            gzipped(packed),
		"tar-trailing-garbage.tar.gz":    gzipped(append(bytes.Clone(whole), "surplus"...)),
		"tar-second-after-end.tar.gz":    gzipped(append(bytes.Clone(whole), tarOf(file(wanted, stolen))...)),
		"zip-called-tar.tar.gz":          zipOf(member{name: wanted, body: content}),
		"tar-called-zip.zip":             tarOf(tool),
		"tar-checksum.tar.gz":            gzipped(append([]byte("X"), whole[1:]...)),
		"bzip2-garbage.tar.bz2":          []byte("BZh9garbage that is no block at all"),
		"xz-garbage.tar.xz":              []byte("\xfd7zXZ\x00garbage that is no block at all"),
		"zstd-garbage.tar.zst":           []byte("\x28\xb5\x2f\xfdgarbage that is no block at all"),
		"xz-dictionary-96-mib.tar.xz":    xzStored(whole, 29),
		"xz-dictionary-4-gib.tar.xz":     xzStored(whole, 40),
		"zstd-window-256-mib.tar.zst":    zstdStored(whole, 28),
		"zstd-window-1-gib.tar.zst":      zstdStored(whole, 30),
		"zstd-window.tar.zst":            []byte("\x28\xb5\x2f\xfd\x04\xa8\x19\x00\x00hi\n=P\x92"),
		"zstd-skippable-only.tar.zst":    []byte("\x50\x2a\x4d\x18\x04\x00\x00\x00skip"),
		"zstd-skippable-endless.tar.zst": []byte("\x50\x2a\x4d\x18\xff\xff\xff\xffskip"),
	} {
		t.keep("archives/"+name, data)
	}
}

// bombs unpack to much more than there is.
func (t tree) bombs() {
	const huge = 70 << 20
	big := tarOf(tool, file("zeros", string(make([]byte, huge))))
	for ext, c := range map[string]archiver.Compressor{"bz2": archiver.Bz2{}, "xz": archiver.Xz{}, "zst": archiver.Zstd{}} {
		var out bytes.Buffer
		w := must(c.OpenWriter(&out))
		_ = must(w.Write(big))
		check(w.Close())
		t.keep("archives/bomb.tar."+ext, out.Bytes())
	}
	// Two layers of gzip reach a million to one; only one of them is an archive.
	t.keep("archives/bomb-nested.tar.gz", gzipped(gzipped(big)))
	kernel := member{name: "zeros", body: string(make([]byte, 1<<20)), deflated: true}
	overlapping := []member{{name: wanted, body: content}, kernel}
	for i := range 100 {
		again := kernel
		again.name, again.shared = fmt.Sprintf("zeros%d", i), true
		overlapping = append(overlapping, again)
	}
	t.keep("archives/bomb-overlapping.zip", zipOf(overlapping...))
	t.keep("archives/bomb-declared.zip", zipOf(member{name: wanted, body: content}, member{name: "zeros", body: "x", size: 1<<32 - 2}))
}

func (t tree) zips() {
	good := member{name: wanted, body: content}
	const toLink = 0o120777
	for name, members := range map[string][]member{
		"dotdot":           {good, {name: "../escaped", body: stolen}},
		"absolute":         {good, {name: "/botkube-mirror-hostile", body: stolen}},
		"backslash":        {good, {name: `..\escaped`, body: stolen}},
		"drive":            {good, {name: `C:\botkube-mirror-hostile`, body: stolen}},
		"symlink-out":      {good, {name: "way", body: "../../escaped", mode: toLink}},
		"symlink-absolute": {good, {name: "way", body: "/etc/passwd", mode: toLink}},
		"symlink-long":     {good, {name: "way", body: strings.Repeat("a/", 5000), mode: toLink}},
		"symlink-wanted":   {{name: "other.txt", body: stolen}, {name: wanted, body: "other.txt", mode: toLink}},
		"symlink-through":  {good, {name: "way", body: "..", mode: toLink}, {name: "way/escaped", body: stolen}},
		"device":           {good, {name: "odd", mode: 0o020666}},
		"fifo-wanted":      {{name: wanted, mode: 0o010666}},
		"directory-wanted": {{name: wanted + "/", mode: 0o040755}},
		"twice":            {{name: wanted, body: stolen}, good},
		"escape":           {good, {name: "a\x1b[31mred", body: stolen}},
		"escape-alone":     {{name: "a\x1b[31mred.txt", body: stolen}},
		"long-name":        {good, {name: strings.Repeat("n", 5000), body: stolen}},
		"two-names":        {{name: wanted, local: "../escaped", body: content}},
		"size-lies-more":   {{name: wanted, body: content, size: 4000}},
		"size-lies-less":   {{name: wanted, body: content, size: 3}},
		"setuid":           {{name: wanted, body: content, mode: 0o106777}},
	} {
		t.keep("archives/zip-"+name+".zip", zipOf(members...))
	}
	z := zipOf(good)
	dir := bytes.Index(z, []byte("PK\x01\x02"))
	end := bytes.Index(z, []byte("PK\x05\x06"))
	t.keep("archives/zip-no-local-headers.zip", zipEnd(nil, z[dir:end], 1))
	t.keep("archives/zip-count-lies.zip", zipEnd(z[:dir], z[dir:end], 60_000))
	t.keep("archives/zip-directory-is-a-circle.zip", zipEnd(z[:dir], z[:dir], 1))
	t.keep("archives/zip-trailing-garbage.zip", append(bytes.Clone(z), "surplus"...))
	t.keep("archives/zip-leading-garbage.zip", append([]byte(strings.Repeat("surplus", 20)), z...))
	t.keep("archives/zip-hundreds-of-one-name.zip", zipOf(append([]member{good}, slices.Repeat([]member{{name: "n"}}, 200)...)...))
}
