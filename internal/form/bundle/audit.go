package bundle

import (
	"cmp"
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// Audit checks every blob, as many at a time as parallel says and the largest
// first, and reports what is wrong. Hashed, if not nil, is told of the bytes of
// each, from several goroutines.
func (c *Contents) Audit(ctx context.Context, from oci.Reader, parallel int, r *audit.Report, hashed func(n int64)) error {
	for _, d := range append([]Document{c.Index}, c.Manifests...) {
		if c.alone && d.Member == "" {
			continue // it is not there
		}
		f := audit.File{Content: "the image index"}
		if d.Member != "" {
			f.Content = "the manifest of " + d.memberName()
		}
		if d.Platform != nil {
			f.Platforms = []agent.Platform{*d.Platform}
		}
		_ = oci.Report(r, d.Blob(), f, nil) // it was compared when it was read
	}
	pinned := map[lock.Blob]bool{}
	for _, b := range c.Lock.Blobs() {
		pinned[b] = true
	}
	sources := map[lock.SHA256][]lock.Artifact{}
	for _, a := range c.Lock.Artifacts {
		sources[a.SHA256] = append(sources[a.SHA256], a)
	}
	blobs := slices.Clone(c.Blobs)
	slices.SortStableFunc(blobs, func(a, b lock.Blob) int { return cmp.Compare(b.Size, a.Size) })
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(parallel, 1))
	for _, b := range blobs {
		group.Go(func() error {
			f := audit.File{Content: c.What(b.SHA256), Platforms: c.platformsOf(b), Sources: sources[b.SHA256]}
			if pinned[b] {
				f.Basis = audit.ByLock
			}
			err := oci.Check(ctx, from, b)
			if hashed != nil && fault.KindOf(err) != fault.Incomplete {
				hashed(b.Size)
			}
			return oci.Report(r, b, f, err)
		})
	}
	return group.Wait()
}

func (d Document) memberName() string {
	if role, ok := d.ImageRole(); ok {
		return role.What()
	}
	if d.Member == MemberChart {
		return "the chart"
	}
	return "the plugins"
}

// platformsOf returns the platforms whose manifests name a blob.
func (c *Contents) platformsOf(b lock.Blob) []agent.Platform {
	var platforms []agent.Platform
	for _, m := range c.Manifests {
		if m.Platform != nil && slices.Contains(m.Blobs, b) && !slices.Contains(platforms, *m.Platform) {
			platforms = append(platforms, *m.Platform)
		}
	}
	slices.SortFunc(platforms, agent.ComparePlatforms)
	return platforms
}
