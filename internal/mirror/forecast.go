package mirror

import (
	"context"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/push"
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
	var temporary int64
	for _, t := range o.Outputs {
		if t.Path == form.StandardStream || f.from.Blobs == nil && t.LockPath == "" {
			continue // the latter is refused when it is opened
		}
		n := Need{Use: UseOutput, Path: t.Path}
		n.Needed, n.AtLeast = t.Need(ctx, t.Path, f.lock, f.from)
		needs = append(needs, n)
		if t.NeedTemporary != nil {
			temporary = t.NeedTemporary(f.lock)
		}
	}
	if temporary > 0 {
		needs = append(needs, tempNeed(temporary))
	}
	return needs
}

// pullNeeds says what a pull will write, and where.
func (s *Session) pullNeeds(ctx context.Context, plan *resolve.Plan, result *Result, from form.Content, o WriteOptions) []Need {
	f := s.forecast(plan, result, from)
	store := s.storeNeed(plan, result, f, func(ArtifactResult) bool { return true })
	var members []lock.Blob
	for _, b := range plan.Lock.ImageBlobs() {
		members = append(members, b.Blob)
	}
	store.Needed += s.lacking(members)
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
			bytes += max(b.Size-s.Store.Partial("blob "+b.SHA256.OCI()), 0)
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
		needs = append(needs, Need{Use: UseStore, Path: s.Store.Dir(), Needed: s.lacking(push.Blobs(l, skip))})
	}
	if !slices.Contains(skip, push.Image) {
		needs = append(needs, tempNeed(push.NeedTemporary(l)))
	}
	return needs
}
