package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

func TestReadBack(t *testing.T) {
	for _, platforms := range [][]agent.Platform{{amd64}, {amd64, arm64}} {
		f := newFixture(t, "v1.14.0", platforms, plugins(t)...)
		data, result := f.write(t, with(form.WriteOptions{Mount: "/some/where", ModTime: time.Unix(1, 0)}))
		name := filepath.Join(t.TempDir(), "image.tar")
		check(t, os.WriteFile(name, data, 0o644))
		for _, name := range []string{name, unpack(t, data)} {
			im, err := openPath(name)
			check(t, err)
			want := &Image{Top: im.Top, Tag: "v1.14.0", Names: []string{"v1.14.0"}, Mount: "/some/where", Lock: f.lock, MountOnly: platforms}
			if im.Top.SHA256.OCI() != result.Digest || asJSON(t, im) != asJSON(t, want) {
				t.Errorf("read %s, want %s", asJSON(t, im), asJSON(t, want))
			}
		}
	}
}

// parts are the parts of an image for one platform, for a test to change.
type parts struct {
	blobs map[lock.SHA256][]byte
	// Each is made anew of those before it.
	documents []byte
	config    v1.ConfigFile
	manifest  v1.Manifest
	index     v1.IndexManifest
}

// partsOf takes an image apart that has a raw file and documents.
func partsOf(t testing.TB) *parts {
	t.Helper()
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64}, upstream{name: "x", version: "v1", file: "x", content: text("x")})
	p := &parts{blobs: map[lock.SHA256][]byte{}}
	_, err := Build(context.Background(), f.lock, f.source(), with(form.WriteOptions{}), p)
	check(t, err)
	unpacked, err := gzip.NewReader(bytes.NewReader(p.blobs[sumOf(t, p.manifest.Layers[1])]))
	check(t, err)
	p.documents, err = io.ReadAll(unpacked)
	check(t, err)
	return p
}

func sumOf(t testing.TB, d v1.Descriptor) lock.SHA256 {
	t.Helper()
	sum, err := lock.ParseSHA256(d.Digest.Hex)
	check(t, err)
	return sum
}

func (p *parts) Blob(_ context.Context, b lock.Blob, open func() (blob.File, error)) error {
	content, err := open()
	if err != nil {
		return err
	}
	data, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	p.blobs[b.SHA256] = data
	_ = json.Unmarshal(data, &p.config) // layers are no JSON
	return nil
}

func (p *parts) Manifest(_ context.Context, m Manifest) error {
	p.blobs[m.SHA256] = m.Data
	if m.Platform != nil {
		return json.Unmarshal(m.Data, &p.manifest)
	}
	return json.Unmarshal(m.Data, &p.index)
}

// put adds a blob and describes it.
func (p *parts) put(d v1.Descriptor, data []byte) v1.Descriptor {
	b := oci.BlobOf(data)
	p.blobs[b.SHA256] = data
	d.Size, d.Digest = b.Size, oci.HashOf(b.SHA256)
	return d
}

func (p *parts) putDocuments(t testing.TB, documents []byte) { p.putLayer(t, 1, documents) }

func (p *parts) putConfig(t testing.TB) {
	data, err := oci.Encode(p.config)
	check(t, err)
	p.manifest.Config = p.put(p.manifest.Config, data)
}

func (p *parts) putManifest(t testing.TB) {
	data, err := oci.Encode(p.manifest)
	check(t, err)
	p.index.Manifests[0] = p.put(p.index.Manifests[0], data)
}

// reader is an [oci.Reader].
type reader struct {
	parts *parts
	// open, if not nil, opens blobs in the place of those of the parts.
	open func(b lock.Blob, content io.Reader) io.Reader
}

func (r reader) Manifest(_ context.Context, b lock.Blob) ([]byte, error) {
	data, found := r.parts.blobs[b.SHA256]
	if !found {
		return nil, oci.Missing(b.SHA256)
	}
	return data, nil
}

func (r reader) Open(ctx context.Context, b lock.Blob) (io.ReadCloser, error) {
	data, err := r.Manifest(ctx, b)
	if err != nil {
		return nil, err
	}
	var content io.Reader = bytes.NewReader(data)
	if r.open != nil {
		content = r.open(b, content)
	}
	return io.NopCloser(content), nil
}

func (p *parts) read(t testing.TB) (*Image, error) {
	data, err := oci.Encode(p.index)
	check(t, err)
	return Read(context.Background(), data, reader{parts: p})
}

// rewriteManifest replaces text in the manifest.
func (p *parts) rewriteManifest(t testing.TB, old, text string) {
	data, err := oci.Encode(p.manifest)
	check(t, err)
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("no %s in %s", old, data)
	}
	p.index.Manifests[0] = p.put(p.index.Manifests[0], bytes.Replace(data, []byte(old), []byte(text), 1))
}

