package archive_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"runtime"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/archive"
)

func TestLimits(t *testing.T) {
	half := strings.Repeat("x", 40<<10)
	for _, format := range formats(true, true, false) {
		t.Run(format, func(t *testing.T) {
			b := pack(t, format, file("a", half), file("b", half), file("c", "1"))
			// The wanted file is small: what is skipped counts.
			want := agent.Member{Name: "c"}
			_, body, err := extract(b, format, want, archive.Limits{Entries: 3, UnpackedBytes: 84 << 10})
			if body != "1" || err != nil {
				t.Errorf("got %q, %v", body, err)
			}
			_, _, err = extract(b, format, want, archive.Limits{UnpackedBytes: 79 << 10})
			wantFault(t, err, "archive unpacks to more than 79 KiB")
			_, _, err = extract(b, format, want, archive.Limits{Entries: 2})
			wantFault(t, err, "archive holds more than 2 entries")
		})
	}
	for _, format := range formats(false, false, true) {
		_, body, err := extract(pack(t, format, file("", half)), format, agent.Member{}, archive.Limits{UnpackedBytes: 20 << 10})
		wantFault(t, err, "archive unpacks to more than 20 KiB")
		if len(body) > 20<<10 {
			t.Errorf("%s: %d bytes were written", format, len(body))
		}
	}
}

func TestBombs(t *testing.T) {
	zeros := make([]byte, 80<<20)
	tarOfZeros := packTar(t, []item{file("a", "1"), file("tool", string(zeros))})
	nested := compress(t, "gz", compress(t, "gz", zeros))
	for _, test := range []struct {
		name, format string
		archive      []byte
		ok           bool
	}{
		{"gzip", "gz", compress(t, "gz", zeros), false},
		{"zstd", "zst", compress(t, "zst", zeros), false},
		{"tar.gz", "tar.gz", compress(t, "gz", tarOfZeros), false},
		{"tar.zst", "tar.zst", compress(t, "zst", tarOfZeros), false},
		{"zip", "zip", packZip(t, []item{file("tool", string(zeros))}), false},
		{"sparse", "tar", sparseTar("tool", 100<<20), false},
		{"sparse, skipped", "tar", sparseTar("other", 100<<20), false},
		{"very sparse", "tar", sparseTar("tool", 7<<30), false},
		{"nested", "gz", nested, true},
		{"plain", "tar", tarOfZeros, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, body, err := extract(test.archive, test.format, agent.Member{Name: "tool"}, archive.Limits{})
			if test.ok {
				check(t, err)
				return
			}
			wantFault(t, err, "archive unpacks to more than ")
			if len(body) > 64<<20 {
				t.Errorf("%d bytes were written", len(body))
			}
		})
	}
}

// TestBombElsewhere is a zip whose wanted file is harmless.
func TestBombElsewhere(t *testing.T) {
	b := packZip(t, []item{file("tool", "t"), file("other", string(make([]byte, 80<<20)))})
	_, _, err := extract(b, "zip", agent.Member{Name: "tool"}, archive.Limits{})
	wantFault(t, err, "more than 200 times its size")
}

