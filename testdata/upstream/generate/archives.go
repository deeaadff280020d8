package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/mholt/archiver/v4"
)

// released is the modification time of everything in the archives.
var released = time.Date(2024, time.January, 2, 3, 4, 6, 0, time.UTC)

// file is a member of an archive. A name that ends in a slash is a directory.
type file struct {
	name string
	mode int64
	body string
}

func binary(name, body string) file { return file{name: name, mode: 0o755, body: body} }

func text(name, body string) file { return file{name: name, mode: 0o644, body: body} }

func directory(name string) file { return file{name: name + "/", mode: 0o755} }

// pack writes an archive of the kind that the extension of name asks for.
func pack(name string, files ...file) []byte {
	var out bytes.Buffer
	if strings.HasSuffix(name, ".zip") {
		packZip(&out, files)
		return out.Bytes()
	}
	w := must(compression(name).OpenWriter(&out))
	packTar(w, files)
	check(w.Close())
	return out.Bytes()
}

func compression(name string) archiver.Compressor {
	switch name[strings.LastIndexByte(name, '.')+1:] {
	case "bz2":
		return archiver.Bz2{}
	case "xz", "txz":
		return archiver.Xz{}
	case "zst":
		return archiver.Zstd{}
	default:
		return archiver.Gz{}
	}
}

func packTar(out io.Writer, files []file) {
	w := tar.NewWriter(out)
	for _, f := range files {
		check(w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.body)), ModTime: released, Format: tar.FormatUSTAR}))
		must(io.WriteString(w, f.body))
	}
	check(w.Close())
}

func packZip(out io.Writer, files []file) {
	w := zip.NewWriter(out)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: released}
		h.SetMode(fs.FileMode(f.mode))
		if strings.HasSuffix(f.name, "/") {
			h.SetMode(fs.ModeDir | fs.FileMode(f.mode))
		}
		must(io.WriteString(must(w.CreateHeader(h)), f.body))
	}
	check(w.Close())
}
