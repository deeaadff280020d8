package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Layout is an OCI image layout that is read in place, in a directory or in a tar file. It is a
// [Reader]. Its methods may be called concurrently.
type Layout struct {
	files files
	// name is the path that was opened.
	name string
	// dir says that it is a directory.
	dir    bool
	closer io.Closer
}

// files are those of a layout, by their paths in it. An absent one is an
// [fs.ErrNotExist]; errors of damage are of kind [fault.Integrity].
type files interface {
	open(name string) (blob.File, int64, error)
	size(name string) (int64, error)
	// holds reports whether there are blobs, and whether there is anything at all.
	holds() (blobs, anything bool)
}

// StandardInput is the name of a layout that is read from standard input.
const StandardInput = "standard input"

// Name returns the path that was opened, or [StandardInput].
func (l *Layout) Name() string { return l.name }

// Made returns the latest time of the entries of a tar file, or zero for a directory.
func (l *Layout) Made() time.Time {
	if t, ok := l.files.(*tarFiles); ok {
		return t.made
	}
	return time.Time{}
}

// Root returns the directory that the layout is in, or nil if it is in a file.
func (l *Layout) Root() *os.Root {
	if d, ok := l.files.(dirFiles); ok {
		return d.root
	}
	return nil
}

// Close closes the layout.
func (l *Layout) Close() error {
	if l.closer == nil {
		return nil
	}
	return l.closer.Close()
}

// Document reads a file that is not a blob. If the file is missing, the error is an
// [fs.ErrNotExist].
func (l *Layout) Document(name string) ([]byte, error) {
	f, size, err := l.files.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > MaxDocument {
		return nil, fault.New(fault.Integrity, "%s has %d bytes, but the maximum is %d", name, size, MaxDocument)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxDocument))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return data, nil
}

// check reads oci-layout. Hauler's stores have none, and nothing is lost without it,
// so it is missed only where there is no index.json either.
func (l *Layout) check() error {
	data, err := l.Document(FileName)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := l.Document(IndexName); errors.Is(err, fs.ErrNotExist) {
			return l.noLayout()
		}
		return nil
	}
	if err != nil {
		return err
	}
	var version struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := DecodeOpen(data, &version); err != nil {
		return fault.New(fault.Integrity, "%s cannot be read: %w", FileName, err)
	}
	if version.Version != "1.0.0" {
		return fault.New(fault.Integrity, "%s has version %q; this botkube-mirror supports only 1.0.0", FileName, Clip(version.Version))
	}
	return nil
}

// noLayout says of what has no oci-layout whether it may have had one.
func (l *Layout) noLayout() error {
	blobs, anything := l.files.holds()
	switch {
	case blobs:
		return fault.New(fault.Incomplete, "the file %s is missing: the copy is incomplete", FileName)
	case !anything:
		return notLayout("it is empty")
	case !l.dir:
		return notLayout("it is a tar file with other content")
	}
	return notLayout("the file %s is missing", FileName)
}

// Explain adds the name of the layout and a hint to an error. what is what the layout contains
// ("the bundle"), or empty if that is not known.
func (l *Layout) Explain(what string, err error) error {
	e := fault.New(fault.KindOf(err), "%s: %w", l.called(what), err)
	if errors.Is(err, ErrNotLayout) {
		e = fault.New(fault.Usage, "%s is %w", l.name, err)
	}
	hint := fault.HintOf(err)
	switch {
	case hint != "":
	case errors.Is(err, fs.ErrPermission):
		e.Kind, hint = fault.Usage, "give your user read access to all its files: chmod -R u+rX; if another user owns them, chown first"
	case e.Kind == fault.Integrity || e.Kind == fault.Incomplete:
		hint = l.copyAgain()
	}
	return e.WithHint("%s", hint)
}

// called says in messages which layout is meant.
func (l *Layout) called(what string) string {
	switch {
	case what == "":
		return l.name
	case l.name == StandardInput:
		return what + " on standard input"
	}
	return what + " " + l.name
}

// copyAgain is the hint where a layout is damaged or not complete.
func (l *Layout) copyAgain() string {
	switch {
	case l.name == StandardInput:
		return "check that the command that writes to standard input succeeds; if it does, copy the file again from where it was pulled, and compare sha256sum on both sides"
	case l.dir:
		return fmt.Sprintf("copy the directory %s again from where it was pulled, with all its files", filepath.Base(l.name))
	}
	return fmt.Sprintf("copy %s again from where it was pulled; compare sha256sum on both sides first", filepath.Base(l.name))
}

// Has returns an error if the layout lacks a blob, or if the blob has another size. It does not
// read the blob.
func (l *Layout) Has(b lock.Blob) error {
	size, err := l.files.size(BlobPath(b.SHA256))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Missing(b.SHA256)
	case err != nil:
		return unreadable(err)
	case size != b.Size:
		return fault.New(fault.Integrity, "%s has %d bytes, but should have %d", BlobPath(b.SHA256), size, b.Size)
	}
	return nil
}

// File opens a blob for random access. The content may be damaged.
func (l *Layout) File(d lock.SHA256) (blob.File, error) {
	f, _, err := l.files.open(BlobPath(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Missing(d)
	}
	return f, err
}

// Manifest is for [Reader].
func (l *Layout) Manifest(ctx context.Context, b lock.Blob) (data []byte, err error) {
	err = Stream(ctx, l, b, func(r io.Reader) error {
		data, err = io.ReadAll(r)
		return err
	})
	return data, err
}

// Open is for [Reader].
func (l *Layout) Open(_ context.Context, b lock.Blob) (io.ReadCloser, error) {
	if err := l.Has(b); err != nil {
		return nil, err
	}
	f, err := l.File(b.SHA256)
	if err != nil {
		return nil, unreadable(err)
	}
	return readableFile{f}, nil
}

// readableFile reports read errors, as of a bad disk, as damage.
type readableFile struct{ blob.File }

func (f readableFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	if err != nil && err != io.EOF {
		err = unreadable(err)
	}
	return n, err
}

// unreadable is the error of a file that cannot be read, because of a bad disk or missing
// permissions.
func unreadable(err error) error {
	if _, known := errors.AsType[*fault.Error](err); known {
		return err
	}
	return fault.New(fault.Integrity, "cannot be read: %w", disk.Reason(err))
}

// dirFiles are the files of a layout in a directory. No link is followed.
type dirFiles struct{ root *os.Root }

func (d dirFiles) open(name string) (blob.File, int64, error) {
	f, err := disk.OpenRegular(d.root, name)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, disk.Reason(err))
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	return f, fi.Size(), nil
}

func (d dirFiles) size(name string) (int64, error) {
	fi, err := disk.StatRegular(d.root, name)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, disk.Reason(err))
	}
	return fi.Size(), nil
}

func (d dirFiles) holds() (blobs, anything bool) {
	_, err := d.root.Lstat(BlobsDir)
	names, errNames := Names(d.root, ".")
	return err == nil, errNames != nil || len(names) > 0
}

// Names lists a directory below a root, to which no link leads.
func Names(root *os.Root, dir string) ([]string, error) {
	sub, err := disk.OpenDir(root, dir)
	if err != nil {
		return nil, err
	}
	defer sub.Close()
	d, err := sub.Open(".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// BlobPath returns where a blob is in a layout.
func BlobPath(d lock.SHA256) string { return BlobsDir + "/" + d.String() }

// IsBlobName reports whether a name is a digest as layouts write it.
func IsBlobName(name string) bool {
	d, err := lock.ParseSHA256(name)
	return err == nil && d.String() == name
}
