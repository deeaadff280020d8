package agent

import (
	"fmt"
	"slices"
	"testing"
)

// TestReadIndexReports has an index with everything that the agent refuses, in one message.
func TestReadIndexReports(t *testing.T) {
	t.Parallel()
	_, err := ReadIndex([]byte(`entries:
- {}
- {}
- {name: a, type: x, version: v1, urls: [{url: u}]}
- {name: a, type: source, version: v1, urls: [{url: u, platform: {os: linux, architecture: amd64}, dependencies: {z: {}, y: {url: d}, x: {}}}]}
- {name: a, type: executor, version: v1, urls: [{url: u}]}
- {name: a, type: source, version: v1, urls: [{url: u}]}
- {name: "", type: source, version: v2, urls: [{url: u}]}
- {name: "", type: source, version: v2, urls: [{url: u}]}
- {name: b, type: source, version: "", urls: [{url: u}]}
- {name: b, type: source, version: "", urls: [{url: u}]}
- {name: c, type: "", version: v1, urls: [{url: u}]}
- {name: c, type: "", version: v1, urls: [{url: u}]}
`))
	want := `entries[0] ("" "" ""): name is empty
entries[0] ("" "" ""): type is empty
entries[0] ("" "" ""): version is empty
entries[0] ("" "" ""): urls is empty
entries[1] ("" "" ""): name is empty
entries[1] ("" "" ""): type is empty
entries[1] ("" "" ""): version is empty
entries[1] ("" "" ""): urls is empty
entries[2] ("x" "a" "v1"): type must be executor or source, not "x"
entries[3] ("source" "a" "v1"): dependency "x" for linux/amd64 has no url
entries[3] ("source" "a" "v1"): dependency "z" for linux/amd64 has no url
entries[5] ("source" "a" "v1"): same type, name and version as entries[3]
entries[6] ("source" "" "v2"): name is empty
entries[7] ("source" "" "v2"): name is empty
entries[8] ("source" "b" ""): version is empty
entries[9] ("source" "b" ""): version is empty
entries[10] ("" "c" "v1"): type is empty
entries[11] ("" "c" "v1"): type is empty`
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

// TestBuild reads an entry whose URLs name a platform twice, and one that is none.
func TestBuild(t *testing.T) {
	t.Parallel()
	ix, err := ReadIndex([]byte(`entries:
- name: a
  type: source
  version: v1
  urls:
  - {url: u1, checksum: c1, platform: {os: linux, architecture: arm64}, dependencies: {b: {url: b1}, a: {url: a1}}}
  - {url: u2, platform: {os: linux, architecture: amd64}, dependencies: {c: {url: c2}}}
  - {url: u3, checksum: c3, platform: {os: linux, architecture: arm64}, dependencies: {b: {url: b3}}}
  - {url: u4, platform: {os: .., architecture: amd64}}
  jsonSchema: {refURL: r1}
  externalRequest: {payload: {jsonSchema: {refURL: r2}}}
- {name: b, type: source, version: v1, urls: [{url: u}], jsonSchema: {value: v, refURL: r3}}
`))
	if err != nil {
		t.Fatal(err)
	}
	e := &ix.Entries[0]
	arm64, amd64 := Platform{"linux", "arm64"}, Platform{"linux", "amd64"}
	build, found := e.Build(arm64)
	if got, want := fmt.Sprint(build, found), "{u3 c3 map[a:a1 b:b3]} true"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, p := range []Platform{{"linux", "386"}, {"darwin", "amd64"}} {
		if build, found := e.Build(p); found {
			t.Errorf("%s: %v", p, build)
		}
	}
	if got := e.Platforms(); !slices.Equal(got, []Platform{amd64, arm64}) {
		t.Errorf("%v", got)
	}
	if got := e.DependencyNames(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("%v", got)
	}
	for dependency, want := range map[string]string{"b": "[linux/arm64]", "c": "[linux/amd64]", "d": "[]"} {
		if got := fmt.Sprint(e.PlatformsOf(dependency)); got != want {
			t.Errorf("%s: %s, want %s", dependency, got, want)
		}
	}
	if got := fmt.Sprint(e.RefURLs(), ix.Entries[1].RefURLs()); got != "[r1 r2] []" {
		t.Errorf("%s", got)
	}
}
