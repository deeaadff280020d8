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

// Sums hashes what it is written, which does not fail.
type Sums interface {
	io.Writer
	Reset()
	SHA256() lock.SHA256
}

// Partial is a blob in the making that is hashed while it grows, and of which
// little is lost, whatever happens to the process or to the machine.
type Partial struct {
	*store.Ingest
	sums Sums
	// secured is what a checkpoint vouches for, written what the disk was told to write.
	secured, written int64
	// at is when it was secured.
	at time.Time
}

// NewPartial returns the partial blob that an ingest holds. What is there
// already counts once [Partial.Recover] was called.
func NewPartial(in *store.Ingest, sums Sums) *Partial { return &Partial{Ingest: in, sums: sums} }

const (
	// A checkpoint comes after so many bytes, or after fewer when they are
	// slow. With the piece that passes it, it is less than 1 MiB that a
	// process that is killed has received in vain.
	markBytes     = 512 << 10
	markFewBytes  = 64 << 10
	markTime      = 2 * time.Second
	writtenAtOnce = 8 << 20
)

func (p *Partial) Add(data []byte) error {
	if _, err := p.Write(data); err != nil {
		return Local(err)
	}
	_, _ = p.sums.Write(data)
	return p.keepUp()
}

// keepUp secures, now and then, what has come, and has the disk begin to write
// it, so that the end need not wait for everything.
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

// Secure vouches for what is there.
func (p *Partial) Secure() error {
	if p.Size() <= p.secured {
		return nil
	}
	p.secured, p.at = p.Size(), time.Now()
	return Local(p.SetCheckpoint(p.sums.SHA256()))
}

// Restart throws away what is there.
func (p *Partial) Restart() error {
	p.sums.Reset()
	p.secured, p.written, p.at = 0, 0, time.Time{}
	return Local(p.Truncate(0))
}

// Recover makes sure of what an earlier run left: it keeps, of most bytes, what
// is good. Vouched says that a digest of the whole will tell right from wrong.
//
// A power cut may leave a file of the right size with bytes missing in the
// middle, or at its end. So only what checkpoints vouch for is kept, unless
// there are none at all and a digest will tell: that costs a download at worst.
func (p *Partial) Recover(ctx context.Context, vouched bool, most int64) (kept int64, err error) {
	points := p.Checkpoints()
	keep := p.Size()
	if len(points) > 0 {
		keep = points[len(points)-1].Size
	} else if !vouched {
		keep = 0
	}
	keep = min(keep, most)
	good, err := p.rehash(ctx, points, keep)
	if err == nil && good < keep {
		keep = good
		_, err = p.rehash(ctx, nil, keep)
	}
	if err != nil {
		return 0, Local(fmt.Errorf("reading what an earlier run left: %w", err))
	}
	p.secured, p.written = keep, keep
	return keep, Local(p.Truncate(keep))
}

// rehash brings the sums to the first size bytes of what is there. It returns
// less, with the sums undefined, if it finds that only so much is good.
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