func zipped(t testing.TB, data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(data)
	check(t, err)
	check(t, w.Close())
	return out.Bytes()
}

// tarOf makes an archive; a body that is nil makes a directory.
func tarOf(t testing.TB, namesAndBodies ...string) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; i < len(namesAndBodies); i += 2 {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: namesAndBodies[i], Mode: 0o644, Size: int64(len(namesAndBodies[i+1]))}
		check(t, w.WriteHeader(h))
		_, err := io.WriteString(w, namesAndBodies[i+1])
		check(t, err)
	}
	check(t, w.Close())
	return out.Bytes()
}

func TestHostileImages(t *testing.T) {
	if _, err := partsOf(t).read(t); err != nil {
		t.Fatal(err)
	}
	const at = "plugins/.botkube-mirror/lock.json"
	lockOf := func(p *parts) string {
		for r := tar.NewReader(bytes.NewReader(p.documents)); ; {
			h, err := r.Next()
			check(t, err)
			if h.Name == at {
				data, err := io.ReadAll(r)
				check(t, err)
				return string(data)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(p *parts)
		kind   fault.Kind
	}{
		"no manifest":       {func(p *parts) { delete(p.blobs, sumOf(t, p.index.Manifests[0])) }, fault.Incomplete},
		"no configuration":  {func(p *parts) { delete(p.blobs, sumOf(t, p.manifest.Config)) }, fault.Incomplete},
		"no documents":      {func(p *parts) { delete(p.blobs, sumOf(t, p.manifest.Layers[1])) }, fault.Incomplete},
		"changed manifest":  {func(p *parts) { p.blobs[sumOf(t, p.index.Manifests[0])] = []byte("{}") }, fault.Integrity},
		"changed documents": {func(p *parts) { p.blobs[sumOf(t, p.manifest.Layers[1])][40] ^= 1 }, fault.Integrity},
		"longer documents":  {func(p *parts) { d := sumOf(t, p.manifest.Layers[1]); p.blobs[d] = append(p.blobs[d], 0) }, fault.Integrity},
		"wrong platform":    {func(p *parts) { p.index.Manifests[0].Platform.Architecture = "arm64" }, fault.Integrity},
		"no platform":       {func(p *parts) { p.index.Manifests[0].Platform = nil }, fault.Usage},
		"nested index":      {func(p *parts) { p.index.Manifests[0].MediaType = types.OCIImageIndex }, fault.Usage},
		"negative size":     {func(p *parts) { p.index.Manifests[0].Size = -1 }, fault.Integrity},
		"huge manifest":     {func(p *parts) { p.index.Manifests[0].Size = 1 << 40 }, fault.Integrity},
		"other digest": {func(p *parts) {
			p.index.Manifests[0].Digest = v1.Hash{Algorithm: "sha512", Hex: strings.Repeat("a", 128)}
		}, fault.Integrity},
		"traversing digest":  {func(p *parts) { p.index.Manifests[0].Digest = v1.Hash{Algorithm: "sha256", Hex: "../../x"} }, fault.Integrity},
		"the same twice":     {func(p *parts) { p.index.Manifests = append(p.index.Manifests, p.index.Manifests[0]) }, fault.Integrity},
		"too many platforms": {func(p *parts) { p.index.Manifests = make([]v1.Descriptor, maxPlatforms+1) }, fault.Integrity},
		"no layers":          {func(p *parts) { p.manifest.Layers = nil; p.putManifest(t) }, fault.Integrity},
		"negative layer":     {func(p *parts) { p.manifest.Layers[0].Size = -5; p.putManifest(t) }, fault.Integrity},
		"endless layer":      {func(p *parts) { p.manifest.Layers[0].Size = 1 << 62; p.putManifest(t) }, fault.Integrity},
		"not an image":       {func(p *parts) { p.manifest.Config.MediaType = "application/json"; p.putManifest(t) }, fault.Usage},
		"zstd":               {func(p *parts) { p.manifest.Layers[1].MediaType = types.OCILayerZStd; p.putManifest(t) }, fault.Integrity},
		"not compressed":     {func(p *parts) { p.manifest.Layers[1].MediaType = types.OCIUncompressedLayer; p.putManifest(t) }, fault.Integrity},
		"huge configuration": {func(p *parts) { p.manifest.Config.Size = oci.MaxDocument + 1; p.putManifest(t) }, fault.Integrity},
		"no mount":           {func(p *parts) { delete(p.config.Config.Labels, mountKey); p.putConfig(t); p.putManifest(t) }, fault.Usage},
		"bad mount":          {func(p *parts) { p.config.Config.Labels[mountKey] = "/a/../b"; p.putConfig(t); p.putManifest(t) }, fault.Integrity},
		"other mount":        {func(p *parts) { p.config.Config.Labels[mountKey] = "/other"; p.putConfig(t); p.putManifest(t) }, fault.Incomplete},
		"no documents layer": {func(p *parts) { delete(p.config.Config.Labels, documentsKey); p.putConfig(t); p.putManifest(t) }, fault.Usage},
		"odd platform": {func(p *parts) {
			p.config.OS, p.index.Manifests[0].Platform.OS = "../x", "../x"
			p.putConfig(t)
			p.putManifest(t)
		}, fault.Integrity},
		"lock of another": {func(p *parts) {
			p.putDocuments(t, tarOf(t, at, strings.ReplaceAll(lockOf(p), "linux/amd64", "linux/arm64")))
			p.putManifest(t)
		}, fault.Integrity},
		"no lock":   {func(p *parts) { p.putDocuments(t, tarOf(t, "x", "y")); p.putManifest(t) }, fault.Incomplete},
		"two locks": {func(p *parts) { p.putDocuments(t, tarOf(t, at, lockOf(p), "/./"+at, lockOf(p))); p.putManifest(t) }, fault.Integrity},
		"huge lock": {func(p *parts) { p.putDocuments(t, tarOf(t, at, strings.Repeat(" ", lock.MaxSize+1))); p.putManifest(t) }, fault.Integrity},
		"no JSON":   {func(p *parts) { p.putDocuments(t, tarOf(t, at, "{")); p.putManifest(t) }, fault.Integrity},
		"escaping lock": {func(p *parts) {
			p.putDocuments(t, tarOf(t, at, strings.ReplaceAll(lockOf(p), `"name": "x"`, `"name": "../x"`)))
			p.putManifest(t)
		}, fault.Integrity},
		"a key twice":           {func(p *parts) { p.rewriteManifest(t, `"layers":`, `"layers":[],"layers":`) }, fault.Integrity},
		"a key in another case": {func(p *parts) { p.rewriteManifest(t, `"layers":`, `"Layers":`) }, fault.Integrity},
		"an old schema":         {func(p *parts) { p.rewriteManifest(t, `"schemaVersion":2`, `"schemaVersion":1`) }, fault.Usage},
		"a twofold configuration": {func(p *parts) {
			config := p.blobs[sumOf(t, p.manifest.Config)]
			p.manifest.Config = p.put(p.manifest.Config, bytes.Replace(config, []byte(`"os":`), []byte(`"os":"windows","os":`), 1))
			p.putManifest(t)
		}, fault.Integrity},
		"a digest in capitals": {func(p *parts) {
			p.index.Manifests[0].Digest.Hex = strings.ToUpper(p.index.Manifests[0].Digest.Hex)
		}, fault.Integrity},
		"half a layer": {func(p *parts) { p.putDocuments(t, p.documents[:700]); p.putManifest(t) }, fault.Integrity},
		"no archive":   {func(p *parts) { p.putDocuments(t, bytes.Repeat([]byte("x"), 2000)); p.putManifest(t) }, fault.Integrity},
		"bomb of a file": {func(p *parts) {
			p.putDocuments(t, tarOf(t, "bomb", strings.Repeat("\x00", maxDocuments)))
			p.putManifest(t)
		}, fault.Integrity},
	} {
		p := partsOf(t)
		c.change(p)
		im, err := p.read(t)
		if im != nil || fault.KindOf(err) != c.kind {
			t.Errorf("%s: %v, %v (%d)", name, im, err, fault.KindOf(err))
		}
	}
}

func TestMerge(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64, arm64}, plugins(t)...)
	parts := func() []*lock.Lock { return []*lock.Lock{f.lock.ForPlatform(amd64), f.lock.ForPlatform(arm64)} }
	whole, err := merge(parts())
	if err != nil || asJSON(t, whole) != asJSON(t, f.lock) {
		t.Errorf("%v, %s, want %s", err, asJSON(t, whole), asJSON(t, f.lock))
	}
	for name, change := range map[string]func(a, b *lock.Lock){
		"version":    func(a, _ *lock.Lock) { a.BotkubeVersion = "v1.13.0" },
		"repository": func(a, _ *lock.Lock) { a.Repositories[0].Index.SHA256[0] ^= 1 },
		"artifact":   func(a, b *lock.Lock) { a.Artifacts[0].URL = b.Artifacts[0].URL },
		"platform":   func(a, b *lock.Lock) { *a = *b },
	} {
		locks := parts()
		change(locks[0], locks[1])
		if _, err := merge(locks); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, data []byte) string {
		name = filepath.Join(dir, name)
		check(t, os.MkdirAll(filepath.Dir(name), 0o755))
		check(t, os.WriteFile(name, data, 0o644))
		return name
	}
	p := partsOf(t)
	index, err := oci.Encode(p.index)
	check(t, err)
	top := func(ds ...v1.Descriptor) string {
		data, err := oci.Encode(v1.IndexManifest{SchemaVersion: 2, Manifests: ds})
		check(t, err)
		return string(data)
	}
	d := p.put(v1.Descriptor{MediaType: types.OCIImageIndex}, index)
	for name, want := range map[string]fault.Kind{
		filepath.Join(dir, "none"):                        fault.Usage,
		put("empty", nil):                                 fault.Integrity,
		put("text", []byte(strings.Repeat("text ", 500))): fault.Usage,
		put("other.tar", tarOf(t, "x", "y")):              fault.Usage,
		put("twice.tar", tarOf(t, oci.IndexName, top(d), "./"+oci.IndexName, top(d))):                 fault.Integrity,
		put("two.tar", tarOf(t, oci.IndexName, top(d, d))):                                            fault.Incomplete,
		put("json.tar", tarOf(t, oci.IndexName, "{")):                                                 fault.Integrity,
		put("missing.tar", tarOf(t, oci.IndexName, top(d))):                                           fault.Incomplete,
		put("huge.tar", tarOf(t, oci.IndexName, strings.Repeat(" ", oci.MaxDocument+1))):              fault.Integrity,
		put("half.tar", tarOf(t, oci.IndexName, top(d), "blobs/x", strings.Repeat("x", 5000))[:3000]): fault.Integrity,
		filepath.Dir(put("layout/oci-layout", nil)):                                                   fault.Integrity,
		filepath.Dir(filepath.Dir(put("layout2/index.json/x", nil))):                                  fault.Integrity,
	} {
		if _, err := openPath(name); fault.KindOf(err) != want {
			t.Errorf("%s: %v, want kind %d", name, err, want)
		}
	}
}

