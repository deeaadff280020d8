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

// Source gives one file: from a web server, a registry, an object store or a disk.
type Source interface {
	// Open returns the file's bytes from an offset on. Of is the version of the file that the bytes
	// before the offset came from. If that version is gone, or if the source cannot send that part,
	// the error is a [ChangedError].
	Open(ctx context.Context, offset int64, of store.Origin) (*Part, error)
}

// Part is the answer of a [Source].
type Part struct {
	io.ReadCloser
	// Start is the offset of the first byte: the requested offset, or less.
	Start int64
	// End is the offset after the last byte, and Total the size of the file, both in bytes; -1 if
	// unknown.
	End, Total int64
	// Origin is the version of the file. It is set only if Start is 0.
	Origin store.Origin
	// Void is why the bytes before the requested offset must be discarded; empty if they are good.
	Void string
}

// ChangedError means that the source cannot continue the file: it changed, or the source sends no
// part of it.
type ChangedError struct{ Reason string }

func (e *ChangedError) Error() string { return e.Reason }

// Sink stores the bytes of a file in order.
type Sink interface {
	Size() int64 // number of bytes so far
	Add(p []byte) error
	Secure() error        // keeps the bytes so far for a later run
	Restart() error       // discards all bytes
	Origin() store.Origin // the version of the file that the bytes came from
	SetOrigin(o store.Origin) error
}

// Observer has functions that are called while a download runs, one at a time. Each may be nil. URLs
// that they get have no credentials.
type Observer struct {
	Waiting   func()                               // another process or goroutine is downloading the same file
	Started   func(total int64)                    // content begins: total bytes, or -1 if unknown; again after Restarted
	Resumed   func(offset int64)                   // the bytes before offset are stored; Received counts from there
	Received  func(n int)                          // n more bytes came
	Retrying  func(err error, pause time.Duration) // an attempt failed; the next follows after the pause
	Restarted func(reason string)                  // all bytes were discarded; counting begins at zero
}

// Filled returns the observer with functions that do nothing for those that are nil.
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

// Download copies a file from a source to a sink. After a failed connection, it asks for the missing
// bytes only.
type Download struct {
	Sink
	Source Source
	Retry  Retry
	// Observer must have all functions: see [Observer.Filled].
	Observer Observer
	// HasDigest says that the caller knows a digest of the whole file and will check it.
	HasDigest bool
	// Expected is the expected size in bytes; -1 if unknown.
	Expected int64
	// CheckTotal may refuse the size that the source announces, and CheckSize the number of bytes
	// that have come. Both get bytes; -1 means unknown.
	CheckTotal, CheckSize func(size int64) error

	Transferred int64 // bytes that came, with those that were discarded
	Resumed     int64 // bytes of an earlier run that were kept

	high  int64 // the largest Size so far, also before restarts
	begun bool
}

// Recover checks the bytes that an earlier run left: see [Partial.Recover].
func (d *Download) Recover(ctx context.Context, p *Partial) error {
	size := d.Size()
	if size == 0 {
		return nil
	}
	// If the whole file is here, its last byte is requested again: to a request for the bytes after
	// it, a server can only answer 416. With a digest, no request is needed.
	most := size
	if total := d.Origin().Total; total > 0 {
		most = min(most, total-1)
	}
	if d.HasDigest && d.Expected >= 0 {
		most = min(size, d.Expected)
	}
	keep, err := p.Recover(ctx, d.HasDigest, most)
	if err != nil {
		return err
	}
	if keep == 0 {
		return d.Void(fmt.Sprintf("the %d bytes of an earlier run may be damaged", size))
	}
	d.Resumed = keep
	return nil
}

// Run downloads the rest of the file. It retries as [Retry] says.
func (d *Download) Run(ctx context.Context) error {
	d.high = d.Size()
	return d.Retry.Do(ctx, d.Observer.Retrying, func() int64 { return d.high }, func() error { return d.attempt(ctx) })
}

// Void discards all bytes, and reports why.
func (d *Download) Void(reason string) error {
	d.Observer.Restarted(reason)
	d.begun, d.Resumed = false, 0
	return d.Restart()
}

func (d *Download) attempt(ctx context.Context) error {
	if size := d.Size(); d.HasDigest && size > 0 && size == d.Expected {
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

// open requests the missing bytes, or the whole file if it cannot be resumed.
func (d *Download) open(ctx context.Context) (*Part, error) {
	offset, of, reason := d.Size(), d.Origin(), ""
	switch {
	case offset == 0:
	case of.Decoded:
		reason = "the server compresses the file"
	case of.Validator == "" && !d.HasDigest:
		reason = "the server sends no ETag or date that tells whether the file has changed"
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

// take adds bytes. The file must not become larger than limit, unless that is negative.
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

// TruncatedError means that the connection ended after Size bytes, before the end of the file. Total
// is the file's size in bytes, or -1 if unknown.
type TruncatedError struct{ Size, Total int64 }

func (e *TruncatedError) Error() string {
	if e.Total < 0 {
		return fmt.Sprintf("the connection ended after %d bytes, before the end of the file", e.Size)
	}
	return fmt.Sprintf("the connection ended after %d of %d bytes", e.Size, e.Total)
}

// Stream is a [Sink] that writes to To and keeps nothing for a later run.
type Stream struct {
	To io.Writer
	// Rewind sets To back to its beginning; nil if To cannot go back.
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
		return Permanent(errors.New("the download cannot start again: the bytes so far were passed on"))
	}
	s.size = 0
	return Local(s.Rewind())
}

func (s *Stream) Origin() store.Origin { return s.origin }

func (s *Stream) SetOrigin(o store.Origin) error {
	s.origin = o
	return nil
}
