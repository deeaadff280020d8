package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

const (
	// source is where the project is at home.
	source = "https://github.com/botkube-mirror/botkube-mirror"
	// registry is where the release workflow pushes the image.
	registry = "ghcr.io/botkube-mirror/botkube-mirror"
)

// image makes the container image, one OCI archive for all architectures, of the very programs
// that the archives hold. No base image and no daemon is needed.
func image(dist, version, revision, file string) error {
	archives, err := filepath.Glob(filepath.Join(dist, "botkube-mirror_"+version+"_linux_*.tar.gz"))
	if err != nil {
		return err
	}
	if len(archives) == 0 {
		return fmt.Errorf("%s has no archive of version %s for Linux", dist, version)
	}
	slices.Sort(archives)
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	content := blobs{}
	// What knows no layout takes the first, which is for amd64.
	var docker []oci.DockerImage
	var date time.Time
	for _, name := range archives {
		a, err := readArchive(name)
		if err != nil {
			return err
		}
		date = a.date
		index.Annotations = labels(version, revision, date)
		img, err := platformImage(a, index.Annotations)
		if err != nil {
			return err
		}
		d, err := content.addImage(img)
		if err != nil {
			return err
		}
		index.Manifests = append(index.Manifests, d)
		if docker == nil {
			m, err := img.Manifest()
			if err != nil {
				return err
			}
			docker = []oci.DockerImage{oci.DockerImageOf(*m)}
		}
	}
	d, err := content.addJSON(types.OCIImageIndex, index)
	if err != nil {
		return err
	}
	// podman takes the whole name from the first, docker and containerd from the second.
	name := registry + ":" + version
	d.Annotations = map[string]string{"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name}
	docker[0].RepoTags = []string{name}
	return content.writeLayout(d, docker, date, file)
}

// labels are the annotations that OCI defines.
func labels(version, revision string, date time.Time) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":         "botkube-mirror",
		"org.opencontainers.image.description":   "Carry Botkube plugins, and what they need, over an air gap",
		"org.opencontainers.image.version":       version,
		"org.opencontainers.image.revision":      revision,
		"org.opencontainers.image.created":       date.UTC().Format(time.RFC3339),
		"org.opencontainers.image.licenses":      "Apache-2.0",
		"org.opencontainers.image.source":        source,
		"org.opencontainers.image.url":           source,
		"org.opencontainers.image.documentation": source + "/blob/main/docs/how-to/install.md",
	}
}

// platformImage makes the image for one architecture: a layer of licences, and one of the program.
func platformImage(a *archive, labels map[string]string) (v1.Image, error) {
	info, err := a.buildInfo()
	if err != nil {
		return nil, err
	}
	var arch string
	for _, s := range info.Settings {
		if s.Key == "GOARCH" {
			arch = s.Value
		}
	}
	terms := map[string][]byte{}
	for name, data := range a.files {
		if name == "LICENSE" || strings.HasPrefix(name, "licenses/") {
			terms["licenses/"+strings.TrimPrefix(name, "licenses/")] = data
		}
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, add := range []func(*tree) error{
		func(t *tree) error { return t.files(terms, 0o644) },
		func(t *tree) error {
			// Any user may run it, so any user may write where runs keep something.
			for _, dir := range []string{"home", "mirror", "tmp"} {
				if err := t.dir(dir, 0o1777); err != nil {
					return err
				}
			}
			return t.files(map[string][]byte{"botkube-mirror": a.program}, 0o755)
		},
	} {
		layer, err := newLayer(a.date, add)
		if err != nil {
			return nil, err
		}
		img, err = mutate.Append(img, mutate.Addendum{
			Layer: layer, MediaType: types.OCILayer,
			History: v1.History{Created: v1.Time{Time: a.date.UTC()}, CreatedBy: source},
		})
		if err != nil {
			return nil, err
		}
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture, cfg.Created = "linux", arch, v1.Time{Time: a.date.UTC()}
	cfg.Config = v1.Config{
		// By number, for runAsNonRoot: a node knows no names of this image.
		User:       "65532:65532",
		Env:        []string{"HOME=/home"},
		Entrypoint: []string{"/botkube-mirror"},
		WorkingDir: "/mirror",
		Labels:     labels,
	}
	return mutate.ConfigFile(img, cfg)
}

// tree writes a layer.
type tree struct {
	tar  *tar.Writer
	date time.Time
	made map[string]bool
}

func newLayer(date time.Time, add func(*tree) error) (v1.Layer, error) {
	var b bytes.Buffer
	t := &tree{tar: tar.NewWriter(&b), date: date, made: map[string]bool{}}
	if err := add(t); err != nil {
		return nil, err
	}
	if err := t.tar.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
}

func (t *tree) dir(name string, mode int64) error {
	if name == "." || t.made[name] {
		return nil
	}
	if err := t.dir(filepath.ToSlash(filepath.Dir(name)), 0o755); err != nil {
		return err
	}
	t.made[name] = true
	return t.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, ModTime: t.date})
}

func (t *tree) files(files map[string][]byte, mode int64) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := t.dir(filepath.ToSlash(filepath.Dir(name)), 0o755); err != nil {
			return err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(files[name])), ModTime: t.date}
		if err := t.tar.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.tar.Write(files[name]); err != nil {
			return err
		}
	}
	return nil
}

// blobs are the content of an OCI layout, by path.
type blobs map[string][]byte

func (b blobs) add(kind types.MediaType, data []byte) v1.Descriptor {
	sum := sha256.Sum256(data)
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
	b["blobs/sha256/"+digest.Hex] = data
	return v1.Descriptor{MediaType: kind, Size: int64(len(data)), Digest: digest}
}

func (b blobs) addJSON(kind types.MediaType, v any) (v1.Descriptor, error) {
	data, err := json.Marshal(v)
	return b.add(kind, data), err
}

// addImage returns a descriptor that names no artifact type: skopeo would drop that, and so
// refuse to copy the image with its digest.
func (b blobs) addImage(img v1.Image) (v1.Descriptor, error) {
	layers, err := img.Layers()
	if err != nil {
		return v1.Descriptor{}, err
	}
	for _, l := range layers {
		content, err := l.Compressed()
		if err != nil {
			return v1.Descriptor{}, err
		}
		data, err := io.ReadAll(content)
		if err := errors.Join(err, content.Close()); err != nil {
			return v1.Descriptor{}, err
		}
		b.add(types.OCILayer, data)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return v1.Descriptor{}, err
	}
	b.add(types.OCIConfigJSON, config)
	manifest, err := img.RawManifest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return v1.Descriptor{}, err
	}
	d := b.add(types.OCIManifestSchema1, manifest)
	d.Platform = cfg.Platform()
	return d, nil
}

// writeLayout writes an OCI archive that has one image, and is an archive of docker save, too.
func (b blobs) writeLayout(image v1.Descriptor, docker []oci.DockerImage, date time.Time, file string) error {
	names, err := json.Marshal(docker)
	if err != nil {
		return err
	}
	b[oci.DockerName] = names
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{image}})
	if err != nil {
		return err
	}
	b["index.json"], b["oci-layout"] = index, []byte(`{"imageLayoutVersion":"1.0.0"}`)
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	t := &tree{tar: tar.NewWriter(f), date: date, made: map[string]bool{}}
	return errors.Join(t.files(b, 0o644), t.tar.Close(), f.Close())
}
