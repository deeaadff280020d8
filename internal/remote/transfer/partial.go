package transfer

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

// Sums hashes the bytes that are written to it. Write never fails.
type Sums interface {
	io.Writer
	Reset()
	SHA256() lock.SHA256
}

// Partial is a partly downloaded blob. It is hashed while it grows, and checkpoints keep what has
// come even if the process is killed or the power fails.
type Partial struct {
	*store.Ingest
	sums Sums
	// secured is how many bytes the last checkpoint covers. Written is how many bytes the system was
	// told to write to the disk.
	secured, written int64
	// at is the time of the last checkpoint.
	at time.Time
}

// NewPartial returns the partial blob of an ingest. Call [Partial.Recover] before you rely on bytes
// from an earlier run.
func NewPartial(in *store.Ingest, sums Sums) *Partial { return &Partial{Ingest: in, sums: sums} }

const (
	// A checkpoint is written every markBytes, or every markTime if at least markFewBytes came. A
	// process that is killed loses less than 1 MiB.
	markBytes     = 512 << 10
	markFewBytes  = 64 << 10
	markTime      = 2 * time.Second
	writtenAtOnce = 8 << 20
)

// Add appends data, and now and then writes a checkpoint.
func (p *Partial) Add(data []byte) error {
	if _, err := p.Write(data); err != nil {
		return Local(err)
	}
	_, _ = p.sums.Write(data)
	return p.keepUp()
}

// keepUp writes a checkpoint if one is due. It also tells the system to begin writing to the disk,
// so that the final sync has less to do.
func (p *Partial) keepUp() error {
	size := p.Size()
	if n := size - p.written; n >= writtenAtOnce {
		disk.StartWriteback(p.File(), p.written, n)
		p.written = size
	}
	if p.at.IsZero() {
		p.at = time.Now()
	}
	switch n := size - p.secured; {
	case n >= markBytes, n >= markFewBytes && time.Since(p.at) >= markTime:
		return p.Secure()
	}
	return nil
}

// Secure writes a checkpoint for all bytes so far.
func (p *Partial) Secure() error {
	if p.Size() <= p.secured {
		return nil
	}
	p.secured, p.at = p.Size(), time.Now()
	return Local(p.SetCheckpoint(p.sums.SHA256()))
}

// Restart discards all bytes.
func (p *Partial) Restart() error {
	p.sums.Reset()
	p.secured, p.written, p.at = 0, 0, time.Time{}
	return Local(p.Truncate(0))
}

// Recover checks the bytes that an earlier run left, discards the bad ones, and returns how many it
// kept: at most most. HasDigest says that the caller will check a digest of the whole file.
//
// After a power cut, a file may have the right size and lack bytes in the middle or at the end. So
// only bytes that a checkpoint covers are kept. If there is no checkpoint but a digest, all are kept:
// at worst, the digest does not match and the file is downloaded again.
func (p *Partial) Recover(ctx context.Context, hasDigest bool, most int64) (kept int64, err error) {
	points := p.Checkpoints()
	keep := p.Size()
	if len(points) > 0 {
		keep = points[len(points)-1].Size
	} else if !hasDigest {
		keep = 0
	}
	keep = min(keep, most)
	good, err := p.rehash(ctx, points, keep)
	if err == nil && good < keep {
		keep = good
		_, err = p.rehash(ctx, nil, keep)
	}
	if err != nil {
		return 0, Local(fmt.Errorf("reading the partial file of an earlier run: %w", err))
	}
	p.secured, p.written = keep, keep
	return keep, Local(p.Truncate(keep))
}

// rehash hashes the first size bytes. It returns fewer, with the sums undefined, if the bytes after
// that do not match their checkpoint.
func (p *Partial) rehash(ctx context.Context, points []store.Checkpoint, size int64) (good int64, err error) {
	p.sums.Reset()
	at := int64(0)
	for _, point := range points {
		if point.Size > size {
			break
		}
		if err := blob.Copy(ctx, p.sums, io.NewSectionReader(p.File(), at, point.Size-at)); err != nil {
			return 0, err
		}
		if p.sums.SHA256() != point.SHA256 {
			return at, nil
		}
		at = point.Size
	}
	return size, blob.Copy(ctx, p.sums, io.NewSectionReader(p.File(), at, size-at))
}
