package bundle

import (
	"cmp"
	"context"
	"fmt"
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
		b := d.Blob()
		f := audit.File{Path: oci.BlobPath(b.SHA256), Content: "the image index", State: audit.Intact, Size: b.Size, SHA256: &b.SHA256, Basis: audit.ByManifest}
		if d.Member != "" {
			f.Content = "the manifest of " + d.memberName()
		}
		if d.Platform != nil {
			f.Platforms = []agent.Platform{*d.Platform}
		}
		r.Add(f, "") // it was compared when it was read
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
			f := audit.File{
				Path: oci.BlobPath(b.SHA256), Content: c.What(b.SHA256), Platforms: c.platformsOf(b), State: audit.Intact,
				Size: b.Size, SHA256: &b.SHA256, Basis: audit.ByManifest, Sources: sources[b.SHA256],
			}
			if pinned[b] {
				f.Basis = audit.ByLock
			}
			err := oci.Check(ctx, from, b)
			if hashed != nil && fault.KindOf(err) != fault.Incomplete {
				hashed(b.Size)
			}
			return report(r, f, err)
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

// report tells what was found of a blob. An error that is no damage is returned.
func report(r *audit.Report, f audit.File, err error) error {
	if err == nil {
		r.Add(f, "")
		return nil
	}
	state, ok := audit.StateOf(err)
	if !ok {
		return err
	}
	detail := fmt.Sprintf("%s: %v", f.Content, err)
	if state == audit.Missing {
		detail = f.Content + ": it is missing"
	}
	f.State, f.Expected, f.SHA256, f.Size = state, f.SHA256, nil, 0
	r.Add(f, detail)
	return nil
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
