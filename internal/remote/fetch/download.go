package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-getter"

	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// download is one call of [Client.Blob] that goes to the source.
type download struct {
	*Client
	req  Request
	src  source
	want expectation
	obs  Observer
	in   *transfer.Partial
	// sums are of what in has.
	sums *sums
	// record is what the store remembers of the URL, where the server is to
	// say whether it still holds; else nil.
	record *store.URLRecord
	// etag and modified are those of the content that is being downloaded.
	etag, modified string
	// coding is what the server names for the content that is being downloaded.
	coding string
	// verbatim leaves the coding of what the server sends as it is.
	verbatim bool
	// suspicious has caches on the way passed by, for they may be at fault.
	suspicious bool
	// same says that the record holds.
	same bool
	// begun says that the observer was told of the start.
	begun bool
	// high is how far in ever got.
	high   int64
	result Result
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
	before, _ := c.store.URLRecord(src.shown)
	waited := false
	in, err := c.store.Ingest(ctx, src.shown, func() {
		waited = true
		obs.waiting()
	})
	if err != nil {
		return Result{}, transfer.Local(err)
	}
	defer in.Close()
	if waited {
		if r, err := c.reuseFresh(ctx, req, src, before, want); !errors.Is(err, errStale) {
			return r, err
		}
	}
	sums := newSums(want)
	d := &download{Client: c, req: req, src: src, want: want, obs: obs, in: transfer.NewPartial(in, sums), sums: sums}
	return d.run(ctx)
}

// reuseFresh takes what somebody else downloaded while this call waited.
func (c *Client) reuseFresh(ctx context.Context, req Request, src source, before store.URLRecord, want expectation) (Result, error) {
	if want.vouched() {
		return c.reuseByDigest(ctx, req, src.shown, want)
	}
	rec, ok := c.store.URLRecord(src.shown)
	if !ok || rec.Seen.Equal(before.Seen) {
		return Result{}, errStale
	}
	return c.reuseBlob(ctx, req, rec.SHA256, want)
}

// run gets the content, unless the source says that what the store has is
// still the same.
func (d *download) run(ctx context.Context) (Result, error) {
	if rec, ok := d.store.URLRecord(d.src.shown); ok && !d.want.vouched() && d.want.checkSize(rec.Size) == nil {
		d.record = &rec
	}
	err := d.insist(ctx)
	if err == nil && d.same {
		r, err := d.reuseRecord(ctx, d.req, d.src.shown, *d.record, d.want)
		if !errors.Is(err, errStale) {
			return r, err
		}
		// What the store had turned out to be damaged.
		d.record, d.same = nil, false
		if err := d.insist(ctx); err != nil {
			return Result{}, err
		}
	}
	if err != nil {
		return Result{}, err
	}
	return d.finish()
}

// insist gets the content, from scratch a second time if it turns out wrong: a
// damaged remainder of an earlier run or a stumble on the way is more likely
// than a wrong checksum. What is wrong for good is not kept.
func (d *download) insist(ctx context.Context) error {
	err := d.get(ctx)
	if ctx.Err() != nil {
		// The cause may be the failure of another download: what is here is good.
		return err
	}
	if wrong, ok := errors.AsType[*transfer.Mismatch](err); ok {
		// Whoever gave the checksum may have had the bytes as they were sent.
		d.suspicious, d.verbatim = true, d.in.Origin().Decoded
		if err = d.restart(wrong.Error()); err == nil {
			err = d.get(ctx)
		}
	}
	// What fills the disk, and nobody knows how long it is, may have no end.
	endless := disk.IsFull(err) && d.in.Origin().Total == 0
	if endless || transfer.Is[*transfer.Mismatch](err) || transfer.Is[*transfer.PermanentError](err) {
		return errors.Join(err, d.in.Discard())
	}
	return err
}

// get has go-getter call the getter that is responsible, which leaves the
// content in d.in, and verifies it.
func (d *download) get(ctx context.Context) error {
	client := &getter.Client{
		Ctx:  ctx,
		Src:  d.req.URL,
		Dst:  d.in.Path(),
		Mode: getter.ClientModeFile,
		// Maps of its own, for those of the package are changed by every
		// client; and no decompressors, to keep archives as they are.
		Getters:       d.getters(),
		Decompressors: map[string]getter.Decompressor{},
		Detectors:     detectors,
	}
	if err := client.Get(); err != nil || d.same {
		return err
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
	e, ok := errors.AsType[*transfer.Mismatch](err)
	if !ok || d.coding == "" {
		return err
	}
	return &transfer.Mismatch{Reason: fmt.Sprintf("%s; the server says of it Content-Encoding: %s", e.Reason, d.coding)}
}

// finish stores what was downloaded.
func (d *download) finish() (Result, error) {
	r := d.result
	r.SHA256, r.Size, r.Digests = d.sums.SHA256(), d.in.Size(), d.sums.digests()
	// A record counts once its blob is there. If it came second, a run that is
	// killed before it would leave a blob of which nobody knows the URL. One that
	// cannot be written only costs the next run a question.
	_ = d.store.SetURLRecord(d.src.shown, store.URLRecord{
		URL: d.src.shown, SHA256: r.SHA256, Size: r.Size,
		ETag: d.etag, LastModified: d.modified, Seen: time.Now(),
	})
	if err := d.in.Commit(r.SHA256, r.Size); err != nil {
		return Result{}, transfer.Local(err)
	}
	return r, nil
}

// restart throws away what is there.
func (d *download) restart(reason string) error {
	d.obs.restarted(reason)
	d.begun = false
	d.result.Resumed = 0
	return d.in.Restart()
}

// checkTotal refuses a size before its bytes flow.
func (d *download) checkTotal(total int64) error {
	if total > d.max {
		return tooLarge(total, d.max)
	}
	if total < 0 {
		return nil
	}
	return d.want.checkSize(total)
}

// begin tells of the start, once.
func (d *download) begin(total int64) {
	if !d.begun {
		d.obs.started(total)
	}
	d.begun = true
}

// take adds bytes to what is there. Total is -1 where it is unknown.
func (d *download) take(p []byte, total int64) error {
	d.result.Transferred += int64(len(p))
	d.obs.received(len(p))
	switch size := d.in.Size() + int64(len(p)); {
	case total >= 0 && size > total:
		return transfer.Permanent(fmt.Errorf("the server sends more than the %d bytes that it announced", total))
	case size > d.max:
		return tooLarge(-1, d.max)
	}
	if err := d.in.Add(p); err != nil {
		return err
	}
	d.high = max(d.high, d.in.Size())
	return nil
}
