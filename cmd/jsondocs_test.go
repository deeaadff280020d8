package cmd

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
	"github.com/botkube-mirror/botkube-mirror/internal/push"
	"github.com/botkube-mirror/botkube-mirror/internal/serve"
)

// TestJSONPages checks that every key of a result, and of the lock, is on the page that
// describes it.
func TestJSONPages(t *testing.T) {
	t.Parallel()
	for page, results := range map[string][]any{
		"json.md":        {mirror.Result{}, mirror.Unpacked{}, mirror.Pruned{}, push.Result{}},
		"json-checks.md": {mirror.Listing{}, mirror.Verification{}, mirror.Diffed{}, mirror.Outdated{}, serve.Serving{}},
		"lock.md":        {lock.Lock{}},
	} {
		text := ""
		for _, name := range []string{page, "json.md", "lock.md"} { // an object that is described once is linked
			data, err := os.ReadFile(filepath.Join("..", "docs", "reference", name))
			if err != nil {
				t.Fatal(err)
			}
			text += string(data)
		}
		keys := map[string]reflect.Type{}
		for _, r := range results {
			addKeys(keys, reflect.TypeOf(r), map[reflect.Type]bool{})
		}
		for key, in := range keys {
			if !strings.Contains(text, "`"+key+"`") && !strings.Contains(text, "."+key+"`") {
				t.Errorf("docs/reference/%s does not describe the key %q of %s", page, key, in)
			}
		}
	}
}

// addKeys adds the keys of a type in JSON, and those of the types in it.
func addKeys(keys map[string]reflect.Type, t reflect.Type, seen map[reflect.Type]bool) {
	switch {
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map:
		addKeys(keys, t.Elem(), seen)
		return
	case t.Kind() != reflect.Struct || seen[t]:
		return
	}
	seen[t] = true
	if _, isText := t.MethodByName("MarshalText"); isText {
		return
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if name != "" {
			keys[name] = t
		}
		addKeys(keys, f.Type, seen)
	}
}
