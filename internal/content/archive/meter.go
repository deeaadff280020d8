package archive

import (
	"cmp"
	"context"
	"errors"
	"io"

	"github.com/dustin/go-humanize"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// ratioFloor is the content, in bytes, that every archive may have, whatever its own size.
const ratioFloor = 64 << 20

// meter counts what an extraction reads and writes, and stops it at a limit.
type meter struct {
	// ctx is here because readers and writers have no parameter for it.
	ctx    context.Context
	limits Limits
	blob   io.ReaderAt
	// budget, if it is not nil, is how many more bytes of blob may be read.
	budget *int64
	// size is the archive's size, and read is how much was read. Both are in bytes.
	size, read int64
	// entries is the number of entries so far.
	entries int
	// unpacked is how many bytes of the decompressed stream were read.
	unpacked int64
	// written is how many bytes of the wanted file were written. A sparse file has more bytes than
	// the stream that it comes from.
	written int64
	// otherFormat is the result of [compression.otherFormat].
	otherFormat string
	// err is the reason why the extraction was stopped. It is kept because decoders may hide errors
	// of the readers below them.
	err error
}

// stop keeps err, if it is not nil, as the reason why the extraction was stopped, and returns it.
func (m *meter) stop(err error) error {
	if m.err == nil {
		m.err = err
	}
	return err
}

// stopped returns the reason why the extraction must not go on, or nil.
func (m *meter) stopped() error {
	if m.err != nil {
		return m.err
	}
	return m.stop(m.ctx.Err())
}

// admit checks the size of unpacked data against the limits. packed is the size of its source.
func (m *meter) admit(unpacked, packed int64) error {
	if unpacked < 0 || unpacked > m.limits.UnpackedBytes {
		return fault.New(fault.Integrity, "archive unpacks to more than %s", humanize.IBytes(uint64(m.limits.UnpackedBytes)))
	}
	if unpacked > ratioFloor && unpacked/m.limits.Ratio > packed {
		return fault.New(fault.Integrity, "archive unpacks to more than %d times its size", m.limits.Ratio)
	}
	return nil
}

// explain turns the error of a decoder into one that a user can understand.
func (m *meter) explain(err error) error {
	_, explained := errors.AsType[*fault.Error](err)
	switch {
	case m.stopped() != nil:
		return m.err
	case err == nil || explained:
		return err
	case isWindowError(err):
		return fault.New(fault.Integrity, "archive needs more than %s of memory: %w", humanize.IBytes(MaxWindow), err)
	case m.otherFormat != "":
		return fault.New(fault.Integrity, "archive cannot be read: %s (%w)", m.otherFormat, err).
			WithHint("the agent takes the format from the end of the URL, so it cannot unpack the file either")
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return fault.New(fault.Integrity, "archive is damaged: it ends too early")
	}
	return fault.New(fault.Integrity, "archive is damaged or of an unsupported kind: %w", err)
}

// ReadAt reads the archive.
func (m *meter) ReadAt(p []byte, off int64) (int, error) {
	if err := m.stopped(); err != nil {
		return 0, err
	}
	if m.budget != nil {
		if *m.budget -= int64(len(p)); *m.budget < 0 {
			return 0, m.stop(fault.New(fault.Integrity, "the archive's directory has more than %s", humanize.IBytes(uint64(m.limits.DirectoryBytes))))
		}
	}
	n, err := m.blob.ReadAt(p, off)
	m.read += int64(n)
	if err != nil && err != io.EOF {
		return n, m.stop(err)
	}
	return n, err
}

// countedReader reads the decompressed stream and counts its bytes.
type countedReader struct {
	io.Reader
	meter *meter
}

func (r *countedReader) Read(p []byte) (int, error) {
	if err := r.meter.stopped(); err != nil {
		return 0, err
	}
	n, err := r.Reader.Read(p)
	r.meter.unpacked += int64(n)
	if limit := r.meter.admit(r.meter.unpacked, r.meter.read); limit != nil {
		return 0, r.meter.stop(limit)
	}
	return n, err
}

// asyncAfter is the number of bytes after which a second goroutine writes. For a small file it
// costs more than it saves.
const asyncAfter = 1 << 20

// copy copies from a reader to a writer. After asyncAfter bytes, it writes one half of the buffer
// while it reads into the other half. It reads on the calling goroutine, because a meter and a
// decoder are not safe for concurrent use.
func (m *meter) copy(to io.Writer, from io.Reader, buf []byte) (err error) {
	written := make(chan error, 1) // the result of the last write
	written <- nil
	defer func() { err = cmp.Or(m.stop(<-written), err) }()
	write := func(p []byte) {
		_, err := to.Write(p)
		written <- err
	}
	half, other := buf[:len(buf)/2], buf[len(buf)/2:]
	for {
		n, err := from.Read(half)
		m.written += int64(n)
		if err := cmp.Or(m.stopped(), m.stop(m.admit(m.written, m.read))); err != nil {
			return err
		}
		if n > 0 {
			if err := <-written; err != nil {
				written <- nil
				return m.stop(err)
			}
			if m.written < asyncAfter {
				write(half[:n])
			} else {
				go write(half[:n])
			}
			half, other = other, half
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
