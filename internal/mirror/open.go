package mirror

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// locate finds out what a target names: something on this machine or in a registry, or standard input.
func (s *Session) locate(ctx context.Context, target string) (*form.Place, error) {
	var p *form.Place
	var err error
	if reference, ok := strings.CutPrefix(target, form.RegistryPrefix); ok {
		p, err = s.placeInRegistry(ctx, reference)
	} else {
		p, err = forms.All.Locate(ctx, target, s.Stdin)
	}
	if errors.Is(err, fs.ErrNotExist) && p != nil {
		err = explainTarget(target, p.Path, err)
	}
	if err != nil {
		return nil, err
	}
	p.Waiting = s.waiting
	return p, nil
}

// explainTarget adds a hint to the error for a target that does not exist.
func explainTarget(target, path string, err error) error {
	e := fault.New(fault.Usage, "%w", err)
	reference, scheme := form.RegistryReference(target)
	isURL := strings.HasPrefix(target, "https://") || strings.HasPrefix(target, "http://")
	if isURL && (reference == "" || form.IsFile(reference)) {
		return fault.New(fault.Usage, "%s is not a target", target).WithHint("download the file, and give its path")
	}
	if scheme {
		return fault.New(fault.Usage, "%s is not a target", form.WithoutUser(target)).WithHint("write a target in a registry with %s: %[1]s%s", form.RegistryPrefix, reference)
	}
	if near := disk.Similar(path); near != "" {
		return e.WithHint("did you mean %s?", near)
	}
	if _, noVersion := resolve.ReleaseTag(target); noVersion == nil {
		return e.WithHint("a Botkube version is not a target: write a lock for it, and give the lock's path: botkube-mirror lock --version %s FILE", target)
	}
	if _, after, _ := strings.Cut(target, ":"); after != "" && exists(after) {
		return e.WithHint("write %s without a prefix: botkube-mirror finds out what it is", after)
	}
	if reference != "" {
		return e.WithHint("%s\nif the target is in a registry, write %s%s", fault.HintOf(err), form.RegistryPrefix, reference)
	}
	return err
}

func checkStandardInput(a, b string) error {
	if a == form.StandardStream && b == form.StandardStream {
		return fault.New(fault.Usage, "standard input can be only one of the two targets").WithHint("write one of the targets to a file, and give its path")
	}
	return nil
}

func (s *Session) open(ctx context.Context, target string) (*form.Mirror, error) {
	p, err := s.locate(ctx, target)
	if err != nil {
		return nil, err
	}
	return forms.All.Open(s.watched(ctx, ""), p)
}

// source is a mirror that something else is made of.
type source struct {
	*form.Mirror
	form.Content
}

func (s *Session) openSource(ctx context.Context, target string) (*source, error) {
	p, err := s.locate(ctx, target)
	if err != nil {
		return nil, err
	}
	m, content, err := forms.All.Content(s.watched(ctx, ""), p) // standard input is copied first
	if err != nil {
		return nil, err
	}
	return &source{m, *content}, nil
}

func (src *source) close() {
	if src.Content.Close != nil {
		_ = src.Content.Close() // nothing was written to it
	}
	_ = src.Mirror.Close()
}

func (s *Session) placeInRegistry(ctx context.Context, reference string) (*form.Place, error) {
	ref, err := registry.ParseReference(reference)
	if err != nil {
		return nil, err
	}
	if ref.Identifier() == "" {
		return nil, fault.New(fault.Usage, "%s%s has neither tag nor digest", form.RegistryPrefix, ref).
			WithHint("add the Botkube version: %s%s:v1.14.0", form.RegistryPrefix, ref)
	}
	client := cmp.Or(s.Source, s.Registry)
	if client == nil {
		return nil, fault.New(fault.Usage, "%s%s is in a registry, but this command reads only files of this machine", form.RegistryPrefix, ref).
			WithHint("copy the bundle to this machine first: botkube-mirror unpack %s%s -o bundle.tar", form.RegistryPrefix, ref)
	}
	repo, err := client.Repository(ctx, ref.Repository(), false)
	if err != nil {
		return nil, err
	}
	top, err := repo.Manifest(ctx, ref.Identifier())
	if err != nil {
		return nil, err
	}
	in := &form.Repository{Reader: repositoryReader{s, repo}, Top: top.Data, Tag: ref.Tag()}
	if s.Store != nil {
		in.Store = s.Store
		in.Obtain = func(ctx context.Context, b lock.Blob) (int64, error) { return s.fetchBlob(ctx, repo, b) }
	}
	return &form.Place{Target: form.RegistryPrefix + ref.String(), Repository: in}, nil
}

// repositoryReader is an [oci.Reader]. Blobs come through the store, if the session has one.
type repositoryReader struct {
	*Session
	repo *registry.Repository
}

// Manifest counts what a registry does not have as missing.
func (r repositoryReader) Manifest(ctx context.Context, b lock.Blob) ([]byte, error) {
	m, err := r.repo.Manifest(ctx, b.SHA256.OCI())
	if registry.IsNotFound(err) {
		return nil, fault.New(fault.Incomplete, "%w", err)
	}
	return m.Data, err
}

func (r repositoryReader) Open(ctx context.Context, b lock.Blob) (io.ReadCloser, error) {
	if r.Store == nil {
		return r.repo.Open(ctx, b), nil
	}
	if _, err := r.fetchBlob(ctx, r.repo, b); err != nil {
		return nil, err
	}
	return r.Store.Open(b.SHA256)
}
