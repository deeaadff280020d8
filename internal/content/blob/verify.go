package blob

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Hash computes the digest of what is written to it.
type Hash struct{ hash.Hash }

// NewHash returns a new hash.
func NewHash() Hash { return Hash{sha256.New()} }

// SHA256 returns the digest of what was written so far.
func (h Hash) SHA256() lock.SHA256 { return lock.SHA256(h.Sum(nil)) }

// Again calls read. If it returns an error of kind [fault.Integrity], Again calls it a second time,
// because damage in transit is unlikely to happen twice. wrong is nil in the first call, and the
// error of the first call in the second.
func Again(ctx context.Context, read func(wrong error) error) error {
	err := read(nil)
	if fault.KindOf(err) == fault.Integrity && ctx.Err() == nil {
		return read(err)
	}
	return err
}

// Compare returns an error of kind [fault.Integrity] that says how content differs, or nil.
func Compare(got, want lock.Blob) error {
	switch {
	case got.Size > want.Size:
		return fault.New(fault.Integrity, "it has more than %d bytes", want.Size)
	case got.Size != want.Size:
		return fault.New(fault.Integrity, "it has %d bytes, not %d", got.Size, want.Size)
	case got.SHA256 != want.SHA256:
		return fault.New(fault.Integrity, "its sha256 is %s, not %s", got.SHA256, want.SHA256)
	}
	return nil
}

// Verify returns a reader of r that compares the content with a blob. If the content differs, the
// reader returns the error of [Compare] instead of io.EOF. After an error, and when ctx is done, it
// reads no more.
func Verify(ctx context.Context, r io.Reader, want lock.Blob) io.Reader {
	return &verifier{from: reader{ctx, r}, want: want, sum: NewHash()}
}

type verifier struct {
	from io.Reader
	want lock.Blob
	size int64
	sum  Hash
	err  error
}

func (v *verifier) Read(p []byte) (n int, err error) {
	if v.err != nil {
		return 0, v.err
	}
	n, v.err = v.from.Read(p)
	v.size += int64(n)
	_, _ = v.sum.Write(p[:n]) // hashes do not fail
	if v.err == io.EOF || v.size > v.want.Size {
		if wrong := Compare(lock.Blob{Size: v.size, SHA256: v.sum.SHA256()}, v.want); wrong != nil {
			v.err = wrong
		}
	}
	return n, v.err
}

// Sink receives content, and computes its size and digest.
type Sink interface {
	io.Writer
	// Reset discards everything that was written.
	Reset() error
	// Blob returns the size and the digest of everything that was written.
	Blob() lock.Blob
}

// Digest is a [Sink] that discards the content.
type Digest struct {
	Hash
	size int64
}

// NewDigest returns a Digest of no content.
func NewDigest() *Digest { return &Digest{Hash: NewHash()} }

// Write adds content.
func (d *Digest) Write(p []byte) (int, error) {
	d.size += int64(len(p))
	return d.Hash.Write(p)
}

// Reset discards everything that was written.
func (d *Digest) Reset() error {
	d.Hash.Reset()
	d.size = 0
	return nil
}

// Blob returns the size and the digest of everything that was written.
func (d *Digest) Blob() lock.Blob {
	return lock.Blob{Size: d.size, SHA256: d.SHA256()}
}
