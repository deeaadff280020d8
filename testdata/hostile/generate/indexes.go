package main

import (
	"fmt"
	"slices"
	"strings"
)

// goodEntry is an entry as it should be. Its files are those of a test.
const goodEntry = `  - name: good
    type: executor
    version: v1.0.0
    urls:
      - url: tool
        platform: {os: linux, architecture: amd64}
`

// indexes are of a repository upstream. The files that they name are there, so
// what is wrong is what is in them.
func (t tree) indexes() {
	c := indexCases{t}
	c.bombs()
	c.texts()
	c.names()
	c.urls()
	c.others()
}

// indexCases adds indexes to a tree.
type indexCases struct{ tree }

// with adds an index by its text.
func (c indexCases) with(name, yaml string) { c.add("indexes/"+name+".yaml", []byte(yaml)) }

// entry adds an index with a good entry, and more behind it.
func (c indexCases) entry(name, more string) { c.with(name, "entries:\n"+goodEntry+more) }

// named adds an index with a good entry in which a field is another.
func (c indexCases) named(name, field, value string) {
	c.with(name, "entries:\n"+strings.Replace(goodEntry, field, value, 1))
}

// bombs are larger, or deeper, than they look.
func (c indexCases) bombs() {
	bomb := "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), ", "))
	}
	c.with("aliases", bomb+"entries:\n"+goodEntry)
	c.with("aliases-in-entries", bomb+"entries: *a11\n")
	c.with("alias-to-itself", "entries: &e\n  - *e\n")
	c.with("merge-of-itself", "entries:\n  - &e\n    <<: *e\n    name: x\n")
	c.with("merge-bomb", "m0: &m0 {k0: 1}\n"+mergeBomb()+"entries:\n"+goodEntry)
	c.entry("thousands", numbered("  - {name: p%d, type: executor, version: v1.0.0, urls: [{url: tool, platform: {os: linux, architecture: amd64}}]}\n"))
	c.with("thousands-of-one", "entries:\n"+strings.Repeat(goodEntry, 5000))
	c.with("deep-flow", "entries: "+strings.Repeat("[", 20_000))
	deep := "entries:\n"
	for i := range 3000 {
		deep += strings.Repeat(" ", i) + "a:\n"
	}
	c.with("deep-block", deep)
	c.with("deep-maps", "entries: "+strings.Repeat("{a: ", 20_000))
	c.with("keys-of-one-name", "entries: []\n"+strings.Repeat("a:\n", 20_000))
	c.with("keys-twice-everywhere", "entries: []\nx:\n"+strings.Repeat("- {a: 1, a: 2}\n", 5000))
	c.with("keys-many", "entries: []\n"+numbered("k%d:\n"))
	c.with("values-many", "entries: ["+strings.Repeat("1,", 4<<20)+"1]\n")
	c.with("keys-twice", "entries: []\nentries:\n"+goodEntry)
	c.entry("keys-twice-in-entry", "    version: v2.0.0\n")
}

func (c indexCases) texts() {
	c.with("not-utf8", "entries:\n"+strings.ReplaceAll(goodEntry, "good", "go\xff\xfeod"))
	c.with("utf16", "\xff\xfee\x00n\x00t\x00r\x00i\x00e\x00s\x00:\x00 \x00[\x00]\x00")
	c.with("zero-bytes", "entries:\x00\x00\x00\n")
	c.with("control-characters", "entries:\n  - name: \x1b[31mred\n")
	c.with("huge-scalar", "entries:\n"+strings.ReplaceAll(goodEntry, "good", strings.Repeat("n", 3<<20)))
	c.with("huge-version", "entries:\n"+strings.ReplaceAll(goodEntry, "v1.0.0", "1"+strings.Repeat(".1", 500_000)))
	c.with("huge-number", "entries:\n"+strings.ReplaceAll(goodEntry, "v1.0.0", "v"+strings.Repeat("9", 200)+".0.0"))
	c.with("huge-document", "entries: []\n#"+strings.Repeat("x", 20<<20))
	c.with("nothing", "")
	c.with("a-list", "- entries\n")
	c.with("a-number", "42\n")
	c.with("a-web-page", "<!DOCTYPE html><title>Log in</title>\n")
	c.with("several-documents", "entries:\n"+goodEntry+"---\nentries: []\n")
	c.with("a-tag", "entries: !!binary aGVsbG8=\n")
	c.with("a-python-tag", "entries: !!python/object/apply:os.system ['true']\n")
}

