package atomicdir

import (
	"context"
	"errors"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
)

// Settle waits until no other run writes a directory, in which it changes
// nothing. Where directories cannot be locked, it does not wait.
func Settle(ctx context.Context, dir string, waiting func(path string)) error {
	root, err := disk.OpenRoot(dir)
	if err != nil {
		return nil // opening it to read says what is wrong
	}
	defer root.Close()
	held, err := filelock.Wait(ctx, dir, waiting, func() (*filelock.Lock, error) {
		held, err := filelock.TryDir(root, MetaDir)
		if err != nil {
			return nil, errNoLock // whatever it is, Wait is not to try again
		}
		return held, nil
	})
	if errors.Is(err, errNoLock) {
		return nil
	}
	if err != nil {
		return err
	}
	return held.Unlock()
}

// errNoLock: no run writes the directory, or the lock is not for this user.
var errNoLock = errors.New("no lock")
