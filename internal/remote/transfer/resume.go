package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Source is a web server, a registry, an object store or a disk with one file on it.
type Source interface {
	// Open asks for the file from an offset on. Of says which version of the file
	// the bytes before the offset are from. If that version is gone, or the source
	// has no such part of it, the error is a [ChangedError].
	Open(ctx context.Context, offset int64, of store.Origin) (*Part, error)
}

// Part is the answer of a [Source].
type Part struct {
	io.ReadCloser
	// Start is the offset of the first byte: the one that was asked for, or less.
	Start int64
	// End is the offset after the last byte, Total the size of the file; -1 if the
	// source does not say.
	End, Total int64
	// Origin describes the version of the file. It counts if the part is the whole.
	Origin store.Origin
	// Void says why the bytes before the offset are of no use; empty if they are.
	Void string
}

// ChangedError is that a source does not have the rest of what is there.
type ChangedError struct{ Reason string }

func (e *ChangedError) Error() string { return e.Reason }

// Sink takes the bytes of a file in their order.
type Sink interface {
	Size() int64 // how many bytes are there
	Add(p []byte) error
	Secure() error        // has a later run find what is there
	Restart() error       // throws away what is there
	Origin() store.Origin // of which version of the file the bytes are
	SetOrigin(o store.Origin) error
}

// Observer is told how a download goes. It has no influence, may be zero, and
// is called from one goroutine at a time. URLs in what it is given carry no
// credentials.
type Observer struct {
	Waiting   func()                               // another run, or another part of this one, is downloading the same file
	Started   func(total int64)                    // content begins to flow, of so many bytes or -1; again after Restarted
	Resumed   func(offset int64)                   // the bytes before offset are here; what is Received follows them
	Received  func(n int)                          // n more bytes
	Retrying  func(err error, pause time.Duration) // an attempt failed; the next follows after a pause
	Restarted func(reason string)                  // what was received is void; the count begins at zero
}

// Filled returns the observer with functions that do nothing in the place of those
// that are nil.
func (o Observer) Filled() Observer {
	if o.Waiting == nil {
		o.Waiting = func() {}
	}
	if o.Started == nil {
		o.Started = func(int64) {}
	}
	if o.Resumed == nil {
		o.Resumed = func(int64) {}
	}
	if o.Received == nil {
		o.Received = func(int) {}
	}
	if o.Retrying == nil {
		o.Retrying = func(error, time.Duration) {}
	}
	if o.Restarted == nil {
		o.Restarted = func(string) {}
	}
	return o
}

// Download brings a file from a source to a sink, over as many connections as it
// takes. After a failure, only what is missing is asked for.
type Download struct {
	Sink
	Source Source
	Retry  Retry
	// Observer has all functions: see [Observer.Filled].
	Observer Observer
	// Vouched says that a digest of the whole will tell right from wrong.
	Vouched bool
	// Expected is the size in bytes that the whole must have; -1 if it is unknown.
	Expected int64
	// CheckTotal refuses the size of the whole before its bytes flow, CheckSize as
	// many bytes as came so far.
	CheckTotal, CheckSize func(size int64) error

	Transferred int64 // how many bytes came, those that were thrown away included
	Resumed     int64 // how many bytes an earlier run had left, and were kept

	high  int64 // how many bytes there ever were
	begun bool
}

// Recover makes sure of what an earlier run left: see [Partial.Recover].
func (d *Download) Recover(ctx context.Context, p *Partial) error {
	size := d.Size()
	if size == 0 {
		return nil
	}
	// If all of a file is there, its last byte is asked for again: a server that is
	// asked for what follows can only answer 416. A digest needs no answer.
	most := size
	if total := d.Origin().Total; total > 0 {
		most = min(most, total-1)
	}
	if d.Vouched && d.Expected >= 0 {
		most = min(size, d.Expected)
	}
	keep, err := p.Recover(ctx, d.Vouched, most)
	if err != nil {
		return err
	}
	if keep == 0 {
		return d.Void(fmt.Sprintf("the %d bytes that an earlier run left cannot be relied on", size))
	}
	d.Resumed = keep
	return nil
}

// Run goes on with what is there.
func (d *Download) Run(ctx context.Context) error {
	d.high = d.Size()
	return d.Retry.Do(ctx, d.Observer.Retrying, func() int64 { return d.high }, func() error { return d.attempt(ctx) })
}

