package dir

import (
	"context"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/project/cache"
)

// place brings one file to its path.
func (d *directory) place(ctx context.Context, p agent.Platform, f lock.File, src cache.Source) (bool, error) {
	if known, ok := src.Known(p, f); ok {
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
	made := staged.Blob()
	// What extraction gives was perhaps not known: now it is, and the file may
	// be right after all.
	same, err := d.Holds(ctx, f.Path, made, f.Mode())
	if err == nil && !same {
		err = staged.Publish(f.Path, f.Mode())
	}
	if err == nil {
		d.record(f.Path, made)
	}
	return !same, err
}

func (d *directory) record(p string, made lock.Blob) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.made[p] = made
}
