package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// archive is what a release's archive holds.
type archive struct {
	name string
	// files are all of them, by path.
	files   map[string][]byte
	modes   map[string]os.FileMode
	program []byte
	// date is the program's: that of the commit.
	date time.Time
}

func readArchive(name string) (*archive, error) {
	a := &archive{name: name, files: map[string][]byte{}, modes: map[string]os.FileMode{}}
	read := a.readTar
	if strings.HasSuffix(name, ".zip") {
		read = a.readZip
	}
	if err := read(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if a.program == nil {
		return nil, fmt.Errorf("%s has no botkube-mirror in it", name)
	}
	return a, nil
}

func (a *archive) add(info os.FileInfo, name string, r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if _, twice := a.files[name]; twice {
		return fmt.Errorf("%s is there twice", name)
	}
	a.files[name], a.modes[name] = data, info.Mode()
	if name == "botkube-mirror" || name == "botkube-mirror.exe" {
		a.program, a.date = data, info.ModTime()
	}
	return nil
}

func (a *archive) readTar() error {
	f, err := os.Open(a.name)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeReg {
			if err := a.add(h.FileInfo(), h.Name, t); err != nil {
				return err
			}
		}
	}
}

func (a *archive) readZip() error {
	z, err := zip.OpenReader(a.name)
	if err != nil {
		return err
	}
	defer z.Close()
	for _, entry := range z.File {
		if entry.FileInfo().IsDir() {
			continue
		}
		r, err := entry.Open()
		if err != nil {
			return err
		}
		if err := errors.Join(a.add(entry.FileInfo(), entry.Name, r), r.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (a *archive) buildInfo() (*debug.BuildInfo, error) {
	return buildinfo.Read(bytes.NewReader(a.program))
}
