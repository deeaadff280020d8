package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

var update = flag.Bool("update", false, "write the golden files anew")

// unpack unpacks an OCI archive.
func unpack(t testing.TB, archive []byte) string {
	t.Helper()
	dir := t.TempDir()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		check(t, err)
		name := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			check(t, os.Mkdir(name, 0o755))
			continue
		}
		data, err := io.ReadAll(r)
		check(t, err)
		check(t, os.WriteFile(name, data, 0o644))
	}
}

// readIndex reads the one index of a layout with go-containerregistry, which
// must find it valid.
func readIndex(t testing.TB, dir string) v1.ImageIndex {
	t.Helper()
	l, err := ocilayout.FromPath(dir)
	check(t, err)
	top, err := l.ImageIndex()
	check(t, err)
	m, err := top.IndexManifest()
	check(t, err)
	if len(m.Manifests) != 1 {
		t.Fatalf("the layout names %d images", len(m.Manifests))
	}
	ix, err := top.ImageIndex(m.Manifests[0].Digest)
	check(t, err)
	check(t, validate.Index(ix))
	return ix
}

// images returns the images of an archive by their platforms.
func images(t testing.TB, archive []byte) map[agent.Platform]v1.Image {
	t.Helper()
	ix := readIndex(t, unpack(t, archive))
	m, err := ix.IndexManifest()
	check(t, err)
	found := map[agent.Platform]v1.Image{}
	for _, d := range m.Manifests {
		im, err := ix.Image(d.Digest)
		check(t, err)
		found[agent.Platform{OS: d.Platform.OS, Arch: d.Platform.Architecture}] = im
	}
	return found
}

// rootfs lists what a container of an image sees.
func rootfs(t testing.TB, im v1.Image, modTime time.Time) map[string]member {
	t.Helper()
	flat := mutate.Extract(im)
	defer flat.Close()
	members := map[string]member{}
	for r := tar.NewReader(flat); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return members
		}
		check(t, err)
		data, err := io.ReadAll(r)
		check(t, err)
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || !h.ModTime.Equal(modTime) {
			t.Errorf("%s belongs to %d:%d (%q:%q), of %s", h.Name, h.Uid, h.Gid, h.Uname, h.Gname, h.ModTime)
		}
		members[path.Join("/", h.Name)] = member{h.FileInfo().Mode(), string(data)}
	}
}

func compareMembers(t *testing.T, got, want map[string]member) {
	t.Helper()
	for name, m := range want {
		if is, found := got[name]; !found || is != m {
			t.Errorf("%s is %v, want %v", name, is, m)
		}
	}
	for name := range got {
		if _, found := want[name]; !found {
			t.Errorf("%s is too much", name)
		}
	}
}

func TestImageHasTheDirectory(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64, arm64}, plugins(t)...)
	for _, mount := range []string{"/plugins", "/var/lib/bot kube/ü"} {
		data, _ := f.write(t, with(form.WriteOptions{Mount: mount}))
		for p, im := range images(t, data) {
			compareMembers(t, rootfs(t, im, time.Unix(0, 0)), f.writeDir(t, p, mount))
		}
	}
}

func TestSameBytes(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64, arm64}, plugins(t)...)
	modTime := time.Unix(1_700_000_000, 5)
	for _, o := range []form.WriteOptions{{}, {ModTime: modTime}} {
		before := runtime.GOMAXPROCS(1)
		want, _ := f.write(t, o)
		for _, parallel := range []int{2, 7, 64} {
			runtime.GOMAXPROCS(parallel)
			if got, _ := f.write(t, o); !bytes.Equal(got, want) {
				t.Errorf("%d layers at a time make another image", parallel)
			}
		}
		runtime.GOMAXPROCS(before)
		if !o.ModTime.IsZero() {
			for p, im := range images(t, want) {
				rootfs(t, im, modTime.Truncate(time.Second))
				config, err := im.ConfigFile()
				check(t, err)
				if !config.Created.Equal(modTime.Truncate(time.Second)) {
					t.Errorf("%s was created %s", p, config.Created)
				}
			}
		}
	}
}

// inPieces reads at most so many bytes at a time.
type inPieces struct {
	io.Reader
	size int
}

func (r inPieces) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), r.size)]) }

