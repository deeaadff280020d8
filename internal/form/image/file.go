package image

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicfile"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// CheckFile reports early why an image cannot be written to a file. It leaves
// nothing behind.
func CheckFile(name string) error { return atomicfile.Check(name) }

// WriteFile writes an image to a file, as an OCI archive. The file has its name
// when it is whole and on disk; its directory is created if need be. A run that
// finds another one at it waits. It reports whether the file was written: one that
// has the same bytes already is left alone.
func WriteFile(ctx context.Context, name string, l *lock.Lock, src pluginsdir.Source, o Options) (result *Result, changed bool, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, false, err
	}
	out, err := atomicfile.Open(ctx, name, o.Waiting)
	if err != nil {
		return nil, false, err
	}
	temp, err := out.Create()
	if err == nil {
		result, err = buildArchive(ctx, temp, l, src, o)
	}
	if err == nil {
		changed, err = publish(ctx, out)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return nil, false, fmt.Errorf("writing %s: %w", name, explainWriting(err))
	}
	return result, changed, nil
}

func publish(ctx context.Context, out *atomicfile.File) (changed bool, err error) {
	same, err := out.Same(ctx)
	if err != nil {
		return false, err
	}
	if same {
		return false, out.Keep()
	}
	return true, out.Publish()
}

func buildArchive(ctx context.Context, to io.Writer, l *lock.Lock, src pluginsdir.Source, o Options) (*Result, error) {
	a, err := newArchiveWriter(to, o.ModTime)
	if err != nil {
		return nil, err
	}
	result, err := Build(ctx, l, src, o, a)
	if err != nil {
		return nil, err
	}
	return result, a.finish(result)
}

// explainWriting says what to do about errors of the disk.
func explainWriting(err error) error {
	if _, known := errors.AsType[*fault.Error](err); known {
		return err
	}
	if disk.IsFull(err) {
		return fault.New(fault.Unexpected, "%w", err).WithHint("free some space, or write to another disk")
	}
	if hint := disk.Hint(err, "write to another disk"); hint != "" {
		return fault.New(fault.Unexpected, "%w", err).WithHint("%s", hint)
	}
	return err
}
