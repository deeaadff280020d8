package archive_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func unpack(t *testing.T, b []byte, format string, limits archive.Limits) (map[string]string, error) {
	t.Helper()
	to, err := os.OpenRoot(t.TempDir())
	check(t, err)
	defer to.Close()
	failed := archive.Unpack(t.Context(), bytes.NewReader(b), format, limits, to)
	files := map[string]string{}
	check(t, fs.WalkDir(to.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(to.FS(), name)
		files[name] = string(data)
		return err
	}))
	return files, failed
}

func TestUnpack(t *testing.T) {
	items := []item{dir("d"), file("d/a", "a"), file("/b//c", "c"), file("e", "first"), file("./e", "second"), symlink("link", "/etc/passwd"), file("f", "")}
	for _, format := range formats(true, true, false) {
		want := map[string]string{"d/a": "a", "b/c": "c", "e": "second", "link": "", "f": ""}
		if format == "zip" {
			want["link"] = "/etc/passwd" // as go-getter
		}
		got, err := unpack(t, pack(t, format, items...), format, archive.Limits{})
		if err != nil || len(got) != len(want) {
			t.Errorf("%s: %q, %v", format, got, err)
		}
		for name, content := range want {
			if got[name] != content {
				t.Errorf("%s: %s is %q, want %q", format, name, got[name], content)
			}
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	big := file("big", strings.Repeat("x", 5000))
	for _, format := range formats(true, true, false) {
		for want, c := range map[string]struct {
			items  []item
			limits archive.Limits
		}{
			"in its name":         {items: []item{file("a", "a"), file("../b", "b")}},
			"cannot be written":   {items: []item{file("a", "a"), file("a/b", "b")}},
			"more than 2 entries": {items: []item{file("a", "a"), file("b", "b"), file("c", "c")}, limits: archive.Limits{Entries: 2}},
			"unpacks to more":     {items: []item{big, file("big2", big.body)}, limits: archive.Limits{UnpackedBytes: 8000}},
		} {
			if _, err := unpack(t, pack(t, format, c.items...), format, c.limits); fault.KindOf(err) != fault.Integrity || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", format, err, want)
			}
		}
		b := pack(t, format, big)
		for what, damaged := range map[string][]byte{"nothing": nil, "a part": b[:len(b)/2], "something else": []byte("something else")} {
			if _, err := unpack(t, damaged, format, archive.Limits{}); fault.KindOf(err) != fault.Integrity {
				t.Errorf("%s, %s: %v", format, what, err)
			}
		}
	}
	for _, format := range append(formats(false, false, true), "rar") {
		if _, err := unpack(t, []byte("x"), format, archive.Limits{}); fault.KindOf(err) != fault.Integrity {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func TestUnpackEnds(t *testing.T) {
	to, err := os.OpenRoot(t.TempDir())
	check(t, err)
	defer to.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := archive.Unpack(ctx, bytes.NewReader(pack(t, "tgz", file("a", "a"))), "tgz", archive.Limits{}, to); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestUnpackRefusesPacking has files that a decoder without bounds could read, and go-getter
// cannot.
func TestUnpackRefusesPacking(t *testing.T) {
	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed)
	check(t, err)
	_, err = w.Write([]byte("content"))
	check(t, err)
	check(t, w.Close())
	for want, h := range map[string]zip.FileHeader{
		"unsupported compression method 93": {Method: 93, UncompressedSize64: 7, CRC32: crc32.ChecksumIEEE([]byte("content"))},
		"is encrypted":                      {Flags: 1, UncompressedSize64: uint64(packed.Len()), CRC32: crc32.ChecksumIEEE(packed.Bytes())},
	} {
		h.Name, h.CompressedSize64 = "a.yaml", uint64(packed.Len())
		_, err := unpack(t, rawZip(t, h, packed.Bytes()), "zip", archive.Limits{})
		wantFault(t, err, want)
	}
}
