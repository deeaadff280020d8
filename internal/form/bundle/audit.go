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

// Audit checks every blob, as many at a time as parallel says and the largest first, and reports
// what is wrong. If hashed is not nil, it is called with the number of bytes of each blob, from
// several goroutines.
func (c *Contents) Audit(ctx context.Context, from oci.Reader, parallel int, r *audit.Report, hashed func(n int64)) error {
	for _, d := range append([]Document{c.Index}, c.Manifests...) {
		if c.alone && d.Member == "" {
			continue // it is not there
		}
		f := audit.File{Content: d.what()}
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
			f := audit.File{Content: c.What(b.SHA256), Platforms: c.uses()[b.SHA256].platforms, Sources: sources[b.SHA256]}
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

// use says what a blob is for in a bundle.
type use struct {
	what string
	// platforms are those whose manifests name the blob.
	platforms []agent.Platform
	// forAll says that the blob is for all platforms, so messages name none.
	forAll bool
}

// What says in messages what a blob is, and for which platforms.
func (c *Contents) What(d lock.SHA256) string {
	u := c.uses()[d]
	if u.forAll || len(u.platforms) == 0 {
		return cmp.Or(u.what, "a blob")
	}
	return u.what + " for " + agent.JoinPlatforms(u.platforms)
}

func (c *Contents) describe() map[lock.SHA256]use {
	uses := map[lock.SHA256]use{}
	add := func(d lock.SHA256, what string, forAll bool) {
		if _, had := uses[d]; !had {
			uses[d] = use{what: what, forAll: forAll}
		}
	}
	for _, m := range c.Manifests {
		add(m.Blob().SHA256, "a manifest", true)
	}
	for _, r := range c.Lock.Repositories {
		add(r.Index.SHA256, fmt.Sprintf("the index of repository %q, %s", r.Name, agent.Redact(r.URL)), true)
		for _, s := range r.Schemas {
			add(s.SHA256, "the schema "+agent.Redact(s.URL), true)
		}
	}
	for _, a := range c.Lock.Artifacts {
		add(a.SHA256, agent.Redact(a.URL), false)
	}
	for _, m := range c.Manifests {
		for i, b := range m.Blobs {
			role, isImage := m.ImageRole()
			switch {
			case isImage:
				add(b.SHA256, fmt.Sprintf("a blob of %s %s", role.What(), c.Lock.Image(role).Reference), false)
			case m.Member == MemberChart && i == 0:
				add(b.SHA256, "the metadata of the chart", true)
			case m.Member == MemberChart:
				add(b.SHA256, "the chart "+agent.Redact(c.Lock.Chart.URL), true)
			default:
				add(b.SHA256, "the lock", true)
			}
			if u := uses[b.SHA256]; m.Platform != nil && !slices.Contains(u.platforms, *m.Platform) {
				u.platforms = append(u.platforms, *m.Platform)
				slices.SortFunc(u.platforms, agent.ComparePlatforms)
				uses[b.SHA256] = u
			}
		}
	}
	return uses
}
