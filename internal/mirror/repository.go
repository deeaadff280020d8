package mirror

import (
	"context"
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// repositoryReader is an [oci.Reader] of a repository as the registry has it now:
// nothing of it is taken from the store, and nothing is kept.
type repositoryReader struct{ repo *registry.Repository }

// Manifest counts what a registry does not have as missing.
func (r repositoryReader) Manifest(ctx context.Context, b lock.Blob) ([]byte, error) {
	m, err := r.repo.Manifest(ctx, digestOf(b))
	if registry.IsNotFound(err) {
		return nil, fault.New(fault.Incomplete, "%w", err)
	}
	return m.Data, err
}

func (r repositoryReader) Open(ctx context.Context, b lock.Blob) (io.ReadCloser, error) {
	return r.repo.Open(ctx, b), nil
}

// storedReader is an [oci.Reader] of a repository whose blobs come through the store.
type storedReader struct {
	repositoryReader
	session *Session
}

func (r storedReader) Open(ctx context.Context, b lock.Blob) (io.ReadCloser, error) {
	if _, err := r.session.fetchBlob(ctx, r.repo, b); err != nil {
		return nil, err
	}
	return r.session.Store.Open(b.SHA256)
}
