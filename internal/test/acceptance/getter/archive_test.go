package getter_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-getter"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// unpacked is what go-getter made of an archive.
type unpacked struct {
	path string
	err  error
}

func unpackAsAgent(tb testing.TB, decompressors map[string]getter.Decompressor, b []byte, format string) unpacked {
	tb.Helper()
	work := tb.TempDir()
	src, dst := filepath.Join(work, "archive"), filepath.Join(work, "out")
	check(tb, os.WriteFile(src, b, 0o600))
	return unpacked{dst, decompressors[format].Decompress(dst, src, !isBare(format), 0)}
}

// take does what the agent does with it.
func (u unpacked) take(format string, want agent.Member) (string, error) {
	if u.err != nil {
		return "", u.err
	}
	if isBare(format) {
		out, err := os.ReadFile(u.path)
		return string(out), err
	}
	dir := u.path
	if want.Dir != "" {
		var err error
		if dir, err = getter.SubdirGlob(dir, want.Dir); err != nil {
			return "", err
		}
	}
	return takeAsAgent(dir, want)
}

// takeAsAgent is pkg/plugin/downloader.go, getFirstFileInDirectory.
func takeAsAgent(dir string, want agent.Member) (string, error) {
	if want.Name != "" {
		out, err := os.ReadFile(filepath.Join(dir, want.Name))
		if err == nil || !want.First {
			return string(out), err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || ext != "" && ext != ".exe" && ext != ".sh" {
			continue
		}
		out, err := os.ReadFile(filepath.Join(dir, e.Name()))
		return string(out), err
	}
	return "", errors.New("no file is the first")
}

// TestAgainstGoGetter compares with what the agent comes to, and with whether it
// comes to anything.
func TestAgainstGoGetter(t *testing.T) {
	trees := map[string][]item{
		"one":        {file("executor_x_linux_amd64", "x")},
		"release":    {dir("linux-amd64"), file("linux-amd64/README.md", "r"), file("linux-amd64/tool", "t"), file("LICENSE", "l"), file("linux-amd64/bin/tool", "b")},
		"dots":       {dir("."), file("./tool", "t"), file("./.hidden", "h"), file("./x//y/./tool", "y")},
		"duplicates": {file("tool", "a longer one"), file("a", "1"), file("./tool", "2"), file("a", "3"), file("b/tool", "4"), file("b//tool", "5")},
		"extensions": {file("a.txt", "1"), file("b.sh", "2"), file("c.exe", "3"), file("d.tar.gz", "4"), file("A.EXE", "5"), file("e.", "6"), file(".sh", "7")},
		"versions":   {file("tool-1.0/tool", "1"), file("tool-1.0/bin/tool", "2"), file("tool-1.0.sha256", "3")},
		"two":        {file("tool-1/tool", "1"), file("tool-2/tool", "2")},
		"backslash":  {file(`a\tool`, "1"), file("tool", "2")},
		"unicode":    {file("Ω/tool", "1"), file("ä", "2"), file("z", "3")},
		"spaces":     {file("a b/tool", "1"), file(" ", "2"), file("tool ", "3")},
		"empty":      {file("tool", ""), file("a", "")},
		"links":      {file("tool", "t"), symlink("zlink", "tool"), symlink("bin/tool", "../tool"), hardlink("zhard", "tool")},
		"first link": {file("tool", "t"), symlink("a", "tool")},
		"nothing":    {dir("a")},
		"directory":  {file("tool/x", "1"), dir("a")},
	}
	wants := []agent.Member{
		{First: true},
		{Name: "tool"},
		{Name: "tool", First: true},
		{Dir: "linux-amd64", Name: "tool"},
		{Dir: "*/bin", Name: "tool", First: true},
		{Dir: "tool-*", Name: "tool"},
		{Dir: "tool-*", First: true},
		{Dir: "tool", First: true},
		{Dir: "[a-c]", Name: "tool"},
		{Dir: "*", Name: "tool"},
		{Dir: "x/y", First: true},
		{Dir: "Ω", First: true},
		{Dir: "a b", First: true},
		{Dir: `a\ b`, First: true},
	}
	formats := agent.ArchiveFormats
	if !tier.Thorough() {
		formats = []string{"tar.gz", "zip"}
	}
	for _, format := range formats {
		for tree, items := range trees {
			if format == "zip" && tree == "links" {
				items = items[:3]
			}
			b := pack(t, format, items...)
			theirs := unpackAsAgent(t, getter.Decompressors, b, format)
			if !isBare(format) {
				compareAll(t, tree+" in "+format, theirs, b, format)
			}
			for _, want := range wants {
				if isBare(format) && want.Dir != "" {
					continue
				}
				compare(t, tree, theirs, b, format, want)
			}
		}
	}
}

func compare(t *testing.T, tree string, agents unpacked, b []byte, format string, want agent.Member) {
	t.Helper()
	theirs, theirErr := agents.take(format, want)
	var sink memory
	_, ourErr := archive.Extract(context.Background(), bytes.NewReader(b), format, want, archive.Limits{}, &sink)
	ours := sink.String()
	if ourErr != nil && strings.Contains(ourErr.Error(), "is a link, not a regular file") {
		return // go-getter made an empty file of it
	}
	if (theirErr == nil) != (ourErr == nil) || theirErr == nil && theirs != ours {
		t.Errorf("%s of %s, %+v: the agent gets %q, %v; we got %q, %v", format, tree, want, theirs, theirErr, ours, ourErr)
	}
}

// memory is a sink of an extraction.
type memory struct{ bytes.Buffer }

func (m *memory) Reset() error {
	m.Buffer.Reset()
	return nil
}

// compareAll compares all files of an unpacked archive.
func compareAll(t *testing.T, what string, agents unpacked, b []byte, format string) {
	t.Helper()
	to, err := os.OpenRoot(t.TempDir())
	check(t, err)
	defer to.Close()
	ourErr := archive.Unpack(context.Background(), bytes.NewReader(b), format, archive.Limits{}, to)
	ours := filesIn(t, to.FS())
	if agents.err != nil && len(ours) == 0 {
		return // to go-getter, an archive without files is none
	}
	theirs := map[string]string{}
	if _, err := os.Stat(agents.path); err == nil {
		theirs = filesIn(t, os.DirFS(agents.path))
	}
	if (ourErr == nil) != (agents.err == nil) || ourErr == nil && !maps.Equal(theirs, ours) {
		t.Errorf("%s: the agent gets %q, %v; we got %q, %v", what, theirs, agents.err, ours, ourErr)
	}
}

// filesIn returns the contents of files by their paths.
func filesIn(t *testing.T, dir fs.FS) map[string]string {
	t.Helper()
	files := map[string]string{}
	check(t, fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(dir, name)
		files[name] = string(data)
		return err
	}))
	return files
}

