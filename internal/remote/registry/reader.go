package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// Open gives a blob to read as the registry has it now, and stores nothing. A
// connection that breaks is made again where it broke. Content that is not the
// blob's is an error of kind [fault.Integrity] before the end is reached; one that the
// registry does not have is one of kind [fault.Incomplete].
func (r *Repository) Open(ctx context.Context, b lock.Blob) io.ReadCloser {
	return &reader{Repository: r, ctx: ctx, blob: b, sum: sha256.New()}
}

// Check reads a blob to its end, and compares it: a second time if it is wrong,
// for what is damaged on the way is not damaged in the registry.
func (r *Repository) Check(ctx context.Context, b lock.Blob) error {
	err := r.check(ctx, b)
	if fault.KindOf(err) == fault.Integrity && ctx.Err() == nil {
		err = r.check(ctx, b)
	}
	return err
}

func (r *Repository) check(ctx context.Context, b lock.Blob) error {
	content := r.Open(ctx, b)
	defer content.Close()
	return transfer.Copy(func([]byte) error { return nil }, content)
}

// reader reads a blob over as many connections as it takes.
type reader struct {
	*Repository
	ctx  context.Context
	blob lock.Blob
	// at is how much was read, sum its digest.
	at   int64
	sum  hash.Hash
	resp *transfer.Response
	// whole says that the registry gives no ranges.
	whole bool
	// ended is what every further read returns.
	ended error
}

func (r *reader) Read(p []byte) (n int, err error) {
	if len(p) == 0 || r.ended != nil {
		return 0, r.ended
	}
	id := digestPrefix + r.blob.SHA256.String()
	doing := "reading " + r.name.reference(id)
	// All of p is read at once: with every return, failures count anew.
	p = p[:min(int64(len(p)), r.blob.Size-r.at)]
	err = r.client.retry(r.ctx, doing, func() int64 { return r.at }, func() error {
		// Of a blob of no bytes, too, it is asked whether it is there.
		for first := true; first || n < len(p); first = false {
			more, err := r.try(p[n:])
			n += more
			if err != nil {
				return err
			}
		}
		return nil
	})
	if IsNotFound(err) {
		return n, fault.New(fault.Incomplete, "%s: the registry does not have it", doing)
	}
	if err == nil && r.at == r.blob.Size {
		r.ended = r.end()
		return n, r.ended
	}
	return n, r.failure(r.ctx, doing, err)
}

// end compares what was read, when it is as much as the blob has.
func (r *reader) end() error {
	var more [1]byte
	n, _ := r.resp.Read(more[:]) // an answer that breaks now has given everything
	r.drop()
	if n > 0 {
		return fault.New(fault.Integrity, "it has more than the %d bytes of the blob in the registry", r.blob.Size)
	}
	if got := lock.SHA256(r.sum.Sum(nil)); got != r.blob.SHA256 {
		return fault.New(fault.Integrity, "its sha256 is %s in the registry", got)
	}
	return io.EOF
}

// try reads once.
func (r *reader) try(p []byte) (int, error) {
	if r.resp == nil {
		if err := r.connect(); err != nil {
			return 0, err
		}
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.resp.Read(p)
	_, _ = r.sum.Write(p[:n]) // hashes do not fail
	r.at += int64(n)
	if n > 0 {
		return n, nil // an error comes again, if anything is missing then
	}
	r.drop()
	if err == nil || errors.Is(err, io.EOF) {
		err = r.endsAt(r.at)
	}
	return 0, err
}

// connect asks for what was not read yet.
func (r *reader) connect() error {
	q := request{method: http.MethodGet, url: r.url("blobs", digestPrefix+r.blob.SHA256.String())}
	ranged := r.at > 0 && !r.whole
	if ranged {
		q.header = http.Header{"Range": {fmt.Sprintf("bytes=%d-", r.at)}}
	}
	resp, err := r.do(r.ctx, q)
	if err != nil {
		return err
	}
	if ranged && (resp.StatusCode == http.StatusRequestedRangeNotSatisfiable || resp.StatusCode == http.StatusPartialContent && !r.goesOn(resp)) {
		r.whole = true
		_ = resp.Close()
		return r.connect() // once, for now everything is asked for
	}
	if err := r.expect(resp, http.StatusOK, http.StatusPartialContent); err != nil {
		return err
	}
	r.resp = resp
	if err := r.skip(resp); err != nil {
		r.drop()
		return err
	}
	return nil
}

// goesOn reports whether a part of the blob begins where the last one ended.
func (r *reader) goesOn(resp *transfer.Response) bool {
	var from int64
	_, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &from)
	return err == nil && from == r.at
}

// skip reads an answer up to where the last one ended: a registry that gives no
// ranges begins again.
func (r *reader) skip(resp *transfer.Response) error {
	if resp.StatusCode == http.StatusPartialContent {
		if !r.goesOn(resp) {
			return errBadRange
		}
		return nil
	}
	if n := resp.ContentLength; n >= 0 && n != r.blob.Size {
		return fault.New(fault.Integrity, "it has %d bytes in the registry, not %d", n, r.blob.Size)
	}
	n, err := io.CopyN(io.Discard, resp, r.at)
	if err == io.EOF {
		err = r.endsAt(n)
	}
	return err
}

// endsAt is the error of an answer that is too short.
func (r *reader) endsAt(n int64) error {
	return fmt.Errorf("the registry ends the blob after %d of %d bytes: %w", n, r.blob.Size, io.ErrUnexpectedEOF)
}

func (r *reader) drop() {
	if r.resp != nil {
		_ = r.resp.Close()
	}
	r.resp = nil
}

// Close ends the last connection.
func (r *reader) Close() error {
	r.drop()
	return nil
}
