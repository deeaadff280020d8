package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// golden compares data with a file of testdata, or writes it with UPDATE_GOLDEN=1.
func golden(t *testing.T, name string, data []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		writeFile(t, path, data)
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, want) {
		t.Errorf("%s is now:\n%s\nwant:\n%s", path, data, want)
	}
}

func TestDocuments(t *testing.T) {
	l, m := world(t) // what the others hold depends on the compressor
	c := plan(t, l, m)
	index, err := indexJSON(c.Index.Blob(), c.Tag)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "index.json", index)
	golden(t, "image-index.json", c.Index.Data)
	golden(t, "manifest-linux-amd64.json", c.Manifests[0].Data)
	lockData, err := l.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "lock.json", lockData)
}

func TestMembers(t *testing.T) {
	l, m := fullWorld(t)
	c := plan(t, l, m)
	var ix v1.IndexManifest
	if err := json.Unmarshal(c.Index.Data, &ix); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, d := range ix.Manifests {
		platform := "-"
		if d.Platform != nil {
			platform = d.Platform.String()
		}
		got = append(got, c.Manifests[i].Member+" "+platform+" "+string(d.MediaType)+" "+d.Annotations[MemberAnnotation])
	}
	const docker = "application/vnd.docker.distribution.manifest.v2+json"
	want := []string{
		"plugins linux/amd64 " + manifestType + " ", "plugins linux/arm64 " + manifestType + " ",
		"agent-image linux/amd64 " + docker + " agent-image", "agent-image linux/arm64 " + docker + " agent-image",
		"chart unknown/unknown " + manifestType + " chart",
	}
	if !slices.Equal(got, want) {
		t.Errorf("members:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if ix.ArtifactType != ArtifactType || ix.Annotations[oci.VersionAnnotation] != "v1.14.0" {
		t.Errorf("index: %s", c.Index.Data)
	}
	seen := map[lock.SHA256]bool{}
	for _, b := range c.Blobs {
		if seen[b.SHA256] {
			t.Errorf("%s stands twice", b.SHA256)
		}
		seen[b.SHA256] = true
		f, err := c.Open(b.SHA256)
		if err != nil {
			t.Error(err)
			continue
		}
		f.Close()
	}
	for _, b := range l.Blobs() {
		if f, err := c.Open(b.SHA256); err != nil {
			t.Error(err)
		} else {
			f.Close()
		}
	}
	// What helm push makes of the same chart, without the date.
	golden(t, "chart-config.json", c.made[c.Manifests[4].Blobs[0].SHA256])
	var chart v1.Manifest
	if err := json.Unmarshal(c.Manifests[4].Data, &chart); err != nil {
		t.Fatal(err)
	}
	annotations, err := json.Marshal(chart.Annotations)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "chart-annotations.json", annotations)
	if chart.MediaType != "" || string(chart.Config.MediaType) != ChartConfigType || len(chart.Layers) != 1 || string(chart.Layers[0].MediaType) != ChartType {
		t.Errorf("chart: %s", c.Manifests[4].Data)
	}
}

// TestWatcherImage has a second image: its manifests follow the agent's, each is read
// again as what it is, and one in the place of the other is found out.
func TestWatcherImage(t *testing.T) {
	l, m := fullWorld(t)
	without := plan(t, l, m)
	l.WatcherImage = &lock.Image{Reference: "ghcr.io/kubeshop/k8s-sidecar:in-cluster-config"}
	for _, im := range l.AgentImage.Manifests {
		as := im.Platform
		as.Arch += "-w"
		other := imageManifest(t, m, as, im.MediaType)
		other.Platform = im.Platform
		l.WatcherImage.Manifests = append(l.WatcherImage.Manifests, other)
	}
	c := plan(t, checked(t, l), m)
	var got []string
	for _, d := range c.Manifests {
		got = append(got, d.Member)
	}
	if want := []string{"plugins", "plugins", "agent-image", "agent-image", "watcher-image", "watcher-image", "chart"}; !slices.Equal(got, want) {
		t.Errorf("members: %q", got)
	}
	if what := c.What(l.WatcherImage.Manifests[0].Blobs[0].SHA256); what != "a blob of the watcher image ghcr.io/kubeshop/k8s-sidecar:in-cluster-config for linux/amd64" {
		t.Error(what)
	}
	if len(without.Manifests) != 5 || without.Tag != c.Tag {
		t.Errorf("%d manifests without it, tags %s and %s", len(without.Manifests), without.Tag, c.Tag)
	}
	for role, image := range map[lock.ImageRole]*lock.Image{lock.RoleAgent: l.AgentImage, lock.RoleWatcher: l.WatcherImage} {
		doc, err := c.ImageIndex(role)
		var index v1.IndexManifest
		if err == nil {
			err = json.Unmarshal(doc.Data, &index)
		}
		if err != nil || len(index.Manifests) != 2 || index.Manifests[1].Digest.Hex != image.Manifests[1].SHA256.String() {
			t.Errorf("%s: %v, %s", role, err, doc.Data)
		}
	}
	if err := readTar(t.Context(), tarOf(t, c)); err != nil {
		t.Error(err)
	}
	c.Manifests[2], c.Manifests[4] = c.Manifests[4], c.Manifests[2]
	if err := c.complete(); err != nil {
		t.Fatal(err)
	}
	wantError(t, readTar(t.Context(), tarOf(t, c)), fault.Integrity, "the manifest of the agent image for linux/amd64")
}

