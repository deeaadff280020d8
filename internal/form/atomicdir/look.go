package atomicdir

import (
	"context"
	"crypto/sha256"
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
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

// Digest returns the size and digest of a file's content, and what it is to the
// system that would run it. One of more than most bytes is an error of kind
// [fault.Integrity], and not read: whoever may write here can make a file of any
// size at no cost.
func (t *Tree) Digest(ctx context.Context, p string, most int64) (lock.Blob, agent.Program, error) {
	f, err := disk.OpenRegular(t.Root, p)
	if err != nil {
		return lock.Blob{}, agent.Program{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return lock.Blob{}, agent.Program{}, err
	}
	if fi.Size() > most {
		return lock.Blob{}, agent.Program{}, fault.New(fault.Integrity, "it has %d bytes, more than the %d that it may have", fi.Size(), most)
	}
	h := sha256.New()
	var head agent.Head
	if err := blob.Copy(ctx, io.MultiWriter(&head, h), io.LimitReader(f, most+1)); err != nil {
		return lock.Blob{}, agent.Program{}, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	return lock.Blob{Size: size, SHA256: lock.SHA256(h.Sum(nil))}, head.Program(), err
}
