package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
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
func pack(name string, files ...file) ([]byte, error) {
	if strings.HasSuffix(name, ".zip") {
		return packZip(files)
	}
	plain, err := packTar(files)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := compression(name).OpenWriter(&out)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
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

func packTar(files []file) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.body)), ModTime: released, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(w, f.body); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

func packZip(files []file) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: released}
		h.SetMode(zipMode(f))
		member, err := w.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(member, f.body); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}
