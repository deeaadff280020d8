//go:build linux

package acceptance

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// TestAgentStartsFromImage mounts the image's directory, as the kubelet does with an image volume, read-only.
func TestAgentStartsFromImage(t *testing.T) {
	t.Parallel()
	file := filepath.Join(tempDir(t), "image.tar")
	m := mirrored{mount: pullAll(t).mount}
	pullTo(t, release(t), "--version", Version, "-o", "image:"+file, "--mount", m.mount)
	image := openImage(t, file).here(t)
	if err := validate.Image(image); err != nil {
		t.Fatal(err)
	}
	m.dir = filepath.Join(flatten(t, image), m.mount)
	m.checkPulled(t)
	m.checkStarts(t)
}

// TestImageSeedsVolume starts the image, made of a bundle, as a Job does that is to fill a volume: nothing but the
// image to see, no network, no environment, and nothing to write to but the volume. The agent starts from that.
func TestImageSeedsVolume(t *testing.T) {
	t.Parallel()
	image := openImage(t, imageAll(t)).here(t)
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Config.Entrypoint) == 0 {
		t.Fatal("the image has no entry point")
	}
	m := mirrored{dir: tempDir(t), mount: pullAll(t).mount}
	if out, err := seed(t, flatten(t, image), file.Config, m).CombinedOutput(); err != nil {
		t.Fatalf("%v %v\n%s", file.Config.Entrypoint, err, out)
	}
	m.checkPulled(t)
	m.checkStarts(t)
}

// imageAll makes an image of the bundle of the whole release, to be seen at /plugins. What a test gets is shared.
func imageAll(t *testing.T) string {
	t.Helper()
	imaged.once.Do(func() {
		file := filepath.Join(scratch, "image.tar")
		runOffline(t, "unpack", bundleAll(t), "-o", "image:"+file)
		imaged.file = file
	})
	if imaged.file == "" {
		t.Fatal("no image could be made of the release; see the first test that asked for it")
	}
	return imaged.file
}

var imaged struct {
	once sync.Once
	file string
}

// seed returns the container that copies /plugins to the volume m.
func seed(t *testing.T, root string, config v1.Config, m mirrored) *exec.Cmd {
	t.Helper()
	copying := func(from, to string) []string {
		return slices.Concat(config.Entrypoint[1:], config.Cmd, []string{"unpack", from, "-o", to, "--mount", m.mount})
	}
	if isolation(t) != "namespace" {
		cmd := exec.Command(filepath.Join(root, config.Entrypoint[0]), copying(filepath.Join(root, "plugins"), m.dir)...)
		cmd.Env = []string{}
		t.Cleanup(makeReadOnly(t, root))
		return cmd
	}
	// A runtime makes the directories that it mounts at.
	if err := os.Mkdir(filepath.Join(root, "volume"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(m.dir, agentUser, agentUser); err != nil {
		t.Fatal(err)
	}
	cmd, err := namespace{
		Root: root, Source: m.dir, Target: "/volume", Writable: true,
		Command: config.Entrypoint[0], Args: copying("/plugins", "/volume"),
	}.command()
	return must(t, cmd, err)
}

// openedImage is an image for several platforms. It is read by go-containerregistry, not by what wrote it.
type openedImage struct {
	digest    v1.Hash
	platforms v1.ImageIndex
}

// openImage opens an image archive.
func openImage(t *testing.T, archive string) openedImage {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := tempDir(t)
	untar(t, f, dir)
	top, err := layout.ImageIndexFromPath(dir)
	digest := only(t, must(t, top, err), func(*v1.Platform) bool { return true })
	platforms, err := top.ImageIndex(digest)
	return openedImage{digest, must(t, platforms, err)}
}

// here returns the image for this platform.
func (o openedImage) here(t *testing.T) v1.Image {
	t.Helper()
	image, err := o.platforms.Image(only(t, o.platforms, func(p *v1.Platform) bool {
		return p != nil && p.OS == here.OS && p.Architecture == here.Arch
	}))
	return must(t, image, err)
}

// flatten makes the root file system that a container sees.
func flatten(t *testing.T, image v1.Image) string {
	t.Helper()
	flat := mutate.Extract(image)
	defer flat.Close()
	root := tempDir(t)
	untar(t, flat, root)
	return root
}

// only returns what an index has for a platform, which must be one.
func only(t *testing.T, index v1.ImageIndex, matches func(*v1.Platform) bool) v1.Hash {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var found []v1.Hash
	for _, d := range manifest.Manifests {
		if matches(d.Platform) {
			found = append(found, d.Digest)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d images, want one, in %+v", len(found), manifest.Manifests)
	}
	return found[0]
}

// untar has tar unpack an archive, with owners and modes as they are in it.
func untar(t *testing.T, archive io.Reader, dir string) {
	t.Helper()
	cmd := exec.Command("tar", "-x", "-p", "-C", dir)
	cmd.Stdin = archive
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
}
