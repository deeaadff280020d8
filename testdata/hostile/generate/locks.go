package main

import (
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

// hostileLocks returns the text of every lock by its name.
func hostileLocks() map[string]string {
	all := map[string]string{}
	with := func(name string, change func(l object)) {
		l := theLock()
		change(l)
		all[name] = marshal(l)
	}
	set := func(name string, value any, path ...any) {
		with(name, func(l object) {
			last := path[len(path)-1]
			of := at[any](l, path[:len(path)-1]...)
			switch last := last.(type) {
			case string:
				of.(object)[last] = value
			case int:
				of.([]any)[last] = value
			}
		})
	}
	for what, bad := range badNames {
		set("plugin-"+what, bad, "plugins", 0, "name")
	}
	for _, what := range []string{"dotdot", "escape", "newline", "long"} {
		bad := badNames[what]
		set("repository-"+what, bad, "repositories", 0, "name")
		set("version-"+what, bad, "plugins", 0, "version")
		set("dependency-"+what, bad, "plugins", 0, "builds", 0, "dependencies", 0, "name")
		set("platform-"+what, bad, "platforms", 0)
		set("botkube-"+what, bad, "botkubeVersion")
		set("by-"+what, bad, "artifacts", 0, "verifiedBy")
		set("url-"+what, "http://127.0.0.1:1/"+bad+"\x1b[31m", "artifacts", 0, "url")
		set("type-"+what, bad, "plugins", 0, "type")
	}
	set("repository-hidden", ".botkube-mirror", "repositories", 0, "name")
	set("url-credentials", "https://user:s3cret@plugins.example.com/a", "artifacts", 0, "url")
	set("url-index-escape", "https://plugins.example.com/\x1b[31m", "repositories", 0, "url")
	for what, n := range map[string]any{"negative": -1, "zero": 0, "huge": 9e18, "beyond": 1e30, "text": "12", "fraction": 1.5, "null": nil} {
		set("size-"+what, n, "artifacts", 0, "size")
		set("index-size-"+what, n, "repositories", 0, "index", "size")
	}
	for what, d := range map[string]any{"short": "abc", "long": strings.Repeat("a", 128), "upper": strings.ToUpper(sum(plugin)), "prefixed": digest(plugin), "number": 1, "escape": "\x1b[31m", "nothing": ""} {
		set("checksum-"+what, d, "artifacts", 0, "sha256")
	}
	for what, v := range map[string]any{"future": 2, "far-future": 1 << 40, "negative": -1, "text": "1", "none": nil} {
		set("schema-"+what, v, "schemaVersion")
	}
	set("unknown-key", "x", "surprise")
	set("unknown-key-inside", "x", "artifacts", 0, "surprise")
	all["sizes-overflow"] = strings.ReplaceAll(goodLock, fmt.Sprintf(`"size": %d`, len(plugin)), `"size": 9000000000000000000`)
	set("no-platforms", []any{}, "platforms")
	set("no-artifacts", []any{}, "artifacts")
	set("plugins-are-no-list", "x", "plugins")
	twice := func(name string, path ...any) {
		list := path[len(path)-1].(string)
		with("twice-"+name, func(l object) {
			of := at[object](l, path[:len(path)-1]...)
			all := of[list].([]any)
			of[list] = append(all, all[0])
		})
	}
	twice("artifact", "artifacts")
	twice("plugin", "plugins")
	twice("repository", "repositories")
	twice("platform", "platforms")
	twice("dependency", "plugins", 0, "builds", 0, "dependencies")
	twice("build", "plugins", 0, "builds")
	with("paths-collide", func(l object) { // a plugin that lies in another's directory of dependencies
		other := object{"repository": "x", "type": "executor", "name": "a_deps", "version": "v1.0.0", "builds": at[[]any](l, "plugins", 0, "builds")}
		l["plugins"] = append(l["plugins"].([]any), other)
	})
	many := func(name, list string, n int, each func(i int) any) {
		with("many-"+name, func(l object) {
			for i := range n {
				l[list] = append(l[list].([]any), each(i))
			}
		})
	}
	many("platforms", "platforms", 3000, func(i int) any { return fmt.Sprintf("linux/a%d", i) })
	many("repositories", "repositories", 3000, func(i int) any {
		return object{"name": fmt.Sprintf("../r%d", i), "url": "u", "index": object{"size": 1, "sha256": sum("")}}
	})
	many("artifacts", "artifacts", 3000, func(i int) any {
		return object{"url": "u", "size": -1, "sha256": sum(""), "verifiedBy": "me"}
	})
	good := goodLock
	all["cut"] = good[:len(good)/2]
	all["trailing"] = good + "{}"
	all["keys-twice"] = strings.Replace(good, `"schemaVersion": 1,`, `"schemaVersion": 2, "schemaVersion": 1,`, 1)
	all["key-in-other-case"] = strings.Replace(good, `"artifacts"`, `"Artifacts"`, 1)
	all["deep"] = strings.Repeat(`{"plugins":[`, 20_000)
	all["not-utf8"] = strings.Replace(good, `"name": "a"`, "\"name\": \"a\xff\xfe\"", 1)
	all["huge"] = good + strings.Repeat(" ", 17<<20)
	all["null"] = "null"
	all["a-list"] = "[]"
	return all
}

// badNames are what no file may be called.
var badNames = map[string]string{
	"dotdot": "../../escaped", "dot": "..", "slash": "a/b", "absolute": "/botkube-mirror-hostile", "backslash": `a\b`, "escape": "\x1b[31mred\x1b]0;title\x07",
	"newline": "a\nbotkube-mirror: all is well", "zero": "a\x00b", "c1": "a\u009b31m", "long": strings.Repeat("n", 5000), "nothing": "", "space": " ",
}
