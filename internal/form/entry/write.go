package entry

import (
	"context"
	"path"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
)

// Write writes the file of an entry to a tree. If the file already has the right bytes, only its
// mode is corrected. It returns what the file is, and whether it was written.
func Write(ctx context.Context, t *atomicdir.Tree, e Entry) (made lock.Blob, written bool, err error) {
	there, same, err := holds(ctx, t, e)
	if err != nil || same {
		return there, false, err
	}
	staged, err := t.Stage()
	if err != nil {
		return lock.Blob{}, false, err
	}
	defer staged.Discard()
	if err := e.Make(ctx, staged); err != nil {
		return lock.Blob{}, false, err
	}
	made = staged.Blob()
	if e.SHA256 != nil && (made.SHA256 != *e.SHA256 || !e.Guess && made.Size != e.Size) {
		return lock.Blob{}, false, fault.New(fault.Integrity, "the file has %d bytes and the sha256 %s, but should have %d bytes and %s", made.Size, made.SHA256, e.Size, *e.SHA256)
	}
	return made, true, staged.Publish(e.Path, e.Mode)
}

// holds reports whether a regular file with the content of an entry is at its path, to
// which no link leads. Modes are mended then, those of the directories above it too.
func holds(ctx context.Context, t *atomicdir.Tree, e Entry) (lock.Blob, bool, error) {
	fi, err := disk.StatRegular(t.Root, e.Path)
	if err != nil || fi.Size() > e.Most {
		return lock.Blob{}, false, nil
	}
	want := e.SHA256
	if want == nil {
		// A copy may be right, and belong to another user: it is made to nowhere.
		d := blob.NewDigest()
		if err := e.Make(ctx, d); err != nil {
			return lock.Blob{}, false, err
		}
		made := d.Blob()
		want, e.Size, e.Guess = &made.SHA256, made.Size, false
	}
	if !e.Guess && fi.Size() != e.Size {
		return lock.Blob{}, false, nil
	}
	got, _, err := Digest(ctx, t, e.Path, e.Most)
	if err != nil {
		return lock.Blob{}, false, context.Cause(ctx)
	}
	if got.SHA256 != *want {
		return lock.Blob{}, false, nil
	}
	if err := t.MkdirAll(path.Dir(e.Path)); err != nil {
		return lock.Blob{}, false, err
	}
	return got, true, t.Mend(e.Path, fi, e.Mode, e.Needed)
}

// WriteAll writes entries in their order, and reports whether any was written.
func WriteAll(ctx context.Context, t *atomicdir.Tree, plan []Entry) (written bool, err error) {
	for _, e := range plan {
		_, changed, err := Write(ctx, t, e)
		if err != nil {
			return false, err
		}
		written = written || changed
	}
	return written, nil
}

// Paths returns those of a plan.
func Paths(plan []Entry) []string {
	paths := make([]string, len(plan))
	for i, e := range plan {
		paths[i] = e.Path
	}
	return paths
}

// Missing sums up, in bytes, the entries that a directory lacks, as far as a look at
// sizes tells. AtLeast says that it may be more: the size of one is a guess.
func Missing(dir string, plan []Entry) (bytes int64, atLeast bool) {
	root, err := disk.OpenRoot(dir)
	if err == nil {
		defer root.Close()
	}
	for _, e := range plan {
		if err == nil {
			fi, err := disk.StatRegular(root, e.Path)
			if err == nil && (fi.Size() == e.Size || e.Guess && fi.Size() > e.Size) {
				continue
			}
		}
		bytes += e.Size
		atLeast = atLeast || e.Guess
	}
	return bytes, atLeast
}
