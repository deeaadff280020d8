package image

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// crane push reads a file with this library, by the only entry of manifest.json.
func TestDocker(t *testing.T) {
	windows, darwin := agent.Platform{OS: "windows", Arch: "amd64"}, agent.Platform{OS: "darwin", Arch: "arm64"}
	for _, tt := range []struct {
		platforms []agent.Platform
		want      agent.Platform
	}{
		{[]agent.Platform{amd64}, amd64},
		{[]agent.Platform{darwin, arm64, amd64, windows}, amd64},
		{[]agent.Platform{darwin, arm64, windows}, arm64},
		{[]agent.Platform{windows, darwin}, darwin},
	} {
		f := newFixture(t, "v1.14.0", tt.platforms, plugins(t)[0])
		name := filepath.Join(t.TempDir(), "image.tar")
		_, err := WriteFile(context.Background(), name, f.lock, f.source(), with(form.WriteOptions{}))
		check(t, err)
		loaded, err := tarball.ImageFromPath(name, nil)
		check(t, err)
		config, err := loaded.RawConfigFile()
		check(t, err)
		layers, err := loaded.Layers()
		check(t, err)
		data, err := os.ReadFile(name)
		check(t, err)
		want := images(t, data)[tt.want]
		wantConfig, err := want.RawConfigFile()
		check(t, err)
		wantLayers, err := want.Layers()
		check(t, err)
		if !bytes.Equal(config, wantConfig) || len(layers) != len(wantLayers) {
			t.Fatalf("of %v, %s with %d layers is loaded", tt.platforms, config, len(layers))
		}
		for i := range layers {
			got, err := layers[i].Digest()
			check(t, err)
			want, err := wantLayers[i].Digest()
			check(t, err)
			if got != want {
				t.Errorf("layer %d is %s, want %s", i, got, want)
			}
		}
	}
}

// rewrite copies a tar file with other contents of entries. Without a content, the entry is left
// out.
func rewrite(t *testing.T, data []byte, entries map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w, r := tar.NewWriter(&out), tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		check(t, err)
		content, err := io.ReadAll(r)
		check(t, err)
		if other, is := entries[h.Name]; is {
			content = []byte(other)
			if other == "" {
				continue
			}
		}
		h.Size = int64(len(content))
		check(t, w.WriteHeader(h))
		_, err = w.Write(content)
		check(t, err)
	}
	check(t, w.Close())
	return out.Bytes()
}

// What manifest.json names is what docker load takes, so it must be what was verified.
func TestAuditDocker(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64, arm64}, plugins(t)[0])
	name := filepath.Join(t.TempDir(), "image.tar")
	_, err := WriteFile(context.Background(), name, f.lock, f.source(), with(form.WriteOptions{}))
	check(t, err)
	data, err := os.ReadFile(name)
	check(t, err)
	l, err := oci.Open(context.Background(), name)
	check(t, err)
	document, err := l.Document(oci.DockerName)
	check(t, err)
	index, err := l.Document(oci.IndexName)
	check(t, err)
	check(t, l.Close())
	written := string(document)
	first := strings.Index(written, `"Layers":["`) + len(`"Layers":["`)
	layer := written[first : first+len("blobs/sha256/")+64]
	others := strings.TrimSuffix(string(index), "]}") + `,{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:` + strings.Repeat("a", 64) + `","size":2}]}`
	for name, tt := range map[string]struct {
		entries map[string]string
		// problem and note are parts of what is found.
		problem, note string
	}{
		"as written":         {nil, "", ""},
		"without it":         {map[string]string{oci.DockerName: ""}, "", ""},
		"with more keys":     {map[string]string{oci.DockerName: strings.Replace(written, "{", `{"Parent":"","LayerSources":{},`, 1)}, "", ""},
		"other names":        {map[string]string{oci.DockerName: strings.Replace(written, "localhost/", "example.com/", 1)}, "", "manifest.json gives the image the name example.com/botkube-plugins:v1.14.0"},
		"no image":           {map[string]string{oci.DockerName: "[]"}, "", ""},
		"no JSON":            {map[string]string{oci.DockerName: "[{"}, "manifest.json cannot be read", ""},
		"something after it": {map[string]string{oci.DockerName: written + "[]"}, "manifest.json cannot be read", ""},
		"another layer":      {map[string]string{oci.DockerName: strings.Replace(written, layer, "blobs/evil", 1)}, "lists another image than index.json, and docker load would load that one: localhost/botkube-plugins:v1.14.0", ""},
		"a layer less":       {map[string]string{oci.DockerName: strings.Replace(written, `"`+layer+`",`, "", 1)}, "lists another image", ""},
		"a key that wins":    {map[string]string{oci.DockerName: strings.TrimSuffix(written, "}]") + `,"layers":["blobs/evil"]}]`}, "lists another image", ""},
		"an image more":      {map[string]string{oci.DockerName: strings.TrimSuffix(written, "]") + `,{"Config":"evil","Layers":[]}]`}, "lists another image", ""},
		"beside other images": {map[string]string{oci.IndexName: others, oci.DockerName: strings.TrimSuffix(written, "]") + `,{"Config":"other","RepoTags":["a:b"],"Layers":[]}]`},
			"", "manifest.json also lists other images, which were not verified: a:b"},
	} {
		file := filepath.Join(t.TempDir(), "image.tar")
		check(t, os.WriteFile(file, rewrite(t, data, tt.entries), 0o644))
		place, err := form.Forms{Form}.Locate(context.Background(), file, nil)
		check(t, err)
		a := &form.Audit{AuditOptions: form.AuditOptions{Hashed: func(int64) {}, Accept: func(*form.Form) error { return nil }}}
		check(t, form.Forms{Form}.Audit(context.Background(), place, a))
		found := ""
		for _, p := range a.Problems() {
			found += p.Path + " " + p.Detail
		}
		if (found == "") != (tt.problem == "") || !strings.Contains(found, tt.problem) || !strings.Contains(strings.Join(a.Notes(), "\n"), tt.note) || tt.note == "" && strings.Contains(strings.Join(a.Notes(), "\n"), "manifest.json") {
			t.Errorf("%s: problems %q, notes %q", name, found, a.Notes())
		}
	}
}