// A bundle without a version is tagged by its lock, and read again.
func TestWithoutVersion(t *testing.T) {
	l, m := world(t)
	l.BotkubeVersion = ""
	c := plan(t, l, m)
	if err := readTar(t.Context(), tarOf(t, c)); err != nil || !strings.HasPrefix(c.Tag, "lock-") {
		t.Errorf("%s: %v", c.Tag, err)
	}
}

func TestDeterminism(t *testing.T) {
	l, m := fullWorld(t)
	want := tarOf(t, plan(t, l, m))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var buf bytes.Buffer
			data, _ := json.Marshal(l)
			own, err := lock.Parse(data)
			if err != nil {
				t.Error(err)
				return
			}
			c, err := Plan(t.Context(), own, m)
			if err == nil {
				err = WriteStream(t.Context(), &buf, c, form.WriteOptions{})
			}
			if err != nil || !bytes.Equal(buf.Bytes(), want) {
				t.Errorf("another bundle (%v)", err)
			}
		})
	}
	wg.Wait()
	var later bytes.Buffer
	if err := WriteStream(t.Context(), &later, plan(t, l, m), form.WriteOptions{ModTime: time.Unix(1_700_000_000, 999)}); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries(t, later.Bytes()) {
		if e.ModTime.Unix() != 1_700_000_000 || e.Uid != 0 || e.Gid != 0 || e.Uname != "" || e.Gname != "" || len(e.PAXRecords) > 0 {
			t.Errorf("header: %+v", e.Header)
		}
	}
	if err := readTar(t.Context(), later.Bytes()); err != nil {
		t.Error(err)
	}
}

func TestPlanRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(l *lock.Lock, m *memory)
		kind   fault.Kind
		says   string
	}{
		"image manifest missing":    {func(l *lock.Lock, m *memory) { delete(m.blobs, l.AgentImage.Manifests[0].SHA256) }, fault.Incomplete, "agent image"},
		"image manifest other size": {func(l *lock.Lock, m *memory) { l.AgentImage.Manifests[0].Size++ }, fault.Integrity, "linux/amd64"},
		"image with other layers":   {func(l *lock.Lock, m *memory) { l.AgentImage.Manifests[0].Blobs = l.AgentImage.Manifests[1].Blobs }, fault.Integrity, "its layers are not those of the lock"},
		"image manifest is text":    {func(l *lock.Lock, m *memory) { l.AgentImage.Manifests[0].Blob = m.put("text") }, fault.Integrity, "cannot be read"},
		"chart of another name": {func(l *lock.Lock, m *memory) {
			l.Chart = addChart(m, "name: other\nversion: 1.14.0\n", "botkube", "1.14.0")
		}, fault.Integrity, "other"},
		"chart of another version": {func(l *lock.Lock, m *memory) {
			l.Chart = addChart(m, "name: botkube\nversion: 1.14.1\n", "botkube", "1.14.0")
		}, fault.Integrity, "1.14.1"},
		"chart without metadata": {func(l *lock.Lock, m *memory) {
			l.Chart = addChart(m, chartYAML, "other", "1.14.0")
			l.Chart.Name = "botkube"
		}, fault.Integrity, "chart"},
		"chart is no archive": {func(l *lock.Lock, m *memory) { l.Chart.Blob = m.put("text") }, fault.Integrity, "chart"},
		"chart is no YAML":    {func(l *lock.Lock, m *memory) { l.Chart = addChart(m, "\tname", "botkube", "1.14.0") }, fault.Integrity, "Chart.yaml"},
		"chart metadata is huge": {func(l *lock.Lock, m *memory) {
			l.Chart = addChart(m, chartYAML+"# "+strings.Repeat("x\n# y", 1<<20), "botkube", "1.14.0")
		}, fault.Integrity, "more than"},
		"chart metadata has one key again and again": {func(l *lock.Lock, m *memory) {
			l.Chart = addChart(m, "name: botkube\nversion: 1.14.0\nannotations:\n"+strings.Repeat("  a: b\n", 2_000), "botkube", "1.14.0")
		}, fault.Integrity, "keys"},
		"chart metadata has too many values": {func(l *lock.Lock, m *memory) {
			l.Chart = addChart(m, "name: botkube\nversion: 1.14.0\nkeywords: ["+strings.Repeat("a,", 300_000)+"]\n", "botkube", "1.14.0")
		}, fault.Integrity, "values"},
		"chart of another size": {func(l *lock.Lock, m *memory) { l.Chart.Size++ }, fault.Integrity, "bytes"},
		"two sizes of a blob": {func(l *lock.Lock, m *memory) {
			l.Artifacts[0].Blob = lock.Blob{Size: 3, SHA256: l.Artifacts[1].SHA256}
			l.Platforms = l.Platforms[:2]
		}, fault.Integrity, "two sizes"},
	} {
		t.Run(name, func(t *testing.T) {
			l, m := fullWorld(t)
			test.change(l, m)
			_, err := Plan(t.Context(), l, m)
			wantError(t, err, test.kind, test.says)
		})
	}
}

// TestChartErrorIsShort has a Chart.yaml of which the YAML library finds a lot to
// say, all of it under control characters.
func TestChartErrorIsShort(t *testing.T) {
	l, m := fullWorld(t)
	l.Chart = addChart(m, "keywords: ["+strings.Repeat("[a],", 20_000)+"]\n", "botkube", "1.14.0")
	_, err := Plan(t.Context(), l, m)
	wantError(t, err, fault.Integrity, "Chart.yaml", "line 1")
	if len(err.Error()) > 400 {
		t.Errorf("the error has %d bytes", len(err.Error()))
	}
	l.Chart = addChart(m, `deprecated: "\e[31m`+strings.Repeat("x", 1000)+`"`, "botkube", "1.14.0")
	_, err = Plan(t.Context(), l, m)
	wantError(t, err, fault.Integrity, "Chart.yaml", "line 1")
	if len(err.Error()) > 400 || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%q", err.Error())
	}
}

// rebuilt returns the parts of a bundle whose documents were changed, with
// digests that are right again.
type rebuilt struct {
	index     v1.IndexManifest
	manifests []v1.Manifest
	raw       [][]byte
	lock      []byte
}

func (r *rebuilt) read(t *testing.T) (*Contents, error) {
	t.Helper()
	docs := map[lock.SHA256][]byte{}
	lockBlob := oci.BlobOf(r.lock)
	docs[lockBlob.SHA256] = r.lock
	for i, m := range r.manifests {
		data := r.raw[i]
		if data == nil {
			if string(m.Config.MediaType) == LockType && m.Config.Size == 0 {
				d := oci.Describe(LockType, lockBlob)
				m.Config = d
			}
			data, _ = json.Marshal(m)
		}
		if i < len(r.index.Manifests) && r.index.Manifests[i].Size == 0 {
			d := oci.Describe("", oci.BlobOf(data))
			r.index.Manifests[i].Size, r.index.Manifests[i].Digest = d.Size, d.Digest
		}
		docs[lock.Sum(data)] = data
	}
	index, err := json.Marshal(r.index)
	if err != nil {
		t.Fatal(err)
	}
	return Read(t.Context(), index, reader(func(d lock.SHA256) ([]byte, error) {
		data, ok := docs[d]
		if !ok {
			return nil, fault.New(fault.Incomplete, "absent")
		}
		return data, nil
	}))
}

