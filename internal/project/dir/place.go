package dir

import (
	"context"
	"crypto/sha256"
	"io/fs"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/project/cache"
)

// place brings one file to its path.
func (t *tree) place(ctx context.Context, p agent.Platform, f lock.File, src cache.Source) (bool, error) {
	if known, ok := src.Known(p, f); ok {
		same, err := t.holds(ctx, f.Path, known, agent.BinaryMode)
		if same {
			t.record(f.Path, known)
		}
		if err != nil || same {
			return false, err
		}
	}
	staged, err := t.stage()
	if err != nil {
		return false, err
	}
	defer staged.discard()
	if err := src.Make(ctx, p, f, staged); err != nil {
		return false, err
	}
	made := staged.Blob()
	// What extraction gives was perhaps not known: now it is, and the file may
	// be right after all.
	same, err := t.holds(ctx, f.Path, made, agent.BinaryMode)
	if err == nil && !same {
		err = t.publish(staged, f.Path, agent.BinaryMode)
	}
	if err == nil {
		t.record(f.Path, made)
	}
	return !same, err
}

func (t *tree) record(p string, made lock.Blob) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.made[p] = made
}

// holds reports whether a regular file of a mode with a content is at a path.
// A wrong mode alone is mended.
func (t *tree) holds(ctx context.Context, p string, want lock.Blob, mode fs.FileMode) (bool, error) {
	fi, err := t.root.Lstat(p)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() != want.Size {
		return false, nil
	}
	f, err := t.root.Open(p)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	h := sha256.New()
	if err := cache.Copy(ctx, h, f); err != nil {
		return false, ctx.Err()
	}
	if lock.SHA256(h.Sum(nil)) != want.SHA256 {
		return false, nil
	}
	if fi.Mode().Perm() != mode {
		return true, t.root.Chmod(p, mode)
	}
	return true, nil
}

// writtenAtOnce is after how many bytes the disk is told to begin.
const writtenAtOnce = 8 << 20
