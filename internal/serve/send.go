package serve

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
)

// cannotSendFile reports whether the file system of a file does not support sendfile.
func cannotSendFile(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL)
}

const (
	// sentAtOnce is how many bytes are sent between two checks of the file.
	sentAtOnce = 1 << 20
	// sentByCopy is the size, in bytes, up to which content is read and written: for
	// so little, saving a system call is worth more than saving a copy.
	sentByCopy = 64 << 10
)

var buffers = sync.Pool{New: func() any { return new([sentByCopy]byte) }}

// ReadFrom sends the part of a file that [http.ServeContent] selected. Documents come
// as other readers.
func (w *response) ReadFrom(r io.Reader) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(writer{w}, r)
	}
	c, ok := limited.R.(*content)
	if !ok {
		return io.Copy(writer{w}, r)
	}
	if cached, ok := c.File.(cachedFile); ok {
		n, err := w.Write(cached.data[c.at : c.at+limited.N])
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

// sendFile has the connection send a file, if it can: see [stallTimeoutConn.ReadFrom].
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
			w.direct.closeLingering()
		}
		return n, err
	}
	from, ok := w.ResponseWriter.(io.ReaderFrom)
	if !ok {
		return io.Copy(writer{w}, r)
	}
	return from.ReadFrom(r)
}

// sentDirectly is the size, in bytes, from which a whole file bypasses net/http, which
// would hold a buffer all the while. The connection is closed afterwards; for a file
// of this size that does not matter.
const sentDirectly = 4 << 20

// allowDirect lets a large file bypass net/http if the request came without TLS.
func allowDirect(w http.ResponseWriter, r *http.Request, size int64) {
	out, isResponse := w.(*response)
	conn, isPlain := r.Context().Value(connectionKey{}).(*stallTimeoutConn)
	if isResponse && isPlain && canSendFile && size >= sentDirectly {
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

// connectionKey is that of the connection in the context of its requests.
type connectionKey struct{}

func withConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// writer hides everything but Write.
type writer struct{ io.Writer }
