package bundle

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// verify reads every blob of a bundle, and predicts what agents would do with the bundle.
func verify(ctx context.Context, p *form.Place, a *form.Audit) error {
	if p.Repository != nil {
		return verifyRepository(ctx, p, a)
	}
	b, err := openAt(ctx, p, OpenIncomplete)
	switch {
	case errors.Is(err, form.ErrOther):
		return err
	case err != nil:
		return a.Unreadable(err)
	}
	c := b.contents
	a.NoteNames(c.Tag, b.names, b.others)
	if err := verifyContents(ctx, a, c, b.layout, runtime.GOMAXPROCS(0)); err != nil {
		return err
	}
	b.AuditModes(&a.Report)
	predict(a, c.Lock, b)
	if err := judgePrograms(a, c, b); err != nil {
		return err
	}
	if !a.Unpack {
		return nil
	}
	a.Unpacked = true
	return unpackAll(ctx, a, c.Lock, pluginsdir.Upstream{Blobs: b})
}

func verifyRepository(ctx context.Context, p *form.Place, a *form.Audit) error {
	c, err := readRepository(ctx, p)
	switch {
	case errors.Is(err, form.ErrOther):
		return err
	case err != nil:
		return a.Unreadable(err)
	case a.Unpack:
		return fault.New(fault.Usage, "--unpack does not work for a bundle in a registry").
			WithHint("use --unpack for a bundle in a file; or unpack it from the registry: botkube-mirror unpack %s -o DIR", p)
	}
	if err := verifyContents(ctx, a, c, p.Repository, a.Parallel); err != nil {
		return err
	}
	documents := documentsOf{ctx, p.Repository, map[lock.SHA256]lock.Blob{}}
	for _, b := range c.Blobs {
		documents.blobs[b.SHA256] = b
	}
	predict(a, c.Lock, documents)
	return nil
}

// verifyContents reads the blobs of a bundle, wherever it lies.
func verifyContents(ctx context.Context, a *form.Audit, c *Contents, from oci.Reader, parallel int) error {
	if err := a.Begin(); err != nil {
		return err
	}
	a.Lock, a.Tag, a.Digest = c.Lock, c.Tag, c.Index.Blob().SHA256.OCI()
	var total int64
	for _, b := range c.Blobs {
		total += b.Size
	}
	a.Planned(total, len(c.Blobs))
	return c.Audit(ctx, from, parallel, &a.Report, a.Hashed)
}

// predict says what agents would do with the directories that are made of a
// bundle, for each of its platforms.
func predict(a *form.Audit, l *lock.Lock, blobs blob.Source) {
	for _, p := range l.Platforms {
		part := l.ForPlatform(p)
		g := audit.StartState{
			Startup: agent.Startup{Platform: p, Files: map[string]bool{}, Indexes: map[string][]byte{}, URLs: map[string]string{}},
			Lock:    part,
			Within:  func(u string) bool { return !agent.Call{URL: u}.External() },
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
			if len(a.Report.Problems()) == 0 {
				a.Fail(audit.Problem{Kind: audit.KindIndex, Detail: fmt.Sprintf("the bundle cannot be unpacked to a directory for %s: %v", p, err)})
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
		a.Expect(g)
	}
}

// judgePrograms judges the upstream files that agents run as they are. What cannot be
// read was reported.
func judgePrograms(a *form.Audit, c *Contents, b *Bundle) error {
	damaged := map[string]bool{}
	for _, p := range a.Report.Problems() {
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
			pluginsdir.ReportUnfit(&a.Report, at, p, f, lock.Made{Size: pinned.Size, Program: program})
		}
	}
	return nil
}

// defaultMount stands for where an agent will see a directory that there is not yet.
const defaultMount = "/plugins"

// unpackAll makes every file of the directories for a lock, and keeps none.
func unpackAll(ctx context.Context, a *form.Audit, l *lock.Lock, from pluginsdir.Source) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, p := range l.Platforms {
		for _, f := range l.Files(p) {
			if _, pinned := f.Pinned(); pinned {
				continue // it was compared with the lock
			}
			group.Go(func() error {
				made, err := pluginsdir.Examine(ctx, from, p, f)
				if err == nil {
					pluginsdir.ReportUnfit(&a.Report, f.Path, p, f, made)
					return nil
				}
				state, ok := audit.StateOf(err)
				if !ok {
					return err
				}
				a.Fail(audit.Problem{Kind: audit.Kind(state), Path: f.Path, Detail: fmt.Sprintf("the file cannot be unpacked for %s: %v", p, err)})
				return nil
			})
		}
	}
	return group.Wait()
}

// documentsOf is a [blob.Source] of the indexes and schemas of a bundle in a
// registry, which are read as a whole.
type documentsOf struct {
	ctx   context.Context
	from  oci.Reader
	blobs map[lock.SHA256]lock.Blob
}

func (r documentsOf) ReadAll(d lock.SHA256, max int64) ([]byte, error) {
	b, there := r.blobs[d]
	if !there {
		return nil, fault.New(fault.Incomplete, "sha256:%s is not in the bundle", d)
	}
	return oci.ReadBlob(r.ctx, r.from, b, max)
}

func (r documentsOf) Open(d lock.SHA256) (blob.File, error) {
	data, err := r.ReadAll(d, index.MaxSize)
	return blob.InMemory(data), err
}

func (r documentsOf) Verify(ctx context.Context, d lock.SHA256) error {
	_, err := r.ReadAll(d, index.MaxSize)
	return err
}