func TestZipHeaders(t *testing.T) {
	stored := func(h zip.FileHeader) []byte {
		h.Name = "tool"
		return rawZip(t, h, []byte("content"))
	}
	const size = 7
	sum := crc32.ChecksumIEEE([]byte("content"))
	for _, test := range []struct {
		name    string
		archive []byte
		text    string
	}{
		{"xz inside", stored(zip.FileHeader{Method: 95, CompressedSize64: size, UncompressedSize64: size}), "unsupported method 95"},
		{"zstd inside", stored(zip.FileHeader{Method: 93, CompressedSize64: size, UncompressedSize64: size}), "unsupported method 93"},
		{"bzip2 inside", stored(zip.FileHeader{Method: 12, CompressedSize64: size, UncompressedSize64: size}), "unsupported method 12"},
		{"encrypted", stored(zip.FileHeader{Flags: 1, CRC32: sum, CompressedSize64: size, UncompressedSize64: size}), "is encrypted"},
		{"smaller than it says", stored(zip.FileHeader{CRC32: sum, CompressedSize64: size, UncompressedSize64: size + 1}), "damaged"},
		{"larger than it says", stored(zip.FileHeader{CRC32: sum, CompressedSize64: size, UncompressedSize64: size - 1}), "damaged"},
		{"wrong checksum", stored(zip.FileHeader{CRC32: sum + 1, CompressedSize64: size, UncompressedSize64: size}), "damaged"},
		{"enormous", stored(zip.FileHeader{CRC32: sum, CompressedSize64: size, UncompressedSize64: 1 << 63}), "unpacks to more than 4.0 GiB"},
		{"past the end", stored(zip.FileHeader{CRC32: sum, CompressedSize64: 1 << 20, UncompressedSize64: 1 << 20}), "damaged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			name, _, err := extract(test.archive, "zip", agent.Member{Name: "tool"}, archive.Limits{})
			wantFault(t, err, test.text)
			if name != "" {
				t.Errorf("got name %q", name)
			}
		})
	}
	ok := stored(zip.FileHeader{CRC32: sum, CompressedSize64: size, UncompressedSize64: size})
	_, body, err := extract(ok, "zip", agent.Member{Name: "tool"}, archive.Limits{})
	if body != "content" || err != nil {
		t.Errorf("got %q, %v", body, err)
	}
}

// TestZipDirectory is a zip that is all directory: it must be refused before it
// fills the memory.
func TestZipDirectory(t *testing.T) {
	header := make([]byte, 46+1)
	copy(header, "PK\x01\x02")
	binary.LittleEndian.PutUint16(header[28:], 1)
	header[46] = 'n'
	const count = 1 << 20
	b := bytes.Repeat(header, count)
	end := make([]byte, 22)
	copy(end, "PK\x05\x06")
	binary.LittleEndian.PutUint32(end[12:], uint32(len(b)))
	b = append(b, end...)
	used := allocated(func() {
		_, _, err := extract(b, "zip", agent.Member{Name: "tool"}, archive.Limits{})
		wantFault(t, err, "archive has too large a directory")
	})
	if used > 150<<20 {
		t.Errorf("%d bytes were allocated", used)
	}
}

// TestDictionaries has what the xz and zstd commands make of "hi" with
// the window in question.
func TestDictionaries(t *testing.T) {
	for _, test := range []struct {
		name, format, archive string
		ok                    bool
	}{
		{"64 MiB", "xz", "fd377a585a000004e6d6b446020021011c00000010cf58cc01000268690a0000fb7be8e82a58434f00011b030b2fb9101fb6f37d010000000004595a", true},
		{"128 MiB", "xz", "fd377a585a000004e6d6b446020021011e0000009b07516601000268690a0000fb7be8e82a58434f00011b030b2fb9101fb6f37d010000000004595a", false},
		{"128 MiB", "zst", "28b52ffd048819000068690a343d5092", true},
		{"2 GiB", "zst", "28b52ffd04a819000068690a343d5092", false},
		{"2 GiB in one segment", "zst", "28b52ffda0000000801900006869", false},
	} {
		t.Run(test.name+"/"+test.format, func(t *testing.T) {
			b, err := hex.DecodeString(test.archive)
			check(t, err)
			used := allocated(func() {
				_, body, err := extract(b, test.format, agent.Member{}, archive.Limits{})
				if !test.ok {
					wantFault(t, err, "cannot be read")
				} else if err != nil || body != "hi\n" {
					t.Errorf("got %q, %v", body, err)
				}
			})
			if used > 140<<20 || !test.ok && used > 16<<20 {
				t.Errorf("%d bytes were allocated", used)
			}
		})
	}
}

func allocated(run func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
