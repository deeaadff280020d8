package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// memory is a source of blobs that are kept in memory.
type memory struct {
	mu    sync.Mutex
	blobs map[lock.SHA256][]byte
	// verified counts calls.
	verified int
}

func newMemory() *memory { return &memory{blobs: map[lock.SHA256][]byte{}} }

func (m *memory) put(data string) lock.Blob {
	b := oci.BlobOf([]byte(data))
	m.blobs[b.SHA256] = []byte(data)
	return b
}

func (m *memory) get(d lock.SHA256) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.blobs[d]
	if !ok {
		return nil, fault.New(fault.Incomplete, "blob sha256:%s is not in memory", d)
	}
	return data, nil
}

func (m *memory) Open(d lock.SHA256) (blob.File, error) {
	data, err := m.get(d)
	if err != nil {
		return nil, err
	}
	return blob.InMemory(data), nil
}

// reader gives documents by their digests; it is an [oci.Reader].
type reader func(d lock.SHA256) ([]byte, error)

func (r reader) Manifest(_ context.Context, b lock.Blob) ([]byte, error) { return r(b.SHA256) }

func (r reader) Open(_ context.Context, b lock.Blob) (io.ReadCloser, error) {
	data, err := r(b.SHA256)
	return io.NopCloser(bytes.NewReader(data)), err
}

func (m *memory) Verify(_ context.Context, d lock.SHA256) error {
	data, err := m.get(d)
	if err == nil && lock.Sum(data) != d {
		err = fault.New(fault.Integrity, "blob sha256:%s is damaged", d)
	}
	m.mu.Lock()
	m.verified++
	m.mu.Unlock()
	return err
}

func (m *memory) ReadAll(d lock.SHA256, max int64) ([]byte, error) {
	if err := m.Verify(context.Background(), d); err != nil {
		return nil, err
	}
	return m.get(d)
}

var (
	amd64 = agent.Platform{OS: "linux", Arch: "amd64"}
	arm64 = agent.Platform{OS: "linux", Arch: "arm64"}
)

// world is a lock and its blobs.
func world(t testing.TB) (*lock.Lock, *memory) {
	t.Helper()
	m := newMemory()
	artifact := func(url, data string) lock.Artifact {
		return lock.Artifact{URL: url, Blob: m.put(data), VerifiedBy: lock.ByIndex}
	}
	const repo, kubectl = "https://up.example/botkube/v1", "https://dl.k8s.example/release/kubectl"
	l := &lock.Lock{
		SchemaVersion: 1, BotkubeVersion: "v1.14.0", Platforms: []agent.Platform{amd64, arm64},
		Repositories: []lock.Repository{{
			Name: "botkube", URL: repo + "/plugins-index.yaml", Index: m.put("entries: []\n"),
			Schemas: []lock.Schema{{URL: repo + "/schema.json", Blob: m.put(`{"type":"object"}`)}},
		}},
		Plugins: []lock.Plugin{{Repository: "botkube", Type: agent.Executor, Name: "helm", Version: "v1.14.0"}},
		Artifacts: []lock.Artifact{
			artifact(repo+"/helm_amd64.tar.gz", "plugin for amd64"),
			artifact(repo+"/helm_arm64.tar.gz", "plugin for arm64"),
			artifact(kubectl+"?arch=amd64", "kubectl for amd64"),
			artifact(kubectl+"?arch=arm64", "kubectl for arm64"),
		},
	}
	for _, p := range l.Platforms {
		l.Plugins[0].Builds = append(l.Plugins[0].Builds, lock.Build{
			Platform: p, URL: repo + "/helm_" + p.Arch + ".tar.gz",
			Dependencies: []lock.Dependency{{Name: "kubectl", URL: kubectl + "?arch=" + p.Arch}},
		})
	}
	return checked(t, l), m
}

func checked(t testing.TB, l *lock.Lock) *lock.Lock {
	t.Helper()
	l.Sort()
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
	return l
}

// fullWorld has the other members, too.
func fullWorld(t testing.TB) (*lock.Lock, *memory) {
	t.Helper()
	l, m := world(t)
	l.AgentImage = &lock.Image{Reference: "ghcr.io/kubeshop/botkube:v1.14.0"}
	for _, p := range l.Platforms {
		l.AgentImage.Manifests = append(l.AgentImage.Manifests, imageManifest(t, m, p, "application/vnd.docker.distribution.manifest.v2+json"))
	}
	l.Chart = addChart(m, chartYAML, "botkube", "1.14.0")
	return checked(t, l), m
}

