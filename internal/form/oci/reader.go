package oci

import (
	"cmp"
	"context"
	"crypto/sha256"
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Reader gives documents and blobs by their digests: of a layout, or of a repository
// of a registry. What it does not have is an error of kind [fault.Incomplete], what it
// knows to be damaged one of kind [fault.Integrity]. [ReadManifest], [ReadBlob],
// [Stream] and [Check] compare what it gives. Its methods may be called concurrently.
type Reader interface {
	// Manifest returns a manifest or an index, which registries keep apart from blobs.
	Manifest(ctx context.Context, b lock.Blob) ([]byte, error)
	// Open opens a blob: a lock, a configuration, a layer.
	Open(ctx context.Context, b lock.Blob) (io.ReadCloser, error)
}

// ReadManifest returns a manifest or an index of at most [MaxDocument] bytes, verified.
func ReadManifest(ctx context.Context, from Reader, b lock.Blob) ([]byte, error) {
	if err := checkSize(b, MaxDocument); err != nil {
		return nil, err
	}
	var data []byte
	err := again(ctx, func() (err error) {
		if data, err = from.Manifest(ctx, b); err != nil {
			return err
		}
		return compare(BlobOf(data), b)
	})
	return data, err
}

// ReadBlob returns a blob of at most max bytes, verified.
func ReadBlob(ctx context.Context, from Reader, b lock.Blob, max int64) ([]byte, error) {
	if err := checkSize(b, max); err != nil {
		return nil, err
	}
	var data []byte
	err := again(ctx, func() error {
		return Stream(ctx, from, b, func(r io.Reader) (err error) {
			data, err = io.ReadAll(r)
			return err
		})
	})
	return data, err
}

func checkSize(b lock.Blob, max int64) error {
	if b.Size > max {
		return fault.New(fault.Integrity, "sha256:%s has %d bytes; at most %d are read", b.SHA256, b.Size, max)
	}
	return nil
}

// Check reads a blob to its end, and compares it.
func Check(ctx context.Context, from Reader, b lock.Blob) error {
	return again(ctx, func() error {
		return Stream(ctx, from, b, func(io.Reader) error { return nil })
	})
}

// again calls read a second time if what it read was wrong: what is damaged on the
// way is not damaged where it lies.
func again(ctx context.Context, read func() error) error {
	err := read()
	if fault.KindOf(err) == fault.Integrity && ctx.Err() == nil {
		err = read()
	}
	return err
}

// Stream gives the content of a blob to read, and compares all of it. If the content
// cannot be read, or is wrong, that is the error, whatever read makes of it.
func Stream(ctx context.Context, from Reader, b lock.Blob, read func(io.Reader) error) error {
	content, err := from.Open(ctx, b)
	if err != nil {
		return err
	}
	defer content.Close()
	h := sha256.New()
	// One byte more shows that it is too long.
	counted := &countingReader{ctx: ctx, from: io.TeeReader(io.LimitReader(content, b.Size+1), h)}
	readErr := read(counted)
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, counted, make([]byte, 256<<10))
	if err = cmp.Or(counted.err, err); err != nil {
		return err
	}
	if err := compare(lock.Blob{Size: counted.n, SHA256: lock.SHA256(h.Sum(nil))}, b); err != nil {
		return err
	}
	return readErr
}

// countingReader fails once its context is done.
type countingReader struct {
	ctx  context.Context
	from io.Reader
	n    int64
	// err is the first error but the end.
	err error
}

func (r *countingReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	n, err := r.from.Read(p)
	r.n += int64(n)
	if err != io.EOF {
		r.err = cmp.Or(r.err, err)
	}
	return n, err
}

// compare says how a blob differs from the one that was asked for.
func compare(got, want lock.Blob) error {
	switch {
	case got.Size > want.Size:
		return fault.New(fault.Integrity, "it has more than its %d bytes", want.Size)
	case got.Size != want.Size:
		return fault.New(fault.Integrity, "it has %d bytes, not %d", got.Size, want.Size)
	case got.SHA256 != want.SHA256:
		return fault.New(fault.Integrity, "its sha256 is %s, not %s", got.SHA256, want.SHA256)
	}
	return nil
}

// BlobOf returns the size and the digest of data.
func BlobOf(data []byte) lock.Blob {
	return lock.Blob{Size: int64(len(data)), SHA256: lock.Sum(data)}
}

// Missing is the error of a blob that is not there.
func Missing(d lock.SHA256) error {
	return fault.New(fault.Incomplete, "%s is missing", BlobPath(d))
}
