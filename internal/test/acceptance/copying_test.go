//go:build linux

package acceptance

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/regclient/regclient"
	"github.com/regclient/regclient/config"
	"github.com/regclient/regclient/types/ref"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
	orasremote "oras.land/oras-go/v2/registry/remote"

	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
)

// TestCopiedByLibraries copies a bundle, to which an SBOM is attached, out of a registry with what oras, crane and
// regctl are made of, under another tag. The directory that is made of each copy is that of a pull.
func TestCopiedByLibraries(t *testing.T) {
	t.Parallel()
	registry := registrytest.Start(t, registrytest.Options{})
	repository := registry.Host + "/near/botkube-plugins-bundle"
	runOffline(t, "push", bundleAll(t), registry.Host+"/near", "--plain-http", "--skip", "image", "--store", filepath.Join(tempDir(t), "store"))
	attach(t, repository)
	for tool, copyTo := range map[string]func(t *testing.T, repository, dir string) string{
		"oras cp -r": orasCopy, "crane pull": cranePull, "regctl image copy": regctlCopy, "regctl image export": regctlExport,
	} {
		t.Run(tool, func(t *testing.T) {
			bundle := copyTo(t, repository, filepath.Join(tempDir(t), "copy"))
			runOffline(t, "verify", bundle)
			unpack(t, bundle).checkPulled(t)
		})
	}
}

// orasRepository is a repository as oras sees it.
func orasRepository(t *testing.T, repository string) *orasremote.Repository {
	t.Helper()
	repo, err := orasremote.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	return repo
}

// attach does what oras attach does.
func attach(t *testing.T, repository string) {
	t.Helper()
	repo := orasRepository(t, repository)
	subject, err := repo.Resolve(t.Context(), Version)
	if err != nil {
		t.Fatal(err)
	}
	sbom := []byte(`{"bomFormat":"CycloneDX"}`)
	layer := ocispec.Descriptor{MediaType: "application/vnd.cyclonedx+json", Digest: digest.FromBytes(sbom), Size: int64(len(sbom))}
	layer, err = oras.PushBytes(t.Context(), repo, layer.MediaType, sbom)
	if err == nil {
		_, err = oras.PackManifest(t.Context(), repo, oras.PackManifestVersion1_1, "application/vnd.cyclonedx+json", oras.PackManifestOptions{Subject: &subject, Layers: []ocispec.Descriptor{layer}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func orasCopy(t *testing.T, repository, dir string) string {
	t.Helper()
	store, err := oci.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	top, err := oras.ExtendedCopy(t.Context(), orasRepository(t, repository), Version, store, "production", oras.DefaultExtendedCopyOptions)
	if err == nil {
		err = store.Tag(t.Context(), top, "latest")
	}
	if err != nil {
		t.Fatal(err)
	}
	return "oci:" + dir
}

func cranePull(t *testing.T, repository, dir string) string {
	t.Helper()
	tag, err := name.NewTag(repository+":"+Version, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(tag)
	if err != nil {
		t.Fatal(err)
	}
	path, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag.String()}))
	}
	if err == nil {
		// A second pull, for one platform, into the same layout.
		var manifests *v1.IndexManifest
		if manifests, err = index.IndexManifest(); err == nil {
			var image v1.Image
			if image, err = index.Image(manifests.Manifests[0].Digest); err == nil {
				err = path.AppendImage(image)
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// regctl returns a client for a registry, and a reference there.
func regctl(t *testing.T, repository string) (*regclient.RegClient, ref.Ref) {
	t.Helper()
	from, err := ref.New(repository + ":" + Version)
	if err != nil {
		t.Fatal(err)
	}
	return regclient.New(regclient.WithConfigHost(config.Host{Name: from.Registry, TLS: config.TLSDisabled})), from
}

func regctlCopy(t *testing.T, repository, dir string) string {
	t.Helper()
	client, from := regctl(t, repository)
	to, err := ref.New("ocidir://" + dir + ":production")
	if err == nil {
		err = client.ImageCopy(t.Context(), from, to, regclient.ImageWithReferrers(), regclient.ImageWithDigestTags())
	}
	if err == nil {
		err = client.Close(t.Context(), to)
	}
	if err != nil {
		t.Fatal(err)
	}
	return "oci:" + dir + ":production"
}

func regctlExport(t *testing.T, repository, dir string) string {
	t.Helper()
	client, from := regctl(t, repository)
	file := dir + ".tar.gz"
	f, err := os.Create(file)
	if err == nil {
		err = client.ImageExport(t.Context(), from, f, regclient.ImageWithExportCompress())
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return "oci-archive:" + file
}
