package bundle

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"

	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// Whatever archiver packed the layout again, it is read.
func TestRepacked(t *testing.T) {
	l, m := fullWorld(t)
	c := plan(t, l, m)
	all := entries(t, tarOf(t, c))
	slices.Reverse(all)
	for i := range all {
		all[i].Name = "./" + all[i].Name
		all[i].Uid, all[i].Uname, all[i].Mode = 1000, "somebody", 0o600
	}
	all = append([]tarEntry{{tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755}, nil}}, all...)
	all = append(all, tarEntry{tar.Header{Typeflag: tar.TypeReg, Name: "./._index.json"}, []byte("AppleDouble")},
		tarEntry{tar.Header{Typeflag: tar.TypeReg, Name: "./blobs/sha256/._x"}, []byte("AppleDouble")},
		tarEntry{tar.Header{Typeflag: tar.TypeReg, Name: "./manifest.json"}, []byte("[]")}) // as ctr images export adds
	for name, format := range map[string]tar.Format{"USTAR": tar.FormatUSTAR, "PAX": tar.FormatPAX, "GNU": tar.FormatGNU} {
		t.Run(name, func(t *testing.T) {
			foreign := slices.Clone(all)
			for i := range foreign {
				foreign[i].Format = format
				foreign[i].ModTime = time.Unix(1_700_000_000, 0)
				if format == tar.FormatPAX {
					foreign[i].ModTime = time.Unix(1_700_000_000, 5)
				}
			}
			data := append(pack(t, foreign), make([]byte, 8192)...)
			sameBundle(t, c, writeFile(t, filepath.Join(t.TempDir(), "b.tar"), data))
		})
	}
	t.Run("tar", func(t *testing.T) {
		tier.Program(t, "tar")
		dir := filepath.Join(t.TempDir(), "layout")
		if _, err := WriteLayout(t.Context(), dir, c, form.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{"gnu", "pax", "ustar", "v7", "oldgnu"} {
			file := filepath.Join(t.TempDir(), format+".tar")
			if out, err := exec.CommandContext(t.Context(), "tar", "--format="+format, "-cf", file, "-C", dir, ".").CombinedOutput(); err != nil {
				t.Skipf("tar: %v\n%s", err, out)
			}
			sameBundle(t, c, file)
		}
	})
	t.Run("by the directory's name", func(t *testing.T) {
		tier.Program(t, "tar")
		parent := t.TempDir()
		if _, err := WriteLayout(t.Context(), filepath.Join(parent, "layout"), c, form.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"-C", parent, "layout"}, {"-C", "/", strings.TrimPrefix(parent, "/") + "/layout"}} {
			file := filepath.Join(t.TempDir(), "b.tar")
			if out, err := exec.CommandContext(t.Context(), "tar", append([]string{"-cf", file}, args...)...).CombinedOutput(); err != nil {
				t.Fatalf("tar: %v\n%s", err, out)
			}
			sameBundle(t, c, file)
		}
	})
	// How archivers write the checksum of a header.
	for name, form := range map[string]string{"Rust": "%07o\x00", "node": "%06o \x00"} {
		t.Run(name, func(t *testing.T) {
			data := tarOf(t, c)
			for at := 0; data[at] != 0; {
				sum := 0
				copy(data[at+148:at+156], "        ")
				for _, b := range data[at : at+oci.BlockSize] {
					sum += int(b)
				}
				copy(data[at+148:at+156], fmt.Sprintf(form, sum))
				size, err := strconv.ParseInt(strings.TrimRight(string(data[at+124:at+136]), " \x00"), 8, 64)
				if err != nil {
					t.Fatal(err)
				}
				at += oci.BlockSize + int(size+-size&(oci.BlockSize-1))
			}
			sameBundle(t, c, writeFile(t, filepath.Join(t.TempDir(), "b.tar"), data))
		})
	}
	t.Run("unpacked with tar", func(t *testing.T) {
		tier.Program(t, "tar")
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "tar", "-xf", "-", "-C", dir)
		cmd.Stdin = bytes.NewReader(tarOf(t, c))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("tar: %v\n%s", err, out)
		}
		sameBundle(t, c, dir)
		if changed, err := WriteLayout(t.Context(), dir, c, form.WriteOptions{}); err != nil || changed {
			t.Errorf("the layout is not the tar file's: %v, %v", changed, err)
		}
	})
}

// Crane reads a layout with this code.
func TestGoContainerRegistryReadsLayouts(t *testing.T) {
	l, m := fullWorld(t)
	c := plan(t, l, m)
	dir := filepath.Join(t.TempDir(), "layout")
	if _, err := WriteLayout(t.Context(), dir, c, form.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	path, err := layout.FromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	top, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	tm, err := top.IndexManifest()
	if err != nil || len(tm.Manifests) != 1 || tm.Manifests[0].Annotations[oci.RefNameAnnotation] != c.Tag {
		t.Fatal(tm, err)
	}
	ix, err := top.ImageIndex(tm.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := partial.Manifests(ix)
	if err != nil || len(manifests) != len(c.Manifests) {
		t.Fatal(len(manifests), err)
	}
	for i, d := range c.Manifests {
		im, err := ix.Image(oci.Describe("", d.Blob()).Digest)
		if err != nil {
			t.Fatal(err)
		}
		if raw, err := im.RawManifest(); err != nil || !bytes.Equal(raw, d.Data) {
			t.Errorf("manifest %d: %v", i, err)
		}
		config, err := im.RawConfigFile()
		if err != nil || oci.BlobOf(config) != d.Blobs[0] {
			t.Errorf("config %d: %v", i, err)
		}
		layers, err := im.Layers()
		if err != nil || len(layers) != len(d.Blobs)-1 {
			t.Fatal(len(layers), err)
		}
		for j, layer := range layers {
			size, err := layer.Size()
			if err != nil || size != d.Blobs[j+1].Size {
				t.Errorf("layer %d of %d: %d bytes, %v", j, i, size, err)
			}
		}
	}
}
