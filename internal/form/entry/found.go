package entry

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
)

// Found is a file of a tree as it was found.
type Found struct {
	lock.Blob
	disk.Access
	// Problem says in words why the file cannot be used: "it is a link, not a regular
	// file", or that it cannot be read. The rest is not known then.
	Problem string
	// Program is what the file is to the system that would run it, if that is known.
	Program agent.Program
	// Data is the content of a document.
	Data []byte
}

// Find reads the files of a plan, the largest first, and as many at a time as there are processors.
// Missing files are not in the result. If hashed is not nil, it is called with the number of bytes
// that were read, from several goroutines.
func Find(ctx context.Context, t *atomicdir.Tree, plan []Entry, hashed func(int64)) (map[string]Found, error) {
	found := map[string]Found{}
	sizes := map[string]int64{}
	var there []Entry
	for _, e := range plan {
		fi, err := t.Root.Lstat(e.Path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			sizes[e.Path] = fi.Size()
		}
		there = append(there, e)
	}
	slices.SortStableFunc(there, func(x, y Entry) int { return cmp.Compare(sizes[y.Path], sizes[x.Path]) })
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, e := range there {
		group.Go(func() error {
			f, err := find(ctx, t, e)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				f = Found{Problem: problem(err)}
			} else if hashed != nil {
				hashed(f.Size)
			}
			mu.Lock()
			defer mu.Unlock()
			found[e.Path] = f
			return nil
		})
	}
	return found, group.Wait()
}

// find reads one file.
func find(ctx context.Context, t *atomicdir.Tree, e Entry) (f Found, err error) {
	fi, err := disk.StatRegular(t.Root, e.Path)
	if err != nil {
		return f, err
	}
	f.Access = disk.AccessOf(fi)
	if !e.Document {
		f.Blob, f.Program, err = Digest(ctx, t, e.Path, e.Most)
		return f, err
	}
	f.Data, err = t.Read(e.Path, e.Most)
	f.Blob = lock.Blob{Size: int64(len(f.Data)), SHA256: lock.Sum(f.Data)}
	return f, err
}

// problem says why a file cannot be used.
func problem(err error) string {
	if fault.KindOf(err) == fault.Integrity {
		return err.Error()
	}
	return "the file cannot be read: " + disk.Reason(err).Error()
}

// Digest returns the size and the digest of a file, and the kind of program that it is. A file of
// more than most bytes is an error of kind [fault.Integrity] and is not read: a sparse file of any
// size costs nothing to create.
func Digest(ctx context.Context, t *atomicdir.Tree, p string, most int64) (lock.Blob, agent.Program, error) {
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
		return lock.Blob{}, agent.Program{}, fault.New(fault.Integrity, "the file has %d bytes, but the maximum is %d", fi.Size(), most)
	}
	d := blob.NewDigest()
	var head agent.Head
	if err := blob.Copy(ctx, io.MultiWriter(&head, d), io.LimitReader(f, most+1)); err != nil {
		return lock.Blob{}, agent.Program{}, err
	}
	return d.Blob(), head.Program(), nil
}
