package acceptance

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"strings"
)

// member is one file of an archive; programs are executable, other files are not.
type member struct {
	name    string
	content []byte
	mode    int64
}

func program(name string, content []byte) member { return member{name, content, 0o755} }
func document(name string) member                { return member{name, []byte(name + "\n"), 0o644} }

// pack writes the members as the archive that the URL's extension promises; a URL that promises none gets the first
// member as it is.
func pack(at string, members ...member) ([]byte, error) {
	switch {
	case strings.HasSuffix(at, ".tar.gz"):
		return packTarGz(members)
	case strings.HasSuffix(at, ".zip"):
		return packZip(members)
	default:
		return members[0].content, nil
	}
}

func packTarGz(members []member) ([]byte, error) {
	var out bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	archive := tar.NewWriter(compressed)
	for _, m := range members {
		if err := archive.WriteHeader(&tar.Header{Name: m.name, Mode: m.mode, Size: int64(len(m.content))}); err != nil {
			return nil, err
		}
		if _, err := archive.Write(m.content); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	if err := compressed.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func packZip(members []member) ([]byte, error) {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, m := range members {
		w, err := archive.Create(m.name)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(m.content); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
