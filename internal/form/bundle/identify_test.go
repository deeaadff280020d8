package bundle

import (
	"archive/tar"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// What is handed over for a bundle, and is none.
func TestForeignFiles(t *testing.T) {
	l, m := world(t)
	locked, err := l.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, data string) tarEntry {
		return tarEntry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, []byte(data)}
	}
	link := func(name, to string) tarEntry {
		return tarEntry{tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}, nil}
	}
	part := plan(t, l, m).Manifests[0]
	partial := func() []byte {
		all := entries(t, tarOf(t, plan(t, l, m)))
		for i, e := range all {
			if e.Name == oci.IndexName {
				all[i].data = fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":"sha256:%s","size":%d}]}`, manifestType, part.Blob().SHA256, part.Blob().Size)
			}
		}
		return pack(t, all)
	}
	for name, test := range map[string]struct {
		data []byte
		says []string
	}{
		"docker save":       {pack(t, []tarEntry{file("a.tar", "layer"), link("b/layer.tar", "../a.tar"), file("b/VERSION", "1.0"), file("manifest.json", "[]"), file("repositories", "{}")}), []string{"an image in the format of docker save", "crane pull --format=oci"}},
		"without links":     {pack(t, []tarEntry{file("a/layer.tar", "layer"), file("manifest.json", "[]")}), []string{"in the format of docker save", "crane pull --format=oci"}},
		"some tar file":     {pack(t, []tarEntry{file("a", "a"), link("b", "a")}), []string{"a tar file with other content", "use one of: a bundle ("}},
		"an empty tar file": {make([]byte, 10240), []string{"it starts with zeros only", "use one of: a bundle ("}},
		"a lock":            {locked, []string{"it is a lock", "use one of: a bundle (", "pull --lock"}},
		"JSON":              {[]byte(`{"a":1}`), []string{"a JSON document", "use one of: a bundle ("}},
		"a web page":        {[]byte("\ufeff\n<!DOCTYPE html><html><body>Sign in"), []string{"a web page", "use one of: a bundle ("}},
		"Git LFS":           {[]byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"), []string{"Git LFS", "git lfs pull"}},
		"a program":         {append([]byte("\x7fELF"), make([]byte, 4096)...), []string{"not a tar file", "use one of: a bundle ("}},
		"one platform":      {partial(), []string{"it is only a part of a bundle: it has the manifest of the plugins for linux/amd64, but lacks the manifest of the plugins for linux/arm64", "copy --all --preserve-digests"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, filepath.Join(t.TempDir(), "x.tar"), test.data)
			_, err := openPath(t.Context(), path)
			wantError(t, err, fault.Usage, append(test.says, "x.tar")...)
			if !errors.Is(err, oci.ErrNotLayout) && !errors.Is(err, ErrNotBundle) {
				t.Error("neither an ErrNotLayout nor an ErrNotBundle")
			}
		})
	}
	t.Run("an empty directory", func(t *testing.T) {
		_, err := openPath(t.Context(), t.TempDir())
		wantError(t, err, fault.Usage, "it is empty", "use one of: a bundle (")
	})
	t.Run("a store", func(t *testing.T) {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, oci.FileName), []byte(oci.FileContent))
		writeFile(t, filepath.Join(dir, oci.IndexName), []byte(`{"schemaVersion":2,"manifests":[]}`))
		_, err := openPath(t.Context(), dir)
		wantError(t, err, fault.Usage, "lists nothing, like that of a store", "use one of: a bundle (")
	})
}

// The same documents in a registry.
func TestForeignDocuments(t *testing.T) {
	const (
		dockerImage = "application/vnd.docker.distribution.manifest.v2+json"
		dockerList  = "application/vnd.docker.distribution.manifest.list.v2+json"
		ociConfig   = "application/vnd.oci.image.config.v1+json"
	)
	l, m := world(t)
	c := plan(t, l, m)
	m.put(string(c.made[c.Manifests[0].Blobs[0].SHA256]))
	image := imageManifest(t, m, amd64, dockerImage)
	config := m.put(`{"architecture":"amd64","config":{"Labels":{"io.botkube.mirror.mount":"/plugins"}}}`)
	manifest := func(configType string, config lock.Blob, more string) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":"sha256:%s","size":%d},"layers":[]%s}`, manifestType, configType, config.SHA256, config.Size, more)
	}
	index := func(mediaType, of string, b lock.Blob, more string) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":"sha256:%s","size":%d}]%s}`, mediaType, of, b.SHA256, b.Size, more)
	}
	labelled := manifest(ociConfig, config, "")
	const mount = `,"annotations":{"io.botkube.mirror.mount":"/plugins"}`
	general := "use one of: a bundle ("
	for name, test := range map[string]struct {
		data string
		says []string
	}{
		"an image":                {string(m.blobs[image.SHA256]), []string{"an ordinary image", general}},
		"an index of Docker's":    {index(dockerList, dockerImage, image.Blob, ""), []string{"an ordinary image for several platforms", general}},
		"an index":                {index(indexType, dockerImage, image.Blob, ""), []string{"an ordinary image", general}},
		"an old image":            {`{"schemaVersion":1,"name":"a","fsLayers":[]}`, []string{"old format of Docker registries", general}},
		"a chart":                 {manifest(ChartConfigType, config, ""), []string{"a Helm chart", general}},
		"an artifact":             {manifest("application/vnd.oci.empty.v1+json", config, `,"artifactType":"text/x"`), []string{`an artifact of type "text/x"`, general}},
		"its own image":           {index(indexType, manifestType, config, mount), []string{"made from a bundle", "-bundle at the end"}},
		"by its manifest":         {manifest(ociConfig, image.Blob, mount), []string{"made from a bundle", "-bundle at the end"}},
		"by its label":            {labelled, []string{"made from a bundle", "-bundle at the end"}},
		"by a label in an index":  {index(indexType, manifestType, m.put(labelled), ""), []string{"made from a bundle", "-bundle at the end"}},
		"a bundle's manifest":     {string(c.Manifests[0].Data), []string{"it is only a part of a bundle: it has the manifest of the plugins for linux/amd64", "--all"}},
		"no document of anything": {`{}`, []string{"not a bundle", general}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(t.Context(), []byte(test.data), reader(m.get))
			wantError(t, err, fault.Usage, test.says...)
			if !errors.Is(err, ErrNotBundle) {
				t.Error("not an ErrNotBundle")
			}
			if strings.Contains(err.Error(), `""`) {
				t.Errorf("it says nothing in quotes: %v", err)
			}
		})
	}
	// In a file, who opens it may know it as an image.
	t.Run("file", func(t *testing.T) {
		all := []tarEntry{
			{tar.Header{Typeflag: tar.TypeReg, Name: oci.FileName}, []byte(oci.FileContent)},
			{tar.Header{Typeflag: tar.TypeReg, Name: oci.IndexName}, []byte(index(indexType, manifestType, m.put(labelled), ""))},
		}
		for _, b := range []lock.Blob{config, m.put(labelled)} {
			all = append(all, tarEntry{tar.Header{Typeflag: tar.TypeReg, Name: oci.BlobPath(b.SHA256)}, m.blobs[b.SHA256]})
		}
		_, err := openPath(t.Context(), writeFile(t, filepath.Join(t.TempDir(), "x.tar"), pack(t, all)))
		wantError(t, err, fault.Usage, "x.tar: not a bundle", "made from a bundle")
		if hint := fault.HintOf(err); hint != "" {
			t.Errorf("hint %q", hint)
		}
	})
}