// fuzzLimits are small, so that breaking them is found to be easy.
var fuzzLimits = archive.Limits{Entries: 50, UnpackedBytes: 1 << 20}

// FuzzExtract wants of what is taken from an archive that the agent would take the same.
func FuzzExtract(f *testing.F) {
	wants := []agent.Member{{First: true}, {Name: "tool"}, {Name: "tool", First: true}, {Dir: "linux-amd64", Name: "tool"}, {Dir: "*", First: true}}
	trees := [][]item{
		{file("tool", "t")},
		{dir("linux-amd64"), file("linux-amd64/tool", "t"), file("linux-amd64/README.md", "r"), file("a", "1")},
		{file("b", "2"), file("a", "1"), file("./b", "3"), symlink("c", "a"), file("../d", "4")},
	}
	for i, format := range agent.ArchiveFormats {
		for j, items := range trees {
			b := pack(f, format, items...)
			f.Add(uint8(i), uint8(j), b)
			f.Add(uint8(i), uint8(0), append(b, b...))
		}
	}
	f.Fuzz(func(t *testing.T, i, j uint8, b []byte) {
		format, want := agent.ArchiveFormats[int(i)%len(agent.ArchiveFormats)], wants[int(j)%len(wants)]
		var sink memory
		if _, err := archive.Extract(context.Background(), bytes.NewReader(b), format, want, fuzzLimits, &sink); err != nil {
			return
		}
		limited := getter.LimitedDecompressors(fuzzLimits.Entries+1, fuzzLimits.UnpackedBytes)
		if theirs, err := unpackAsAgent(t, limited, b, format).take(format, want); err == nil && theirs != sink.String() {
			t.Fatalf("%s, %+v: the agent gets %q; we got %q", format, want, theirs, sink.String())
		}
	})
}
