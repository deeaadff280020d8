package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

const (
	// orasDir is what oras leaves, empty, in a layout that it writes.
	orasDir = "ingest"
	// windowsLock is what filelock locks on Windows.
	windowsLock = "writing.lock"
)

// CheckLayout returns an error if [WriteLayout] could not write a directory. It leaves no files
// behind.
func CheckLayout(ctx context.Context, dir string) error {
	fi, err := os.Stat(dir)
	switch {
	case err == nil && !fi.IsDir():
		return fault.New(fault.Usage, "the output %s is a file, not a directory", dir).
			WithHint("name a directory that does not exist yet; or write the bundle to a file: -o oci-archive:%s", dir)
	case err != nil:
		if !errors.Is(err, fs.ErrNotExist) || disk.IsBrokenLink(dir) {
			return fault.New(fault.Usage, "the output %s cannot be opened: %w", dir, err).
				WithHint("if this is a symbolic link, create the directory that it points to")
		}
		return checkWritable(dir)
	}
	root, err := disk.OpenRoot(dir)
	if err != nil {
		return fault.New(fault.Usage, "opening the output directory: %w", err)
	}
	defer root.Close()
	if err := checkBundleDir(ctx, oci.OpenDir(root, dir)); err != nil {
		return err
	}
	return checkWritable(dir)
}

// checkWritable reports why a file could not be created in a directory, which
// need not exist.
func checkWritable(dir string) error {
	at := filepath.Clean(dir)
	for _, err := os.Stat(at); errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at); _, err = os.Stat(at) {
		at = filepath.Dir(at)
	}
	err := disk.CheckWritable(at, atomicdir.TempPrefix+"*")
	if err == nil {
		return nil
	}
	kind, hint := fault.Usage, "name an output that you can write to"
	if disk.IsFull(err) {
		kind, hint = fault.Unexpected, "free some space, and run the same command again"
	}
	return fault.New(kind, "the output directory %s cannot be written: %w", dir, err).WithHint("%s", hint)
}

// checkBundleDir refuses a directory that holds anything but a bundle or the start of one.
func checkBundleDir(ctx context.Context, l *oci.Layout) error {
	foreign := func(format string, args ...any) error {
		return fault.New(fault.Usage, "the output directory %s is neither empty nor a bundle: "+format, append([]any{l.Name()}, args...)...).
			WithHint("name a directory that does not exist yet; if this directory was a bundle, you can remove it instead")
	}
	names, err := oci.Names(l.Root(), ".")
	if err != nil {
		return err
	}
	has := map[string]bool{}
	for _, name := range names {
		switch {
		case name == "blobs", name == oci.FileName, name == oci.IndexName, name == atomicdir.MetaDir:
		case name == windowsLock, strings.HasPrefix(name, atomicdir.TempPrefix), disk.IsVolumeMetadata(name):
		case name == orasDir:
			if left, err := oci.Names(l.Root(), name); err != nil || len(left) > 0 {
				return foreign("it contains %q, which is not empty", name)
			}
		default:
			return foreign("it contains %q", oci.Clip(name))
		}
		has[name] = true
	}
	written := namesBundle(l)
	unknown, err := unknownBlob(l.Root(), written)
	switch {
	case err != nil:
		return err
	case unknown != "":
		return foreign("it contains %q", unknown)
	case written:
		return nil // whatever became of the rest is written anew
	case !has[oci.FileName] && (has["blobs"] || has[oci.IndexName] || has[atomicdir.MetaDir]):
		return foreign("the file %s is missing", oci.FileName)
	case !has[oci.FileName] || !has[oci.IndexName]:
		return nil // what a killed run left
	}
	err = onlyBundle(ctx, l)
	if errors.Is(err, ErrNotBundle) {
		return foreign("%v", err)
	}
	return err
}

// onlyBundle refuses a layout that holds anything beside a bundle, which writing it
// would take away: other tools put it there. A damaged bundle is written anew. What
// has no bundle is an [ErrNotBundle].
func onlyBundle(ctx context.Context, l *oci.Layout) error {
	more := func(what string) error {
		return fault.New(fault.Usage, "the output directory %s contains more than a bundle of botkube-mirror: %s", l.Name(), what).
			WithHint("name a directory that does not exist yet, and copy the bundle from there; or remove this directory first")
	}
	all, err := l.Index()
	if err != nil {
		return nil
	}
	chosen, err := choose(ctx, l, "")
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
		return more(fmt.Sprintf("its %s also lists %s", oci.IndexName, chosen.Others[0]))
	}
	c, err := readIndex(ctx, chosen.Data, l)
	for _, name := range chosen.Names {
		if err == nil && !(oci.Named{Names: []string{name}}).Answers(c.Tag) || err != nil && len(chosen.Names) > 1 {
			return more(fmt.Sprintf("its %s has the tag %q", oci.IndexName, oci.Clip(name)))
		}
	}
	return nil
}

// namesBundle reports whether index.json is, byte for byte, one that
// [indexJSON] makes.
func namesBundle(l *oci.Layout) bool {
	data, errData := l.Document(oci.IndexName)
	all, err := l.Index()
	if errData != nil || err != nil || len(all) != 1 || len(all[0].Names) != 1 {
		return false
	}
	want, err := indexJSON(all[0].Blob, all[0].Names[0])
	return err == nil && bytes.Equal(data, want)
}