func (c indexCases) names() {
	for what, bad := range map[string]string{
		"dotdot": `"../../escaped"`, "slash": `"a/b"`, "backslash": `"a\\b"`, "dot": `".."`, "escape": `"\e[31mred\e]0;title\a"`,
		"newline": `"a\nb"`, "zero": `"a\0b"`, "c1": `"a\u009b31m"`, "long": strings.Repeat("n", 300), "absolute": `"/etc"`, "spaces": `" "`, "nothing": `""`,
	} {
		c.named("name-"+what, "name: good", "name: "+bad)
		if !slices.Contains([]string{"dotdot", "escape", "newline", "long", "nothing"}, what) {
			continue
		}
		c.named("version-"+what, "version: v1.0.0", "version: "+bad)
		c.named("type-"+what, "type: executor", "type: "+bad)
		c.named("dependency-"+what, "architecture: amd64}", "architecture: amd64}\n        dependencies: {"+bad+": {url: tool}}")
	}
}

func (c indexCases) urls() {
	for what, bad := range map[string]string{
		"control": `"to\nol"`, "escape": `"http://127.0.0.1:1/\e[31mred"`, "file": "file:///etc/hostname",
		"file-getter": "file::/etc/hostname", "file-getter-url": "file::file:///etc/hostname", "http-getter-file": "http::file:///etc/hostname", "getters": "http::file::/etc/hostname", "git": "git::file:///etc", "hg": "hg::http://127.0.0.1:1/x", "s3": "s3::http://127.0.0.1:1/bucket/key", "unknown-scheme": "gopher://127.0.0.1:1/tool",
		"option": `"git::ssh://-oProxyCommand=touch%20botkube-mirror-hostile/x"`, "git-upload-pack": `"git::--upload-pack=touch botkube-mirror-hostile:x"`, "bad-port": "http://127.0.0.1:notaport/tool", "percent": "http://127.0.0.1:1/%zz",
		"nothing": `""`, "subdir-out": `"tool.tar.gz//../../escaped"`, "subdir-pattern": `"tool.tar.gz//[a"`,
		"checksum-unknown": `"tool?checksum=md17:00"`, "checksum-short": `"tool?checksum=sha256:00"`, "checksum-file-local": `"tool?checksum=file:file:///etc/hostname"`, "checksum-file-getter": `"tool?checksum=file:file::/etc/hostname"`, "archive-unknown": `"tool?archive=lz4"`,
	} {
		c.named("url-"+what, "url: tool", "url: "+bad)
		c.named("dependency-url-"+what, "architecture: amd64}", "architecture: amd64}\n        dependencies: {dep: {url: "+bad+"}}")
	}
}

func (c indexCases) others() {
	for what, bad := range map[string]string{"escape": `"\e[31mred"`, "short": "abc", "unknown": "'md17:00'", "wrong": strings.Repeat("0", 64)} {
		c.named("checksum-"+what, "url: tool", "url: tool\n        checksum: "+bad)
	}
	for what, bad := range map[string]string{"dotdot": `"../.."`, "escape": `"\e[31m"`, "nothing": `""`} {
		c.named("platform-"+what, "os: linux", "os: "+bad)
	}
	c.entry("schema-file", "    jsonSchema: {refURL: \"file:///etc/hostname\"}\n")
	c.entry("schema-file-getter", "    jsonSchema: {refURL: \"file::/etc/hostname\"}\n")
	c.entry("schema-escape", "    jsonSchema: {refURL: \"http://127.0.0.1:1/\\e[31mred\"}\n")
}

// numbered returns a text ten thousand times, each with its number.
func numbered(format string) string {
	var out strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&out, format, i)
	}
	return out.String()
}

// mergeBomb doubles a map again and again.
func mergeBomb() string {
	var out strings.Builder
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&out, "m%d: &m%d {<<: [*m%d, *m%d], k%d: 1}\n", i, i, i-1, i-1, i)
	}
	return out.String()
}
