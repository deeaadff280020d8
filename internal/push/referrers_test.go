package push

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	memory "github.com/google/go-containerregistry/pkg/registry"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// near is a registry that a bundle was pushed to, and far another one.
type gap struct {
	t *testing.T
	Pusher
	seen      *told
	near, far string
	src       Source
	// bundle and image are their digests.
	bundle, image lock.SHA256
}

// registryHost serves a registry in memory, with the API for referrers or without. Answer may
// answer in its place, before or after.
func registryHost(t *testing.T, api bool, answer func(http.Handler, http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	reg := memory.New(memory.Logger(log.New(io.Discard, "", 0)), memory.WithReferrersSupport(api))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if answer == nil || !answer(reg, w, req) {
			reg.ServeHTTP(w, req)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func newGap(t *testing.T, near, far string) *gap {
	t.Helper()
	p, seen, _ := pusherTo(t, nil)
	g := &gap{t: t, Pusher: p, seen: seen, near: near, far: far, src: sourceOf(t, program)}
	result, err := p.Push(t.Context(), g.src, Options{Prefix: near})
	if err != nil {
		t.Fatal(err)
	}
	digest := func(i int) lock.SHA256 {
		d, err := registry.ParseDigest(result.Parts[i].Digest)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	g.image, g.bundle = digest(0), digest(1)
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	g.src.Origin = &Origin{
		Registry: p.Registry, Repository: g.open(near, "botkube-plugins-bundle", false), Digest: g.bundle, Store: s,
		Fetch: func(ctx context.Context, from *registry.Repository, b lock.Blob) (int64, error) {
			return from.Fetch(ctx, b, s, nil)
		},
	}
	for _, b := range g.src.Lock.Blobs() { // what the image is made of is there
		data, err := g.src.Blobs.ReadAll(b.SHA256, b.Size)
		if err == nil {
			_, err = s.Put(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func (g *gap) open(host, path string, push bool) *registry.Repository {
	g.t.Helper()
	n, err := registry.ParseRepository(host + "/" + path)
	if err == nil {
		var r *registry.Repository
		if r, err = g.Registry.Repository(g.t.Context(), n, push); err == nil {
			return r
		}
	}
	g.t.Fatal(err)
	return nil
}

// attach puts a manifest with layers into a repository: one that refers to a subject, or, with a
// tag, one as cosign makes it. A layer TEXT=SIGNATURE has a signature beside its text.
func (g *gap) attach(path string, subject lock.SHA256, tag string, layers ...string) lock.SHA256 {
	g.t.Helper()
	repo := g.open(g.near, path, true)
	put := func(text string) referred {
		b := lock.Blob{Size: int64(len(text)), SHA256: lock.Sum([]byte(text))}
		if _, err := repo.Upload(g.t.Context(), b, func() (io.ReadSeekCloser, error) { return blob.InMemory([]byte(text)), nil }, nil); err != nil {
			g.t.Fatal(err)
		}
		return referred{MediaType: "application/vnd.example.layer", Digest: b.SHA256.OCI(), Size: b.Size}
	}
	config := put("{}")
	m := map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
		"annotations": map[string]string{"by": "test"},
	}
	var all []referred
	for _, l := range layers {
		text, signature, signed := strings.Cut(l, "=")
		layer := put(text)
		if signed {
			layer.Annotations = map[string]string{"dev.cosignproject.cosign/signature": signature}
		}
		all = append(all, layer)
	}
	m["layers"] = all
	if tag == "" {
		m["artifactType"] = "application/vnd.example.signature"
		m["subject"] = referred{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: subject.OCI(), Size: 1}
	}
	data, err := json.Marshal(m)
	if err != nil {
		g.t.Fatal(err)
	}
	r := &referrer{Manifest: registry.Manifest{MediaType: "application/vnd.oci.image.manifest.v1+json", Data: data, Digest: lock.Sum(data)}}
	if tag != "" {
		if err := repo.PutManifest(g.t.Context(), "sha256-"+subject.String()+tag, r.MediaType, data); err != nil {
			g.t.Fatal(err)
		}
		return r.Digest
	}
	if err := r.read(); err != nil {
		g.t.Fatal(err)
	}
	_, err = repo.PutReferrer(g.t.Context(), r.Manifest)
	if err == nil {
		err = repo.AddReferrers(g.t.Context(), subject, []registry.Referrer{r.descriptor()})
	}
	if err != nil {
		g.t.Fatal(err)
	}
	return r.Digest
}

// refers wants a registry to list a referrer, and to have it.
func (g *gap) refers(path string, subject, digest lock.SHA256) {
	g.t.Helper()
	repo := g.open(g.far, path, true)
	listed, _, err := repo.Referrers(g.t.Context(), subject)
	if err != nil {
		g.t.Fatal(err)
	}
	i := slices.IndexFunc(listed, func(d registry.Referrer) bool { return d.Digest == digest.OCI() })
	if i < 0 {
		g.t.Errorf("%s: %s is not among %+v", path, digest, listed)
		return
	}
	if listed[i].Annotations["by"] != "test" || listed[i].Size == 0 || listed[i].ArtifactType == "" {
		g.t.Errorf("%s: %+v", path, listed[i])
	}
	if _, err := repo.Manifest(g.t.Context(), digest.OCI()); err != nil {
		g.t.Error(err)
	}
}

func (g *gap) push(o Options) (*Result, error) {
	o.Prefix = g.far
	return g.Push(g.t.Context(), g.src, o)
}

// changes counts the referrers of parts that were sent.
func changes(r *Result) (sent int) {
	for _, p := range r.Parts {
		for _, one := range p.Referrers {
			if one.Changed {
				sent++
			}
		}
	}
	return sent
}

// TestReferrers has what refers to a part, and to that, travel along, between registries that keep
// lists of it and those that do not.
func TestReferrers(t *testing.T) {
	t.Parallel()
	for _, api := range []struct{ near, far bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		t.Run(fmt.Sprint(api), func(t *testing.T) {
			t.Parallel()
			g := newGap(t, registryHost(t, api.near, nil), registryHost(t, api.far, nil))
			const bundle, image = "botkube-plugins-bundle", "botkube-plugins"
			ofBundle := g.attach(bundle, g.bundle, "", "signature of the bundle")
			second := g.attach(bundle, g.bundle, "", "SBOM of the bundle")
			ofSignature := g.attach(bundle, ofBundle, "", "signature of the signature")
			manifest := g.manifestOf(bundle)
			ofManifest := g.attach(bundle, manifest, "", "signature of a manifest")
			tagged := g.attach(image, g.image, ".sig", "signature of the image")

			dry, err := g.push(Options{DryRun: true})
			if err != nil || changes(dry) != 5 {
				t.Fatalf("dry: %+v, %v", dry, err)
			}
			if _, err := g.open(g.far, bundle, true).Manifest(t.Context(), ofBundle.OCI()); !registry.IsNotFound(err) {
				t.Errorf("a dry run sent it: %v", err)
			}
			result, err := g.push(Options{})
			if err != nil || changes(result) != 5 {
				t.Fatalf("%+v, %v", result, err)
			}
			g.refers(bundle, g.bundle, ofBundle)
			g.refers(bundle, g.bundle, second)
			g.refers(bundle, ofBundle, ofSignature)
			g.refers(bundle, manifest, ofManifest)
			far := g.open(g.far, image, true)
			if m, err := far.Manifest(t.Context(), "sha256-"+g.image.String()+".sig"); err != nil || m.Digest != tagged {
				t.Errorf("cosign's tag: %+v, %v", m, err)
			}
			if _, err := far.Manifest(t.Context(), "sha256-"+g.bundle.String()); !registry.IsNotFound(err) {
				t.Errorf("a list for nothing: %v", err)
			}
			// Again, nothing changes. One more is added to what is there.
			if result, err = g.push(Options{}); err != nil || changes(result) != 0 || result.UploadedBytes != 0 {
				t.Errorf("again: %+v, %v", result, err)
			}
			third := g.attach(bundle, g.bundle, "", "a third one")
			if result, err = g.push(Options{}); err != nil || changes(result) != 1 {
				t.Errorf("one more: %+v, %v", result, err)
			}
			g.refers(bundle, g.bundle, ofBundle)
			g.refers(bundle, g.bundle, third)
		})
	}
}

func (g *gap) manifestOf(path string) lock.SHA256 {
	g.t.Helper()
	m, err := g.open(g.near, path, false).Manifest(g.t.Context(), g.bundle.OCI())
	if err != nil {
		g.t.Fatal(err)
	}
	r := &referrer{Manifest: m}
	if err := r.read(); err != nil {
		g.t.Fatal(err)
	}
	d, err := registry.ParseDigest(r.document.Manifests[0].Digest)
	if err != nil {
		g.t.Fatal(err)
	}
	return d
}

// TestReferrersSkipped leaves them out if told so.
func TestReferrersSkipped(t *testing.T) {
	t.Parallel()
	g := newGap(t, registryHost(t, true, nil), registryHost(t, true, nil))
	g.attach("botkube-plugins-bundle", g.bundle, "", "x")
	if result, err := g.push(Options{Skip: []Part{Referrers, Image}}); err != nil || len(result.Parts) != 1 || result.Parts[0].Referrers != nil {
		t.Errorf("%+v, %v", result, err)
	}
}

// TestStaleReferrers names what refers to another bundle than the one that is pushed, and what is
// listed and not to be had.
func TestStaleReferrers(t *testing.T) {
	t.Parallel()
	g := newGap(t, registryHost(t, false, nil), registryHost(t, false, nil))
	const bundle = "botkube-plugins-bundle"
	whole := g.image // of another part; that is of no importance
	stale := g.attach(bundle, whole, "", "signature of the whole")
	g.src.Origin.Digest = whole
	near := g.open(g.near, bundle, true)
	list := []registry.Referrer{{Digest: "sha512:" + strings.Repeat("ab", 64)}, {Digest: lock.Sum(nil).OCI()}, {Digest: stale.OCI()}}
	if err := near.AddReferrers(t.Context(), g.bundle, list); err != nil {
		t.Fatal(err)
	}
	result, err := g.push(Options{Skip: []Part{Image}})
	if err != nil || changes(result) != 0 || len(result.Parts[0].Referrers) != 4 {
		t.Fatalf("%+v, %v", result, err)
	}
	var why []string
	for _, r := range result.Parts[0].Referrers {
		why = append(why, r.NotCopied)
	}
	slices.Sort(why)
	want := []string{
		"it refers to another bundle than the one that is pushed", "it refers to another manifest than the list says",
		"its digest is not sha256", "the registry lists it but does not have it",
	}
	if !slices.Equal(why, want) {
		t.Errorf("%q", why)
	}
	// Where the others are is known by the bundle's name only.
	g.src.Origin.Repository = g.open(g.near, "renamed", false)
	if result, err = g.push(Options{}); err != nil || !strings.Contains(result.Parts[0].ReferrersUnknown, "does not end in /botkube-plugins-bundle") {
		t.Errorf("%+v, %v", result, err)
	}
}

// TestLostReferrer sends what a registry has lost of a referrer if it is told to ask for it.
func TestLostReferrer(t *testing.T) {
	t.Parallel()
	var lost atomic.Bool
	const text = "signature of the image"
	digest := lock.Sum([]byte(text))
	g := newGap(t, registryHost(t, true, nil), registryHost(t, true, func(_ http.Handler, w http.ResponseWriter, req *http.Request) bool {
		missing := lost.Load() && req.Method == http.MethodHead && strings.HasSuffix(req.URL.Path, digest.String())
		if missing {
			w.WriteHeader(http.StatusNotFound)
		}
		return missing
	}))
	g.attach("botkube-plugins", g.image, "", text)
	if _, err := g.push(Options{}); err != nil {
		t.Fatal(err)
	}
	lost.Store(true)
	for force, sent := range map[bool]int64{false: 0, true: int64(len(text))} {
		if result, err := g.push(Options{Force: force}); err != nil || result.UploadedBytes != sent || changes(result) != 0 {
			t.Errorf("%t: %+v, %v", force, result, err)
		}
	}
}

// TestTakenList has the tag of a list be something else. A dry run goes on with the other parts.
func TestTakenList(t *testing.T) {
	t.Parallel()
	g := newGap(t, registryHost(t, false, nil), registryHost(t, false, nil))
	const image = "botkube-plugins"
	g.attach(image, g.image, "", "signature of the image")
	far := g.open(g.far, image, true)
	if err := far.PutManifest(t.Context(), "sha256-"+g.image.String(), "application/vnd.oci.image.manifest.v1+json", []byte(`{"schemaVersion":2}`)); err != nil {
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		result, err := g.push(Options{DryRun: dry})
		if fault.KindOf(err) != fault.Integrity || !strings.Contains(err.Error(), "not a list of referrers") || !strings.Contains(fault.HintOf(err), "--skip referrers") {
			t.Errorf("%v", err)
		}
		if dry && (result == nil || len(result.Parts) != 2 || result.Parts[0].Problem == "" || result.Parts[1].Problem != "") {
			t.Errorf("%+v", result)
		}
	}
}

// TestCosignTags adds signatures to those that are there, and replaces none unless told so.
func TestCosignTags(t *testing.T) {
	t.Parallel()
	g := newGap(t, registryHost(t, false, nil), registryHost(t, false, nil))
	const image = "botkube-plugins"
	at := func() lock.SHA256 {
		m, err := g.open(g.far, image, true).Manifest(t.Context(), "sha256-"+g.image.String()+".sig")
		if err != nil {
			t.Fatal(err)
		}
		return m.Digest
	}
	push := func(force bool) error {
		_, err := g.push(Options{Skip: []Part{Bundle}, Force: force})
		return err
	}
	one := g.attach(image, g.image, ".sig", "a")
	if err := push(false); err != nil || at() != one {
		t.Fatal(err)
	}
	two := g.attach(image, g.image, ".sig", "a", "b")
	if err := push(false); err != nil || at() != two {
		t.Errorf("one more: %v", err)
	}
	g.attach(image, g.image, ".sig", "b")
	if err := push(false); err != nil || at() != two {
		t.Errorf("one less: %v", err)
	}
	other := g.attach(image, g.image, ".sig", "c")
	err := push(false)
	if fault.KindOf(err) != fault.Integrity || !strings.Contains(err.Error(), ".sig exists with other content") || !strings.Contains(fault.HintOf(err), "--skip referrers") || at() != two {
		t.Errorf("others: %v", err)
	}
	if result, err := g.push(Options{Skip: []Part{Bundle}, DryRun: true}); fault.KindOf(err) != fault.Integrity || result == nil || result.Parts[0].Problem == "" {
		t.Errorf("others, dry: %+v, %v", result, err)
	}
	if err := push(true); err != nil || at() != other {
		t.Errorf("forced: %v", err)
	}
	// What is signed is the same for each key.
	one = g.attach(image, g.image, ".sig", "a=of one key")
	if err := push(true); err != nil || at() != one {
		t.Fatal(err)
	}
	g.attach(image, g.image, ".sig", "a=of another key")
	if err := push(false); fault.KindOf(err) != fault.Integrity || at() != one {
		t.Errorf("another key: %v", err)
	}
	two = g.attach(image, g.image, ".sig", "a=of another key", "a=of one key")
	if err := push(false); err != nil || at() != two {
		t.Errorf("one key more: %v", err)
	}
	g.attach(image, g.image, ".sig", "a=of one key", "a=of another key")
	if err := push(false); err != nil || at() != two {
		t.Errorf("the same in another order: %v", err)
	}
}

// TestReferrerBounds refuses manifests that no signature has.
func TestReferrerBounds(t *testing.T) {
	t.Parallel()
	g := newGap(t, registryHost(t, true, nil), registryHost(t, true, nil))
	blob := func(size int64) string {
		return fmt.Sprintf(`{"mediaType":"x","digest":%q,"size":%d}`, lock.Sum(fmt.Append(nil, size)).OCI(), size)
	}
	for says, document := range map[string]string{
		"has 1001 blobs, more than the limit of 1000": `{"layers":[` + strings.Repeat(blob(1)+",", 1000) + blob(1) + `]}`,
		"has the blob": `{"layers":[` + blob(lock.MaxBlob+1) + `]}`,
		"too many signatures and other referrers":    `{"layers":[` + blob(maxReferrerBytes) + "," + blob(1) + `]}`,
		"more than 200 manifests":                    `{"manifests":[` + strings.Repeat(blob(1)+",", lock.MaxIndexed) + blob(1) + `]}`,
		"its manifest is not valid":                  `[]`,
		"\"sha512:ab\", which is not valid, or more": `{"manifests":[{"digest":"sha512:ab"}]}`,
		"has the blob \"sha512:ab\" of 1 bytes":      `{"config":{"digest":"sha512:ab","size":1}}`,
		"is not a manifest: it is an index":          `{"manifests":[{"digest":"` + g.image.OCI() + `"}]}`,
	} {
		s := &search{repo: g.open(g.near, "botkube-plugins", false)}
		err := s.add(t.Context(), &referrer{Manifest: registry.Manifest{Data: []byte(document)}, tag: "x"})
		if fault.KindOf(err) != fault.Integrity || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// TestReferrerMemory reads no more of an index than is copied.
func TestReferrerMemory(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	g := newGap(t, registryHost(t, true, func(_ http.Handler, _ http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodGet {
			asked.Add(1)
		}
		return false
	}), registryHost(t, true, nil))
	one := fmt.Sprintf(`{"digest":%q}`, g.manifestOf("botkube-plugins-bundle").OCI())
	document := `{"manifests":[` + strings.Repeat(one+",", 99) + one + `]}`
	s := &search{repo: g.open(g.near, "botkube-plugins-bundle", false), documents: maxReferrerManifests - int64(len(document))}
	before := asked.Load()
	err := s.add(t.Context(), &referrer{Manifest: registry.Manifest{Data: []byte(document)}, tag: "x"})
	if n := asked.Load() - before; fault.KindOf(err) != fault.Integrity || n != 1 {
		t.Errorf("after %d manifests: %v", n, err)
	}
	// So it is with what is listed and not to be had.
	s = &search{repo: s.repo}
	for range registry.MaxReferrers {
		if err := s.listed(t.Context(), g.bundle, registry.Referrer{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.listed(t.Context(), g.bundle, registry.Referrer{}); fault.KindOf(err) != fault.Integrity {
		t.Error(err)
	}
}

// TestReferrersRace has somebody else write the list at the same time.
func TestReferrersRace(t *testing.T) {
	t.Parallel()
	const foreign = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"x","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":1}],"annotations":{"kept":"as it is"}}`
	for name, tt := range map[string]struct{ times, writes int }{"once": {1, 2}, "always": {100, 5}} {
		writes := 0
		far := registryHost(t, false, func(reg http.Handler, w http.ResponseWriter, req *http.Request) bool {
			if req.Method != http.MethodPut || !strings.Contains(req.URL.Path, "/manifests/sha256-") {
				return false
			}
			reg.ServeHTTP(w, req)
			if writes++; writes <= tt.times {
				other := httptest.NewRequest(http.MethodPut, req.URL.Path, bytes.NewReader([]byte(foreign)))
				other.Header.Set("Content-Type", "application/vnd.oci.image.index.v1+json")
				reg.ServeHTTP(httptest.NewRecorder(), other)
			}
			return true
		})
		g := newGap(t, registryHost(t, false, nil), far)
		digest := g.attach("botkube-plugins-bundle", g.bundle, "", "x")
		_, err := g.push(Options{Skip: []Part{Image}})
		if writes != tt.writes {
			t.Errorf("%s: %d writes", name, writes)
		}
		if tt.times > 1 {
			if fault.KindOf(err) != fault.Upstream || !strings.Contains(err.Error(), "another program writes it at the same time") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		g.refers("botkube-plugins-bundle", g.bundle, digest)
		m, err := g.open(far, "botkube-plugins-bundle", true).Manifest(t.Context(), "sha256-"+g.bundle.String())
		if err != nil || !strings.Contains(string(m.Data), "sha256:0000") || !strings.Contains(string(m.Data), "as it is") {
			t.Errorf("what another wrote is lost: %s, %v", m.Data, err)
		}
	}
}