func TestIndexAndLockDisagree(t *testing.T) {
	for name, test := range map[string]struct {
		change func(r *rebuilt)
		kind   fault.Kind
		says   string
	}{
		"nothing":           {func(r *rebuilt) {}, 0, ""},
		"platforms swapped": {func(r *rebuilt) { slices.Reverse(r.index.Manifests[:2]); slices.Reverse(r.manifests[:2]) }, fault.Integrity, "platform"},
		"a platform less": {func(r *rebuilt) {
			r.index.Manifests = slices.Delete(r.index.Manifests, 1, 2)
			r.manifests = slices.Delete(r.manifests, 1, 2)
			r.raw = slices.Delete(r.raw, 1, 2)
		}, fault.Incomplete, "for linux/arm64: the bundle was copied for some platforms only"},
		"fewer than platforms": {func(r *rebuilt) { r.index.Manifests = r.index.Manifests[:1] }, fault.Incomplete, "for linux/arm64: the bundle was copied for some platforms only"},
		"the chart less":       {func(r *rebuilt) { r.index.Manifests = r.index.Manifests[:4] }, fault.Incomplete, "lacks the manifest of the chart"},
		"one more": {func(r *rebuilt) {
			r.index.Manifests = append(r.index.Manifests, r.index.Manifests[0])
			r.manifests = append(r.manifests, r.manifests[0])
			r.raw = append(r.raw, nil)
		}, fault.Integrity, "6 manifests, but the lock only 5"},
		"a layer less":    {func(r *rebuilt) { r.manifests[0].Layers = r.manifests[0].Layers[1:] }, fault.Integrity, "does not list"},
		"a layer more":    {func(r *rebuilt) { m := &r.manifests[0]; m.Layers = append(m.Layers, m.Layers[0]) }, fault.Integrity, "not in the lock"},
		"another order":   {func(r *rebuilt) { slices.Reverse(r.manifests[0].Layers) }, fault.Integrity, "another order"},
		"a layer's size":  {func(r *rebuilt) { r.manifests[0].Layers[0].Size++ }, fault.Integrity, "does not list"},
		"a negative size": {func(r *rebuilt) { r.manifests[0].Layers[0].Size = -1 }, fault.Integrity, "plausible"},
		"a huge size":     {func(r *rebuilt) { r.manifests[0].Layers[0].Size = 1 << 60 }, fault.Integrity, "plausible"},
		"a layer's type":  {func(r *rebuilt) { r.manifests[0].Layers[0].MediaType = "text/plain" }, fault.Integrity, "the media type of"},
		"artifact type":   {func(r *rebuilt) { r.manifests[1].ArtifactType = "text/plain" }, fault.Integrity, "the media type of"},
		"schema version":  {func(r *rebuilt) { r.manifests[1].SchemaVersion = 1 }, fault.Integrity, "schema version"},
		"another lock":    {func(r *rebuilt) { r.manifests[1].Config = oci.Describe(LockType, oci.BlobOf([]byte("x"))) }, fault.Integrity, "its lock is"},
		"no lock":         {func(r *rebuilt) { r.manifests[0].Config = oci.Describe(ChartConfigType, oci.BlobOf([]byte("x"))) }, fault.Integrity, "not that of a lock"},
		"an absent lock":  {func(r *rebuilt) { r.manifests[0].Config = oci.Describe(LockType, oci.BlobOf([]byte("x"))) }, fault.Incomplete, "the lock"},
		"a bad lock":      {func(r *rebuilt) { r.lock = []byte("{}") }, fault.Integrity, "the lock has schema version 0"},
		"a huge lock":     {func(r *rebuilt) { r.manifests[0].Config = oci.Describe(LockType, lock.Blob{Size: lock.MaxSize + 1}) }, fault.Integrity, "but the maximum is"},
		"a huge manifest": {func(r *rebuilt) {
			r.index.Manifests[1] = oci.Describe(manifestType, lock.Blob{Size: oci.MaxDocument + 1})
		}, fault.Integrity, "but the maximum is"},
		"manifest's key": {func(r *rebuilt) {
			data, _ := json.Marshal(r.manifests[1])
			r.raw[1] = bytes.Replace(data, []byte(`"layers"`), []byte(`"Layers"`), 1)
		}, fault.Integrity, ""},
		"manifest is text":            {func(r *rebuilt) { r.raw[0] = []byte("text") }, fault.Integrity, "cannot be read"},
		"an index within":             {func(r *rebuilt) { r.index.Manifests[1].MediaType = v1Type(indexType) }, fault.Integrity, "media type"},
		"another platform":            {func(r *rebuilt) { r.index.Manifests[0].Platform.Architecture = "arm" }, fault.Integrity, "linux/arm"},
		"a variant":                   {func(r *rebuilt) { r.index.Manifests[0].Platform.Variant = "v8" }, fault.Integrity, "platform"},
		"no platform":                 {func(r *rebuilt) { r.index.Manifests[0].Platform = nil }, fault.Integrity, "it has no platform"},
		"a chart's platform":          {func(r *rebuilt) { r.index.Manifests[4].Platform = r.index.Manifests[0].Platform }, fault.Integrity, "platform"},
		"member":                      {func(r *rebuilt) { r.index.Manifests[4].Annotations = nil }, fault.Integrity, "member annotation"},
		"another image":               {func(r *rebuilt) { r.raw[2] = []byte("{}") }, fault.Integrity, "preserve-digests"},
		"another version":             {func(r *rebuilt) { r.index.Annotations[oci.VersionAnnotation] = "v1.14.1" }, fault.Integrity, "v1.14.1"},
		"no artifact type":            {func(r *rebuilt) { r.index.ArtifactType = "" }, 0, ""},
		"another artifact":            {func(r *rebuilt) { r.index.ArtifactType = "text/plain" }, fault.Usage, "not a bundle"},
		"no manifests":                {func(r *rebuilt) { r.index.Manifests = []v1.Descriptor{} }, fault.Integrity, "0 manifests"},
		"too many":                    {func(r *rebuilt) { r.index.Manifests = slices.Repeat(r.index.Manifests[3:4], maxManifests+1) }, fault.Integrity, "manifests"},
		"schema version of the index": {func(r *rebuilt) { r.index.SchemaVersion = 1 }, fault.Integrity, "schema version"},
	} {
		t.Run(name, func(t *testing.T) {
			l, m := fullWorld(t)
			c := plan(t, l, m)
			r := &rebuilt{lock: c.made[c.Manifests[0].Blobs[0].SHA256], raw: make([][]byte, len(c.Manifests))}
			if err := json.Unmarshal(c.Index.Data, &r.index); err != nil {
				t.Fatal(err)
			}
			for i, d := range c.Manifests {
				var m v1.Manifest
				if err := json.Unmarshal(d.Data, &m); err != nil {
					t.Fatal(err)
				}
				if d.Member == MemberPlugins {
					m.Config.Size = 0 // as the lock is then
				}
				r.manifests = append(r.manifests, m)
				if d.Member == MemberAgentImage {
					r.raw[i] = d.Data
				}
				r.index.Manifests[i].Size = 0
			}
			test.change(r)
			got, err := r.read(t)
			if test.kind == 0 {
				if err != nil || got.Tag != c.Tag || !slices.Equal(got.Blobs, c.Blobs) {
					t.Errorf("%v", err)
				}
				return
			}
			wantError(t, err, test.kind, test.says)
			if errors.Is(err, ErrNotBundle) != (test.kind == fault.Usage) {
				t.Errorf("ErrNotBundle: %v", err)
			}
		})
	}
}

// Repositories may share an index, and files a digest.
func TestSharedFiles(t *testing.T) {
	l, m := world(t)
	second := l.Repositories[0]
	second.Name = "second"
	third := second
	third.Name, third.Index = "third", m.put("entries: [] # later\n")
	l.Repositories = append(l.Repositories, second, third)
	l.Artifacts[0].Blob = l.Artifacts[1].Blob
	checked(t, l)
	c := plan(t, l, m)
	var titles []string
	var man v1.Manifest
	if err := json.Unmarshal(c.Manifests[0].Data, &man); err != nil {
		t.Fatal(err)
	}
	for _, d := range man.Layers {
		titles = append(titles, d.Annotations[oci.TitleAnnotation])
	}
	slices.Sort(titles)
	if len(slices.Compact(titles)) != len(man.Layers) || len(man.Layers) != 5 {
		t.Errorf("titles: %q", titles)
	}
	if err := readTar(t.Context(), tarOf(t, c)); err != nil {
		t.Error(err)
	}
}
