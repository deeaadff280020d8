package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// Fetch downloads a blob into a store and verifies it, unless the store already has it. It continues
// a partial download of an earlier call, also of another process or from another registry. It returns
// how many bytes came, with those that were discarded. Observe, if not nil, gets the number of bytes
// of the blob so far. That number becomes smaller if the download starts again.
func (r *Repository) Fetch(ctx context.Context, b lock.Blob, s *store.Store, observe func(done int64)) (transferred int64, err error) {
	if observe == nil {
		observe = func(int64) {}
	}
	id := digestPrefix + b.SHA256.String()
	doing := "downloading " + r.name.reference(id)
	there, err := isThere(ctx, b, s)
	if there || err != nil {
		return 0, err
	}
	in, err := s.Ingest(ctx, "blob "+id, func() {
		r.client.Waiting(r.name.reference(id))
	})
	if err != nil {
		return 0, r.failure(ctx, doing, transfer.Local(err))
	}
	defer in.Close()
	// Another call may have downloaded it while this one waited.
	if there, err := isThere(ctx, b, s); there || err != nil {
		return 0, err
	}
	sum := blob.NewHash()
	p := transfer.NewPartial(in, sum)
	d := r.download(b, p, doing)
	d.Observer.Received = func(int) { observe(p.Size()) }
	d.Observer.Resumed = observe
	d.Observer.Restarted = func(string) { observe(0) }
	err = blob.Again(ctx, func(wrong error) error {
		if wrong != nil {
			err = d.Void(wrong.Error())
		} else {
			err = d.Recover(ctx, p)
		}
		if err == nil {
			err = d.Run(ctx)
		}
		if err == nil && sum.SHA256() != b.SHA256 {
			err = wrongDigest("the downloaded blob", sum.SHA256(), b.SHA256)
		}
		return err
	})
	if fault.KindOf(err) == fault.Integrity && ctx.Err() == nil {
		err = errors.Join(err, in.Discard())
	}
	if err == nil {
		err = transfer.Local(in.Commit(b.SHA256, b.Size))
	}
	return d.Transferred, r.failure(ctx, doing, err)
}

func isThere(ctx context.Context, b lock.Blob, s *store.Store) (bool, error) {
	if size, ok := s.Has(b.SHA256); !ok || size != b.Size {
		return false, nil
	}
	err := s.Verify(ctx, b.SHA256)
	if fault.KindOf(err) == fault.Integrity {
		return false, nil // Verify has removed it
	}
	return err == nil, err
}

// Open returns a reader of a blob in the registry. It stores nothing. After a broken connection, it
// continues at the same byte. It checks the size of the blob, but not the digest: use [blob.Verify].
// If the registry does not have the blob, the error is of kind [fault.Incomplete].
func (r *Repository) Open(ctx context.Context, b lock.Blob) io.ReadCloser {
	doing := "reading " + r.name.reference(digestPrefix+b.SHA256.String())
	ctx, cancel := context.WithCancel(ctx)
	out, in := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := r.download(b, &transfer.Stream{To: in}, doing).Run(ctx)
		if IsNotFound(err) {
			err = fault.New(fault.Incomplete, "%s: the registry does not have this blob", doing)
		} else {
			err = r.failure(ctx, doing, err)
		}
		_ = in.CloseWithError(err)
	}()
	return &opened{out, cancel, ended}
}

type opened struct {
	*io.PipeReader
	cancel context.CancelFunc
	ended  <-chan struct{}
}

func (o *opened) Close() error {
	o.cancel()
	_ = o.PipeReader.Close()
	<-o.ended
	return nil
}

func (r *Repository) download(b lock.Blob, to transfer.Sink, doing string) *transfer.Download {
	return &transfer.Download{
		Sink: to, Source: &blobSource{Repository: r, blob: b}, Retry: r.client.Retry, HasDigest: true, Expected: b.Size,
		Observer: transfer.Observer{Retrying: func(err error, pause time.Duration) { r.client.Retrying(doing, err, pause) }}.Filled(),
		CheckTotal: func(size int64) error {
			if size != b.Size {
				return damaged("the registry's blob has %d bytes, not %d", size, b.Size)
			}
			return nil
		},
		CheckSize: func(size int64) error {
			if size > b.Size {
				return damaged("the registry sends more than the %d bytes of the blob", b.Size)
			}
			return nil
		},
	}
}

// blobSource is a [transfer.Source] for a blob. A blob never changes, so it needs no ETag.
type blobSource struct {
	*Repository
	blob lock.Blob
	// whole says that the registry does not support ranges.
	whole bool
}

func (s *blobSource) Open(ctx context.Context, offset int64, _ store.Origin) (*transfer.Part, error) {
	q := request{method: http.MethodGet, url: s.url("blobs", digestPrefix+s.blob.SHA256.String())}
	ranged := offset > 0 && !s.whole
	if ranged {
		q.header = http.Header{"Range": {fmt.Sprintf("bytes=%d-", offset)}}
	}
	resp, err := s.do(ctx, q)
	if err != nil {
		return nil, err
	}
	start, end, total, ok := transfer.ContentRange(resp.Header)
	isPart := resp.StatusCode == http.StatusPartialContent
	if ranged && (resp.StatusCode == http.StatusRequestedRangeNotSatisfiable || isPart && (!ok || start != offset)) {
		s.whole = true
		_ = resp.Close()
		return s.Open(ctx, offset, store.Origin{}) // only once, because it now requests the whole blob
	}
	if err := s.expect(resp, http.StatusOK, http.StatusPartialContent); err != nil {
		return nil, err
	}
	part := &transfer.Part{ReadCloser: resp, End: -1, Total: max(resp.ContentLength, -1)}
	if isPart {
		part.Start, part.End, part.Total = start, end+1, total
	}
	if isPart && !ranged && (!ok || start != 0) {
		_ = resp.Close()
		return nil, errors.New("the registry sends only a part of the blob")
	}
	if part.Total < 0 {
		part.Total = s.blob.Size
	}
	return part, nil
}
