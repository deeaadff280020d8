package archive

import (
	"cmp"
	"context"
	"errors"
	"io"

	"github.com/dustin/go-humanize"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// ratioFloor is the size, in bytes, to which an archive may unpack whatever its own size.
const ratioFloor = 64 << 20

// meter counts what an extraction reads and produces, and stops it.
type meter struct {
	// The readers and writers below have no other way to see it end.
	ctx    context.Context
	limits Limits
	blob   io.ReaderAt
	// budget, if it is set, is how much of blob may still be read.
	budget *int64
	// size is that of the archive; read is how much of it was read.
	size, read int64
	// entries is the number of entries so far.
	entries int
	// unpacked is how much of the decompressed stream was read.
	unpacked int64
	// written is how much of the wanted file was written. It exceeds what was read of
	// the stream if the file is sparse.
	written int64
	// otherFormat says what the archive is, if it does not begin as one of its format.
	otherFormat string
	// err is the reason why the extraction was stopped. Decoders may wrap or hide
	// what they are given.
	err error
}

// stop makes err, if it is one, the reason why the extraction ended.
func (m *meter) stop(err error) error {
	if m.err == nil {
		m.err = err
	}
	return err
}

func (m *meter) alive() error {
	if m.err != nil {
		return m.err
	}
	return m.stop(m.ctx.Err())
}

// admit checks an amount of unpacked data against what it came from.
func (m *meter) admit(unpacked, packed int64) error {
	if unpacked < 0 || unpacked > m.limits.UnpackedBytes {
		return fault.New(fault.Integrity, "archive unpacks to more than %s", humanize.IBytes(uint64(m.limits.UnpackedBytes)))
	}
	if unpacked > ratioFloor && unpacked/m.limits.Ratio > packed {
		return fault.New(fault.Integrity, "archive unpacks to more than %d times its size", m.limits.Ratio)
	}
	return nil
}

// explain turns the error of a decoder into one for people.
func (m *meter) explain(err error) error {
	_, explained := errors.AsType[*fault.Error](err)
	switch {
	case m.alive() != nil:
		return m.err
	case err == nil || explained:
		return err
	case isWindowError(err):
		return fault.New(fault.Integrity, "archive cannot be read: it needs more than %s of memory: %w", humanize.IBytes(MaxWindow), err)
	case m.otherFormat != "":
		return fault.New(fault.Integrity, "archive is damaged, or of a kind that cannot be read: %s (%w)", m.otherFormat, err).
			WithHint("the agent goes by the end of the URL, and cannot read it either")
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return fault.New(fault.Integrity, "archive is damaged: it ends too early")
	}
	return fault.New(fault.Integrity, "archive is damaged, or of a kind that cannot be read: %w", err)
}

// ReadAt reads the archive.
func (m *meter) ReadAt(p []byte, off int64) (int, error) {
	if err := m.alive(); err != nil {
		return 0, err
	}
	if m.budget != nil {
		if *m.budget -= int64(len(p)); *m.budget < 0 {
			return 0, m.stop(fault.New(fault.Integrity, "archive has too large a directory"))
		}
	}
	n, err := m.blob.ReadAt(p, off)
	m.read += int64(n)
	if err != nil && err != io.EOF {
		return n, m.stop(err)
	}
	return n, err
}

// countedReader is the decompressed stream.
type countedReader struct {
	io.Reader
	meter *meter
}

func (r *countedReader) Read(p []byte) (int, error) {
	if err := r.meter.alive(); err != nil {
		return 0, err
	}
	n, err := r.Reader.Read(p)
	r.meter.unpacked += int64(n)
	if limit := r.meter.admit(r.meter.unpacked, r.meter.read); limit != nil {
		return 0, r.meter.stop(limit)
	}
	return n, err
}

// copyAside is how much is copied, in bytes, before writing is worth a goroutine of its own.
const copyAside = 1 << 20

// copy copies what from has. If that is much, it writes one half of the buffer while it reads into
// the other. It reads on the calling goroutine, because neither a meter nor a decoder is safe for
// several.
func (m *meter) copy(to io.Writer, from io.Reader, buf []byte) (err error) {
	written := make(chan error, 1) // what became of the last half
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
		if err := cmp.Or(m.alive(), m.stop(m.admit(m.written, m.read))); err != nil {
			return err
		}
		if n > 0 {
			if err := <-written; err != nil {
				written <- nil
				return m.stop(err)
			}
			if m.written < copyAside {
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
