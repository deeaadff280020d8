package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// readBudget counts what is kept in memory while the layers of an image are read. An image that
// exceeds it cannot be from botkube-mirror.
type readBudget struct{ entries, bytes atomic.Int64 }

type layerReader struct {
	mount  string
	budget *readBudget
	found  map[string]entry.Found
	// outside are the paths of files that are not below the mount.
	outside []string
}

// readLayer takes in a layer that unpacks to at most most bytes.
func (is *described) readLayer(ctx context.Context, from oci.Reader, i int, mount string, most int64, budget *readBudget) (l *layerReader, err error) {
	err = blob.Again(ctx, func(error) error {
		l = &layerReader{mount: mount, budget: budget, found: map[string]entry.Found{}}
		return oci.Stream(ctx, from, is.layers[i], func(r io.Reader) error {
			content, err := unpacked(is.manifest.Layers[i].MediaType, r)
			if err != nil {
				return err
			}
			return l.read(ctx, is.config.RootFS.DiffIDs[i], &boundedReader{ctx: ctx, from: content, left: most})
		})
	})
	return l, err
}

// read unpacks a layer, and compares what it unpacks to with its diff ID.
func (l *layerReader) read(ctx context.Context, diffID v1.Hash, content io.Reader) error {
	sum := blob.NewHash()
	whole := io.TeeReader(content, sum)
	for r := tar.NewReader(whole); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = l.entry(h, r)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return unpacking(err)
		}
	}
	if err := blob.Copy(ctx, io.Discard, whole); err != nil {
		return unpacking(err)
	}
	if got := oci.HashOf(sum.SHA256()); got != diffID {
		return fault.New(fault.Integrity, "the layer unpacks to %s, but the configuration says %s", got, diffID)
	}
	return nil
}

func (l *layerReader) entry(h *tar.Header, r io.Reader) error {
	name := path.Clean("/" + h.Name)
	if l.budget.entries.Add(1) > maxFiles || l.budget.bytes.Add(int64(len(name))) > maxDocuments {
		return errTooMuch
	}
	rel, below := strings.CutPrefix(name, l.mount+"/")
	if h.Typeflag == tar.TypeDir && !isWhiteout(name) {
		return nil
	}
	switch {
	case name == seederPath && h.Typeflag == tar.TypeReg:
		return nil
	case !below:
		l.outside = append(l.outside, name)
		return nil
	case isWhiteout(name):
		l.found[rel] = entry.Found{Problem: "the entry removes a file of another layer"}
		return nil
	case h.Typeflag != tar.TypeReg:
		l.found[rel] = entry.Found{Problem: "the entry is not a regular file"}
		return nil
	}
	f := entry.Found{Access: disk.Access{Mode: h.FileInfo().Mode(), User: h.Uid, Group: h.Gid}}
	var data bytes.Buffer
	sum := blob.NewHash()
	var head agent.Head
	to := io.MultiWriter(&head, sum)
	if pluginsdir.IsDocument(rel) {
		if h.Size > lock.MaxSize {
			l.found[rel] = entry.Found{Problem: fmt.Sprintf("the document has %d bytes, which is more than botkube-mirror reads", h.Size)}
			return nil
		}
		if l.budget.bytes.Add(h.Size) > maxDocuments {
			return errTooMuch
		}
		to = io.MultiWriter(&data, sum)
	}
	n, err := io.Copy(to, r)
	if err != nil {
		return err
	}
	if !pluginsdir.IsDocument(rel) {
		f.Program = head.Program()
	}
	f.Blob, f.Data = lock.Blob{Size: n, SHA256: sum.SHA256()}, data.Bytes()
	if _, twice := l.found[rel]; twice {
		f = entry.Found{Problem: "the file is in the layer twice"}
	}
	l.found[rel] = f
	return nil
}

// unpacked returns the content of a layer as it is before it is compressed.
func unpacked(mediaType types.MediaType, r io.Reader) (io.Reader, error) {
	switch mediaType {
	case types.OCILayer, types.DockerLayer:
		gz, err := gzip.NewReader(r)
		if err != nil {
			return nil, unpacking(err)
		}
		return gz, nil
	case types.OCIUncompressedLayer, types.DockerUncompressedLayer:
		return r, nil
	}
	return nil, fault.New(fault.Integrity, "a layer has the unsupported media type %q", mediaType)
}

func unpacking(err error) error { return fault.New(fault.Integrity, "unpacking: %w", err) }

// errTooMuch says that layers unpack to more than is read.
var errTooMuch = errors.New("the content is too large")

// boundedReader fails where a [io.LimitedReader] ends.
type boundedReader struct {
	ctx  context.Context
	from io.Reader
	left int64
}

func (r *boundedReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.from.Read(p)
	if r.left -= int64(n); r.left < 0 {
		return 0, errTooMuch
	}
	return n, err
}
