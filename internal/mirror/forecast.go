package mirror

import (
	"bytes"
	"context"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/dir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/push"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// forecast is what can be told of the outputs before anything is downloaded.
type forecast struct {
	// lock has the sizes that are known, and 0 for the others. A digest that is
	// not known is one that nothing has.
	lock *lock.Lock
	from form.Content
}

// forecast takes what is known of a plan for its lock.
func (s *Session) forecast(plan *resolve.Plan, result *Result, from form.Content) *forecast {
	l := *plan.Lock
	l.Artifacts = slices.Clone(l.Artifacts)
	f := &forecast{lock: &l, from: from}
	for i, known := range result.Artifacts {
		a := &l.Artifacts[i]
		a.Size, a.SHA256 = max(known.Size, 0), lock.Sum([]byte(a.URL))
		if sum, err := lock.ParseSHA256(known.SHA256); err == nil {
			a.SHA256 = sum
		} else if r, ok := s.Store.URLRecord(agent.Redact(plan.Downloads[i].URL)); ok {
			a.SHA256 = r.SHA256
		}
	}
	return f
}

// needs says what the outputs will take.
func (f *forecast) needs(ctx context.Context, o WriteOptions) []Need {
	var needs []Need
	images := false
	for _, t := range o.Outputs {
		n := Need{Use: UseOutput, Path: t.Path}
		switch {
		case t.Path == form.StandardStream:
			continue
		case t.Prefix == "dir":
			n.Needed, n.AtLeast = entry.Missing(t.Path, dir.Plan(f.lock, f.from.Plugins))
		case f.from.Blobs == nil:
			continue // refused when it is opened
		case t.Prefix == "oci-archive":
			n.Needed, n.AtLeast = f.archive(ctx, t.Path)
		case t.Prefix == "oci":
			n.Needed, n.AtLeast = entry.Missing(t.Path, bundle.LayoutPlan(f.lock.Blobs()))
		case t.Prefix == "site":
			n.Needed, n.AtLeast = entry.Missing(t.Path, site.Plan(f.lock))
		case t.Prefix == "image":
			// The new one lies beside the old one while they are compared.
			n.Needed, n.AtLeast, images = sum(f.layers()), true, true
		}
		needs = append(needs, n)
	}
	if images {
		needs = append(needs, tempNeed(f.waiting()))
	}
	return needs
}

// guesses reports whether there is a size that is not known.
func (f *forecast) guesses() bool {
	return slices.ContainsFunc(f.lock.Artifacts, func(a lock.Artifact) bool { return a.Size == 0 })
}

// archive is the size of a bundle in a file, unless that is there already: a new
// one is written beside the old one.
func (f *forecast) archive(ctx context.Context, path string) (needed int64, atLeast bool) {
	if f.isThere(ctx, path) {
		return 0, false
	}
	contents, err := bundle.Plan(ctx, f.lock, f.from.Blobs)
	if err != nil {
		// Something that tells of the rest is still to be fetched.
		return sizeOf(f.lock.Blobs()), true
	}
	return contents.Size(), f.guesses()
}

// isThere reports whether a file is a bundle with this lock.
func (f *forecast) isThere(ctx context.Context, path string) bool {
	if oci.Sniff(path) != oci.InTar {
		return false
	}
	p, err := forms.All.Locate(path, nil)
	if err != nil {
		return false
	}
	m, err := forms.All.Open(ctx, p)
	if err != nil {
		return false
	}
	defer m.Close()
	there, errThere := m.Lock.Marshal()
	wanted, err := f.lock.Marshal()
	return errThere == nil && err == nil && bytes.Equal(there, wanted)
}

// compressed is what a layer leaves of a program, about: one part of so many.
const compressed = 3

// layers estimates the sizes of an image's layers of files: an archive is as
// large as a layer of what is in it, and a program is compressed.
func (f *forecast) layers() []int64 {
	var sizes []int64
	for _, p := range f.lock.Platforms {
		seen := map[string]bool{}
		for _, file := range f.lock.Files(p) {
			size := file.Artifact.Size
			if file.Format == "" {
				size /= compressed
			}
			if !seen[file.Artifact.URL] {
				sizes = append(sizes, size)
			}
			seen[file.Artifact.URL] = true
		}
	}
	return sizes
}

// waiting estimates how much of an image waits in temporary files for its turn:
// as many layers in a row as are made at a time.
func (f *forecast) waiting() int64 {
	sizes := f.layers()
	n := min(image.DefaultParallel(), len(sizes))
	var most int64
	for i := range len(sizes) - n + 1 {
		most = max(most, sum(sizes[i:i+n]))
	}
	return most
}

func sum(sizes []int64) (total int64) {
	for _, n := range sizes {
		total += n
	}
	return total
}

// pullNeeds says what a pull will write, and where.
func (s *Session) pullNeeds(ctx context.Context, plan *resolve.Plan, result *Result, from form.Content, o WriteOptions) []Need {
	f := s.forecast(plan, result, from)
	store := s.storeNeed(plan, result, f, func(ArtifactResult) bool { return true })
	store.Needed += s.lacking(memberBlobs(plan.Lock))
	return append([]Need{store}, f.needs(ctx, o)...)
}

// lockNeeds says what a lock takes: the files that must be seen to be pinned.
func (s *Session) lockNeeds(plan *resolve.Plan, result *Result) []Need {
	return []Need{s.storeNeed(plan, result, s.forecast(plan, result, form.Content{}), func(a ArtifactResult) bool { return !a.pinned() })}
}

// storeNeed says what the downloads of a plan take that are wanted and not there.
func (s *Session) storeNeed(plan *resolve.Plan, result *Result, f *forecast, wanted func(ArtifactResult) bool) Need {
	need := Need{Use: UseStore, Path: s.Store.Dir()}
	seen := map[lock.SHA256]bool{}
	for i, a := range f.lock.Artifacts {
		if known := result.Artifacts[i]; known.Status != StatusMissing || seen[a.SHA256] || !wanted(known) {
			continue
		}
		seen[a.SHA256] = true
		need.Needed += max(a.Size-s.Store.Partial(agent.Redact(plan.Downloads[i].URL)), 0)
		need.AtLeast = need.AtLeast || a.Size == 0
	}
	return need
}

// lacking is how much of a registry's blobs the store has not got.
func (s *Session) lacking(blobs []lock.Blob) (bytes int64) {
	seen := map[lock.SHA256]bool{}
	for _, b := range blobs {
		if _, there := s.Store.Has(b.SHA256); !there && !seen[b.SHA256] {
			bytes += max(b.Size-s.Store.Partial("blob "+digestOf(b)), 0)
		}
		seen[b.SHA256] = true
	}
	return bytes
}

// sourceNeeds says what outputs of a mirror will take, and the store, if the
// mirror is in a registry.
func (s *Session) sourceNeeds(ctx context.Context, src *source, l *lock.Lock, o WriteOptions) []Need {
	f := &forecast{lock: l, from: src.Content}
	needs := f.needs(ctx, o)
	if src.Obtain == nil {
		return needs
	}
	var blobs []lock.Blob
	for _, a := range l.Artifacts {
		blobs = append(blobs, a.Blob)
	}
	blobs = append(blobs, otherBlobs(l, o)...)
	return append([]Need{{Use: UseStore, Path: s.Store.Dir(), Needed: s.lacking(blobs)}}, needs...)
}

// pushNeeds says what a push keeps meanwhile: layers of the image, and what
// comes from another registry.
func (s *Session) pushNeeds(src *source, l *lock.Lock, skip []push.Part) []Need {
	var needs []Need
	if src.Obtain != nil {
		needs = append(needs, Need{Use: UseStore, Path: s.Store.Dir(), Needed: s.lacking(pushedBlobs(l, skip))})
	}
	if !slices.Contains(skip, push.Image) {
		needs = append(needs, tempNeed((&forecast{lock: l, from: src.Content}).waiting()))
	}
	return needs
}

// pushedBlobs lists the blobs of a source that go into the parts of a push.
func pushedBlobs(l *lock.Lock, skip []push.Part) (blobs []lock.Blob) {
	wanted := func(p push.Part) bool { return !slices.Contains(skip, p) || !slices.Contains(skip, push.Bundle) }
	if wanted(push.Image) {
		for _, a := range l.Artifacts {
			blobs = append(blobs, a.Blob)
		}
	}
	for _, b := range imageBlobs(l) {
		if wanted(push.PartOf(b.role)) {
			blobs = append(blobs, b.Blob)
		}
	}
	if l.Chart != nil {
		blobs = append(blobs, l.Chart.Blob) // it is read in any case
	}
	return blobs
}
