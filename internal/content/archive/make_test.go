package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/mholt/archiver/v4"
)

// item is an entry of an archive that a test makes.
type item struct {
	name, body string
	// kind is a type flag of archive/tar; 0 is a regular file.
	kind byte
	link string
}

func file(name, body string) item { return item{name: name, body: body} }

func dir(name string) item { return item{name: name + "/", kind: tar.TypeDir} }

func symlink(name, to string) item { return item{name: name, kind: tar.TypeSymlink, link: to} }

func hardlink(name, to string) item { return item{name: name, kind: tar.TypeLink, link: to} }

// pack makes an archive. Where the format is for a single file, that is the body
// of the first item.
func pack(tb testing.TB, format string, items ...item) []byte {
	tb.Helper()
	switch {
	case format == "zip":
		return packZip(tb, items)
	case isTar(format):
		return compress(tb, format, packTar(tb, items))
	default:
		return compress(tb, format, []byte(items[0].body))
	}
}

func isTar(format string) bool {
	return strings.HasPrefix(format, "t")
}

func isBare(format string) bool {
	return format != "zip" && !isTar(format)
}

func compress(tb testing.TB, format string, plain []byte) []byte {
	tb.Helper()
	var c archiver.Compressor
	switch {
	case strings.HasSuffix(format, "gz"):
		c = archiver.Gz{}
	case strings.HasSuffix(format, "bz2"):
		c = archiver.Bz2{}
	case strings.HasSuffix(format, "xz"):
		c = archiver.Xz{}
	case strings.HasSuffix(format, "zst"):
		c = archiver.Zstd{}
	default:
		return plain
	}
	var out bytes.Buffer
	w, err := c.OpenWriter(&out)
	check(tb, err)
	_, err = w.Write(plain)
	check(tb, err)
	check(tb, w.Close())
	return out.Bytes()
}

func packTar(tb testing.TB, items []item) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, it := range items {
		h := &tar.Header{Name: it.name, Mode: 0o644, Typeflag: it.kind, Linkname: it.link, Size: int64(len(it.body))}
		if it.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		check(tb, w.WriteHeader(h))
		_, err := io.WriteString(w, it.body)
		check(tb, err)
	}
	check(tb, w.Close())
	return out.Bytes()
}

var zipKinds = map[byte]fs.FileMode{
	tar.TypeDir:     fs.ModeDir,
	tar.TypeSymlink: fs.ModeSymlink,
	tar.TypeChar:    fs.ModeDevice | fs.ModeCharDevice,
	tar.TypeBlock:   fs.ModeDevice,
	tar.TypeFifo:    fs.ModeNamedPipe,
}

func packZip(tb testing.TB, items []item) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, it := range items {
		h := &zip.FileHeader{Name: it.name, Method: zip.Deflate}
		h.SetMode(zipKinds[it.kind] | 0o644)
		member, err := w.CreateHeader(h)
		check(tb, err)
		_, err = io.WriteString(member, it.body+it.link)
		check(tb, err)
	}
	check(tb, w.Close())
	return out.Bytes()
}

// rawZip makes a zip of one entry whose header need not be true.
func rawZip(tb testing.TB, h zip.FileHeader, packed []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	member, err := w.CreateRaw(&h)
	check(tb, err)
	_, err = member.Write(packed)
	check(tb, err)
	check(tb, w.Close())
	return out.Bytes()
}

// sparseTar makes a tar of one file that is all hole, in the old format of GNU
// tar, which archive/tar reads but does not write.
func sparseTar(name string, size int64) []byte {
	block := make([]byte, 512)
	copy(block, name)
	copy(block[100:], "0000644\x000000000\x000000000\x0000000000000\x0000000000000\x00        S")
	copy(block[257:], "ustar  \x00")
	copy(block[386:], fmt.Sprintf("%011o\x00%011o\x00", size, 0))
	copy(block[483:], fmt.Sprintf("%011o\x00", size))
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:], fmt.Sprintf("%06o\x00 ", sum))
	return append(block, make([]byte, 1024)...)
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
