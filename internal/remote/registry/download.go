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
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// download is one call of [Repository.Fetch] that goes to the registry.
type download struct {
	*Repository
	ctx  context.Context
	blob lock.Blob
	in   *transfer.Partial
	// sum is of what in has.
	sum sum
	// high is how far in ever got.
	high        int64
	transferred int64
	observe     func(done int64)
}

// Fetch brings a blob into a store, and verifies it. It goes on with what an
// earlier call left, even one of another process or from another registry. It
// returns how many bytes came, those that were thrown away included: none
// where the store has the blob. Observe, if not nil, is told how many bytes of
// the blob are there, which shrinks when the download has to begin again.
func (r *Repository) Fetch(ctx context.Context, blob lock.Blob, s *store.Store, observe func(done int64)) (transferred int64, err error) {
	if observe == nil {
		observe = func(int64) {}
	}
	id := digestPrefix + blob.SHA256.String()
	doing := "downloading " + r.name.reference(id)
	there, err := isThere(ctx, blob, s)
	if there || err != nil {
		return 0, err
	}
	in, err := s.Ingest(ctx, "blob "+id, func() {
		if r.client.waiting != nil {
			r.client.waiting(r.name.reference(id))
		}
	})
	if err != nil {
		return 0, r.failure(ctx, doing, transfer.Local(err))
	}
	defer in.Close()
	// Somebody else may have brought it while this call waited.
	if there, err := isThere(ctx, blob, s); there || err != nil {
		return 0, err
	}
	sum := sum{sha256.New()}
	d := &download{Repository: r, ctx: ctx, blob: blob, in: transfer.NewPartial(in, sum), sum: sum, observe: observe}
	err = d.insist(doing)
	return d.transferred, r.failure(ctx, doing, err)
}

// isThere reports whether a store has a blob, undamaged.
func isThere(ctx context.Context, blob lock.Blob, s *store.Store) (bool, error) {
	if size, ok := s.Has(blob.SHA256); !ok || size != blob.Size {
		return false, nil
	}
	err := s.Verify(ctx, blob.SHA256)
	if fault.KindOf(err) == fault.Integrity {
		return false, nil // Verify has removed it
	}
	return err == nil, err
}

// insist gets the blob, from scratch a second time if it turns out wrong: a
// damaged remainder or a stumble on the way is more likely than a registry
// that has something else. What is wrong for good is not kept.
func (d *download) insist(doing string) error {
	err := d.get(doing)
	if transfer.Is[*transfer.Mismatch](err) && d.ctx.Err() == nil {
		if err = d.restart(); err == nil {
			err = d.get(doing)
		}
	}
	if transfer.Is[*transfer.Mismatch](err) {
		return errors.Join(err, d.in.Discard())
	}
	return err
}

// get goes on with what is there, and stores the whole.
func (d *download) get(doing string) error {
	if err := d.resume(); err != nil {
		return err
	}
	d.high = d.in.Size()
	err := d.client.retry(d.ctx, doing, func() int64 { return d.high }, d.try)
	if err != nil {
		return err
	}
	if got := d.sum.SHA256(); got != d.blob.SHA256 {
		return wrongDigest("what came", got, d.blob.SHA256)
	}
	return transfer.Local(d.in.Commit(d.blob.SHA256, d.blob.Size))
}

// resume goes on with what is there and good.
func (d *download) resume() error {
	_, err := d.in.Recover(d.ctx, true, d.blob.Size)
	d.observe(d.in.Size())
	return err
}

// restart throws away what is there.
func (d *download) restart() error {
	d.observe(0)
	return d.in.Restart()
}

// try asks for what is missing.
func (d *download) try() error {
	offset := d.in.Size()
	if offset == d.blob.Size && offset > 0 {
		return nil
	}
	q := request{method: http.MethodGet, url: d.url("blobs", digestPrefix+d.blob.SHA256.String())}
	if offset > 0 {
		q.header = http.Header{"Range": {fmt.Sprintf("bytes=%d-", offset)}}
	}
	resp, err := d.do(d.ctx, q)
	if err != nil {
		return err
	}
	defer resp.Close()
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && offset > 0 {
		return errors.Join(errBadRange, d.restart())
	}
	if err := d.expect(resp, http.StatusOK, http.StatusPartialContent); err != nil {
		return err
	}
	if err := d.place(resp, offset); err != nil {
		return err
	}
	return d.receive(resp)
}

var errBadRange = errors.New("the registry does not give the rest of the blob")

// place makes sure that an answer goes on where what is there ends.
func (d *download) place(resp *transfer.Response, offset int64) error {
	switch {
	case resp.StatusCode == http.StatusOK && offset > 0:
		if err := d.restart(); err != nil {
			return err
		}
	case resp.StatusCode == http.StatusPartialContent:
		var from, to int64
		_, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/", &from, &to)
		if err != nil || offset == 0 || from != offset || to != d.blob.Size-1 {
			return errors.Join(errBadRange, d.restart())
		}
	}
	if n := resp.ContentLength; n >= 0 && n != d.blob.Size-d.in.Size() {
		return &transfer.Mismatch{Reason: fmt.Sprintf("the registry has %d bytes, not %d", d.in.Size()+n, d.blob.Size)}
	}
	return nil
}

// receive takes the bytes of an answer.
func (d *download) receive(resp *transfer.Response) error {
	err := transfer.Copy(d.take, resp)
	if err == nil && d.in.Size() < d.blob.Size {
		err = fmt.Errorf("the registry ends the blob after %d of %d bytes: %w", d.in.Size(), d.blob.Size, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return errors.Join(err, d.in.Secure())
	}
	return nil
}

// take adds bytes to what is there.
func (d *download) take(p []byte) error {
	d.transferred += int64(len(p))
	if int64(len(p)) > d.blob.Size-d.in.Size() {
		return &transfer.Mismatch{Reason: fmt.Sprintf("the registry sends more than the %d bytes of the blob", d.blob.Size)}
	}
	if err := d.in.Add(p); err != nil {
		return err
	}
	d.high = max(d.high, d.in.Size())
	d.observe(d.in.Size())
	return nil
}

// sum is a [transfer.Sums].
type sum struct{ hash.Hash }

// SHA256 returns the digest of what was written so far.
func (s sum) SHA256() lock.SHA256 { return lock.SHA256(s.Sum(nil)) }
