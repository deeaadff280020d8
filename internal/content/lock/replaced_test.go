package lock

import (
	"bytes"
	"strings"
	"testing"
)

// TestReplaces wants what a dependency replaces to be written, read again, and worded; and what
// cannot be meant to be refused.
func TestReplaces(t *testing.T) {
	t.Parallel()
	for replaces, want := range map[string]string{
		"https://e.com/old.tar.gz//bin":                     "greet of demo/hello@v1.0.0 for linux/amd64 is replaced: %s instead of https://e.com/old.tar.gz//bin",
		"URL?checksum=md5:dddddddddddddddddddddddddddddddd": "greet of demo/hello@v1.0.0 for linux/amd64 is the index's file with other parameters: %s instead of URL?checksum=md5:dddddddddddddddddddddddddddddddd",
		ReplacesNothing: "greet of demo/hello@v1.0.0 for linux/amd64 is added: %s (the index has none)",
	} {
		l := withMembers(t)
		d := &l.Plugins[0].Builds[0].Dependencies[0]
		replaces = strings.ReplaceAll(replaces, "URL", d.URL)
		want = strings.ReplaceAll(want, "of URL", "of "+d.URL)
		d.Replaces = replaces
		data, err := l.Marshal()
		if err != nil || !bytes.Contains(data, []byte(`"replaces": "`+replaces+`"`)) {
			t.Fatalf("%v\n%s", err, data)
		}
		read, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if all := ReplacedIn(read.Plugins); len(all) != 1 || all[0].String() != strings.ReplaceAll(want, "%s", d.URL) {
			t.Errorf("%v", all)
		}
	}
	if all := ReplacedIn(withMembers(t).Plugins); len(all) > 0 {
		t.Errorf("%v", all)
	}
	for _, odd := range []string{"none", "Nothing", "true", withMembers(t).Plugins[0].Builds[0].Dependencies[0].URL} {
		l := withMembers(t)
		l.Plugins[0].Builds[0].Dependencies[0].Replaces = odd
		if err := l.Check(); err == nil || !strings.Contains(err.Error(), "replaces") {
			t.Errorf("%s: %v", odd, err)
		}
	}
}
