package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"

	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// openFile opens what a file URL names, which must be a regular file.
func openFile(u *url.URL) (*os.File, os.FileInfo, error) {
	if u.Host != "" && u.Host != "localhost" {
		return nil, nil, fault.New(fault.Usage, "a file URL names no host, but this one names %q", u.Host).
			WithHint("write file:///PATH, with three slashes")
	}
	path := filePath(u)
	// A look first, for opening a named pipe waits for a writer.
	fi, err := os.Stat(path)
	if err != nil {
		return nil, nil, fileError(err)
	}
	if !fi.Mode().IsRegular() {
		return nil, nil, fault.New(fault.Integrity, "%w", &unusable{fmt.Errorf("it is no regular file but %s", disk.DescribeType(fi.Mode()))}).
			WithHint("only files can be mirrored, not directories or devices")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fileError(err)
	}
	if fi, err = f.Stat(); err != nil {
		f.Close()
		return nil, nil, fileError(err)
	}
	return f, fi, nil
}

// filePath returns the path that go-getter takes (get_file_unix.go), whose
// RawPath quirk the agent shares.
func filePath(u *url.URL) string {
	return cmp.Or(u.RawPath, u.Path)
}

func fileError(err error) error {
	e := fault.New(fault.Upstream, "%w", &unusable{fmt.Errorf("the file cannot be read: %w", disk.Reason(err))})
	if errors.Is(err, fs.ErrNotExist) {
		return e.WithHint("it is not, or no longer, there: check the path, or leave the plugin out with --exclude")
	}
	return e.WithHint("make the file readable for the user that this runs as")
}

// fileSource is a [transfer.Source] of a file of this machine.
type fileSource struct{ *download }

func (s fileSource) Open(ctx context.Context, offset int64, of store.Origin) (*transfer.Part, error) {
	f, fi, err := openFile(s.src.url)
	if err != nil {
		return nil, err
	}
	if s.record != nil && s.record.Size == fi.Size() && s.record.LastModified == fileTime(fi) {
		return nil, errors.Join(errUnchanged, f.Close())
	}
	part := &transfer.Part{
		ReadCloser: &openedFile{ctx, f}, Start: offset, End: -1, Total: fi.Size(),
		Origin: store.Origin{URL: s.src.shown, LastModified: fileTime(fi), Validator: fileTime(fi), Total: fi.Size()},
	}
	if offset > fi.Size() || of != part.Origin {
		part.Start, part.Void = 0, "the file has changed"
	}
	if _, err := f.Seek(part.Start, io.SeekStart); err != nil {
		f.Close()
		return nil, fileError(err)
	}
	return part, nil
}

// unchanged reports whether the file is still the one that was copied.
func (s fileSource) unchanged() error {
	fi, err := os.Stat(filePath(s.src.url))
	if err != nil || fi.Size() != s.in.Size() || fileTime(fi) != s.in.Origin().LastModified {
		return fault.New(fault.Integrity, "the file changes while it is read").WithHint("run it again once nothing writes to the file")
	}
	return nil
}

// openedFile is a file that is read until a context is done.
type openedFile struct {
	ctx context.Context
	*os.File
}

func (r *openedFile) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.File.Read(p)
}