// Standard input has no name to copy again.
func TestStandardInput(t *testing.T) {
	l, m := world(t)
	good := tarOf(t, plan(t, l, m))
	damaged := slices.Clone(good)
	at := strings.Index(string(good), "kubectl for amd64")
	damaged[at] ^= 1
	for name, test := range map[string]struct {
		data []byte
		kind fault.Kind
		says []string
	}{
		"truncated": {good[:2000], fault.Integrity, []string{"standard input: it is truncated", "copy the file again"}},
		"damaged":   {damaged, fault.Integrity, []string{"the bundle on standard input: ", "kubectl", "copy the file again"}},
		"text":      {[]byte("text"), fault.Usage, []string{"standard input is neither a bundle nor an image", "use one of: a bundle ("}},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Open(writeFile(t, filepath.Join(t.TempDir(), "in"), test.data))
			if err != nil {
				t.Fatal(err)
			}
			var b *Bundle
			layout, err := oci.OpenStream(t.Context(), f)
			if err == nil {
				b, err = openIn(t.Context(), layout)
			}
			if err == nil {
				defer b.Close()
				err = b.Verify(t.Context(), l.Artifacts[0].SHA256)
				if err == nil {
					err = b.Verify(t.Context(), l.Artifacts[1].SHA256)
				}
				for _, a := range l.Artifacts {
					err = errors.Join(err, b.Verify(t.Context(), a.SHA256))
				}
			}
			wantError(t, err, test.kind, test.says...)
			for _, s := range []string{"the bundle standard input", "copy standard input"} {
				if strings.Contains(err.Error()+fault.HintOf(err), s) {
					t.Errorf("it says %q: %v", s, err)
				}
			}
		})
	}
}

func TestUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	l, m := world(t)
	c := plan(t, l, m)
	dir := t.TempDir()
	file, layout := filepath.Join(dir, "b.tar"), filepath.Join(dir, "layout")
	if _, err := WriteFile(t.Context(), file, c, form.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteLayout(t.Context(), layout, c, form.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(layout, oci.IndexName), layout} {
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(path, 0o755) })
		open := path
		if filepath.Dir(path) == layout {
			open = layout
		}
		_, err := openPath(t.Context(), open)
		wantError(t, err, fault.Usage, "permission denied", "let your user read", open)
		if n := strings.Count(err.Error(), open); n != 1 {
			t.Errorf("the path is said %d times: %v", n, err)
		}
	}
}

// skopeo's docker-archive, really.
func TestSkopeoDockerArchive(t *testing.T) {
	m := newMemory()
	im := imageManifest(t, m, amd64, manifestType)
	all := []tarEntry{
		{tar.Header{Typeflag: tar.TypeReg, Name: oci.FileName}, []byte(oci.FileContent)},
		{tar.Header{Typeflag: tar.TypeReg, Name: oci.IndexName}, fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":"sha256:%s","size":%d}]}`, manifestType, im.SHA256, im.Size)},
	}
	for d, data := range m.blobs {
		all = append(all, tarEntry{tar.Header{Typeflag: tar.TypeReg, Name: oci.BlobPath(d), Mode: 0o644}, data})
	}
	dir := t.TempDir()
	from, to := writeFile(t, filepath.Join(dir, "oci.tar"), pack(t, all)), filepath.Join(dir, "docker.tar")
	skopeo(t, "copy", "oci-archive:"+from, "docker-archive:"+to+":a/b:c")
	_, err := openPath(t.Context(), to)
	wantError(t, err, fault.Usage, "an image in the format of docker save", "crane pull --format=oci")
}