// endless repeats data.
type endless struct{ data []byte }

func (e endless) Read(p []byte) (int, error) { return copy(p, e.data), nil }

func TestEndlessDirectory(t *testing.T) {
	header := tarOf(t, "e", "")[:512]
	l := &layerReader{mount: "/plugins", budget: new(readBudget), found: map[string]entry.Found{}}
	if err := l.read(t.Context(), v1.Hash{}, &boundedReader{ctx: t.Context(), from: endless{header}, left: 1 << 20}); !errors.Is(err, errTooMuch) || fault.KindOf(err) != fault.Integrity {
		t.Errorf("%v", err)
	}
}

// FuzzRead wants images of anything to be refused without a panic, or to be
// read as something that holds together. In the manifests, digests and sizes are made
// to fit.
func FuzzRead(f *testing.F) {
	p := partsOf(f)
	config, err := oci.Encode(p.config)
	check(f, err)
	f.Add(string(config), p.documents)
	f.Add(strings.ReplaceAll(string(config), "/plugins", "/other"), p.documents)
	f.Add("{}", []byte{})
	original := lock.Sum(p.documents).String()
	f.Fuzz(func(t *testing.T, config string, documents []byte) {
		config = strings.ReplaceAll(config, original, lock.Sum(documents).String())
		p := &parts{blobs: map[lock.SHA256][]byte{}}
		p.manifest.SchemaVersion = 2
		p.manifest.Config = p.put(v1.Descriptor{MediaType: types.OCIConfigJSON}, []byte(config))
		file := p.put(v1.Descriptor{MediaType: types.OCILayer}, nil)
		layer := p.put(v1.Descriptor{MediaType: types.OCIUncompressedLayer}, documents)
		p.manifest.Layers = []v1.Descriptor{file, layer}
		data, err := oci.Encode(p.manifest)
		check(t, err)
		im, err := Read(context.Background(), data, reader{parts: p})
		if err != nil {
			return
		}
		check(t, im.Lock.Check())
		if len(im.MountOnly) > 1 || len(im.Lock.Platforms) != 1 || CheckMount(im.Mount) != nil {
			t.Errorf("read %+v", im)
		}
	})
}

// TestLost wants an error of the connection not to be taken for damage.
func TestLost(t *testing.T) {
	p := partsOf(t)
	lost := errors.New("connection lost")
	from := reader{p, func(_ lock.Blob, content io.Reader) io.Reader {
		return io.MultiReader(io.LimitReader(content, 20), &broken{lost})
	}}
	data, err := oci.Encode(p.index)
	check(t, err)
	if _, err := Read(context.Background(), data, from); !errors.Is(err, lost) || fault.KindOf(err) == fault.Integrity {
		t.Errorf("%v", err)
	}
}

// broken fails once, and then ends.
type broken struct{ error }

func (b *broken) Read([]byte) (int, error) {
	if b.error == nil {
		return 0, io.EOF
	}
	err := fmt.Errorf("reading: %w", b.error)
	b.error = nil
	return 0, err
}