// TestSameBytesHoweverTheyCome wants the compressor's output not to depend on
// how the content is cut into writes.
func TestSameBytesHoweverTheyCome(t *testing.T) {
	content := make([]byte, 1<<20)
	for i := range content {
		content[i] = byte(i * i >> 9)
	}
	var want lock.Blob
	for i, chunk := range []int{len(content), 1, 511, 64 << 10, 100_000} {
		l, err := newLayer(time.Unix(0, 0), func(w *layerWriter) error {
			return w.copy(t.Context(), "/f", 0o755, int64(len(content)), inPieces{bytes.NewReader(content), chunk})
		})
		check(t, err)
		if i == 0 {
			want = l.Blob
		}
		if l.Blob != want {
			t.Errorf("in chunks of %d bytes, the layer is %v, want %v", chunk, l.Blob, want)
		}
		l.discard()
	}
}

// discard is a sink.
type discard struct{}

func (discard) Blob(context.Context, lock.Blob, func() (blob.File, error)) error { return nil }
func (discard) Manifest(context.Context, Manifest) error                         { return nil }

func TestManyFiles(t *testing.T) {
	tier.SkipUnlessThorough(t)
	many := func(n int) []upstream {
		var plugins []upstream
		for i := range n {
			plugins = append(plugins, upstream{name: fmt.Sprintf("p%03d", i), version: "v1", file: fmt.Sprintf("p%03d_{p}", i), content: text("%d", i)})
		}
		return plugins
	}
	for files, layers := range map[int]int{0: 1, 1: 2, 101: 101} {
		f := newFixture(t, "", []agent.Platform{amd64}, many(files)...)
		data, result := f.write(t, with(form.WriteOptions{}))
		if got, err := images(t, data)[amd64].Layers(); err != nil || len(got) != layers {
			t.Errorf("%d files make %d layers, want %d (%v)", files, len(got), layers, err)
		}
		compareMembers(t, rootfs(t, images(t, data)[amd64], time.Unix(0, 0)), f.writeDir(t, amd64, "/plugins"))
		if !strings.HasPrefix(result.Tag, "lock-") || len(result.Tag) != len("lock-")+12 {
			t.Errorf("the tag is %q", result.Tag)
		}
	}
}

// TestUnits: the small files of a source of templates share a layer.
func TestUnits(t *testing.T) {
	file := func(path, template string) lock.File { return lock.File{Path: path, Template: template} }
	files := []lock.File{file("a", ""), file("a_deps/x/1", "x"), file("a_deps/x/2", "x"), file("a_deps/y/1", "y"), file("b", ""), file("c", "")}
	var got []int
	for _, u := range units(files) {
		got = append(got, len(u))
	}
	if !slices.Equal(got, []int{1, 2, 1, 1, 1}) || !reflect.DeepEqual(slices.Concat(units(files)...), files) {
		t.Errorf("%v", got)
	}
}

func TestGroup(t *testing.T) {
	for n := 0; n < 500; n += 7 {
		files := make([]lock.File, n)
		for i := range files {
			files[i].Path = strconv.Itoa(i)
		}
		groups := group(units(files), maxFileLayers)
		if !reflect.DeepEqual(slices.Concat(groups...), slices.Clip(files)) && n > 0 {
			t.Errorf("of %d files, the groups hold others", n)
		}
		for _, g := range groups {
			if len(groups) > maxFileLayers || len(g) == 0 || len(g) > (n+maxFileLayers-1)/maxFileLayers {
				t.Errorf("%d files make %d groups, one of %d", n, len(groups), len(g))
			}
		}
	}
}

// recorder notes what a sink receives.
type recorder struct {
	got []string
	// failAt is the call that fails, or 0.
	failAt int
	blobs  map[lock.SHA256]int
}

var errSink = errors.New("the sink is full")

func (r *recorder) note(what string) error {
	r.got = append(r.got, what)
	if len(r.got) == r.failAt {
		return errSink
	}
	return nil
}

func (r *recorder) Blob(_ context.Context, b lock.Blob, open func() (blob.File, error)) error {
	for range 2 { // as for a second attempt
		content, err := open()
		if err != nil {
			return err
		}
		data, err := io.ReadAll(content)
		if err = errors.Join(err, content.Close()); err != nil {
			return err
		}
		if oci.BlobOf(data) != b {
			return fmt.Errorf("%v is %v", b, oci.BlobOf(data))
		}
	}
	if r.blobs == nil {
		r.blobs = map[lock.SHA256]int{}
	}
	r.blobs[b.SHA256]++
	return r.note("blob")
}

