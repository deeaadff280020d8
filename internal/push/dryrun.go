package push

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Amount is a number of blobs, and their size in bytes.
type Amount struct {
	Blobs int   `json:"blobs"`
	Bytes int64 `json:"bytes"`
}

func (a *Amount) add(b lock.Blob) {
	a.Blobs++
	a.Bytes += b.Size
}

// plan is what a push of a part would send, as far as a dry run can find out.
type plan struct {
	mu      sync.Mutex
	seen    map[lock.SHA256]bool
	missing Amount
	there   Amount
	// unknown says why the amounts are not known; empty if they are.
	unknown string
}

// add counts a blob. It counts each blob once, as the registry stores it once.
func (p *plan) add(b lock.Blob, there bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen[b.SHA256] {
		return
	}
	if p.seen == nil {
		p.seen = map[lock.SHA256]bool{}
	}
	p.seen[b.SHA256] = true
	if there {
		p.there.add(b)
	} else {
		p.missing.add(b)
	}
}

// tell adds the amounts to the result of a part.
func (p *plan) tell(to *destination, result *PartResult) {
	if result.Unknown = p.unknown; p.unknown == "" && !to.refused {
		result.ToSend, result.There = &p.missing, &p.there
	}
}

// look finds out whether a blob would be sent, and whether the source has it.
func (u *uploader) look(ctx context.Context, b lock.Blob) error {
	_, there, err := u.repo.HasBlob(ctx, b.SHA256)
	u.planned.add(b, there)
	if err != nil || there {
		return err
	}
	return u.inSource(ctx, b)
}

// inSource returns an error if the source is a registry that does not have a blob.
func (u *uploader) inSource(ctx context.Context, b lock.Blob) error {
	if !u.upstream[b.SHA256] || u.Origin == nil || u.Origin.inStore(b) {
		return nil
	}
	_, there, err := u.Origin.Repository.HasBlob(ctx, b.SHA256)
	if err == nil && !there {
		err = fault.New(fault.Upstream, "%s does not have %s", u.Origin.Repository.Name(), b.SHA256.OCI()).
			WithHint("push %s to its registry again, with --force: the registry has lost a part of it", u.Name)
	}
	return err
}

// isFar reports whether files for the image would have to be downloaded first.
func (u *uploader) isFar() bool {
	for _, a := range u.Lock.Artifacts {
		if u.Origin != nil && !u.Origin.inStore(a.Blob) {
			return true
		}
	}
	return false
}

// askSource checks that the source has all files for the image. A dry run does not make the image.
func (u *uploader) askSource(ctx context.Context) error {
	var far Amount
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(6 * u.Parallel)
	for _, a := range u.Lock.Artifacts {
		if !u.Origin.inStore(a.Blob) {
			far.add(a.Blob)
			group.Go(func() error { return u.inSource(groupCtx, a.Blob) })
		}
	}
	u.planned.unknown = fmt.Sprintf("%d upstream files with %d bytes would have to be downloaded first", far.Blobs, far.Bytes)
	return group.Wait()
}
