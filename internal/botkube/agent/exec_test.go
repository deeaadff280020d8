package agent

import (
	"encoding/base64"
	"testing"
)

func TestTemplateDirectory(t *testing.T) {
	t.Parallel()
	directory := TemplateDirectory("github.com/kubeshop/botkube//cmd/executor/exec/templates?ref=v1.2.0")
	for name, want := range map[string]bool{
		directory:             true,
		directory + "\n":      false,
		"\r" + directory:      false,
		directory[1:]:         false,
		"../" + directory[3:]: false,
		"":                    false,
		base64.URLEncoding.EncodeToString(make([]byte, 31)): false,
		base64.URLEncoding.EncodeToString(make([]byte, 32)): true,
		base64.URLEncoding.EncodeToString(make([]byte, 33)): false,
	} {
		if got := IsTemplateDirectory(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
	if got, want := TemplatePath("r/executor_v1_exec", directory, "a/b.yaml"), "r/executor_v1_exec_deps/"+directory+"/a/b.yaml"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestDefaultTemplates(t *testing.T) {
	t.Parallel()
	const source = "github.com/kubeshop/botkube//cmd/executor/exec/templates?ref="
	const schema = `{"properties": {"templates": {"items": {"properties": {"ref": {"default": "e.com/own"}}}}}}`
	for name, tt := range map[string]struct {
		repository string
		entry      Entry
		want       string
	}{
		"before there was exec":      {"botkube", Entry{Type: Executor, Name: "exec", Version: "v1.1.0"}, ""},
		"the first exec":             {"botkube", Entry{Type: Executor, Name: "exec", Version: "v1.2.0"}, source + "v1.2.0"},
		"the last of its own":        {"botkube", Entry{Type: Executor, Name: "exec", Version: "v1.8.0"}, source + "v1.8.0"},
		"later":                      {"botkube", Entry{Type: Executor, Name: "exec", Version: "v1.9.0"}, source + "release-1.8"},
		"the second repository":      {"botkubeExtra", Entry{Type: Executor, Name: "exec", Version: "v1.14.0"}, source + "release-1.8"},
		"before the second":          {"botkubeExtra", Entry{Type: Executor, Name: "exec", Version: "v1.13.0"}, ""},
		"another repository":         {"r", Entry{Type: Executor, Name: "exec", Version: "v1.14.0"}, ""},
		"its schema":                 {"r", Entry{Type: Executor, Name: "exec", Version: "v1.14.0", JSONSchema: JSONSchema{Value: schema}}, "e.com/own"},
		"its schema before the rule": {"botkube", Entry{Type: Executor, Name: "exec", Version: "v1.14.0", JSONSchema: JSONSchema{Value: schema}}, "e.com/own"},
		"a schema that is none":      {"botkube", Entry{Type: Executor, Name: "exec", Version: "v1.8.0", JSONSchema: JSONSchema{Value: "{"}}, source + "v1.8.0"},
		"a source":                   {"botkube", Entry{Type: Source, Name: "exec", Version: "v1.8.0"}, ""},
		"another executor":           {"botkube", Entry{Type: Executor, Name: "gh", Version: "v1.8.0", JSONSchema: JSONSchema{Value: schema}}, ""},
	} {
		if got := tt.entry.DefaultTemplates(tt.repository); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
