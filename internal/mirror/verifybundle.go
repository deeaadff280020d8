package mirror

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// bundle verifies a bundle on this machine.
func (v *verifying) bundle(ctx context.Context, b *bundle.Bundle) error {
	c := b.Contents()
	if err := v.contents(ctx, c, b.Reader(), runtime.GOMAXPROCS(0)); err != nil {
		return err
	}
	b.AuditModes(&v.report)
	v.outlooks(c.Lock, b)
	if err := v.programs(c, b); err != nil {
		return err
	}
	if !v.options.Unpack {
		return nil
	}
	v.result.Unpacked = true
	return v.unpack(ctx, c.Lock, pluginsdir.Upstream{Blobs: b})
}

// contents verifies the blobs of a bundle, wherever it lies.
func (v *verifying) contents(ctx context.Context, c *bundle.Contents, from oci.Reader, parallel int) error {
	v.lock = c.Lock
	r := v.result
	r.Kind, r.Tag, r.Digest = KindBundle, c.Tag, digestOf(c.Index.Blob())
	var total int64
	for _, b := range c.Blobs {
		total += b.Size
	}
	v.planned(total, len(c.Blobs))
	return c.Audit(ctx, from, parallel, &v.report, v.hashed)
}

// outlooks says what agents would do with the directories that are made of a
// bundle, for each of its platforms.
func (v *verifying) outlooks(l *lock.Lock, blobs blob.Source) {
	for _, p := range l.Platforms {
		part := l.ForPlatform(p)
		g := audit.StartState{
			Platform: p, Lock: part, Files: map[string]bool{}, Indexes: map[string][]byte{}, URLs: map[string]string{},
			Within: func(u string) bool { return !agent.Call{URL: u}.External() },
		}
		for _, f := range part.Files(p) {
			g.Files[f.Path] = true
		}
		for _, r := range part.Repositories {
			g.URLs[r.Name] = r.URL
		}
		// What stands in for the digests of unpacked files is not looked at.
		documents, err := pluginsdir.Documents(part, p, defaultMount, map[string]lock.Blob{}, pluginsdir.Upstream{Blobs: blobs})
		if err != nil {
			if len(v.report.Problems()) == 0 {
				v.report.Fail(audit.Problem{Kind: audit.KindIndex, Detail: fmt.Sprintf("no directory can be made of it for %s: %v", p, err)})
			}
			continue
		}
		for _, d := range documents {
			for _, r := range part.Repositories {
				if d.Path == agent.IndexPath(r.Name) {
					g.Indexes[r.Name] = d.Data
				}
			}
		}
		v.report.Expect(g)
	}
}

// programs judges the upstream files that agents run as they are. What cannot be
// read was reported.
func (v *verifying) programs(c *bundle.Contents, b *bundle.Bundle) error {
	damaged := map[string]bool{}
	for _, p := range v.report.Problems() {
		damaged[p.Path] = true
	}
	for _, p := range c.Lock.Platforms {
		for _, f := range c.Lock.Files(p) {
			pinned, is := f.Pinned()
			at := oci.BlobPath(pinned.SHA256)
			if !is || f.Template != "" || damaged[at] {
				continue
			}
			program, err := pluginsdir.ProgramOf(b, pinned.SHA256)
			if err != nil {
				return err
			}
			if unfit, is := pluginsdir.JudgeProgram(p, f, lock.Made{Blob: pinned, Program: program}); is {
				unfit.Report(&v.report, at)
			}
		}
	}
	return nil
}

// defaultMount stands for where an agent will see a directory that there is not yet.
const defaultMount = "/plugins"

// unpack makes every file of the directories for a lock, and keeps none.
func (v *verifying) unpack(ctx context.Context, l *lock.Lock, from pluginsdir.Source) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, p := range l.Platforms {
		for _, f := range l.Files(p) {
			if _, pinned := f.Pinned(); pinned {
				continue // it was compared with the lock
			}
			group.Go(func() error {
				made, err := pluginsdir.Examine(ctx, from, p, f)
				return v.unpacked(p, f, made, err)
			})
		}
	}
	return group.Wait()
}

// unpacked reports what is wrong with an archive.
func (v *verifying) unpacked(p agent.Platform, f lock.File, made lock.Made, err error) error {
	if err == nil {
		if unfit, is := pluginsdir.JudgeProgram(p, f, made); is {
			unfit.Report(&v.report, f.Path)
		}
		return nil
	}
	state, ok := audit.StateOf(err)
	if !ok {
		return err
	}
	v.report.Fail(audit.Problem{Kind: audit.Kind(state), Path: f.Path, Detail: fmt.Sprintf("it cannot be unpacked for %s: %v", p, err)})
	return nil
}

// remakeFiles makes each unpacked file of a directory, or of that in an image,
// again of a bundle, and compares it with the one that is there. At says where a
// file of a platform is in the target. All is false where a file could not be
// compared: the bundle has not what it is made of, or it is among the problems already.
func (v *verifying) remakeFiles(ctx context.Context, from *source, at func(agent.Platform, string) string) (all bool, err error) {
	type key struct {
		platform agent.Platform
		path     string
	}
	// What was found, not what SHA256SUMS says: that may be damaged, or gone. What
	// is known to be damaged was reported.
	found := map[key]lock.SHA256{}
	for _, f := range v.report.Files() {
		for _, p := range f.Platforms {
			if f.State == audit.Intact && f.SHA256 != nil {
				found[key{p, f.Path}] = *f.SHA256
			}
		}
	}
	pinned := map[lock.SHA256]bool{}
	for _, a := range from.lock.Artifacts {
		pinned[a.SHA256] = true
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	all = true
	for _, p := range v.lock.Platforms {
		for _, f := range v.lock.Files(p) {
			if _, pinned := f.Pinned(); pinned {
				continue // it was compared with the lock
			}
			k := key{p, at(p, f.Path)}
			have, ok := found[k]
			if !ok || !pinned[f.Artifact.SHA256] {
				all = false // what only one of the two has is a difference already
				continue
			}
			group.Go(func() error { return v.remakeFile(ctx, from, p, f, k.path, have) })
		}
	}
	return all, group.Wait()
}

// remakeFile makes a file again, and compares its digest.
func (v *verifying) remakeFile(ctx context.Context, from *source, p agent.Platform, f lock.File, at string, have lock.SHA256) error {
	if from.obtain != nil {
		if _, err := from.obtain(ctx, f.Artifact.Blob); err != nil {
			return err
		}
	}
	want, err := pluginsdir.Digest(ctx, from.Plugins, p, f)
	if err != nil {
		return err
	}
	if have != want.SHA256 {
		v.report.Fail(audit.Problem{Kind: audit.KindDiffers, Path: at, Detail: fmt.Sprintf("its sha256 is %s, but what is unpacked of %s has %s", have, agent.Redact(f.Artifact.URL), want.SHA256)})
	}
	return nil
}

// compareRemade compares the target with what is made again of a bundle.
func (v *verifying) compareRemade(ctx context.Context, compared *Against) error {
	from, err := v.openSource(ctx, compared.Target, nil)
	if err != nil {
		return err
	}
	defer from.close()
	compared.Remade, err = v.remake(ctx, from)
	return err
}