func (r *recorder) Manifest(_ context.Context, m Manifest) error {
	if oci.BlobOf(m.Data) != m.Blob {
		return errors.New("a manifest is not what it is said to be")
	}
	return r.note(fmt.Sprint(m.MediaType, " ", m.Platform))
}

func TestOrder(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64, arm64}, plugins(t)[0])
	const layer, config = "blob", "blob"
	const manifest, index = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
	want := []string{layer, layer, layer, config, manifest + " linux/amd64", layer, layer, layer, config, manifest + " linux/arm64", index + " <nil>"}
	var progress []string
	o := with(form.WriteOptions{Wrote: func(what string) { progress = append(progress, what) }})
	r := new(recorder)
	_, err := Build(context.Background(), f.lock, f.source(), o, r)
	if err != nil || !slices.Equal(r.got, want) {
		t.Errorf("%v: %q, want %q", err, r.got, want)
	}
	wantProgress := []string{
		"linux/amd64 layer 1 of 6: /plugins/r/executor_v1.0.0_raw", "linux/amd64 layer 2 of 6: /plugins/r/executor_v1.0.0_raw_deps/jq",
		"linux/amd64 layer 3 of 6: /plugins/.botkube-mirror and the indexes",
		"linux/arm64 layer 4 of 6: /plugins/r/executor_v1.0.0_raw", "linux/arm64 layer 5 of 6: /plugins/r/executor_v1.0.0_raw_deps/jq",
		"linux/arm64 layer 6 of 6: /plugins/.botkube-mirror and the indexes",
	}
	if !slices.Equal(progress, wantProgress) {
		t.Errorf("%q", progress)
	}
}

func TestLayersAreShared(t *testing.T) {
	release := func(version, raw string) *recorder {
		all := plugins(t)
		all[0].version, all[0].content = version, text("%s", raw)
		f := newFixture(t, version, []agent.Platform{amd64}, all...)
		r := new(recorder)
		_, err := Build(context.Background(), f.lock, f.source(), with(form.WriteOptions{}), r)
		check(t, err)
		return r
	}
	before, after := release("v1.0.0", "old"), release("v1.1.0", "new")
	shared := 0
	for d := range after.blobs {
		shared += before.blobs[d]
	}
	// Of hello and its dependencies, and of ticker.
	if shared != 4 {
		t.Errorf("two releases share %d layers, want 4", shared)
	}
}

// TestFailure fails at each of the calls of a sink, and wants no goroutine to
// wait for ever, and nothing to be left.
func TestFailure(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64, arm64}, plugins(t)...)
	spools := t.TempDir()
	t.Setenv("TMPDIR", spools)
	for n := 1; ; n++ {
		_, err := Build(context.Background(), f.lock, f.source(), with(form.WriteOptions{}), &recorder{failAt: n})
		if err == nil {
			if n < 10 {
				t.Errorf("only %d calls", n)
			}
			break
		}
		if !errors.Is(err, errSink) {
			t.Errorf("call %d: %v", n, err)
		}
	}
	wantOnly(t, spools)
}

// TestUnusableTMPDIR wants the directory in which layers wait named, whatever is wrong with it.
func TestUnusableTMPDIR(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64}, plugins(t)...)
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o644))
	for _, variable := range []string{"TMPDIR", "TMP"} {
		t.Setenv(variable, filepath.Join(file, "below"))
	}
	_, err := Build(context.Background(), f.lock, f.source(), with(form.WriteOptions{}), &recorder{})
	if hint := fault.HintOf(err); err == nil || !strings.Contains(hint, "free some space in "+os.TempDir()) {
		t.Errorf("%v, hint %q", err, hint)
	}
}

func TestMissingBlob(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64, arm64}, plugins(t)...)
	check(t, os.Remove(filepath.Join(f.store.Dir(), "blobs", "sha256", f.lock.Artifacts[2].SHA256.String())))
	name := filepath.Join(t.TempDir(), "image.tar")
	fail := func() {
		result, err := WriteFile(context.Background(), name, f.lock, f.source(), with(form.WriteOptions{}))
		if result.Digest != "" || result.Changed || fault.KindOf(err) != fault.Incomplete || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, %v", result, err)
		}
	}
	fail()
	wantOnly(t, filepath.Dir(name))
	check(t, os.WriteFile(name, []byte("before"), 0o644))
	fail()
	wantOnly(t, filepath.Dir(name), "image.tar")
	if data, err := os.ReadFile(name); err != nil || string(data) != "before" {
		t.Errorf("what was there is %q, %v", data, err)
	}
}