// unknownBlob returns the path of something under blobs that is no blob. In a damaged bundle, the
// directories of blobs may be unreadable, or may be another kind of file.
func unknownBlob(root *os.Root, bundle bool) (string, error) {
	for _, dir := range []string{"blobs", oci.BlobsDir} {
		names, err := oci.Names(root, dir)
		switch {
		case errors.Is(err, fs.ErrNotExist), bundle && err != nil:
			return "", nil
		case fault.KindOf(err) == fault.Integrity:
			return dir, nil
		case err != nil:
			return "", err
		}
		for _, name := range names {
			if (dir != "blobs" || name != "sha256") && !oci.IsBlobName(name) {
				return dir + "/" + oci.Clip(name), nil
			}
		}
	}
	return "", nil
}

// WriteLayout writes the bundle as a directory: blobs first, and last index.json, which makes them
// a bundle. Blobs that already exist with the right content are kept. A directory that is neither
// empty nor a bundle is refused. Blobs that this one does not name are removed in the end.
func WriteLayout(ctx context.Context, dir string, c *Contents, o form.WriteOptions) (changed bool, err error) {
	if err := CheckLayout(ctx, dir); err != nil {
		return false, err
	}
	t, err := atomicdir.Open(ctx, dir, atomicdir.Options{Reader: disk.Self(), Waiting: o.Waiting, Bare: true})
	if err == nil {
		changed, err = c.writeLayout(ctx, t, o)
		err = errors.Join(err, t.Close())
	}
	if err != nil {
		return changed, fmt.Errorf("writing the bundle %s: %w", dir, explain(err))
	}
	return changed, nil
}

func (c *Contents) writeLayout(ctx context.Context, t *atomicdir.Tree, o form.WriteOptions) (changed bool, err error) {
	if err := checkBundleDir(ctx, oci.OpenDir(t.Root, t.Path)); err != nil {
		return false, err
	}
	t.MayDisplace(o.Displaced)
	index, err := indexJSON(c.Index.Blob(), c.Tag)
	if err != nil {
		return false, err
	}
	blobs := layoutPlan(c.order())
	for i, e := range blobs {
		blobs[i].Make = func(ctx context.Context, to blob.Sink) error {
			return c.copyBlob(ctx, to, lock.Blob{Size: e.Size, SHA256: *e.SHA256})
		}
	}
	w := &layoutWriter{tree: t}
	for _, step := range []func() error{
		func() error { return w.write(ctx, entry.OfData(oci.FileName, oci.FileMode, []byte(oci.FileContent))) },
		func() error { return w.writeBlobs(ctx, blobs) },
		func() error { return t.SyncDirs(entry.Paths(blobs)) },
		// It makes a bundle of the rest.
		func() error { return w.write(ctx, entry.OfData(oci.IndexName, oci.FileMode, index)) },
		func() error { return t.SyncDirs(nil) },
		func() error { return w.removeOthers(blobs) },
	} {
		if err := step(); err != nil {
			return w.changed.Load() || t.Mended(), err
		}
	}
	return w.changed.Load() || t.Mended(), nil
}

// layoutPlan returns blobs as entries of a layout directory. A blob of 0 bytes has a size that is
// not known yet.
func layoutPlan(blobs []lock.Blob) []entry.Entry {
	var plan []entry.Entry
	for _, b := range blobs {
		e := entry.OfBlob(oci.BlobPath(b.SHA256), oci.FileMode, b)
		e.Guess = b.Size == 0
		plan = append(plan, e)
	}
	return plan
}

// AuditModes reports what is wrong with the modes of a layout directory: what the next
// run that writes it mends. It does nothing for a bundle in a file.
func (b *Bundle) AuditModes(r *audit.Report) {
	root := b.layout.Root()
	if root == nil {
		return
	}
	plan := layoutPlan(b.contents.order())
	for _, name := range []string{oci.FileName, oci.IndexName} {
		plan = append(plan, entry.Entry{Path: name, Needed: oci.FileMode})
	}
	(&entry.Audit{Report: r, Reader: disk.Self(), At: path.Clean}).Modes(&atomicdir.Tree{Path: b.layout.Name(), Root: root}, plan)
}

// copyBlob copies a blob, and says what is wrong if it is not what it should be: the
// source, usually.
func (c *Contents) copyBlob(ctx context.Context, to blob.Sink, b lock.Blob) error {
	f, err := c.Open(b.SHA256)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := blob.Copy(ctx, to, f); err != nil {
		return err
	}
	if to.Blob() == b {
		return nil
	}
	return oci.SourceDiffers(ctx, c.blobs, b.SHA256)
}

type layoutWriter struct {
	tree    *atomicdir.Tree
	changed atomic.Bool
}

func (w *layoutWriter) write(ctx context.Context, e entry.Entry) error {
	_, written, err := entry.Write(ctx, w.tree, e)
	if written {
		w.changed.Store(true)
	}
	return err
}

func (w *layoutWriter) writeBlobs(ctx context.Context, blobs []entry.Entry) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, e := range blobs {
		g.Go(func() error { return w.write(ctx, e) })
	}
	return g.Wait()
}

// removeOthers removes the blobs of bundles that were there before. That nothing
// else is there was seen to in the beginning.
func (w *layoutWriter) removeOthers(blobs []entry.Entry) error {
	names, err := oci.Names(w.tree.Root, oci.BlobsDir)
	if err != nil {
		return err
	}
	for i, name := range names {
		names[i] = oci.BlobsDir + "/" + name
	}
	gone := entry.Superseded(names, entry.Paths(blobs))
	for _, p := range gone {
		w.changed.Store(true)
		if err := w.tree.MakeWay(p); err != nil {
			return err
		}
	}
	if _, err = entry.Prune(w.tree, gone); err != nil {
		return fmt.Errorf("removing a blob of the earlier bundle: %w", err)
	}
	return nil
}
