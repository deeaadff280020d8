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
	// sums are of what in has.
	sums sums
	// record is what the store remembers of the URL, if the server is to confirm it.
	record *store.URLRecord
	// coding is what the server names for the content that is being downloaded.
	coding string
	// verbatim leaves the coding of what the server sends as it is.
	verbatim bool
	// suspicious has caches on the way passed by, for they may be at fault.
	suspicious bool
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
		Sink: d.in, Source: from, Retry: c.cfg.Retry, Observer: obs, Vouched: want.vouched(), Expected: want.size,
		CheckTotal: d.checkTotal, CheckSize: c.checkSize,
	}
	return d.run(ctx)
}

// source returns what is asked for the file, and what ends that.
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

// reuseFresh takes what another call or run has just downloaded.
func (c *Client) reuseFresh(ctx context.Context, req Request, src source, before store.URLRecord, want expectation) (Result, error) {
	if want.vouched() {
		return c.reuseByDigest(ctx, req, src.shown, want)
	}
	rec, _ := c.cfg.Store.URLRecord(src.shown)
	if rec.Seen.Equal(before.Seen) {
		return Result{}, errStale
	}
	return c.reuseBlob(ctx, req, rec.SHA256, want)
}

// run gets the content, unless the source says that the store's is still the same.
func (d *download) run(ctx context.Context) (Result, error) {
	if rec, ok := d.cfg.Store.URLRecord(d.src.shown); ok && !d.want.vouched() && d.want.checkSize(rec.Size) == nil {
		d.record = &rec
	}
	err := d.getVerified(ctx)
	if errors.Is(err, errUnchanged) {
		r, reused := d.reuseRecord(ctx, d.req, d.src.shown, *d.record, d.want)
		if !errors.Is(reused, errStale) {
			return r, reused
		}
		d.record = nil // what the store had turned out to be damaged
		err = d.getVerified(ctx)
	}
	if err != nil {
		return Result{}, err
	}
	return d.finish()
}

// getVerified gets the content, from scratch a second time if it turns out wrong: a damaged
// remainder is more likely than a wrong checksum. What is wrong for good is not kept.
func (d *download) getVerified(ctx context.Context) error {
	err := blob.Again(ctx, func(wrong error) error {
		if wrong != nil {
			// Whoever gave the checksum may have had the bytes as they were sent.
			d.suspicious, d.verbatim = true, d.in.Origin().Decoded
			if err := d.loop.Void(wrong.Error()); err != nil {
				return err
			}
		}
		return d.get(ctx)
	})
	if errors.Is(err, errUnchanged) || ctx.Err() != nil {
		// The cause may be the failure of another download: what is here is good.
		return err
	}
	// What fills the disk, and nobody knows how long it is, may have no end.
	endless := disk.IsFull(err) && d.in.Origin().Total == 0
	if endless || fault.KindOf(err) == fault.Integrity || transfer.Is[*transfer.PermanentError](err) {
		return errors.Join(err, d.in.Discard())
	}
	return err
}

// get brings the content to d.in, and verifies it.
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
	if d.in.Size() == 0 && !d.want.vouched() {
		return transfer.Permanent(unclear(errors.New("the file is empty"), "open the URL elsewhere to see whether it is so there; then ask whoever publishes it"))
	}
	return nil
}

// withCoding says of content that is not what it should be how the server coded it.
func (d *download) withCoding(err error) error {
	if fault.KindOf(err) != fault.Integrity || d.coding == "" {
		return err
	}
	return fault.New(fault.Integrity, "%w; the server says of it Content-Encoding: %s", err, d.coding)
}

func (d *download) finish() (Result, error) {
	r := Result{
		SHA256: d.sums.SHA256(), Size: d.in.Size(), Digests: d.sums.digests(),
		Transferred: d.loop.Transferred, Resumed: d.loop.Resumed,
	}
	origin := d.in.Origin()
	// A record counts once its blob is there. If it came second, a run that is killed would
	// leave a blob without a URL. Without a record, the next run only asks.
	_ = d.cfg.Store.SetURLRecord(d.src.shown, store.URLRecord{
		URL: d.src.shown, SHA256: r.SHA256, Size: r.Size,
		Through: origin.Through, ETag: origin.ETag, LastModified: origin.LastModified, Vouched: d.want.vouched(), Seen: time.Now(),
	})
	if err := d.in.Commit(r.SHA256, r.Size); err != nil {
		return Result{}, transfer.Local(err)
	}
	return r, nil
}

// checkTotal refuses a size before its bytes flow.
func (d *download) checkTotal(total int64) error {
	if total > d.cfg.MaxBytes {
		return tooLarge(total, d.cfg.MaxBytes)
	}
	if total < 0 {
		return nil
	}
	return d.want.checkSize(total)
}

// checkSize refuses more bytes than are downloaded of one file.
func (c *Client) checkSize(size int64) error {
	if size > c.cfg.MaxBytes {
		return tooLarge(-1, c.cfg.MaxBytes)
	}
	return nil
}
