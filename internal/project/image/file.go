package image

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/project/cache"
)

// WriteFile writes an image to a file, as an OCI archive. The file has its name
// when it is whole and on disk; its directory is created if need be. A run that
// finds another one at it waits. It reports whether the file was written: one that
// has the same bytes already is left alone.
func WriteFile(ctx context.Context, name string, l *lock.Lock, src cache.Source, o Options) (result *Result, changed bool, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, false, err
	}
	out, err := openOutput(ctx, name, o.Waiting)
	if err != nil {
		return nil, false, err
	}
	if result, err = buildArchive(ctx, out.file, l, src, o); err == nil {
		changed, err = out.publish(ctx)
	}
	if err = errors.Join(err, out.close()); err != nil {
		return nil, false, fmt.Errorf("writing %s: %w", name, explainWriting(err))
	}
	return result, changed, nil
}

func buildArchive(ctx context.Context, to io.Writer, l *lock.Lock, src cache.Source, o Options) (*Result, error) {
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
	if _, known := errors.AsType[*fault.Error](err); !known && disk.IsFull(err) {
		return fault.New(fault.Unexpected, "%w", err).WithHint("free some space, or write to another disk")
	}
	return err
}
