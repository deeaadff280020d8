package dir

import (
	"context"
	"path"
	"path/filepath"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/project/cache"
)

// commit completes a platform's directory. The order counts: whatever comes
// last is what an agent, a later run or a person takes as the sign that the
// rest is there.
func (t *tree) commit(ctx context.Context, l *lock.Lock, p agent.Platform, o Options) (bool, error) {
	files, err := cache.Documents(l, p, o.Mount, t.made, o.Source)
	if err != nil {
		return false, err
	}
	if err := t.syncDirs(); err != nil {
		return false, err
	}
	written := false
	for _, f := range files {
		changed, err := t.put(ctx, f.Path, f.Data)
		if err != nil {
			return false, err
		}
		written = written || changed
	}
	if err := t.writeSuperseded(supersededBy(t.superseded(), cache.Paths(l, p))); err != nil {
		return false, err
	}
	t.committed = true
	return written, t.syncDirs()
}

// syncDirs makes the names of the tree's files durable.
func (t *tree) syncDirs() error {
	dirs := map[string]bool{".": true, metaDir: true}
	for p := range t.made {
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			dirs[dir] = true
		}
	}
	for _, dir := range t.created {
		if err := disk.SyncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	for _, dir := range sortedKeys(dirs) {
		if err := disk.SyncDir(filepath.Join(t.path, filepath.FromSlash(dir))); err != nil {
			return err
		}
	}
	return nil
}

// commitWhole writes the lock of a directory for several platforms. The sums of
// one for a single platform, which it may have been, no longer hold.
func (t *tree) commitWhole(ctx context.Context, l *lock.Lock) (bool, error) {
	data, err := l.Marshal()
	if err != nil {
		return false, err
	}
	written, err := t.put(ctx, lockPath, data)
	if err != nil {
		return false, err
	}
	t.committed = true
	if err := t.writeSuperseded(supersededBy(t.superseded(), t.layoutOf(l))); err != nil {
		return false, err
	}
	if _, err := t.root.Lstat(sumsPath); err == nil {
		if err := t.root.Remove(sumsPath); err != nil {
			return false, err
		}
	}
	return written, t.syncDirs()
}
