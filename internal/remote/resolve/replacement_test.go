package resolve

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func replacement(key, dependency, url string) index.Replacement {
	k, _ := agent.ParsePluginKey(key)
	return index.Replacement{Plugin: k, Dependency: dependency, URL: url}
}

// TestSettleReplacements wants what cannot be meant to be refused before anything is asked for, and
// no password to be shown.
func TestSettleReplacements(t *testing.T) {
	abs := filepath.ToSlash(t.TempDir()) + "/x-{os}"
	for _, raw := range []string{
		"https://e.com/x-{os}-{arch}", "https://u:s3cret@e.com/x.tar.gz//{os}-{arch}?checksum=sha256:" + strings.Repeat("a", 64),
		"x", "../x", "./x.zip//{arch}", abs, "file://" + abs, "https://e.com/x?checksum=file:sums.txt", "git::https://e.com/x.git//bin?ref={os}", "s3::https://s3.amazonaws.com/b/x",
	} {
		sel := Selection{Selection: index.Selection{Replacements: []index.Replacement{replacement("r/p", "d", raw)}}}
		if err := sel.settleReplacements(); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
	for raw, want := range map[string]string{
		"https://u:s3cret@e.com/{OS}":        "{OS} is not a placeholder",
		"hg::https://u:s3cret@e.com/x":       "not supported",
		"https://u:s3cret@e.com/x/":          "is a directory",
		"https://u:s3cret@e.com:port/x":      "cannot be read",
		"https://u:s3cret@e.com/x//../y":     "is outside the archive",
		"https://u:s3cret@e.com/?checksum=x": "is not hexadecimal",
		"git::file:///x":                     "on this machine",
	} {
		sel := Selection{Selection: index.Selection{Replacements: []index.Replacement{replacement("r/p", "d", raw)}}}
		err := sel.settleReplacements()
		if err == nil || fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "--dependency r/p:d: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %s", raw, err, want)
		}
	}
	for _, twice := range [][2]index.Replacement{
		{replacement("r/p", "d", "x"), replacement("r/p", "d", "y")},
		{replacement("r/p", "d", "x"), replacement("r/p@v1", "d", "y")},
		{replacement("r/p@v1", "d", "x"), replacement("r/p", "d", "y")},
	} {
		sel := Selection{Selection: index.Selection{Replacements: twice[:]}}
		if err := sel.settleReplacements(); err == nil || !strings.Contains(err.Error(), "is given twice") {
			t.Errorf("%v: %v", twice, err)
		}
	}
	arm, amd := replacement("r/p@v3", "d", "x"), replacement("r/p@v3", "d", "y")
	arm.Platform, amd.Platform = agent.Platform{OS: "linux", Arch: "arm64"}, agent.Platform{OS: "linux", Arch: "amd64"}
	for _, other := range []index.Replacement{arm, replacement("r/p", "d", "x"), replacement("r/p@v3", "d", "x")} {
		if !arm.Overlaps(other) || !other.Overlaps(arm) {
			t.Errorf("%s is not like %s", arm, other)
		}
	}
	sel := Selection{Selection: index.Selection{Replacements: []index.Replacement{replacement("r/p@v1", "d", "x"), replacement("r/p@v2", "d", "y"), replacement("r/p@v1", "e", "z"), arm, amd}}}
	if err := sel.settleReplacements(); err != nil {
		t.Error(err)
	}
}

// TestAdoptReplacements wants what a flag says before what a lock has.
func TestAdoptReplacements(t *testing.T) {
	p := agent.Platform{OS: "linux", Arch: "amd64"}
	sel := Selection{
		Selection: index.Selection{Replacements: []index.Replacement{replacement("r/p", "d", "x")}},
		pinned: &lock.Lock{Plugins: []lock.Plugin{{Repository: "r", Name: "p", Version: "v1", Builds: []lock.Build{{Platform: p, Dependencies: []lock.Dependency{
			{Name: "d", URL: "https://e.com/d", Replaces: "https://e.com/old"}, {Name: "plain", URL: "https://e.com/plain"}}}}}}},
	}
	sel.adoptReplacements()
	of := replacement("r/p@v1", "d", "https://e.com/d")
	of.Platform, of.Pinned = p, true
	if got := sel.Replacements; len(got) != 2 || got[0].Pinned || got[1] != of {
		t.Errorf("%+v", got)
	}
}

// TestReplaced records what an index has, whatever that is.
func TestReplaced(t *testing.T) {
	base, err := url.Parse("https://e.com/index/plugins-index.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]string{
		"":                         lock.ReplacesNothing,
		"d.tar.gz//bin":            "https://e.com/index/d.tar.gz//bin",
		"https://u:p@e.com/d":      "https://e.com/d",
		"hg::https://u:p@e.com/d":  "hg::https://e.com/d",
		"https://e.com/d//../../x": "https://e.com/d//../../x",
	} {
		if got := replaced(base, raw); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}
