package lock

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

func sample(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/lock.json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestMarshalIsStable(t *testing.T) {
	t.Parallel()
	data := sample(t)
	l, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	out, err := l.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out, data) {
		t.Errorf("the lock is written as\n%s", out)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	l, err := Parse(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range l.Files(agent.Platform{OS: "linux", Arch: "amd64"}) {
		got = append(got, f.Path+" "+f.Format+" "+f.Artifact.SHA256.String()[:2])
	}
	want := "demo/executor_v1.0.0_hello tar.gz aa, demo/executor_v1.0.0_hello_deps/greet  bb, demo/executor_v1.0.0_hello_deps/speak tar.gz cc"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("%s, want %s", s, want)
	}
	if files := l.Files(agent.Platform{OS: "linux", Arch: "arm64"}); len(files) != 1 {
		t.Errorf("%v", files)
	}
}

func TestForPlatform(t *testing.T) {
	t.Parallel()
	l, err := Parse(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	part := l.ForPlatform(agent.Platform{OS: "linux", Arch: "arm64"})
	if err := part.Check(); err != nil {
		t.Error(err)
	}
	if len(part.Artifacts) != 1 || len(part.Plugins) != 1 || len(part.Plugins[0].Builds) != 1 || len(l.Artifacts) != 4 {
		t.Errorf("%+v", part)
	}
}

// TestParseRefuses changes one thing of a good lock.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := string(sample(t))
	for _, tt := range []struct{ old, new, want string }{
		{`"schemaVersion": 1`, `"schemaVersion": 2`, "but this program reads version 1"},
		{`"schemaVersion": 1`, `"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json"`, `of type "application/vnd.oci.image.index.v1+json", not a lock`},
		{`"schemaVersion": 1`, `"schemaVersion": 1, "future": 1`, "unknown field"},
		{`"name": "hello"`, `"name": "../hello"`, "path separator"},
		{`"version": "v1.0.0"`, `"version": ".."`, "not a file name"},
		{`"type": "executor"`, `"type": "plugin"`, "type must be executor or source"},
		{`"name": "greet"`, `"name": "/bin/sh"`, "path separator"},
		{`"name": "greet"`, `"name": "speak"`, "is listed twice"},
		{`"repository": "demo"`, `"repository": "demi"`, "the lock does not list its repository"},
		{`"linux/arm64"`, `"linux/amd64"`, "is listed twice"},
		{`"linux/arm64"`, `"linux"`, "OS/ARCH"},
		{`"verifiedBy": "none"`, `"verifiedBy": "me"`, "has the unknown "},
		{`"size": 46`, `"size": -46`, "has no size"},
		{`"url": "https://e.com/greet"`, `"url": "https://e.com/other"`, "the lock has no artifact for"},
		{`bbbb`, `bbb`, "sha256 digest"},
		{`"name": "greet"`, `"name": "speak_deps/x"`, "path separator"},
	} {
		bad := strings.Replace(good, tt.old, tt.new, 1)
		if bad == good {
			t.Fatalf("%q is not in the sample", tt.old)
		}
		if _, err := Parse([]byte(bad)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s instead of %s: %v, want %q", tt.new, tt.old, err, tt.want)
		}
	}
	if _, err := Parse([]byte(good + "{}")); err == nil {
		t.Error("what follows the document is ignored")
	}
}

func TestCheckFindsClashes(t *testing.T) {
	t.Parallel()
	l, err := Parse(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	clash := l.Plugins[0]
	clash.Name, clash.Version = "0_hello", "v1.0." // executor_v1.0._0_hello is not executor_v1.0.0_hello
	l.Plugins = append(l.Plugins, clash)
	if err := l.Check(); err != nil {
		t.Error(err)
	}
	clash.Name, clash.Version = "hello_deps", "v1.0.0" // a file where the dependencies' directory is
	l.Plugins = append(l.Plugins[:1:1], clash)
	if err := l.Check(); err == nil || !strings.Contains(err.Error(), "a file and a directory") {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample(f))
	templates, err := withTemplates(f).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(templates)
	f.Add([]byte(`{"schemaVersion":1,"platforms":["linux/amd64"],"repositories":[],"plugins":[],"artifacts":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Parse(data)
		if err != nil {
			return
		}
		out, err := l.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if twice, err := again.Marshal(); err != nil || !bytes.Equal(twice, out) {
			t.Fatalf("%v: a second writing differs", err)
		}
		for _, p := range l.Platforms {
			for _, file := range l.Files(p) {
				if !filepath.IsLocal(file.Path) {
					t.Fatalf("file at %q", file.Path)
				}
			}
			if err := l.ForPlatform(p).Check(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
