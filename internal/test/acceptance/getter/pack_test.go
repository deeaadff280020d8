package getter_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
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

func isTar(format string) bool { return strings.HasPrefix(format, "t") }

func isBare(format string) bool { return format != "zip" && !isTar(format) }

// pack makes an archive. Where the format is for a single file, that is the body of the first item.
func pack(t testing.TB, format string, items ...item) []byte {
	t.Helper()
	if format == "zip" {
		return packZip(t, items)
	}
	plain := []byte(items[0].body)
	if isTar(format) {
		plain = packTar(t, items)
	}
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch {
	case strings.HasSuffix(format, "gz"):
		w = gzip.NewWriter(&out)
	case strings.HasSuffix(format, "xz"):
		w, err = xz.NewWriter(&out)
	case strings.HasSuffix(format, "zst"):
		w, err = zstd.NewWriter(&out)
	case strings.HasSuffix(format, "bz2"):
		cmd := exec.Command("bzip2")
		cmd.Stdin, cmd.Stdout = bytes.NewReader(plain), &out
		check(t, cmd.Run())
		return out.Bytes()
	default:
		return plain
	}
	check(t, err)
	_, err = w.Write(plain)
	check(t, err)
	check(t, w.Close())
	return out.Bytes()
}

func packTar(t testing.TB, items []item) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, it := range items {
		h := &tar.Header{Name: it.name, Mode: 0o644, Typeflag: it.kind, Linkname: it.link, Size: int64(len(it.body))}
		if it.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		check(t, w.WriteHeader(h))
		_, err := io.WriteString(w, it.body)
		check(t, err)
	}
	check(t, w.Close())
	return out.Bytes()
}

func packZip(t testing.TB, items []item) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, it := range items {
		h := &zip.FileHeader{Name: it.name, Method: zip.Deflate}
		h.SetMode(map[byte]fs.FileMode{tar.TypeDir: fs.ModeDir, tar.TypeSymlink: fs.ModeSymlink}[it.kind] | 0o644)
		member, err := w.CreateHeader(h)
		check(t, err)
		_, err = io.WriteString(member, it.body+it.link)
		check(t, err)
	}
	check(t, w.Close())
	return out.Bytes()
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
