package mirror

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/push"
)

// Use is the purpose of disk space that a run needs.
type Use string

// The purposes of disk space.
const (
	UseStore     Use = "store"
	UseOutput    Use = "output"
	UseTemporary Use = "temporary"
)

// Need is how many bytes a run will write to a directory or a file.
type Need struct {
	Use  Use    `json:"use"`
	Path string `json:"path"`
	// Needed is in bytes.
	Needed int64 `json:"needed"`
	// AtLeast says that it may be more: a size is not known, or an archive was not unpacked yet.
	AtLeast bool `json:"atLeast,omitempty"`
}

func (n Need) String() string {
	switch n.Use {
	case UseStore:
		return "the store " + n.Path
	case UseTemporary:
		return "temporary files in " + n.Path
	}
	return "the output " + n.Path
}

// DiskUse is the space that a run needs on a file system, and its free space.
type DiskUse struct {
	// Needed is the sum of the needs.
	Needed  int64 `json:"needed"`
	AtLeast bool  `json:"atLeast,omitempty"`
	// Free is in bytes, or -1 where it cannot be told.
	Free int64 `json:"free"`
	// For are the needs on this file system.
	For []Need `json:"for"`
}

// Short reports whether the file system has too little free space.
func (u DiskUse) Short() bool { return u.Free >= 0 && u.Needed > u.Free }

func diskUses(needs []Need) []DiskUse {
	uses := []DiskUse{}
	at := map[string]int{}
	for _, n := range needs {
		space, ok := disk.SpaceAt(n.Path)
		i, known := at[space.FileSystem]
		if !ok || !known {
			i = len(uses)
			uses = append(uses, DiskUse{Free: -1})
		}
		if ok {
			at[space.FileSystem] = i
			uses[i].Free = space.Free
		}
		uses[i].Needed += n.Needed
		uses[i].AtLeast = uses[i].AtLeast || n.AtLeast
		uses[i].For = append(uses[i].For, n)
	}
	return uses
}

// checkRoom refuses to begin what a disk has no room for.
func checkRoom(needs []Need) error {
	var short []string
	var on []Use
	for _, u := range diskUses(needs) {
		if !u.Short() {
			continue
		}
		short = append(short, u.shortage())
		for _, n := range u.For {
			on = append(on, n.Use)
		}
	}
	if len(short) == 0 {
		return nil
	}
	return fault.New(fault.Unexpected, "not enough space on the disk: %s", strings.Join(short, "; ")).
		WithHint("%s", roomHint(on))
}

func (u DiskUse) shortage() string {
	var names []string
	for _, n := range u.For {
		if n.Needed > 0 {
			names = append(names, n.String())
		}
	}
	needed, free := humanize.IBytes(uint64(u.Needed)), humanize.IBytes(uint64(u.Free))
	if needed == free {
		needed, free = fmt.Sprintf("%d bytes", u.Needed), fmt.Sprintf("%d bytes", u.Free)
	}
	if u.AtLeast {
		needed = "at least " + needed
	}
	return fmt.Sprintf("%s: %s needed, %s free", strings.Join(names, ", "), needed, free)
}

func roomHint(on []Use) string {
	var ways []string
	if slices.Contains(on, UseStore) {
		ways = append(ways, "a store on another disk (--store)")
	}
	if slices.Contains(on, UseOutput) {
		ways = append(ways, "an output on another disk")
	}
	if slices.Contains(on, UseTemporary) {
		ways = append(ways, "another directory for temporary files (environment variable TMPDIR)")
	}
	hint := "free some space, or use " + strings.Join(ways, ", or ")
	if slices.Contains(on, UseStore) {
		hint += "\nto remove files from the store that no output on this machine needs: botkube-mirror prune"
	}
	return hint
}

// tempNeed is what waits in the directory for temporary files.
func tempNeed(needed int64) Need {
	return Need{Use: UseTemporary, Path: filepath.Clean(os.TempDir()), Needed: needed, AtLeast: true}
}

// expectedLock returns a plan's lock as far as it is known before a download, with sizes of 0 where
// they are unknown. A digest that is not known is one that nothing has.
func (d *downloads) expectedLock() *lock.Lock {
	l := *d.plan.Lock
	l.Artifacts = slices.Clone(l.Artifacts)
	for i, known := range d.result.Artifacts {
		a := &l.Artifacts[i]
		a.Size, a.SHA256 = max(known.Size, 0), lock.Sum([]byte(a.URL))
		if sum, err := lock.ParseSHA256(known.SHA256); err == nil {
			a.SHA256 = sum
		} else if r, ok := d.Store.URLRecord(agent.Redact(d.plan.Downloads[i].URL)); ok {
			a.SHA256 = r.SHA256
		}
	}
	return &l
}

// needs says what a pull will write, and where.
func (d *downloads) needs(ctx context.Context, from form.Content, o WriteOptions) []Need {
	l := d.expectedLock()
	store := d.storeNeed(l, func(ArtifactResult) bool { return true })
	store.Needed += d.lacking(memberBlobs(l))
	return append([]Need{store}, o.needs(ctx, l, from)...)
}

// storeNeed says what the downloads of a plan take that are wanted and not there.
func (d *downloads) storeNeed(l *lock.Lock, wanted func(ArtifactResult) bool) Need {
	need := Need{Use: UseStore, Path: d.Store.Dir()}
	seen := map[lock.SHA256]bool{}
	for i, a := range l.Artifacts {
		if known := d.result.Artifacts[i]; known.Status != StatusMissing || seen[a.SHA256] || !wanted(known) {
			continue
		}
		seen[a.SHA256] = true
		need.Needed += max(a.Size-d.Store.Partial(agent.Redact(d.plan.Downloads[i].URL)), 0)
		need.AtLeast = need.AtLeast || a.Size == 0
	}
	return need
}

func (o WriteOptions) needs(ctx context.Context, l *lock.Lock, from form.Content) []Need {
	var needs []Need
	var temporary int64
	for _, t := range o.Outputs {
		if t.Path == form.StandardStream || from.Blobs == nil && t.LockPath == "" {
			continue // the latter is refused when it is opened
		}
		n := Need{Use: UseOutput, Path: t.Path}
		n.Needed, n.AtLeast = t.Need(ctx, t.Path, l, from)
		needs = append(needs, n)
		if t.NeedTemporary != nil {
			temporary = t.NeedTemporary(l)
		}
	}
	if temporary > 0 {
		needs = append(needs, tempNeed(temporary))
	}
	return needs
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

// The store is needed for a mirror in a registry.
func (s *Session) unpackNeeds(ctx context.Context, src *source, l *lock.Lock, o WriteOptions) []Need {
	needs := o.needs(ctx, l, src.Content)
	if src.Obtain == nil {
		return needs
	}
	blobs := memberBlobs(l)
	for _, a := range l.Artifacts {
		blobs = append(blobs, a.Blob)
	}
	return append([]Need{{Use: UseStore, Path: s.Store.Dir(), Needed: s.lacking(blobs)}}, needs...)
}

// pushNeeds says what a push keeps meanwhile: layers, and what comes from another registry.
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
