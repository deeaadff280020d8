package serve

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// content reads a verified file, and fails once that file changes.
type content struct {
	form.File
	info fs.FileInfo
	// size is how many bytes it has.
	size int64
	// at is where the next byte is sent from.
	at int64
	// err says why it could not be sent to its end.
	err error
}

// Seek is for [http.ServeContent], which asks for the size, and for a range.
func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.at
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return 0, errors.New("seeking to before the beginning")
	}
	c.at = offset
	return offset, nil
}

// Read fails if the file was changed in place since it was verified.
func (c *content) Read(p []byte) (int, error) {
	n, err := c.ReadAt(p[:max(0, min(int64(len(p)), c.size-c.at))], c.at)
	if changed := c.checkUnchanged(); changed != nil {
		return 0, changed
	}
	c.at += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	if n > 0 {
		err = nil
	}
	return n, err
}

// checkUnchanged returns an error, and keeps it, if the file was changed in place.
func (c *content) checkUnchanged() error {
	info, err := c.Stat()
	if err == nil && !unchanged(info, c.info) {
		err = fault.New(fault.Integrity, "it was changed while it was sent")
	}
	if err != nil {
		c.err = err
	}
	return err
}

// keepError keeps an error of sending if the file caused it, and not the client.
func (c *content) keepError(err error) {
	switch {
	case c.checkUnchanged() != nil: // it was changed
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EIO):
		c.err = err
	}
}

// region returns the file and the offset of the next byte. ok is false if the content
// is in memory.
func (c *content) region() (file *os.File, offset int64, ok bool) {
	switch f := c.File.(type) {
	case *os.File:
		return f, c.at, true
	case interface{ Region() (*os.File, int64) }:
		file, offset := f.Region()
		return file, offset + c.at, true
	}
	return nil, 0, false
}