// Void throws away what is there.
func (d *Download) Void(reason string) error {
	d.Observer.Restarted(reason)
	d.begun, d.Resumed = false, 0
	return d.Restart()
}

func (d *Download) attempt(ctx context.Context) error {
	if size := d.Size(); d.Vouched && size > 0 && size == d.Expected {
		return nil
	}
	part, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer part.Close()
	if err := d.begin(part); err != nil {
		return err
	}
	return d.receive(part)
}

// open asks for what is missing, or for the whole if what is there is of no use. The
// second request is never for a part, so there is no third.
func (d *Download) open(ctx context.Context) (*Part, error) {
	offset, of, reason := d.Size(), d.Origin(), ""
	switch {
	case offset == 0:
	case of.Decoded:
		reason = "the server compresses the file"
	case of.Validator == "" && !d.Vouched:
		reason = "the server gives nothing to tell one version of the file from another by"
	}
	if reason == "" {
		part, err := d.Source.Open(ctx, offset, of)
		e, changed := errors.AsType[*ChangedError](err)
		if !changed || offset == 0 {
			return part, err
		}
		reason = e.Reason
	}
	if err := d.Void(reason); err != nil {
		return nil, err
	}
	return d.Source.Open(ctx, 0, store.Origin{})
}

func (d *Download) begin(part *Part) error {
	if d.Size() > 0 && part.Void != "" {
		if err := d.Void(part.Void); err != nil {
			return err
		}
	}
	if part.Total >= 0 {
		if err := d.CheckTotal(part.Total); err != nil {
			return err
		}
	}
	offset := d.Size()
	if offset == 0 {
		if err := d.SetOrigin(part.Origin); err != nil {
			return Local(err)
		}
	}
	if !d.begun {
		d.Observer.Started(part.Total)
	}
	d.begun = true
	if offset > 0 {
		d.Observer.Resumed(offset)
	}
	return nil
}

func (d *Download) receive(part *Part) error {
	skip := d.Size() - part.Start
	err := blob.Pieces(part, func(p []byte) error {
		d.Transferred += int64(len(p))
		n := min(skip, int64(len(p)))
		skip -= n
		return d.take(p[n:], part.End)
	})
	if Is[*LocalError](err) || Is[*PermanentError](err) || fault.KindOf(err) == fault.Integrity {
		return err
	}
	switch size := d.Size(); {
	case part.Total >= 0 && size == part.Total, part.Total < 0 && skip == 0 && err == nil:
		return nil
	case err == nil || errors.Is(err, io.ErrUnexpectedEOF):
		err = &TruncatedError{size - skip, part.Total}
	}
	return errors.Join(err, d.Secure())
}

// take adds bytes to what is there, which must not become more than limit.
func (d *Download) take(p []byte, limit int64) error {
	size := d.Size() + int64(len(p))
	if err := d.CheckSize(size); err != nil {
		return err
	}
	if limit >= 0 && size > limit {
		return Permanent(fmt.Errorf("the server sends more than the %d bytes that it announced", limit))
	}
	if err := d.Add(p); err != nil {
		return err
	}
	d.high = max(d.high, size)
	d.Observer.Received(len(p))
	return nil
}

// TruncatedError is content that ends too early. Total is -1 if it is unknown.
type TruncatedError struct{ Size, Total int64 }

func (e *TruncatedError) Error() string {
	if e.Total < 0 {
		return fmt.Sprintf("the connection ended after %d bytes, before the end of the file", e.Size)
	}
	return fmt.Sprintf("the connection ended after %d of %d bytes", e.Size, e.Total)
}

// Stream is a [Sink] that keeps nothing for a later run.
type Stream struct {
	To io.Writer
	// Rewind has To begin anew; nil if it cannot.
	Rewind func() error

	size   int64
	origin store.Origin
}

func (s *Stream) Size() int64 { return s.size }

func (s *Stream) Add(p []byte) error {
	n, err := s.To.Write(p)
	s.size += int64(n)
	return Local(err)
}

func (s *Stream) Secure() error { return nil }

func (s *Stream) Restart() error {
	if s.size == 0 {
		return nil
	}
	if s.Rewind == nil {
		return Permanent(errors.New("what was read already cannot be taken back"))
	}
	s.size = 0
	return Local(s.Rewind())
}

func (s *Stream) Origin() store.Origin { return s.origin }

func (s *Stream) SetOrigin(o store.Origin) error {
	s.origin = o
	return nil
}
