package archive_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
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
			if format != "zip" { // of which nothing else is unpacked
				_, _, err = extract(b, format, want, archive.Limits{UnpackedBytes: 79 << 10})
				wantFault(t, err, "archive unpacks to more than 79 KiB")
			}
			_, body, err = extract(b, format, agent.Member{Name: "b"}, archive.Limits{UnpackedBytes: 39 << 10})
			wantFault(t, err, "archive unpacks to more than 39 KiB")
			if format == "zip" && body != "" {
				t.Errorf("%d bytes were written", len(body))
			}
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
	tier.SkipUnlessThorough(t)
	zeros := make([]byte, 80<<20)
	tarOfZeros := packTar(t, []item{file("a", "1"), file("tool", string(zeros))})
	packed := func(format string, data []byte) func() []byte {
		return func() []byte { return compress(t, format, data) }
	}
	made := func(data []byte) func() []byte { return func() []byte { return data } }
	for _, test := range []struct {
		name, format string
		archive      func() []byte
		ok           bool
	}{
		{"gzip", "gz", packed("gz", zeros), false},
		{"zstd", "zst", packed("zst", zeros), false},
		{"tar.gz", "tar.gz", packed("gz", tarOfZeros), false},
		{"tar.zst", "tar.zst", packed("zst", tarOfZeros), false},
		{"zip", "zip", func() []byte { return packZip(t, []item{file("tool", string(zeros))}) }, false},
		{"sparse", "tar", made(sparseTar("tool", 100<<20)), false},
		{"sparse, skipped", "tar", made(append(packTar(t, []item{file("tool", "t")})[:1024], sparseTar("other", 7<<30)...)), true},
		{"very sparse", "tar", made(sparseTar("tool", 7<<30)), false},
		{"nested", "gz", func() []byte { return compress(t, "gz", compress(t, "gz", zeros)) }, true},
		{"plain", "tar", made(tarOfZeros), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			switch test.name {
			case "zstd", "tar.gz", "tar.zst", "nested":
				tier.SkipUnlessThorough(t)
			}
			_, body, err := extract(test.archive(), test.format, agent.Member{Name: "tool"}, archive.Limits{})
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

// TestBombElsewhere is a zip whose wanted file is harmless: nothing else of it is
// unpacked.
func TestBombElsewhere(t *testing.T) {
	b := packZip(t, []item{file("tool", "t"), file("other", string(make([]byte, 80<<20)))})
	if _, body, err := extract(b, "zip", agent.Member{Name: "tool"}, archive.Limits{}); body != "t" || err != nil {
		t.Errorf("got %q, %v", body, err)
	}
}

// TestUnreadableElsewhere is a zip of which the wanted file can be read.
func TestUnreadableElsewhere(t *testing.T) {
	for _, odd := range []zip.FileHeader{
		{Name: "secret", Flags: 1, CompressedSize64: 7, UncompressedSize64: 7},
		{Name: "packed", Method: 93, CompressedSize64: 7, UncompressedSize64: 7},
		{Name: "wrong", CRC32: 1, CompressedSize64: 7, UncompressedSize64: 7},
		{Name: "enormous", CompressedSize64: 7, UncompressedSize64: 1 << 63},
	} {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		member, err := w.Create("tool")
		check(t, err)
		_, err = member.Write([]byte("t"))
		check(t, err)
		member, err = w.CreateRaw(&odd)
		check(t, err)
		_, err = member.Write([]byte("content"))
		check(t, err)
		check(t, w.Close())
		if _, body, err := extract(out.Bytes(), "zip", agent.Member{Name: "tool"}, archive.Limits{}); body != "t" || err != nil {
			t.Errorf("%s: got %q, %v", odd.Name, body, err)
		}
	}
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
		{"xz inside", stored(zip.FileHeader{Method: 95, CompressedSize64: size, UncompressedSize64: size}), "unsupported compression method 95"},
		{"zstd inside", stored(zip.FileHeader{Method: 93, CompressedSize64: size, UncompressedSize64: size}), "unsupported compression method 93"},
		{"bzip2 inside", stored(zip.FileHeader{Method: 12, CompressedSize64: size, UncompressedSize64: size}), "unsupported compression method 12"},
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
		wantFault(t, err, "the archive's directory has more than ")
	})
	if used > 150<<20 {
		t.Errorf("%d bytes were allocated", used)
	}
}

