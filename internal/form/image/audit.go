package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

const (
	// maxLayer bounds, in bytes, what a layer unpacks to.
	maxLayer = 16 << 30
	// maxFiles bounds the entries of all layers of an image.
	maxFiles = 200_000
	// maxContent is the maximum length of a layer's description, which comes from the image.
	maxContent = 300
)

// verify reads every layer of the image at a place.
func verify(ctx context.Context, p *form.Place, a *form.Audit) error {
	parallel := runtime.GOMAXPROCS(0)
	if p.Repository != nil {
		parallel = a.Parallel
	}
	im, err := at(ctx, p, func(top []byte, from oci.Reader) (*Image, error) {
		if err := isImage(ctx, top, from); err != nil {
			return nil, err
		}
		if err := a.Begin(); err != nil {
			return nil, err
		}
		return Audit(ctx, top, from, parallel, a)
	})
	switch {
	case errors.Is(err, form.ErrOther):
		return err
	case err != nil:
		return a.Unreadable(err)
	}
	a.Lock, a.Tag, a.Digest, a.FoundMount = im.Lock, im.Tag, im.Top.SHA256.OCI(), im.Mount
	a.FileAt = func(_ agent.Platform, file string) string { return im.Mount + "/" + file }
	if a.Mount != "" && im.Mount != "" && im.Mount != a.Mount {
		a.Fail(audit.Problem{Kind: audit.KindIndex, Detail: fmt.Sprintf("the indexes of the image are for %s, but the agent sees the image at %s", im.Mount, a.Mount)})
	}
	tag := ""
	if im.Lock != nil {
		if tag, err = im.Lock.Tag(); err != nil {
			return err
		}
	}
	a.NoteNames(tag, im.Names, im.Others)
	if p.Repository == nil && im.Lock != nil {
		return auditDocker(ctx, p, im, imageName+":"+tag, a)
	}
	return nil
}

// auditDocker compares manifest.json with the image. Otherwise, a reader of that document could
// load what was not verified. It notes names other than the image's own: docker load takes a name
// away from the image that has it.
func auditDocker(ctx context.Context, p *form.Place, im *Image, own string, a *form.Audit) error {
	l, err := p.Layout(ctx)
	if err != nil {
		return err
	}
	images, err := l.DockerImages()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no document is needed that says once more what index.json says
	}
	if err != nil {
		return a.Unreadable(err)
	}
	for _, d := range images {
		same := func(other oci.DockerImage) bool {
			return d.Config == other.Config && slices.Equal(d.Layers, other.Layers)
		}
		switch name := oci.Clip(strings.Join(d.RepoTags, ", ")); {
		case slices.ContainsFunc(im.images, same):
			if len(d.RepoTags) > 0 && !slices.Equal(d.RepoTags, []string{own}) {
				a.Note(fmt.Sprintf("%s gives the image the name %s", oci.DockerName, name))
			}
		case len(im.Others) > 0:
			a.Note(fmt.Sprintf("%s also lists other images, which were not verified: %s", oci.DockerName, name))
		default:
			a.Fail(audit.Problem{Kind: audit.KindDamaged, Path: oci.DockerName, Detail: fmt.Sprintf("it lists another image than %s, and docker load would load that one: %s", oci.IndexName, name)})
		}
	}
	return nil
}

// Audit reads every layer of an image, as many at a time as parallel says, and
// reports what is wrong with it and with the cache directory in it. The image
// that it returns has no lock where the report says that it cannot be read.
func Audit(ctx context.Context, top []byte, from oci.Reader, parallel int, to *form.Audit) (*Image, error) {
	manifests, err := manifestsIn(top)
	if err != nil {
		return nil, err
	}
	a := &auditor{Audit: to, from: from, parallel: max(parallel, 1), reading: &reading{image: &Image{Top: oci.BlobOf(top)}}}
	if err := a.found(oci.BlobOf(top), "the image index", nil, nil); err != nil {
		return nil, err
	}
	for _, m := range manifests {
		if err := a.manifest(ctx, m); err != nil {
			return nil, err
		}
	}
	return a.finish()
}

