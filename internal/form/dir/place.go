package dir

import (
	"context"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// place brings one file to its path.
func (d *directory) place(ctx context.Context, p agent.Platform, f lock.File, src pluginsdir.Source) (changed bool, err error) {
	known, ok, err := d.expected(ctx, p, f, src)
	if err != nil {
		return false, err
	}
	if ok {
		same, err := d.Holds(ctx, f.Path, known, f.Mode())
		if same {
			d.record(f.Path, known)
		}
		if err != nil || same {
			return false, err
		}
	}
	staged, err := d.Stage()
	if err != nil {
		return false, err
	}
	defer staged.Discard()
	if err := src.Make(ctx, p, f, staged); err != nil {
		return false, err
	}
	if err := staged.Publish(f.Path, f.Mode()); err != nil {
		return false, err
	}
	d.record(f.Path, staged.Blob())
	return true, nil
}

// expected returns what a file will be, if there is something to compare with
// it. A file of an archive that this machine never unpacked is unpacked to
// nowhere: a copy of a directory may be right, and belong to another user.
func (d *directory) expected(ctx context.Context, p agent.Platform, f lock.File, src pluginsdir.Source) (lock.Blob, bool, error) {
	if known, ok := src.Known(p, f); ok {
		return known, true, nil
	}
	if fi, err := d.Root.Lstat(f.Path); err != nil || !fi.Mode().IsRegular() {
		return lock.Blob{}, false, nil
	}
	made, err := pluginsdir.Digest(ctx, src, p, f)
	return made, err == nil, err
}

func (d *directory) record(p string, made lock.Blob) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.made[p] = made
}
