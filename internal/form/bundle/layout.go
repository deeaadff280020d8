package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

const (
	// tempPrefix begins the names of files on their way in a layout directory.
	tempPrefix = ".botkube-mirror-tmp-"
	// orasDir is what oras leaves, empty, in a layout that it writes.
	orasDir = "ingest"
	// windowsLock is what filelock locks on Windows.
	windowsLock = "writing.lock"
)

// CheckLayout reports why [WriteLayout] could not write a directory, before
// anything is done for it. It leaves nothing behind.
func CheckLayout(dir string) error {
	fi, err := os.Stat(dir)
	switch {
	case err == nil && !fi.IsDir():
		return fault.New(fault.Usage, "the output %s is a file, not a directory", dir).
			WithHint("name a directory that does not exist yet, or oci-archive:%s for a bundle that is a file", dir)
	case err != nil:
		if _, lerr := os.Lstat(dir); lerr == nil || !errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.Usage, "the output %s cannot be opened: %w", dir, err).
				WithHint("if it is a link, create the directory that it leads to")
		}
		return checkWritable(dir)
	}
	root, err := disk.OpenRoot(dir)
	if err != nil {
		return fault.New(fault.Usage, "opening the output directory: %w", err)
	}
	defer root.Close()
	if err := ours(dir, oci.Dir{Root: root}); err != nil {
		return err
	}
	return checkWritable(dir)
}

// checkWritable reports why a file could not be created in a directory, which
// need not exist.
func checkWritable(dir string) error {
	for {
		fi, err := os.Stat(dir)
		if err == nil && !fi.IsDir() {
			err = errors.New("it is not a directory")
		}
		if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
			dir = parent
			continue
		}
		if err == nil {
			err = disk.CheckWritable(dir, tempPrefix+"*")
		}
		if disk.IsFull(err) {
			return fault.New(fault.Unexpected, "the output directory %s cannot be written: %w", dir, err).
				WithHint("free some space and run the same command again")
		}
		if err != nil {
			return fault.New(fault.Usage, "the output directory %s cannot be written: %w", dir, err).
				WithHint("name an output that you may write to")
		}
		return nil
	}
}

// ours refuses a directory that holds anything but a bundle or the start of
// one.
func ours(dir string, in oci.Dir) error {
	foreign := func(format string, args ...any) error {
		return fault.New(fault.Usage, "the output directory %s is neither empty nor a bundle: "+format, append([]any{dir}, args...)...).
			WithHint("name a directory that does not exist yet; if this one was a bundle, remove it first")
	}
	names, err := in.Names(".")
	if err != nil {
		return err
	}
	has := map[string]bool{}
	for _, name := range names {
		switch {
		case name == "blobs", name == layoutName, name == indexName, name == atomicdir.MetaDir:
		case name == windowsLock, strings.HasPrefix(name, tempPrefix), disk.IsVolumeMetadata(name):
		case name == orasDir:
			if left, err := in.Names(name); err != nil || len(left) > 0 {
				return foreign("it has %q, which is not empty", name)
			}
		default:
			return foreign("it has %q", oci.Clip(name))
		}
		has[name] = true
	}
	written := namesBundle(in)
	if has["blobs"] {
		if unknown, err := unknownBlob(in, written); err != nil || unknown != "" {
			return errors.Join(err, foreign("it has %q", unknown))
		}
	}
	switch {
	case written:
		return nil // whatever became of the rest is written anew
	case !has[layoutName] && (has["blobs"] || has[indexName] || has[atomicdir.MetaDir]):
		return foreign("it has no %s", layoutName)
	case !has[layoutName] || !has[indexName]:
		return nil // what a killed run left
	}
	err = onlyBundle(dir, in)
	if errors.Is(err, ErrNotBundle) {
		return foreign("%v", err)
	}
	return err
}

// onlyBundle refuses a layout that holds anything beside a bundle, which writing it
// would take away: other tools put it there. A damaged bundle is written anew. What
// has no bundle is an [ErrNotBundle].
func onlyBundle(dir string, in oci.Dir) error {
	more := func(what string) error {
		return fault.New(fault.Usage, "the output directory %s holds more than a bundle that botkube-mirror wrote: %s", dir, what).
			WithHint("name a directory that does not exist yet, and copy the bundle from there; to write here, remove the directory first")
	}
	l := oci.OpenDir(in.Root, dir)
	all, err := l.Index()
	if err != nil {
		return nil
	}
	chosen, err := choose(context.Background(), l, "")
	if err != nil {
		_, unread := errors.AsType[*oci.Unread](err)
		switch {
		case unread && len(all) == 1:
			return nil
		case len(all) == 0 || errors.Is(err, ErrNotBundle):
			return err
		}
		return more(err.Error())
	}
	if len(chosen.Others) > 0 {
		return more(fmt.Sprintf("its %s also names %s", indexName, chosen.Others[0]))
	}
	c, err := readIndex(context.Background(), chosen.Data, l)
	for _, name := range chosen.Names {
		if err == nil && !(oci.Named{Names: []string{name}}).Answers(c.Tag) || err != nil && len(chosen.Names) > 1 {
			return more(fmt.Sprintf("its %s has the tag %q", indexName, oci.Clip(name)))
		}
	}
	return nil
}

