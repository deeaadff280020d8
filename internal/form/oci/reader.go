package oci

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Reader reads documents and blobs by their digests, from a layout or from a repository in a
// registry. The error of a missing blob has kind [fault.Incomplete], that of a blob known to be
// damaged [fault.Integrity]. [ReadManifest], [ReadBlob], [Stream] and [Check] verify the content.
// Its methods may be called concurrently.
type Reader interface {
	// Manifest returns a manifest or an index, which registries keep apart from blobs.
	Manifest(ctx context.Context, b lock.Blob) ([]byte, error)
	// Open opens a blob: a lock, a configuration, a layer.
	Open(ctx context.Context, b lock.Blob) (io.ReadCloser, error)
}

// ReadManifest returns a manifest or an index of at most [MaxDocument] bytes, verified.
func ReadManifest(ctx context.Context, from Reader, b lock.Blob) ([]byte, error) {
	if err := checkSize(b, MaxDocument); err != nil {
		return nil, err
	}
	var data []byte
	err := blob.Again(ctx, func(error) (err error) {
		if data, err = from.Manifest(ctx, b); err != nil {
			return err
		}
		return blob.Compare(BlobOf(data), b)
	})
	return data, err
}

// ReadBlob returns a blob of at most max bytes, verified.
func ReadBlob(ctx context.Context, from Reader, b lock.Blob, max int64) ([]byte, error) {
	if err := checkSize(b, max); err != nil {
		return nil, err
	}
	var data []byte
	err := blob.Again(ctx, func(error) error {
		return Stream(ctx, from, b, func(r io.Reader) (err error) {
			data, err = io.ReadAll(r)
			return err
		})
	})
	return data, err
}

func checkSize(b lock.Blob, max int64) error {
	if b.Size > max {
		return fault.New(fault.Integrity, "sha256:%s has %d bytes, but the maximum is %d", b.SHA256, b.Size, max)
	}
	return nil
}

// Check reads a blob to its end, and verifies its digest.
func Check(ctx context.Context, from Reader, b lock.Blob) error {
	return blob.Again(ctx, func(error) error {
		return Stream(ctx, from, b, func(io.Reader) error { return nil })
	})
}

// Stream calls read with the content of a blob, and verifies all of it. If the content cannot be
// read or is wrong, Stream returns that error, whatever read returns.
func Stream(ctx context.Context, from Reader, b lock.Blob, read func(io.Reader) error) error {
	content, err := from.Open(ctx, b)
	if err != nil {
		return err
	}
	defer content.Close()
	whole := blob.Verify(ctx, content, b)
	readErr := read(whole)
	if err := blob.Copy(ctx, io.Discard, whole); err != nil {
		return err
	}
	return readErr
}

// Missing is the error of a missing blob.
func Missing(d lock.SHA256) error {
	return fault.New(fault.Incomplete, "%s is missing", BlobPath(d))
}

// Report adds a blob to a report. f describes the blob, and err is what is wrong with it, or nil.
// If err is not damage, Report returns it.
func Report(r *audit.Report, b lock.Blob, f audit.File, err error) error {
	f.Path, f.Basis = BlobPath(b.SHA256), cmp.Or(f.Basis, audit.ByManifest)
	if err == nil {
		f.State, f.Size, f.SHA256 = audit.Intact, b.Size, &b.SHA256
		r.Add(f, "")
		return nil
	}
	state, ok := audit.StateOf(err)
	if !ok {
		return err
	}
	f.State, f.Expected = state, &b.SHA256
	detail := fmt.Sprintf("%s: %v", f.Content, err)
	if state == audit.Missing {
		detail = f.Content + " is missing"
	}
	r.Add(f, detail)
	return nil
}
