package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// putLayer replaces a layer by what is unpacked, which its configuration says.
func (p *parts) putLayer(t testing.TB, i int, unpacked []byte) {
	t.Helper()
	p.manifest.Layers[i] = p.put(p.manifest.Layers[i], zipped(t, unpacked))
	id := oci.HashOf(lock.Sum(unpacked))
	if p.config.Config.Labels[documentsKey] == p.config.RootFS.DiffIDs[i].String() {
		p.config.Config.Labels[documentsKey] = id.String()
	}
	p.config.RootFS.DiffIDs[i] = id
	p.putConfig(t)
	p.putManifest(t)
}

// more returns a layer with entries appended.
func more(t testing.TB, layer []byte, headers ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	r := tar.NewReader(bytes.NewReader(layer))
	for h, err := r.Next(); err != io.EOF; h, err = r.Next() {
		check(t, err)
		check(t, w.WriteHeader(h))
		_, err = io.Copy(w, r)
		check(t, err)
	}
	for _, h := range headers {
		check(t, w.WriteHeader(&h))
		_, err := io.Copy(w, io.LimitReader(endless{bytes.Repeat([]byte(" "), 32<<10)}, h.Size))
		check(t, err)
	}
	check(t, w.Close())
	return out.Bytes()
}

func (p *parts) audit(t testing.TB, from oci.Reader) (*Image, *audit.Report, error) {
	t.Helper()
	index, err := oci.Encode(p.index)
	check(t, err)
	a := &form.Audit{AuditOptions: form.AuditOptions{Hashed: func(int64) {}}}
	im, err := Audit(context.Background(), index, from, 2, a)
	return im, &a.Report, err
}

func TestAudit(t *testing.T) {
	const binary = "/plugins/r/executor_v1_x"
	file := func(name string, size int64) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: size}
	}
	at := func(d v1.Descriptor) string { return "blobs/sha256/" + d.Digest.Hex }
	for _, c := range []struct {
		name   string
		change func(p *parts)
		// want are the problems: kind, path, and a part of the detail.
		want func(p *parts) []string
	}{
		{"nothing", func(*parts) {}, func(*parts) []string { return nil }},
		{"a manifest that is missing", func(p *parts) { delete(p.blobs, sumOf(t, p.index.Manifests[0])) },
			func(p *parts) []string {
				return []string{"missing " + at(p.index.Manifests[0]) + " the manifest is missing"}
			}},
		{"a manifest", func(p *parts) { p.blobs[sumOf(t, p.index.Manifests[0])] = []byte("{}") },
			func(p *parts) []string { return []string{"damaged " + at(p.index.Manifests[0]) + " the manifest:"} }},
		{"a configuration that is missing", func(p *parts) { delete(p.blobs, sumOf(t, p.manifest.Config)) },
			func(p *parts) []string {
				return []string{"missing " + at(p.index.Manifests[0]) + " the image for linux/amd64: reading the configuration: " + at(p.manifest.Config) + " is missing"}
			}},
		{"another platform", func(p *parts) { p.index.Manifests[0].Platform.Architecture = "arm64" },
			func(p *parts) []string {
				return []string{"damaged " + at(p.index.Manifests[0]) + " the index says linux/arm64, but the image is for linux/amd64"}
			}},
		{"a layer", func(p *parts) { p.blobs[sumOf(t, p.manifest.Layers[0])][20] ^= 1 },
			func(p *parts) []string {
				return []string{"damaged " + at(p.manifest.Layers[0]) + " the layer with " + binary}
			}},
		{"a layer that is missing", func(p *parts) { delete(p.blobs, sumOf(t, p.manifest.Layers[0])) },
			func(p *parts) []string {
				return []string{"missing " + at(p.manifest.Layers[0]) + " the layer with", "missing " + binary + " the file is missing"}
			}},
		{"a layer that unpacks to something else", func(p *parts) {
			p.config.RootFS.DiffIDs[0].Hex = strings.Repeat("0", 64)
			p.putConfig(t)
			p.putManifest(t)
		}, func(p *parts) []string {
			return []string{"damaged " + at(p.manifest.Layers[0]) + " but the configuration says sha256:0000"}
		}},
		{"a file elsewhere", func(p *parts) { p.putLayer(t, 1, more(t, p.documents, file("etc/passwd", 1))) },
			func(*parts) []string { return []string{"unexpected /etc/passwd the file is outside"} }},
		{"a link in place of the directory", func(p *parts) {
			p.putLayer(t, 1, more(t, p.documents, tar.Header{Typeflag: tar.TypeSymlink, Name: "plugins", Linkname: "/etc"}))
		}, func(*parts) []string { return []string{"unexpected /plugins the file is outside"} }},
		{"a file that nobody asked for", func(p *parts) { p.putLayer(t, 1, more(t, p.documents, file("plugins/r/executor_v2_x", 1))) },
			func(*parts) []string { return []string{"unexpected /plugins/r/executor_v2_x an agent might run it"} }},
		{"a file that takes another away", func(p *parts) { p.putLayer(t, 1, more(t, p.documents, file("plugins/r/.wh.executor_v1_x", 0))) },
			func(*parts) []string {
				return []string{"unexpected /plugins/r/.wh.executor_v1_x the entry removes a file"}
			}},
		{"a file in two layers", func(p *parts) { p.putLayer(t, 1, more(t, p.documents, file(binary[1:], 1))) },
			func(*parts) []string { return []string{"damaged " + binary + " the file is in two layers"} }},
		{"a file twice in a layer", func(p *parts) {
			p.putLayer(t, 1, more(t, p.documents, file("plugins/r.yaml", 1)))
		}, func(*parts) []string { return []string{"damaged /plugins/r.yaml the file is in the layer twice"} }},
		{"a link in place of a file", func(p *parts) {
			p.putLayer(t, 1, more(t, p.documents, tar.Header{Typeflag: tar.TypeSymlink, Name: "plugins/r.yaml", Linkname: "/etc/passwd"}))
		}, func(*parts) []string { return []string{"damaged /plugins/r.yaml the entry is not a regular file"} }},
		{"a document that is too large", func(p *parts) { p.putLayer(t, 1, more(t, p.documents, file("plugins/big.yaml", lock.MaxSize+1))) },
			func(*parts) []string { return []string{"unexpected /plugins/big.yaml the document has 16777217 bytes"} }},
		{"more documents than fit into memory", func(p *parts) {
			var many []tar.Header
			for i := range maxDocuments/lock.MaxSize + 1 {
				many = append(many, file(fmt.Sprintf("plugins/big%d.yaml", i), lock.MaxSize))
			}
			p.putLayer(t, 0, more(t, nil, many...))
		}, func(p *parts) []string {
			return []string{"damaged " + at(p.manifest.Layers[0]) + " the layer"}
		}},
		{"longer names than fit into memory", func(p *parts) {
			var many []tar.Header
			for i := range 1 + maxDocuments>>19 {
				many = append(many, file(fmt.Sprintf("plugins/x%d%s", i, strings.Repeat("x", 1<<19)), 0))
			}
			p.putLayer(t, 0, more(t, nil, many...))
		}, func(p *parts) []string {
			return []string{"damaged " + at(p.manifest.Layers[0]) + " the layer"}
		}},
		{"more files than there can be", func(p *parts) {
			var many []tar.Header
			for range maxFiles {
				many = append(many, file("plugins/x", 0))
			}
			p.putLayer(t, 0, more(t, nil, many...))
		}, func(p *parts) []string {
			return []string{"damaged " + at(p.manifest.Layers[0]) + " the layer"}
		}},
		{"an index for another place", func(p *parts) {
			p.putLayer(t, 1, bytes.ReplaceAll(p.documents, []byte("file:///plugins/"), []byte("file:///plugin2/")))
		}, func(*parts) []string {
			return []string{"index /plugins/r.yaml the index is for a directory at /plugin2, but the agent sees the directory at /plugins"}
		}},
		{"no lock", func(p *parts) { p.putLayer(t, 1, tarOf(t, "plugins/r.yaml", "y")) },
			func(p *parts) []string {
				return []string{"missing " + at(p.index.Manifests[0]) + " /plugins/.botkube-mirror/lock.json is missing"}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			switch c.name {
			case "more documents than fit into memory", "longer names than fit into memory", "more files than there can be":
				tier.SkipUnlessThorough(t) // each takes a second
			}
			p := partsOf(t)
			c.change(p)
			_, r, err := p.audit(t, reader{parts: p})
			check(t, err)
			want := c.want(p)
			var lacking []string
			for _, w := range want {
				kind, rest, _ := strings.Cut(w, " ")
				at, detail, _ := strings.Cut(rest, " ")
				if !slices.ContainsFunc(r.Problems(), func(p audit.Problem) bool {
					return string(p.Kind) == kind && p.Path == at && strings.Contains(p.Detail, detail)
				}) {
					lacking = append(lacking, w)
				}
			}
			if len(lacking) > 0 || len(want) == 0 && len(r.Problems()) > 0 {
				t.Errorf("lacking %q in %+v", lacking, r.Problems())
			}
			seen := map[string]bool{}
			for _, f := range r.Files() {
				if seen[f.Path] {
					t.Errorf("%s stands twice", f.Path)
				}
				seen[f.Path] = true
			}
		})
	}
}

