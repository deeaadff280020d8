package fetch

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// download is one call of [Client.Blob] that goes to the source.
type download struct {
	*Client
	req  Request
	src  source
	want expectation
	in   *transfer.Partial
	loop *transfer.Download
	// sums hashes the bytes of in.
	sums sums
	// record is the store's record of the URL, if the server can confirm that it is still right.
	record *store.URLRecord
	// coding is the Content-Encoding of the answer.
	coding string
	// verbatim says not to decompress the answer.
	verbatim bool
	// bypassCaches asks caches on the way for a fresh copy, because theirs may be damaged.
	bypassCaches bool
}

func (c *Client) blob(ctx context.Context, req Request, obs Observer) (Result, error) {
	want, err := expect(req)
	if err != nil {
		return Result{}, err
	}
	if req.Tree != "" {
		return c.tree(ctx, req, want, obs)
	}
	src, err := parseSource(req.URL)
	if err != nil {
		return Result{}, err
	}
	if r, err := c.reuseByDigest(ctx, req, src.shown, want); !errors.Is(err, errStale) {
		return r, err
	}
	before, _ := c.cfg.Store.URLRecord(src.shown)
	in, err := c.cfg.Store.Ingest(ctx, src.shown, obs.Waiting)
	if err != nil {
		return Result{}, transfer.Local(err)
	}
	defer in.Close()
	if r, err := c.reuseFresh(ctx, req, src, before, want); !errors.Is(err, errStale) {
		return r, err
	}
	sums := newSums(want)
	d := &download{Client: c, req: req, src: src, want: want, in: transfer.NewPartial(in, sums), sums: sums}
	from, end, err := d.source(ctx)
	if err != nil {
		return Result{}, err
	}
	defer end()
	d.loop = &transfer.Download{
		Sink: d.in, Source: from, Retry: c.cfg.Retry, Observer: obs, HasDigest: want.hasDigest(), Expected: want.size,
		CheckTotal: d.checkTotal, CheckSize: c.checkSize,
	}
	return d.run(ctx)
}

// source returns the source of the file, and a function that closes it.
func (d *download) source(ctx context.Context) (from transfer.Source, end func(), err error) {
	switch d.src.getter {
	case "file":
		return fileSource{d}, func() {}, nil
	case "s3", "gcs":
		o, err := d.openObjects(ctx, d.src.getter, d.src.url)
		if err != nil {
			return nil, nil, err
		}
		return objectSource{o, o.key, d.src.shown}, o.close, nil
	}
	return webSource{d}, func() {}, nil
}

// reuseFresh returns the blob if another call or run has just downloaded it.
func (c *Client) reuseFresh(ctx context.Context, req Request, src source, before store.URLRecord, want expectation) (Result, error) {
	if want.hasDigest() {
		return c.reuseByDigest(ctx, req, src.shown, want)
	}
	rec, _ := c.cfg.Store.URLRecord(src.shown)
	if rec.Seen.Equal(before.Seen) {
		return Result{}, errStale
	}
	return c.reuseBlob(ctx, req, rec.SHA256, want)
}

// run downloads the content, unless the source says that it has not changed since it was stored.
func (d *download) run(ctx context.Context) (Result, error) {
	if rec, ok := d.cfg.Store.URLRecord(d.src.shown); ok && !d.want.hasDigest() && d.want.checkSize(rec.Size) == nil {
		d.record = &rec
	}
	err := d.getVerified(ctx)
	if errors.Is(err, errUnchanged) {
		r, reused := d.reuseRecord(ctx, d.req, d.src.shown, *d.record, d.want)
		if !errors.Is(reused, errStale) {
			return r, reused
		}
		d.record = nil // the blob in the store was damaged
		err = d.getVerified(ctx)
	}
	if err != nil {
		return Result{}, err
	}
	return d.finish()
}

// getVerified downloads and verifies the content. If that fails, it downloads the whole file once
// more: a damaged partial file is more likely than a wrong checksum. It keeps no wrong content.
func (d *download) getVerified(ctx context.Context) error {
	err := blob.Again(ctx, func(wrong error) error {
		if wrong != nil {
			// The checksum may be that of the compressed bytes.
			d.bypassCaches, d.verbatim = true, d.in.Origin().Decoded
			if err := d.loop.Void(wrong.Error()); err != nil {
				return err
			}
		}
		return d.get(ctx)
	})
	if errors.Is(err, errUnchanged) || ctx.Err() != nil {
		// The cause may be the failure of another download: the partial file is good.
		return err
	}
	// A file of unknown size that fills the disk may have no end.
	endless := disk.IsFull(err) && d.in.Origin().Total == 0
	if endless || fault.KindOf(err) == fault.Integrity || transfer.Is[*transfer.PermanentError](err) {
		return errors.Join(err, d.in.Discard())
	}
	return err
}

// get downloads the content to d.in and verifies it.
func (d *download) get(ctx context.Context) error {
	if err := d.loop.Recover(ctx, d.in); err != nil {
		return err
	}
	if d.record != nil && d.in.Size() == 0 && d.src.isWeb() {
		switch same, known := d.unchanged(ctx, d.src, *d.record); {
		case same:
			return errUnchanged
		case known:
			d.record = nil
		}
	}
	if err := d.loop.Run(ctx); err != nil {
		return err
	}
	if f, ok := d.loop.Source.(fileSource); ok {
		if err := f.unchanged(); err != nil {
			return err
		}
	}
	err := cmp.Or(d.want.checkSize(d.in.Size()), d.want.check(d.sums.digests()))
	if err := d.checkContent(err); err != nil {
		return d.withCoding(err)
	}
	if d.in.Size() == 0 && !d.want.hasDigest() {
		return transfer.Permanent(unclear(errors.New("the file is empty"), "open the URL on another machine: if it is empty there, too, report it to its publisher"))
	}
	return nil
}

// withCoding adds the Content-Encoding to the error for wrong content.
func (d *download) withCoding(err error) error {
	if fault.KindOf(err) != fault.Integrity || d.coding == "" {
		return err
	}
	return fault.New(fault.Integrity, "%w; the answer has Content-Encoding: %s", err, d.coding)
}

func (d *download) finish() (Result, error) {
	r := Result{
		SHA256: d.sums.SHA256(), Size: d.in.Size(), Digests: d.sums.digests(),
		Transferred: d.loop.Transferred, Resumed: d.loop.Resumed,
	}
	origin := d.in.Origin()
	// The record counts only if its blob exists. In the other order, a run that is killed could leave
	// a blob without a record. A failure is harmless: the next run asks the server.
	_ = d.cfg.Store.SetURLRecord(d.src.shown, store.URLRecord{
		URL: d.src.shown, SHA256: r.SHA256, Size: r.Size,
		Through: origin.Through, ETag: origin.ETag, LastModified: origin.LastModified, HadChecksum: d.want.hasDigest(), Seen: time.Now(),
	})
	if err := d.in.Commit(r.SHA256, r.Size); err != nil {
		return Result{}, transfer.Local(err)
	}
	return r, nil
}

// checkTotal checks the size that the server announces, before the download.
func (d *download) checkTotal(total int64) error {
	if total > d.cfg.MaxBytes {
		return tooLarge(total, d.cfg.MaxBytes)
	}
	if total < 0 {
		return nil
	}
	return d.want.checkSize(total)
}

// checkSize refuses more bytes than [Config.MaxBytes].
func (c *Client) checkSize(size int64) error {
	if size > c.cfg.MaxBytes {
		return tooLarge(-1, c.cfg.MaxBytes)
	}
	return nil
}
