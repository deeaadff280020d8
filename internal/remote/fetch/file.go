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

// openFile opens the file of a file URL. It must be a regular file.
func openFile(u *url.URL) (*os.File, os.FileInfo, error) {
	if u.Host != "" && u.Host != "localhost" {
		return nil, nil, fault.New(fault.Usage, "a file URL must not have a host, but this one has %q", u.Host).
			WithHint("write three slashes: file:///PATH")
	}
	path := filePath(u)
	// Stat comes first, because opening a named pipe would wait for a writer.
	fi, err := os.Stat(path)
	if err != nil {
		return nil, nil, fileError(err)
	}
	if !fi.Mode().IsRegular() {
		return nil, nil, fault.New(fault.Integrity, "%w", &unusable{fmt.Errorf("it is %s, not a regular file", disk.DescribeType(fi.Mode()))}).
			WithHint("name a regular file")
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

// filePath returns the path that go-getter, and so the agent, would open: it prefers RawPath
// (get_file_unix.go).
func filePath(u *url.URL) string {
	return cmp.Or(u.RawPath, u.Path)
}

func fileError(err error) error {
	e := fault.New(fault.Upstream, "%w", &unusable{fmt.Errorf("the file cannot be read: %w", disk.Reason(err))})
	if errors.Is(err, fs.ErrNotExist) {
		return e.WithHint("check the path, or leave the plugin out with --exclude")
	}
	return e.WithHint("make the file readable for the user who runs botkube-mirror")
}

// fileSource is a [transfer.Source] for a file on this machine.
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

// unchanged returns an error if the file changed while it was copied.
func (s fileSource) unchanged() error {
	fi, err := os.Stat(filePath(s.src.url))
	if err != nil || fi.Size() != s.in.Size() || fileTime(fi) != s.in.Origin().LastModified {
		return fault.New(fault.Integrity, "the file changed while it was read").WithHint("run the command again when no program writes to the file")
	}
	return nil
}

// openedFile is a file that cannot be read once a context is done.
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
