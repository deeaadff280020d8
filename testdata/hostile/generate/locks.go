package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// locks are lock files, each of which also stands in a bundle and an image that
// agree with it.
func (t tree) locks() {
	t.add("locks/good.json", []byte(goodLock))
	for name, text := range hostileLocks() {
		t.add("locks/"+name+".json", []byte(text))
	}
}

// someLocks are those that stand in bundles and images, too.
var someLocks = []string{
	"plugin-dotdot", "plugin-escape", "version-newline", "dependency-escape", "botkube-escape", "platform-escape", "url-escape", "schema-future",
	"twice-artifact", "size-negative", "size-huge", "checksum-escape", "unknown-key", "paths-collide", "cut", "deep", "null", "not-utf8",
}

// lockCases are texts of locks, by their names.
type lockCases map[string]string

// hostileLocks returns the text of every lock by its name.
func hostileLocks() map[string]string {
	c := lockCases{}
	c.names()
	c.numbers()
	c.lists()
	c.texts()
	return c
}

// with has a lock in which something was changed.
func (c lockCases) with(name string, change func(l object)) {
	var l object
	check(json.Unmarshal([]byte(goodLock), &l))
	change(l)
	c[name] = marshal(l)
}

// set has a lock with another value at a path.
func (c lockCases) set(name string, value any, path ...any) {
	last := len(path) - 1
	c.with(name, func(l object) { at[object](l, path[:last]...)[path[last].(string)] = value })
}

// twice has a lock with the first element of a list again.
func (c lockCases) twice(name string, path ...any) {
	list := path[len(path)-1].(string)
	c.with("twice-"+name, func(l object) {
		of := at[object](l, path[:len(path)-1]...)
		all := of[list].([]any)
		of[list] = append(all, all[0])
	})
}

// many has a lock with thousands of elements in a list.
func (c lockCases) many(list string, each func(i int) any) {
	c.with("many-"+list, func(l object) {
		for i := range 3000 {
			l[list] = append(l[list].([]any), each(i))
		}
	})
}

func (c lockCases) names() {
	for what, bad := range badNames {
		c.set("plugin-"+what, bad, "plugins", 0, "name")
	}
	for _, what := range []string{"dotdot", "escape", "newline", "long"} {
		bad := badNames[what]
		c.set("repository-"+what, bad, "repositories", 0, "name")
		c.set("version-"+what, bad, "plugins", 0, "version")
		c.set("dependency-"+what, bad, "plugins", 0, "builds", 0, "dependencies", 0, "name")
		c.set("platform-"+what, []any{bad}, "platforms")
		c.set("botkube-"+what, bad, "botkubeVersion")
		c.set("by-"+what, bad, "artifacts", 0, "verifiedBy")
		c.set("url-"+what, "http://127.0.0.1:1/"+bad+"\x1b[31m", "artifacts", 0, "url")
		c.set("type-"+what, bad, "plugins", 0, "type")
	}
	c.set("repository-hidden", ".botkube-mirror", "repositories", 0, "name")
	c.set("url-credentials", "https://user:s3cret@plugins.example.com/a", "artifacts", 0, "url")
	c.set("url-index-escape", "https://plugins.example.com/\x1b[31m", "repositories", 0, "url")
	c.set("unknown-key", "x", "surprise")
	c.set("unknown-key-inside", "x", "artifacts", 0, "surprise")
}

func (c lockCases) numbers() {
	for what, n := range map[string]any{"negative": -1, "zero": 0, "huge": 9e18, "beyond": 1e30, "text": "12", "fraction": 1.5, "null": nil} {
		c.set("size-"+what, n, "artifacts", 0, "size")
		c.set("index-size-"+what, n, "repositories", 0, "index", "size")
	}
	for what, d := range map[string]any{"short": "abc", "long": strings.Repeat("a", 128), "upper": strings.ToUpper(sum(plugin)), "prefixed": digest(plugin), "number": 1, "escape": "\x1b[31m", "nothing": ""} {
		c.set("checksum-"+what, d, "artifacts", 0, "sha256")
	}
	for what, v := range map[string]any{"future": 2, "far-future": 1 << 40, "negative": -1, "text": "1", "none": nil} {
		c.set("schema-"+what, v, "schemaVersion")
	}
	c["sizes-overflow"] = strings.ReplaceAll(goodLock, fmt.Sprintf(`"size": %d`, len(plugin)), `"size": 9000000000000000000`)
}

func (c lockCases) lists() {
	c.set("no-platforms", []any{}, "platforms")
	c.set("no-artifacts", []any{}, "artifacts")
	c.set("plugins-are-no-list", "x", "plugins")
	c.twice("artifact", "artifacts")
	c.twice("plugin", "plugins")
	c.twice("repository", "repositories")
	c.twice("platform", "platforms")
	c.twice("dependency", "plugins", 0, "builds", 0, "dependencies")
	c.twice("build", "plugins", 0, "builds")
	c.with("paths-collide", func(l object) { // a plugin that lies in another's directory of dependencies
		other := object{"repository": "x", "type": "executor", "name": "a_deps", "version": "v1.0.0", "builds": at[[]any](l, "plugins", 0, "builds")}
		l["plugins"] = append(l["plugins"].([]any), other)
	})
	c.many("platforms", func(i int) any { return fmt.Sprintf("linux/a%d", i) })
	c.many("repositories", func(i int) any {
		return object{"name": fmt.Sprintf("../r%d", i), "url": "u", "index": object{"size": 1, "sha256": sum("")}}
	})
	c.many("artifacts", func(int) any {
		return object{"url": "u", "size": -1, "sha256": sum(""), "verifiedBy": "me"}
	})
}

func (c lockCases) texts() {
	good := goodLock
	c["cut"] = good[:len(good)/2]
	c["trailing"] = good + "{}"
	c["keys-twice"] = strings.Replace(good, `"schemaVersion": 1,`, `"schemaVersion": 2, "schemaVersion": 1,`, 1)
	c["key-in-other-case"] = strings.Replace(good, `"artifacts"`, `"Artifacts"`, 1)
	c["deep"] = strings.Repeat(`{"plugins":[`, 20_000)
	c["not-utf8"] = strings.Replace(good, `"name": "a"`, "\"name\": \"a\xff\xfe\"", 1)
	c["huge"] = good + strings.Repeat(" ", 17<<20)
	c["null"] = "null"
	c["a-list"] = "[]"
}

// badNames are what no file may be called.
var badNames = map[string]string{
	"dotdot": "../../escaped", "dot": "..", "slash": "a/b", "absolute": "/botkube-mirror-hostile", "backslash": `a\b`, "escape": "\x1b[31mred\x1b]0;title\x07",
	"newline": "a\nbotkube-mirror: all is well", "zero": "a\x00b", "c1": "a\u009b31m", "long": strings.Repeat("n", 5000), "nothing": "", "space": " ",
}
