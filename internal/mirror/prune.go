package mirror

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
)

// Pruned is what was removed. It is printed as JSON for machines.
type Pruned struct {
	// DryRun says that nothing was removed: the rest is what would be.
	DryRun bool `json:"dryRun"`
	// Removed are paths in a directory, or digests of blobs in the store.
	Removed []string `json:"removed"`
	// Bytes is their size, in the store with that of what killed runs left.
	Bytes int64 `json:"bytes"`
}

// Prune removes files that the lock of a mirror no longer names. In a site, these are the files that no
// version's lock names. A dry one changes and locks nothing.
func (s *Session) Prune(ctx context.Context, target string, dry bool) (Pruned, error) {
	p, err := s.locate(ctx, target)
	if err != nil {
		return Pruned{}, err
	}
	pruned, err := forms.All.Prune(ctx, p, dry)
	return Pruned{DryRun: dry, Removed: append([]string{}, pruned.Paths...), Bytes: pruned.Bytes}, err
}

// SweepStore removes blobs that no output on this machine needs, and temporary files of killed
// runs. If the store is only for looking, it returns what it would remove.
func SweepStore(ctx context.Context, s *store.Store) (Pruned, error) {
	needed := map[lock.SHA256]bool{}
	var unread []error
	err := s.Roots(func(path string, data []byte) (keep bool) {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return false
		}
		l, err := lock.Parse(data)
		if err != nil {
			unread = append(unread, fault.New(fault.Integrity, "the store's lock of %s cannot be read: %w", path, err).
				WithHint("pull %[1]s again, or remove it; then prune again", path))
			return true
		}
		for _, blob := range l.Blobs() {
			needed[blob.SHA256] = true
		}
		return true
	})
	if err := errors.Join(append(unread, err)...); err != nil {
		return Pruned{}, err
	}
	removed, bytes, err := s.Sweep(ctx, func(d lock.SHA256) bool { return needed[d] })
	pruned := Pruned{DryRun: s.OnlyLooks(), Removed: []string{}, Bytes: bytes}
	for _, d := range removed {
		pruned.Removed = append(pruned.Removed, d.OCI())
	}
	return pruned, err
}
