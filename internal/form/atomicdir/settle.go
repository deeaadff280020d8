package atomicdir

import (
	"context"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
)

// Settle waits until no other run writes a directory, in which it changes
// nothing. Where directories cannot be locked, it does not wait.
func Settle(ctx context.Context, dir string, waiting func(path string)) error {
	tell := func() {
		if waiting != nil {
			waiting(dir)
		}
	}
	root, err := disk.OpenRoot(dir)
	if err != nil {
		return nil // opening it to read says what is wrong
	}
	defer root.Close()
	held, err := filelock.Wait(ctx, tell, func() (*filelock.Lock, error) { return filelock.TryDir(root, MetaDir) })
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return nil // there is no such directory, or it is not ours to lock
	}
	return held.Unlock()
}
