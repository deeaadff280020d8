package fetch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// openFile opens what a file URL names, which must be a regular file.
func openFile(u *url.URL) (*os.File, os.FileInfo, error) {
	path, err := filePath(u)
	if err != nil {
		return nil, nil, err
	}
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
func filePath(u *url.URL) (string, error) {
	if u.Host != "" && u.Host != "localhost" {
		return "", fault.New(fault.Usage, "a file URL names no host, but this one names %q", u.Host).
			WithHint("write file:///PATH, with three slashes")
	}
	if u.RawPath != "" {
		return u.RawPath, nil
	}
	return u.Path, nil
}

func fileError(err error) error {
	reason := err
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		reason = e.Err
	}
	e := fault.New(fault.Upstream, "%w", &unusable{fmt.Errorf("the file cannot be read: %w", reason)})
	if errors.Is(err, fs.ErrNotExist) {
		return e.WithHint("it is not, or no longer, there: check the path, or leave the plugin out with --exclude")
	}
	return e.WithHint("make the file readable for the user that this runs as")
}

// getFile copies a file of this machine. What an earlier run left of it is of
// no use: reading it again is as fast as reading what is there.
func (d *download) getFile(ctx context.Context, u *url.URL) error {
	err := d.retry.Do(ctx, d.obs.Retrying, nil, func() error { return d.copyFile(ctx, u) })
	if err != nil {
		_ = d.in.Truncate(0) // and so is what this one leaves: the error counts
	}
	return err
}

func (d *download) copyFile(ctx context.Context, u *url.URL) error {
	f, fi, err := openFile(u)
	if err != nil {
		return err
	}
	defer f.Close()
	if d.record != nil && fileUnchanged(*d.record, fi) {
		d.same = true
		return nil
	}
	if d.in.Size() > 0 {
		if err := d.restart("a file is always copied as a whole"); err != nil {
			return err
		}
	}
	if err := d.checkTotal(fi.Size()); err != nil {
		return err
	}
	d.etag, d.modified = "", fileTime(fi)
	d.begin(fi.Size())
	if err := d.copy(&contextReader{ctx, f}, -1); err != nil {
		return err
	}
	if after, err := f.Stat(); err != nil || after.Size() != d.in.Size() || !after.ModTime().Equal(fi.ModTime()) {
		return fmt.Errorf("the file changes while it is read")
	}
	return nil
}

type contextReader struct {
	ctx context.Context
	f   *os.File
}

func (r *contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.f.Read(p)
}
