//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	ggcrregistry "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// unpackImage reads the OCI archive of the image.
func unpackImage(t *testing.T, file string) v1.ImageIndex {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpackTar(t, f, dir)
	outer, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := outer.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Manifests) != 1 || !strings.HasPrefix(m.Manifests[0].Annotations["org.opencontainers.image.ref.name"], registry+":") {
		t.Fatalf("the archive holds %+v", m.Manifests)
	}
	index, err := outer.ImageIndex(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// unpackTar unpacks directories and files as they are, modes included.
func unpackTar(t *testing.T, r io.Reader, dir string) {
	t.Helper()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(dir, h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(at, 0o755)
		case tar.TypeReg:
			var data []byte
			if data, err = io.ReadAll(tr); err == nil {
				err = os.WriteFile(at, data, 0o644)
			}
		default:
			t.Fatalf("%s is of type %c", h.Name, h.Typeflag)
		}
		if err == nil {
			err = os.Chmod(at, h.FileInfo().Mode())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestImageCopies has skopeo copy the image with its digest, which signatures are for.
func TestImageCopies(t *testing.T) {
	r := made(t)
	skopeo := program(t, "skopeo")
	digest, err := unpackImage(t, r.file("image.tar")).Digest()
	if err != nil {
		t.Fatal(err)
	}
	registry := httptest.NewServer(ggcrregistry.New(ggcrregistry.Logger(log.New(io.Discard, "", 0))))
	defer registry.Close()
	file := filepath.Join(t.TempDir(), "digest")
	to := "docker://" + strings.TrimPrefix(registry.URL, "http://") + "/mirror/botkube-mirror:1.0.0"
	output(t, exec.Command(skopeo, "--insecure-policy", "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", "--digestfile", file, "oci-archive:"+r.file("image.tar"), to))
	if got, err := os.ReadFile(file); err != nil || string(got) != digest.String() {
		t.Errorf("it has digest %s, not %s: %v", got, digest, err)
	}
	// As docker load reads it.
	out := output(t, exec.Command(skopeo, "inspect", "--config", "docker-archive:"+r.file("image.tar")))
	if !strings.Contains(out, `"architecture": "amd64"`) || !strings.Contains(out, `"User": "65532:65532"`) {
		t.Errorf("docker-archive: has %s", out)
	}
}

// TestImage looks into the container image, and runs it as its user in nothing but its files.
func TestImage(t *testing.T) {
	r := made(t)
	index := unpackImage(t, r.file("image.tar"))
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if m.Annotations["org.opencontainers.image.version"] != r.version {
		t.Errorf("the index says of itself: %v", m.Annotations)
	}
	var have []string
	for _, d := range m.Manifests {
		have = append(have, d.Platform.String())
		img, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(d.Platform.String(), func(t *testing.T) { checkImage(t, r, img, d.Platform.Architecture) })
	}
	if !slices.Equal(have, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("it is for %v", have)
	}
}

func checkImage(t *testing.T, r release, img v1.Image, arch string) {
	a := r.archive(t, "linux_"+arch)
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.OS != "linux" || cfg.Architecture != arch || cfg.Config.User != "65532:65532" || !slices.Equal(cfg.Config.Entrypoint, []string{"/botkube-mirror"}) {
		t.Errorf("its configuration is %+v", cfg)
	}
	for _, label := range []string{"title", "description", "version", "revision", "created", "licenses", "source", "url", "documentation"} {
		if cfg.Config.Labels["org.opencontainers.image."+label] == "" {
			t.Errorf("it has no label %s", label)
		}
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	rootfs := t.TempDir()
	for _, l := range layers {
		content, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		unpackTar(t, content, rootfs)
		content.Close()
	}
	program, err := os.ReadFile(filepath.Join(rootfs, "botkube-mirror"))
	if err != nil || !bytes.Equal(program, a.program) {
		t.Errorf("its program is not that of the archive: %v", err)
	}
	entries, err := os.ReadDir(rootfs)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{"botkube-mirror", "home", "licenses", "mirror", "tmp"}) {
		t.Errorf("it holds %v", names)
	}
	for name, data := range a.files {
		if strings.HasPrefix(name, "licenses/") {
			if have, err := os.ReadFile(filepath.Join(rootfs, name)); err != nil || !bytes.Equal(have, data) {
				t.Errorf("%s is not that of the archive: %v", name, err)
			}
		}
	}
	if arch == runtime.GOARCH {
		runImage(t, r, rootfs, cfg.Config)
	}
}

// runImage runs an image as a node does: its user, its environment, a directory to write to.
func runImage(t *testing.T, r release, rootfs string, config v1.Config) {
	requires(t, os.Geteuid() == 0, "root")
	for dir := rootfs; dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, fileMode(t, dir)|0o055); err != nil {
			t.Fatal(err)
		}
	}
	upstream := httptest.NewServer(http.FileServer(http.Dir(root + "/testdata/upstream")))
	defer upstream.Close()
	run := func(user uint32, args ...string) string {
		c := exec.Command(config.Entrypoint[0], args...)
		c.Dir, c.Env = config.WorkingDir, config.Env
		c.SysProcAttr = &syscall.SysProcAttr{Chroot: rootfs, Credential: &syscall.Credential{Uid: user, Gid: user}}
		return output(t, c)
	}
	if got := run(65532, "version"); !strings.Contains(got, r.version) {
		t.Errorf("version prints %q", got)
	}
	// Also as any other user, as OpenShift and docker run --user have it.
	for _, user := range []uint32{65532, 1000650000} {
		run(user, "pull", "--repository", "demo="+upstream.URL+"/plugins-index.yaml", "--output", "bundle.tar")
		run(user, "verify", "bundle.tar")
		if err := errors.Join(os.Remove(filepath.Join(rootfs, "mirror/bundle.tar")), os.RemoveAll(filepath.Join(rootfs, "home/.cache"))); err != nil {
			t.Fatal(err)
		}
	}
}

func fileMode(t *testing.T, name string) os.FileMode {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}