// namesBundle reports whether index.json is, byte for byte, one that
// [Contents.indexJSON] writes.
func namesBundle(in oci.Dir) bool {
	data, err := in.Small(indexName)
	if err != nil {
		return false
	}
	all, err := oci.OpenDir(in.Root, "").Index()
	if err != nil || len(all) != 1 || len(all[0].Names) != 1 {
		return false
	}
	ours, err := indexJSON(all[0].Blob, all[0].Names[0])
	return err == nil && bytes.Equal(data, ours)
}

// unknownBlob returns the path of something under blobs that is no blob. Of a
// bundle, the directories of blobs themselves may have been replaced.
func unknownBlob(l oci.Dir, bundle bool) (string, error) {
	for _, dir := range []string{"blobs", blobsDir} {
		fi, err := l.Root.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		if !fi.IsDir() && bundle {
			return "", nil
		}
		if !fi.IsDir() {
			return dir, nil
		}
		names, err := l.Names(dir)
		if err != nil {
			return "", err
		}
		for _, name := range names {
			if d, err := lock.ParseSHA256(name); (dir != "blobs" || name != "sha256") && (err != nil || d.String() != name) {
				return dir + "/" + oci.Clip(name), nil
			}
		}
	}
	return "", nil
}

// WriteLayout writes the bundle as a directory: blobs first, and last index.json,
// which makes them a bundle. Blobs that are there and right are kept. A directory
// that is neither empty nor a bundle is refused. Blobs that this one does not name
// are removed in the end.
func WriteLayout(ctx context.Context, dir string, c *Contents, o Options) (changed bool, err error) {
	if err := CheckLayout(dir); err != nil {
		return false, err
	}
	t, held, created, err := claimLayout(ctx, dir, o)
	if err != nil {
		disk.RemoveDirs(created)
		return false, fmt.Errorf("writing the bundle %s: %w", dir, explain(tooLarge(err)))
	}
	changed, err = c.writeLayout(ctx, t, o)
	err = errors.Join(err, held.Unlock(), t.Close())
	if err != nil {
		disk.RemoveDirs(created)
		return changed, fmt.Errorf("writing the bundle %s: %w", dir, explain(tooLarge(err)))
	}
	for _, d := range created {
		if err := disk.SyncDir(filepath.Dir(d)); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// claimLayout opens a directory, which it creates if need be, and locks it, once no
// other run writes it.
func claimLayout(ctx context.Context, dir string, o Options) (t *atomicdir.Tree, held *filelock.Lock, created []string, err error) {
	tell := func() {
		if o.Waiting != nil {
			o.Waiting(dir)
		}
	}
	vanished := 0
	held, err = filelock.Wait(ctx, tell, func() (l *filelock.Lock, err error) {
		made, err := disk.MakeDirsFor(dir, dirMode, disk.Self())
		created = append(created, made...)
		if err == nil {
			t, l, err = tryLayout(dir)
		}
		if errors.Is(err, fs.ErrNotExist) && vanished < 20 {
			vanished++
			return nil, nil
		}
		return l, err
	})
	return t, held, created, err
}

// tryLayout opens a directory that is there, and locks it. It returns nil if another
// run has it.
func tryLayout(dir string) (*atomicdir.Tree, *filelock.Lock, error) {
	t, err := atomicdir.OpenExisting(dir)
	if err != nil {
		return nil, nil, err
	}
	l, err := filelock.TryDir(t.Root, ".")
	if err == nil && l != nil && stillThere(l, dir) {
		return t, l, nil
	}
	if l != nil {
		err = l.Unlock()
	}
	return nil, nil, errors.Join(err, t.Close())
}

// stillThere reports whether what was locked is what lies at the path. Where a
// file is locked in its stead, that cannot be removed under its owner.
func stillThere(l *filelock.Lock, dir string) bool {
	locked, err := l.Stat()
	if err != nil || !locked.IsDir() {
		return err == nil
	}
	there, err := os.Stat(dir)
	return err == nil && os.SameFile(locked, there)
}

// layoutWriter writes one layout directory.
type layoutWriter struct {
	ctx      context.Context
	in       oci.Dir
	tree     *atomicdir.Tree
	contents *Contents
	temps    atomic.Int64
	changed  atomic.Bool
}

func (c *Contents) writeLayout(ctx context.Context, t *atomicdir.Tree, o Options) (changed bool, err error) {
	w := &layoutWriter{ctx: ctx, in: oci.Dir{Root: t.Root}, tree: t, contents: c}
	if err := ours(t.Path, w.in); err != nil {
		return false, err
	}
	t.MayDisplace(o.Displaced)
	index, err := c.indexJSON()
	if err != nil {
		return false, err
	}
	if err := w.sweep(); err != nil {
		return false, err
	}
	if err := w.put(layoutName, []byte(layoutContent)); err != nil {
		return false, err
	}
	if err := t.MkdirAll(blobsDir); err != nil {
		return false, err
	}
	err = w.blobs()
	if err == nil {
		err = syncDirs(t, blobsDir, "blobs")
	}
	if err == nil {
		err = w.put(indexName, index)
	}
	if err == nil {
		err = syncDirs(t, ".")
	}
	if err == nil {
		err = w.removeOthers()
	}
	return w.changed.Load(), err
}

// syncDirs makes names durable, also those that a run has written which was
// killed.
func syncDirs(t *atomicdir.Tree, subs ...string) error {
	for _, sub := range subs {
		if err := disk.SyncDirIn(t.Root, sub); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what killed runs left.
func (w *layoutWriter) sweep() error {
	names, err := w.in.Names(".")
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, tempPrefix) {
			if err := w.in.Root.RemoveAll(name); err != nil {
				return fmt.Errorf("sweeping what a killed run left: %w", err)
			}
		}
	}
	return nil
}

// blobs writes those that are not there already.
func (w *layoutWriter) blobs() error {
	lacking, err := w.lacking()
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(w.ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, b := range lacking {
		g.Go(func() error { return w.blob(ctx, b) })
	}
	return g.Wait()
}

// lacking returns the blobs that are absent or wrong.
func (w *layoutWriter) lacking() ([]lock.Blob, error) {
	all := w.contents.order()
	has := make([]bool, len(all))
	g, ctx := errgroup.WithContext(w.ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, b := range all {
		g.Go(func() (err error) {
			has[i], err = w.tree.Holds(ctx, oci.BlobPath(b.SHA256), b, fileMode)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var lacking []lock.Blob
	for i, b := range all {
		if !has[i] {
			lacking = append(lacking, b)
		}
	}
	return lacking, nil
}

// blob writes one blob, and compares what was written.
func (w *layoutWriter) blob(ctx context.Context, b lock.Blob) error {
	s := segment{blob: &b}
	if data, ok := w.contents.made[b.SHA256]; ok {
		s = segment{data: data}
	}
	return w.write(oci.BlobPath(b.SHA256), func(f *os.File) error {
		return w.contents.copyCompared(ctx, f, []segment{s})
	})
}

// put writes a small file that is not there already.
func (w *layoutWriter) put(name string, data []byte) error {
	blob := lock.Blob{Size: int64(len(data)), SHA256: lock.Sum(data)}
	if same, err := w.tree.Holds(w.ctx, name, blob, fileMode); err != nil || same {
		return err
	}
	return w.write(name, func(f *os.File) error {
		_, err := f.Write(data)
		return err
	})
}

// write fills a file under a temporary name, and renames it.
func (w *layoutWriter) write(name string, fill func(f *os.File) error) error {
	root := w.in.Root
	temp := tempPrefix + strconv.FormatInt(w.temps.Add(1), 10)
	f, err := root.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	err = fill(f)
	if err == nil {
		err = disk.SetMode(f, w.tree.At(name), fileMode, disk.Self())
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = w.tree.MakeWay(name)
	}
	if err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		_ = root.Remove(temp)
		return err
	}
	w.changed.Store(true)
	return nil
}

// removeOthers removes the blobs of bundles that were there before. That nothing
// else is there was seen to in the beginning.
func (w *layoutWriter) removeOthers() error {
	keep := map[string]bool{}
	for _, b := range w.contents.order() {
		keep[b.SHA256.String()] = true
	}
	names, err := w.in.Names(blobsDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if keep[name] {
			continue
		}
		if err := w.tree.Remove(blobsDir + "/" + name); err != nil {
			return fmt.Errorf("removing a blob of the bundle that was there: %w", err)
		}
		w.changed.Store(true)
	}
	return nil
}