// TestAuditRefuses wants what is no image of ours, and no index that can be used,
// to be an error.
func TestAuditRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(p *parts)
		kind   fault.Kind
	}{
		"no platform":        {func(p *parts) { p.index.Manifests[0].Platform = nil }, fault.Usage},
		"odd platform":       {func(p *parts) { p.index.Manifests[0].Platform.OS = "../x" }, fault.Integrity},
		"too many platforms": {func(p *parts) { p.index.Manifests = make([]v1.Descriptor, maxPlatforms+1) }, fault.Integrity},
		"huge manifest":      {func(p *parts) { p.index.Manifests[0].Size = 1 << 40 }, fault.Integrity},
		"no mount":           {func(p *parts) { delete(p.config.Config.Labels, mountKey); p.putConfig(t); p.putManifest(t) }, fault.Usage},
		"not an image":       {func(p *parts) { p.manifest.Config.MediaType = "application/json"; p.putManifest(t) }, fault.Usage},
	} {
		p := partsOf(t)
		c.change(p)
		if _, _, err := p.audit(t, reader{parts: p}); fault.KindOf(err) != c.kind {
			t.Errorf("%s: %v (%d)", name, err, fault.KindOf(err))
		}
	}
}

// TestAuditLooksTwice damages a layer on the way once.
func TestAuditLooksTwice(t *testing.T) {
	p := partsOf(t)
	layer := sumOf(t, p.manifest.Layers[0])
	var looks atomic.Int64
	from := reader{p, func(b lock.Blob, content io.Reader) io.Reader {
		if b.SHA256 == layer && looks.Add(1) == 1 {
			return strings.NewReader("damaged")
		}
		return content
	}}
	im, r, err := p.audit(t, from)
	if err != nil || len(r.Problems()) > 0 || im.Lock == nil || looks.Load() != 2 {
		t.Errorf("%v, %+v, %d looks", err, r.Problems(), looks.Load())
	}
}
