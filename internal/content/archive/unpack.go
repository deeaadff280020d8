package archive

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/zip"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Unpack writes all files of an archive below a directory, where the agent's go-getter
// would write them: of a link, and of whatever else is no file, it makes an empty one.
// The files have the modes of new ones.
//
// What is wrong with the archive is an error of kind [fault.Integrity], as are formats of
// a single file. The limit on unpacked bytes is on all files together.
func Unpack(ctx context.Context, blob Source, format string, limits Limits, to *os.Root) error {
	c, known := compressionOf(format)
	if !known || format != "zip" && !isTar(format) {
		return fault.New(fault.Integrity, "a single file in %s has no directory", format)
	}
	size, err := blob.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("measuring the archive: %w", err)
	}
	other, err := c.otherFormat(blob)
	if err != nil {
		return err
	}
	m := &meter{ctx: ctx, limits: limits.withDefaults(), blob: blob, size: size, otherFormat: other}
	u := &unpacking{m, to, make([]byte, copyBuffer)}
	packed := io.NewSectionReader(m, 0, size)
	switch {
	case size == 0:
		return m.explain(io.ErrUnexpectedEOF) // to the zstd decoder that is a whole archive
	case format == "zip":
		return m.explain(u.zip(packed))
	}
	content, err := c.open(bufio.NewReaderSize(packed, copyBuffer/4), MaxWindow)
	if err == nil {
		err = u.tar(&countedReader{content, m})
	}
	return m.explain(err)
}

// unpacking is one run of [Unpack].
type unpacking struct {
	*meter
	to  *os.Root
	buf []byte
}

func (u *unpacking) tar(stream io.Reader) error {
	in := tar.NewReader(stream)
	for {
		h, err := in.Next()
		if err == io.EOF {
			return drain(stream, u.buf)
		}
		if err == nil && h.Typeflag != tar.TypeXGlobalHeader {
			err = u.write(h.Name, h.FileInfo().IsDir(), in)
		}
		if err != nil {
			return err
		}
	}
}

func (u *unpacking) zip(packed *io.SectionReader) error {
	u.budget = &u.limits.DirectoryBytes
	in, err := zip.NewReader(packed, packed.Size())
	if err != nil {
		return err
	}
	u.budget = nil
	for _, f := range in.File {
		content, err := f.Open()
		if err != nil {
			return err
		}
		if err := errors.Join(u.write(f.Name, f.FileInfo().IsDir(), content), content.Close()); err != nil {
			return err
		}
	}
	return nil
}

// write makes a file or a directory of an entry.
func (u *unpacking) write(raw string, directory bool, content io.Reader) error {
	if err := u.entry(); err != nil {
		return err
	}
	if hasDotDot(raw) {
		return errLeadsOut(raw)
	}
	name := path.Clean(strings.TrimLeft(raw, "/"))
	var f *os.File
	var err error
	if directory {
		err = u.to.MkdirAll(name, 0o700)
	} else if err = u.to.MkdirAll(path.Dir(name), 0o700); err == nil {
		f, err = u.to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	}
	switch {
	case disk.IsFull(err):
		return u.stop(err)
	case err != nil:
		return fault.New(fault.Integrity, "archive entry %s cannot be written: %w", quote(raw), disk.Reason(err))
	case directory:
		return nil
	}
	_, err = io.CopyBuffer(meteredSink{f, u.meter}, content, u.buf)
	if closed := f.Close(); err == nil {
		err = u.stop(closed)
	}
	return err
}