// xzOfHi returns what the xz command makes of "hi" with a dictionary whose size is
// encoded as this (xz file format, section 5.3.1).
func xzOfHi(tb testing.TB, dictionary byte) []byte {
	tb.Helper()
	b, err := hex.DecodeString("fd377a585a000004e6d6b446020021011c00000010cf58cc01000268690a0000fb7be8e82a58434f00011b030b2fb9101fb6f37d010000000004595a")
	check(tb, err)
	header := b[12:20]
	header[4] = dictionary
	binary.LittleEndian.PutUint32(b[20:], crc32.ChecksumIEEE(header))
	return b
}

// zstdOfHi returns what the zstd command makes of "hi" with a window of 2^(10+log) bytes.
func zstdOfHi(log byte) []byte {
	return []byte{0x28, 0xb5, 0x2f, 0xfd, 0x04, log << 3, 0x19, 0, 0, 'h', 'i', '\n', '4', '=', 'P', 0x92}
}

func TestDictionaries(t *testing.T) {
	for _, test := range []struct {
		name, format string
		archive      []byte
		ok           bool
	}{
		{"64 MiB", "xz", xzOfHi(t, 28), true},
		{"96 MiB", "xz", xzOfHi(t, 29), true},
		{"128 MiB", "xz", xzOfHi(t, 30), true},
		{"512 MiB", "xz", xzOfHi(t, 34), true},
		{"768 MiB", "xz", xzOfHi(t, 35), false},
		{"4 GiB", "xz", xzOfHi(t, 40), false},
		{"128 MiB", "zst", zstdOfHi(17), true},
		{"256 MiB", "zst", zstdOfHi(18), true},
		{"512 MiB", "zst", zstdOfHi(19), true},
		{"1 GiB", "zst", zstdOfHi(20), false},
		{"2 GiB in one segment", "zst", []byte("\x28\xb5\x2f\xfd\xa0\x00\x00\x00\x80\x19\x00\x00hi"), false},
	} {
		t.Run(test.name+"/"+test.format, func(t *testing.T) {
			used := allocated(func() {
				_, body, err := extract(test.archive, test.format, agent.Member{}, archive.Limits{})
				if !test.ok {
					wantFault(t, err, "archive needs more than 512 MiB of memory")
				} else if err != nil || body != "hi\n" {
					t.Errorf("got %q, %v", body, err)
				}
			})
			if used > archive.MaxWindow+64<<20 || !test.ok && used > 16<<20 {
				t.Errorf("%d bytes were allocated", used)
			}
		})
	}
}

// TestLargerWindowOnTheWay is a stream whose second part needs more than the first,
// when the wanted file was begun already.
func TestLargerWindowOnTheWay(t *testing.T) {
	plain := packTar(t, []item{file("tool", strings.Repeat("0123456789", 500_000)+"hi\n")})
	end := 512 + 5_000_000
	for format, hi := range map[string][]byte{"xz": xzOfHi(t, 29), "zst": zstdOfHi(18)} {
		b := slices.Concat(compress(t, format, plain[:end]), hi, compress(t, format, plain[end+3:]))
		if _, body, err := extract(b, "tar."+format, agent.Member{Name: "tool"}, archive.Limits{}); len(body) != 5_000_003 || err != nil {
			t.Errorf("%s: got %d bytes, %v", format, len(body), err)
		}
	}
}

func allocated(run func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