// TestWhiteout has a file whose name would make another one vanish.
func TestWhiteout(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64}, upstream{name: "x", version: "v1", file: "x", content: text("x"), deps: []string{"jq", ".wh.jq"}})
	if _, err := Build(context.Background(), f.lock, f.source(), with(form.WriteOptions{}), discard{}); fault.KindOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), "--exclude r/x") {
		t.Errorf("%v, hint %q", err, fault.HintOf(err))
	}
}

// TestInOrder wants no more layers to exist at a time than are allowed to, and
// all to be handed on in order, whichever is done first.
func TestInOrder(t *testing.T) {
	for _, n := range []int{1, 3, 50} {
		jobs := make([]job, 40)
		for i := range jobs {
			jobs[i].what = strconv.Itoa(i)
		}
		var existing atomic.Int64
		prepare := func(_ context.Context, j job) (*layer, error) {
			if now := existing.Add(1); now > int64(n) {
				t.Errorf("%d layers exist", now)
			}
			time.Sleep(time.Duration(len(j.what)%2) * time.Millisecond)
			return nil, nil
		}
		var got []job
		check(t, inOrder(context.Background(), jobs, n, prepare, func(_ context.Context, j job, _ *layer) error {
			existing.Add(-1)
			got = append(got, j)
			return nil
		}))
		if !reflect.DeepEqual(got, jobs) {
			t.Errorf("%d at a time: %v", n, got)
		}
	}
}

// stuck is a source whose files never come.
type stuck struct {
	pluginsdir.Source
	once    *sync.Once
	started chan struct{}
}

func (s stuck) Make(ctx context.Context, _ agent.Platform, _ lock.File, _ blob.Sink) error {
	s.once.Do(func() { close(s.started) })
	<-ctx.Done()
	return ctx.Err()
}

func TestCancelled(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64}, plugins(t)...)
	ctx, cancel := context.WithCancel(context.Background())
	src := stuck{f.source(), new(sync.Once), make(chan struct{})}
	go func() {
		<-src.started
		cancel()
	}()
	name := filepath.Join(t.TempDir(), "image.tar")
	if _, err := WriteFile(ctx, name, f.lock, src, with(form.WriteOptions{})); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	wantOnly(t, filepath.Dir(name))
}

func TestGolden(t *testing.T) {
	f := newFixture(t, "v1.14.0+x", []agent.Platform{amd64, arm64}, plugins(t)...)
	seeder := seed(amd64, buildProgram(t, amd64))
	dir := t.TempDir()
	// What a compiler makes is not the same for ever.
	small := smallestProgram(t, dir, seeder)
	data, result := f.write(t, with(form.WriteOptions{Seeders: form.Seeders{Given: []form.Seeder{small}}}))
	if result.Tag != "v1.14.0_x" {
		t.Errorf("the tag is %q", result.Tag)
	}
	unpacked := unpack(t, data)
	var out bytes.Buffer
	show := func(what string, data []byte) {
		fmt.Fprintf(&out, "-- %s --\n", what)
		check(t, json.Indent(&out, data, "", "  "))
		out.WriteString("\n")
	}
	top, err := os.ReadFile(filepath.Join(unpacked, oci.IndexName))
	check(t, err)
	show(oci.IndexName, top)
	ix := readIndex(t, unpacked)
	raw, err := ix.RawManifest()
	check(t, err)
	show("index", raw)
	m, err := ix.IndexManifest()
	check(t, err)
	for _, d := range m.Manifests {
		im, err := ix.Image(d.Digest)
		check(t, err)
		raw, err := im.RawManifest()
		check(t, err)
		show("manifest for "+d.Platform.String(), raw)
		raw, err = im.RawConfigFile()
		check(t, err)
		show("configuration for "+d.Platform.String(), raw)
	}
	golden := filepath.Join("testdata", "golden.txt")
	if *update {
		check(t, os.MkdirAll("testdata", 0o755))
		check(t, os.WriteFile(golden, out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatal("there is no golden file; run with -update")
	}
	check(t, err)
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("got\n%s\nwant\n%s\n(a new version of the compressor may make other digests: run with -update)", out.Bytes(), want)
	}
}
