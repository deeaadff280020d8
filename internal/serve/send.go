package serve

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// content is a file that was found to be right, as long as it stays that.
type content struct {
	File
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

// Read fails if the file was changed in place since it was looked at.
func (c *content) Read(p []byte) (int, error) {
	n, err := c.ReadAt(p[:max(0, min(int64(len(p)), c.size-c.at))], c.at)
	if changed := c.check(); changed != nil {
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

// check reports whether the file was changed in place, and remembers that.
func (c *content) check() error {
	info, err := c.Stat()
	if err == nil && !same(info, c.info) {
		err = fault.New(fault.Integrity, "it was changed while it was sent")
	}
	if err != nil {
		c.err = err
	}
	return err
}

// blame remembers an error of sending if the file is at fault, and not the client.
func (c *content) blame(err error) {
	switch {
	case c.check() != nil: // it was changed
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EIO):
		c.err = err
	}
}

// cannotSendFile reports whether a file lies where the system cannot send it
// without copying.
func cannotSendFile(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL)
}

// region returns where the bytes lie that come next, if they lie in a file.
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

const (
	// sentAtOnce is how many bytes are sent between two looks at a file.
	sentAtOnce = 1 << 20
	// sentByCopy is up to how many bytes are read and written: for so few, a call
	// to the system less is worth more than a copy less.
	sentByCopy = 64 << 10
)

var buffers = sync.Pool{New: func() any { return new([sentByCopy]byte) }}

// ReadFrom sends what [http.ServeContent] found to be asked for. Other readers are
// those of documents.
func (w *response) ReadFrom(r io.Reader) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(writer{w}, r)
	}
	c, ok := limited.R.(*content)
	if !ok {
		return io.Copy(writer{w}, r)
	}
	if held, ok := c.File.(heldFile); ok {
		n, err := w.Write(held.data[c.at : c.at+limited.N])
		c.at += int64(n)
		return int64(n), err
	}
	if limited.N > sentByCopy {
		return w.sendFile(limited)
	}
	buffer := buffers.Get().(*[sentByCopy]byte)
	defer buffers.Put(buffer)
	data := buffer[:limited.N]
	if _, err := io.ReadFull(c, data); err != nil {
		if c.err == nil {
			c.err = err // it became shorter
		}
		return 0, err
	}
	n, err := w.Write(data)
	return int64(n), err
}

// sendFile has the connection send a file, if it can: see [patientConn.ReadFrom].
func (w *response) sendFile(r *io.LimitedReader) (n int64, err error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	defer func() { w.bytes += n }()
	if w.direct != nil {
		if err := http.NewResponseController(w.ResponseWriter).Flush(); err != nil {
			return 0, err
		}
		if n, err = w.direct.ReadFrom(r); err == nil {
			w.direct.finish()
		}
		return n, err
	}
	from, ok := w.ResponseWriter.(io.ReaderFrom)
	if !ok {
		return io.Copy(writer{w}, r)
	}
	return from.ReadFrom(r)
}

// sentDirectly is from how many bytes on a whole file is sent past net/http, which
// would hold a buffer for as long as that takes. The connection ends with it, which
// for so many bytes does not matter.
const sentDirectly = 4 << 20

// maySendDirectly has a whole file be sent past net/http if it is large, and the
// request came over no TLS.
func maySendDirectly(w http.ResponseWriter, r *http.Request, size int64) {
	out, isResponse := w.(*response)
	conn, isPlain := r.Context().Value(connectionKey{}).(*patientConn)
	if isResponse && isPlain && canSendFile && size >= sentDirectly {
		out.direct = conn
	}
}

// settleDirect decides whether the body is sent past net/http, now that it is known
// what the answer is.
func (w *response) settleDirect(status int) {
	if w.direct == nil {
		return
	}
	if status != http.StatusOK || w.head {
		w.direct = nil
		return
	}
	w.Header().Set("Connection", "close")
}

// connectionKey is that of the connection in the context of its requests.
type connectionKey struct{}

func withConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// writer hides everything but Write.
type writer struct{ io.Writer }