type auditor struct {
	*form.Audit
	*reading
	from     oci.Reader
	parallel int
}

// finish puts the locks together, if they are all there.
func (a *auditor) finish() (*Image, error) {
	if len(a.locks) == 0 {
		return a.image, nil
	}
	im, err := a.reading.finish()
	if err != nil {
		a.Fail(audit.Problem{Kind: audit.KindDamaged, Path: pluginsdir.LockPath, Detail: err.Error()})
		return a.image, nil
	}
	return im, nil
}

// found reports a blob, and what is wrong with it. An error that is no damage is
// returned.
func (a *auditor) found(b lock.Blob, what string, p *agent.Platform, err error) error {
	f := audit.File{Content: what}
	if p != nil {
		f.Platforms = []agent.Platform{*p}
	}
	return oci.Report(&a.Report, b, f, err)
}

func (a *auditor) manifest(ctx context.Context, m namedManifest) error {
	data, err := m.read(ctx, a.from)
	if m.data == nil {
		if addErr := a.found(m.Blob, "the manifest", m.platform, err); err != nil {
			return addErr
		}
	}
	err = a.contents(ctx, m.platform, data)
	state, ok := audit.StateOf(err)
	if !ok {
		return err
	}
	// The manifest itself is what it should be.
	a.Fail(audit.Problem{Kind: audit.Kind(state), Path: oci.BlobPath(m.SHA256), Detail: m.of(err).Error()})
	return nil
}

// contents audits what a manifest names. If the damage makes it impossible to go on, it returns the
// error.
func (a *auditor) contents(ctx context.Context, said *agent.Platform, manifest []byte) error {
	is, err := a.describe(ctx, said, manifest, a.from)
	if err != nil {
		return err
	}
	found, err := a.layers(ctx, is)
	if err != nil {
		return err
	}
	if err := a.reading.add(ctx, is, a.from); err != nil {
		return err
	}
	l, mount := a.locks[len(a.locks)-1], a.image.Mount
	(&pluginsdir.Audited{Lock: l, Platform: is.platform, Found: found, Mount: mount, KeepsModes: true, At: func(p string) string { return path.Join(mount, p) }}).Audit(&a.Report)
	return nil
}

// layers reads the layers of an image, and returns the files of the cache
// directory by their paths in it.
func (a *auditor) layers(ctx context.Context, is *described) (map[string]entry.Found, error) {
	each := make([]map[string]entry.Found, len(is.manifest.Layers))
	budget := new(readBudget)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(a.parallel)
	for i := range is.manifest.Layers {
		group.Go(func() (err error) {
			each[i], err = a.layer(ctx, is, i, budget)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all := map[string]entry.Found{}
	for _, found := range each {
		for p, f := range found {
			if _, twice := all[p]; twice {
				f = entry.Found{Problem: "the file is in two layers"}
			}
			all[p] = f
		}
	}
	return all, nil
}

func (a *auditor) layer(ctx context.Context, is *described, i int, budget *readBudget) (map[string]entry.Found, error) {
	what := "a layer"
	if i < len(is.config.History) && is.config.History[i].Comment != "" {
		what = fmt.Sprintf("the layer with %.*s", maxContent, is.config.History[i].Comment)
	}
	l, err := is.readLayer(ctx, a.from, i, a.image.Mount, maxLayer, budget)
	if fault.KindOf(err) != fault.Incomplete {
		a.Hashed(is.layers[i].Size)
	}
	for _, p := range l.outside {
		a.Fail(audit.Problem{Kind: audit.KindUnexpected, Path: p, Detail: "the file is outside of the plugins' directory of the image for " + is.platform.String()})
	}
	return l.found, a.found(is.layers[i], what, &is.platform, err)
}