// imageManifest is a small image that can be run as far as tools look.
func imageManifest(t testing.TB, m *memory, p agent.Platform, mediaType string) lock.ImageManifest {
	t.Helper()
	var layer bytes.Buffer
	unpacked := make([]byte, 1024)
	copy(unpacked, p.Arch)
	var plain bytes.Buffer
	tw := tar.NewWriter(&plain)
	if err := tw.WriteHeader(&tar.Header{Name: "bin/" + p.Arch, Mode: 0o755, Typeflag: tar.TypeReg, Size: int64(len(unpacked))}); err != nil {
		t.Fatal(err)
	}
	tw.Write(unpacked)
	tw.Close()
	gz := gzip.NewWriter(&layer)
	gz.Write(plain.Bytes())
	gz.Close()
	config := m.put(fmt.Sprintf(`{"architecture":%q,"os":%q,"config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}`, p.Arch, p.OS, lock.Sum(plain.Bytes())))
	layerBlob := m.put(layer.String())
	configType, layerType := "application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip"
	if mediaType == manifestType {
		configType, layerType = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"
	}
	data, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: v1Type(mediaType), Config: oci.Describe(configType, config),
		Layers: []v1.Descriptor{oci.Describe(layerType, layerBlob)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return lock.ImageManifest{Platform: p, MediaType: mediaType, Blob: m.put(string(data)), Blobs: []lock.Blob{config, layerBlob}}
}

const chartYAML = `apiVersion: v2
name: botkube
version: 1.14.0
appVersion: 1.10
description: Controller for the Botkube Slack app & more
home: https://botkube.example
sources: [https://github.example/botkube, https://other.example]
keywords: [chat, "k8s"]
maintainers:
- name: One
  email: one@example.com
- name: Two
annotations:
  category: chat
  org.opencontainers.image.title: other
dependencies:
- name: common
  repository: https://charts.example
  version: ">= 1 < 2"
  import-values: [a, {child: x, parent: y}]
unknown: ignored
`

func addChart(m *memory, yaml, name, version string) *lock.Chart {
	return &lock.Chart{
		Name: name, Version: version, URL: "https://charts.example/botkube-1.14.0.tgz",
		Blob: m.put(tgz(map[string]string{name + "/Chart.yaml": yaml, name + "/values.yaml": "a: 1\n"})), VerifiedBy: lock.ByIndex,
	}
}

func tgz(files map[string]string) string {
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	tw := tar.NewWriter(gz)
	for name, data := range files {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(data))}); err != nil {
			panic(err)
		}
		tw.Write([]byte(data))
	}
	tw.Close()
	gz.Close()
	return buf.String()
}

func plan(t testing.TB, l *lock.Lock, m blob.Source) *Contents {
	t.Helper()
	c, err := Plan(t.Context(), l, m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tarOf returns a bundle as a tar file.
func tarOf(t testing.TB, c *Contents) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := WriteStream(t.Context(), &buf, c, form.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func writeFile(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// openPath opens the bundle in a file or a directory.
func openPath(ctx context.Context, path string) (*Bundle, error) {
	l, err := oci.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	return openIn(ctx, l)
}

// openTar opens the bundle in a tar of a size.
func openTar(ctx context.Context, r io.ReaderAt, size int64) (*Bundle, error) {
	l, err := oci.OpenTar(r, size, "b.tar")
	if err != nil {
		return nil, err
	}
	return openIn(ctx, l)
}

func openIn(ctx context.Context, l *oci.Layout) (*Bundle, error) {
	b, err := Open(ctx, l, "")
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return b, nil
}

// verifyAll opens and reads all of a bundle.
func verifyAll(ctx context.Context, path string) error {
	b, err := openPath(ctx, path)
	if err != nil {
		return err
	}
	defer b.Close()
	for _, x := range b.contents.Blobs {
		if err := b.Verify(ctx, x.SHA256); err != nil {
			return err
		}
	}
	return nil
}

// wantError checks an error's kind, and that it says some things.
func wantError(t testing.TB, err error, kind fault.Kind, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one that says %q", says)
	}
	text := err.Error() + "\n" + fault.HintOf(err)
	for _, s := range says {
		if !strings.Contains(text, s) {
			t.Errorf("the error does not say %q:\n%s", s, text)
		}
	}
	if got := fault.KindOf(err); got != kind {
		t.Errorf("the error is of kind %d, want %d: %v", got, kind, err)
	}
}
