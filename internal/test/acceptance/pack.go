package acceptance

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// member is one file of an archive; programs are executable, other files are not.
type member struct {
	name    string
	content []byte
	mode    int64
}

func program(name string, content []byte) member { return member{name, content, 0o755} }
func document(name string) member                { return member{name, []byte(name + "\n"), 0o644} }

// archiveExtensions are those that [pack] has an archive for.
var archiveExtensions = []string{".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.zst", ".zip"}

// archiveExtension returns which of them a URL ends in, or nothing.
func archiveExtension(at string) string {
	for _, extension := range archiveExtensions {
		if strings.HasSuffix(at, extension) {
			return extension
		}
	}
	return ""
}

// pack writes the members as the archive that the URL's extension promises; a URL that promises none gets the first
// member as it is.
func pack(at string, members ...member) ([]byte, error) {
	switch archiveExtension(at) {
	case ".tar":
		return packTar(members, uncompressed)
	case ".tar.gz", ".tgz":
		return packTar(members, func(to io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(to, gzip.BestSpeed) })
	case ".tar.xz":
		return packTar(members, func(to io.Writer) (io.WriteCloser, error) { return xz.NewWriter(to) })
	case ".tar.zst":
		return packTar(members, func(to io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(to) })
	case ".zip":
		return packZip(members)
	default:
		return members[0].content, nil
	}
}

func uncompressed(to io.Writer) (io.WriteCloser, error) { return nopCloser{to}, nil }

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func packTar(members []member, compress func(io.Writer) (io.WriteCloser, error)) ([]byte, error) {
	var out bytes.Buffer
	compressed, err := compress(&out)
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
