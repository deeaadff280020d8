package serve

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

const (
	// sentAtOnce is how many bytes are sent between two checks of the file.
	sentAtOnce = 1 << 20
	// sentByCopy is the size in bytes up to which content is read and written without sendfile: for so
	// little, fewer system calls are faster than fewer copies.
	sentByCopy = 64 << 10
)

// ReadFrom sends what [http.ServeContent] selected: a part of a file or of memory. If possible, the
// connection sends a file itself: see [stallTimeoutConn.ReadFrom].
func (w *response) ReadFrom(r io.Reader) (n int64, err error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(writer{w}, r)
	}
	if all, ok := limited.R.(*bytes.Reader); ok && int64(all.Len()) == limited.N {
		return all.WriteTo(w) // at once
	}
	if _, ok := limited.R.(*content); !ok {
		return io.Copy(writer{w}, r)
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	defer func() { w.bytes += n }()
	if w.direct == nil {
		return io.Copy(w.ResponseWriter, r)
	}
	if err := http.NewResponseController(w.ResponseWriter).Flush(); err != nil {
		return 0, err
	}
	if n, err = w.direct.ReadFrom(r); err == nil {
		w.direct.closeLingering()
	}
	return n, err
}

// sentDirectly is the size in bytes from which a whole file bypasses net/http, which would keep a
// buffer for the whole time. The connection is closed afterwards. For such a large file, that does not
// matter.
const sentDirectly = 4 << 20

// allowDirect lets a large file bypass net/http if the request came without TLS.
func allowDirect(w http.ResponseWriter, r *http.Request, size int64) {
	out, isResponse := w.(*response)
	conn, isPlain := r.Context().Value(connectionKey{}).(*stallTimeoutConn)
	if isResponse && isPlain && transfer.CanSendFile && size >= sentDirectly {
		out.direct = conn
	}
}

// decideDirect decides, by the status of the answer, whether the body bypasses net/http.
func (w *response) decideDirect(status int) {
	if w.direct == nil {
		return
	}
	if status != http.StatusOK || w.head {
		w.direct = nil
		return
	}
	w.Header().Set("Connection", "close")
}

// connectionKey is the key of the connection in the context of its requests.
type connectionKey struct{}

func withConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// writer hides everything but Write.
type writer struct{ io.Writer }

// content reads a verified file, and fails once that file changes.
type content struct {
	form.File
	info fs.FileInfo
	size int64
	// at is the offset of the next byte.
	at int64
	// err is why the file could not be sent completely, or nil.
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
	if err == nil && !unwritten(info, c.info) {
		err = fault.New(fault.Integrity, "the file changed while it was sent")
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

// region returns the file on a disk, if there is one, and the offset of the next byte.
func (c *content) region() (file *os.File, offset int64) {
	switch f := c.File.(type) {
	case *os.File:
		file = f
	case interface{ Region() (*os.File, int64) }:
		file, offset = f.Region()
	}
	return file, offset + c.at
}
