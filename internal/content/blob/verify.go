package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Hash computes the digest of what is written to it.
type Hash struct{ hash.Hash }

// NewHash returns a hash of nothing yet.
func NewHash() Hash { return Hash{sha256.New()} }

// SHA256 returns the digest of what was written so far.
func (h Hash) SHA256() lock.SHA256 { return lock.SHA256(h.Sum(nil)) }

// Again calls read, and once more if the content that came is wrong, an error of kind
// [fault.Integrity]: damage on the way does not come twice. Wrong is the error of the
// first call; nil in the first call.
func Again(ctx context.Context, read func(wrong error) error) error {
	err := read(nil)
	if fault.KindOf(err) == fault.Integrity && ctx.Err() == nil {
		return read(err)
	}
	return err
}

// Verify returns a reader of what r has, which must be a blob. In the place of the
// end, content that is not the blob gives an error of kind [fault.Integrity].
func Verify(r io.Reader, b lock.Blob) io.Reader {
	return &verifier{from: r, left: b.Size, blob: b, sum: NewHash()}
}

type verifier struct {
	from io.Reader
	// left is how many bytes are missing.
	left int64
	blob lock.Blob
	sum  Hash
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.from.Read(p)
	if int64(n) > v.left {
		return 0, fault.New(fault.Integrity, "it has more than the %d bytes of the blob", v.blob.Size)
	}
	v.left -= int64(n)
	_, _ = v.sum.Write(p[:n]) // hashes do not fail
	if errors.Is(err, io.EOF) {
		if wrong := v.end(); wrong != nil {
			err = wrong
		}
	}
	return n, err
}

func (v *verifier) end() error {
	if v.left > 0 {
		return fault.New(fault.Integrity, "it has %d bytes, not %d", v.blob.Size-v.left, v.blob.Size)
	}
	return Compare(v.blob.SHA256, v.sum.SHA256())
}

// Compare returns an error of kind [fault.Integrity] if a digest is not the one that
// it should be.
func Compare(want, got lock.SHA256) error {
	if want == got {
		return nil
	}
	return fault.New(fault.Integrity, "its sha256 is %s, not %s", got, want)
}
