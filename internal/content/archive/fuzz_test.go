package archive_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
)

// fuzzLimits are small, so that breaking them is found to be easy.
var fuzzLimits = archive.Limits{Entries: 50, UnpackedBytes: 1 << 20}

var fuzzWants = []agent.Member{
	{First: true},
	{Name: "tool"},
	{Name: "tool", First: true},
	{Dir: "linux-amd64", Name: "tool"},
	{Dir: "*", First: true},
}

func fuzzSeeds(f *testing.F) {
	trees := [][]item{
		{file("tool", "t")},
		{dir("linux-amd64"), file("linux-amd64/tool", "t"), file("linux-amd64/README.md", "r"), file("a", "1")},
		{file("b", "2"), file("a", "1"), file("./b", "3"), symlink("c", "a"), file("../d", "4")},
		{file("tool", string(bytes.Repeat([]byte("0123456789"), 500))), file("z", "z")},
	}
	for i, format := range agent.ArchiveFormats {
		for j, items := range trees {
			b := pack(f, format, items...)
			f.Add(uint8(i), uint8(j), b)
			f.Add(uint8(i), uint8(0), append(b, b...))
		}
	}
	for i, format := range agent.ArchiveFormats {
		if format == "tar" {
			f.Add(uint8(i), uint8(0), sparseTar("tool", 1<<16))
		}
	}
}

func FuzzExtract(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, format, want uint8, b []byte) {
		fuzzExtract(t, agent.ArchiveFormats[int(format)%len(agent.ArchiveFormats)], fuzzWants[int(want)%len(fuzzWants)], b)
	})
}

// bounded is a sink that counts everything, discarded or not.
type bounded struct {
	memory
	total int64
}

func (s *bounded) Write(p []byte) (int, error) {
	s.total += int64(len(p))
	return s.memory.Write(p)
}

func fuzzExtract(t *testing.T, format string, want agent.Member, b []byte) {
	var sink bounded
	name, err := archive.Extract(context.Background(), bytes.NewReader(b), format, want, fuzzLimits, &sink)
	if sink.total > fuzzLimits.UnpackedBytes {
		t.Fatalf("%d bytes were written", sink.total)
	}
	if err != nil {
		if name != "" {
			t.Fatalf("got name %q with %v", name, err)
		}
		return
	}
	if (name == "") != isBare(format) {
		t.Fatalf("got name %q of %s", name, format)
	}
}
