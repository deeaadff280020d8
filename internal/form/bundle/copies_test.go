package bundle

import (
	"archive/tar"
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

// copied is a layout that other tools made of bundles.
type copied struct {
	c, otherTag   *Contents
	files         map[string][]byte
	sbom, wrapper lock.Blob
}

// newCopied has the blobs of a bundle with all members and of one for v1.15.0, an
// SBOM that is attached to the first, and an index that names both bundles.
func newCopied(t *testing.T) *copied {
	t.Helper()
	l, m := fullWorld(t)
	other, otherBlobs := world(t)
	other.BotkubeVersion = "v1.15.0"
	w := &copied{c: plan(t, l, m), otherTag: plan(t, other, otherBlobs), files: map[string][]byte{}}
	for _, c := range []*Contents{w.c, w.otherTag} {
		for _, e := range entries(t, tarOf(t, c)) {
			if e.Typeflag == tar.TypeReg && e.Name != oci.IndexName {
				w.files[e.Name] = e.data
			}
		}
	}
	put := func(data string) lock.Blob {
		b := oci.BlobOf([]byte(data))
		w.files[oci.BlobPath(b.SHA256)] = []byte(data)
		return b
	}
	w.sbom = put(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":"application/vnd.cyclonedx+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:%s","size":2},"layers":[],"subject":{"mediaType":%q,"digest":"sha256:%s","size":%d}}`,
		manifestType, lock.Sum([]byte("{}")), indexType, w.c.Index.Blob().SHA256, w.c.Index.Blob().Size))
	w.wrapper = put(`{"schemaVersion":2,"mediaType":"` + indexType + `","manifests":[` + w.expand("BUNDLE},OTHER") + `}]}`)
	return w
}

// expand puts descriptors in the place of their names, without their end.
func (w *copied) expand(text string) string {
	descriptor := func(mediaType string, b lock.Blob) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%s","size":%d`, mediaType, b.SHA256, b.Size)
	}
	return strings.NewReplacer(
		"BUNDLE", descriptor(indexType, w.c.Index.Blob()), "OTHER", descriptor(indexType, w.otherTag.Index.Blob()),
		"AMD64", descriptor(manifestType, w.c.Manifests[0].Blob()), "ARM64", descriptor(manifestType, w.c.Manifests[1].Blob()),
		"SBOM", descriptor(manifestType, w.sbom), "WRAPPER", descriptor(indexType, w.wrapper),
		"ABSENT", descriptor(manifestType, oci.BlobOf([]byte("absent"))),
		"HEX", w.c.Index.Blob().SHA256.String(), "NAME", `"annotations":{"org.opencontainers.image.ref.name":`,
	).Replace(text)
}

// write writes the layout with an index.json that names some documents.
func (w *copied) write(t *testing.T, named string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range w.files {
		writeFile(t, filepath.Join(dir, name), data)
	}
	writeFile(t, filepath.Join(dir, oci.IndexName), []byte(w.expand(`{"schemaVersion":2,"mediaType":"`+indexType+`","manifests":[`+named+`]}`)))
	return dir
}

// What tools write into index.json when they copy, tag, sign or save a bundle. The
// documents are those of oras 1.3.6, crane 0.22.1, regctl 0.11.7, skopeo 1.9.3, cosign
// 2.6.5 and hauler 2.1.0-dev, with other digests.
func TestCopiedByTools(t *testing.T) {
	w := newCopied(t)
	const created = `"org.opencontainers.image.created":"2026-11-29T18:48:34Z"`
	for name, test := range map[string]struct {
		named  string
		names  string
		beside int
	}{
		"oras cp to another tag": {`BUNDLE,NAME"prod"}},AMD64,"platform":{"architecture":"amd64","os":"linux"}},ARM64,"platform":{"architecture":"arm64","os":"linux"}}`, "prod", 0},
		"oras tag":               {`BUNDLE,NAME"prod"}},BUNDLE,NAME"v1.14.0"}},BUNDLE,NAME"latest"}}`, "prod v1.14.0 latest", 0},
		"oras attach":            {`BUNDLE,NAME"v1.14.0"}},SBOM,"annotations":{` + created + `},"artifactType":"application/vnd.cyclonedx+json"}`, "v1.14.0", 1},
		"oras push beside":       {`BUNDLE,NAME"v1.14.0"}},SBOM,NAME"note"},"artifactType":"application/vnd.unknown.artifact.v1"}`, "v1.14.0", 1},
		"oras cp by digest":      {`AMD64},BUNDLE},ARM64}`, "", 0},
		"crane pull":             {`BUNDLE,"annotations":{"org.opencontainers.image.version":"v1.14.0"},"artifactType":"application/vnd.botkube.mirror.plugins.v1"}`, "", 0},
		"crane --annotate-ref":   {`BUNDLE,NAME"reg.example:5000/m/bundle:v1.14.0","org.opencontainers.image.version":"v1.14.0"}}`, "reg.example:5000/m/bundle:v1.14.0", 0},
		"regctl image copy":      {`SBOM,NAME"sha256-HEX.sig",` + created + `}},BUNDLE,NAME"prod",` + created + `}}`, "prod", 1},
		"regctl image export":    {`BUNDLE,"annotations":{"io.containerd.image.name":"example.com/x:prod","org.opencontainers.image.ref.name":"prod"}}`, "prod", 0},
		"skopeo copy":            {`BUNDLE,NAME"prod"}}`, "prod", 0},
		"cosign save":            {`BUNDLE,"annotations":{"kind":"dev.cosignproject.cosign/imageIndex"}},SBOM,"annotations":{"kind":"dev.cosignproject.cosign/sigs"}}`, "", 1},
		"hauler store add":       {`BUNDLE,"annotations":{"hauler.dev/original-ref":"h:1/m/bundle:v1.14.0","io.containerd.image.name":"h:1/m/bundle:v1.14.0","kind":"dev.hauler/imageIndex","org.opencontainers.image.ref.name":"m/bundle:v1.14.0"}}`, "m/bundle:v1.14.0 h:1/m/bundle:v1.14.0", 0},
		"a manifest is absent":   {`BUNDLE,NAME"v1.14.0"}},ABSENT,NAME"x"}}`, "v1.14.0", 1},
		"an index in an index":   {strings.Replace(`WRAPPER,NAME"all"}}`, "WRAPPER", wrapped(w), 1), "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := w.write(t, test.named)
			sameBundle(t, w.c, dir)
			b, err := openPath(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if got := strings.Join(b.names, " "); got != test.names || len(b.others) != test.beside {
				t.Errorf("it is called %q, want %q; beside it: %v", got, test.names, b.others)
			}
		})
	}
	t.Run("hauler has no oci-layout", func(t *testing.T) {
		dir := w.write(t, `BUNDLE,NAME"m/bundle:v1.14.0"}}`)
		if err := os.Remove(filepath.Join(dir, oci.FileName)); err != nil {
			t.Fatal(err)
		}
		sameBundle(t, w.c, dir)
	})
	t.Run("an oci-layout with more in it", func(t *testing.T) { // image-spec, image-layout.md
		dir := w.write(t, `BUNDLE,NAME"v1.14.0"}}`)
		writeFile(t, filepath.Join(dir, oci.FileName), []byte("{\n  \"imageLayoutVersion\": \"1.0.0\",\n  \"tool\": {}\n}\n"))
		sameBundle(t, w.c, dir)
	})
}

// crane push --index makes an index of a layout's index.json in a registry.
func TestIndexOfBundles(t *testing.T) {
	w := newCopied(t)
	lost := fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%s","size":6}`, indexType, lock.Sum([]byte("absent")))
	for name, test := range map[string]struct {
		named string
		kind  fault.Kind
		says  []string
	}{
		"a bundle":           {`BUNDLE}`, 0, nil},
		"an SBOM beside":     {`SBOM},BUNDLE,NAME"v1.14.0"}},BUNDLE}`, 0, nil},
		"two bundles":        {`BUNDLE},OTHER}`, fault.Usage, []string{"the image index lists 2 bundles: sha256:", "name one of them by its digest: write @sha256:"}},
		"none":               {`SBOM}`, fault.Usage, []string{"not a bundle"}},
		"bundles, one lower": {`WRAPPER}`, fault.Usage, []string{"not a bundle"}},
		"a lost index":       {lost, fault.Incomplete, []string{"an index inside the image index"}},
	} {
		t.Run(name, func(t *testing.T) {
			index := w.expand(`{"schemaVersion":2,"mediaType":"` + indexType + `","manifests":[` + test.named + `]}`)
			c, err := Read(t.Context(), []byte(index), reader(func(d lock.SHA256) ([]byte, error) {
				data, ok := w.files[oci.BlobPath(d)]
				if !ok {
					return nil, oci.Missing(d)
				}
				return data, nil
			}))
			if test.says != nil {
				wantError(t, err, test.kind, test.says...)
			} else if err != nil || c.Index.Blob() != w.c.Index.Blob() {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
}

// wrapped adds an index that names the first bundle only, and describes it.
func wrapped(w *copied) string {
	data := w.expand(`{"schemaVersion":2,"manifests":[BUNDLE}]}`)
	b := oci.BlobOf([]byte(data))
	w.files[oci.BlobPath(b.SHA256)] = []byte(data)
	return fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%s","size":%d`, indexType, b.SHA256, b.Size)
}

// Names are shown, and typed.
func TestOddNames(t *testing.T) {
	w := newCopied(t)
	for _, name := range []string{`a\nb`, `\u001b[31mred`, strings.Repeat("t", 2000)} {
		_, err := openPath(t.Context(), w.write(t, `BUNDLE,NAME"`+name+`"}}`))
		wantError(t, err, fault.Integrity, "index.json lists a document as", "which is too long or cannot be printed")
	}
}

// Of several bundles, the name chooses.
func TestChosenByName(t *testing.T) {
	w := newCopied(t)
	const both = `BUNDLE,NAME"prod"}},BUNDLE,NAME"reg.example/m/bundle:v1.14.0"}},OTHER,NAME"v1.15.0"}},SBOM,NAME"note"}}`
	digest := "sha256:" + w.otherTag.Index.Blob().SHA256.String()
	for name, test := range map[string]struct {
		named, name string
		want        *Contents
		kind        fault.Kind
		says        []string
	}{
		"a tag":               {both, "prod", w.c, 0, nil},
		"another":             {both, "v1.15.0", w.otherTag, 0, nil},
		"a reference's tag":   {both, "v1.14.0", w.c, 0, nil},
		"a reference":         {both, "reg.example/m/bundle:v1.14.0", w.c, 0, nil},
		"a digest":            {both, digest, w.otherTag, 0, nil},
		"none":                {both, "", nil, fault.Usage, []string{"2 bundles found: prod, reg.example/m/bundle:v1.14.0 = sha256:", "; v1.15.0 = " + digest, "name oci:", ":prod, or another"}},
		"an unknown tag":      {both, "v1.16.0", nil, fault.Usage, []string{`does not list "v1.16.0"; it lists: prod`, "note = sha256:", "name oci:", ":prod"}},
		"what is none":        {both, "note", nil, fault.Usage, []string{`an artifact of type "application/vnd.cyclonedx+json"`}},
		"without names":       {`BUNDLE},OTHER}`, "", nil, fault.Usage, []string{"2 bundles found", "@sha256:"}},
		"the same tag":        {`BUNDLE,NAME"a/b:v1"}},OTHER,NAME"c/d:v1"}}`, "v1", nil, fault.Usage, []string{"2 bundles found"}},
		"exactly":             {`BUNDLE,NAME"v1"}},OTHER,NAME"c/d:v1"}}`, "v1", w.c, 0, nil},
		"within another":      {`WRAPPER,NAME"all"}}`, digest, w.otherTag, 0, nil},
		"several in another":  {`WRAPPER,NAME"all"}}`, "all", nil, fault.Usage, []string{"2 bundles found", "@sha256:"}},
		"beside a lost one":   {strings.Replace(`BUNDLE,NAME"a"}},LOST,NAME"b"}}`, "LOST", strings.Replace(w.expand("ABSENT"), manifestType, indexType, 1), 1), "a", w.c, 0, nil},
		"a lost one unnamed":  {strings.Replace(`BUNDLE,NAME"a"}},LOST,NAME"b"}}`, "LOST", strings.Replace(w.expand("ABSENT"), manifestType, indexType, 1), 1), "", nil, fault.Incomplete, []string{"besides a bundle, index.json lists b = sha256:", "is missing", "name oci:", "to use the bundle that can be read, name oci:"}},
		"a shell's character": {`BUNDLE,NAME"$(x)"}},OTHER,NAME"b"}}`, "", nil, fault.Usage, []string{"@sha256:"}},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := oci.Open(t.Context(), w.write(t, test.named))
			if err != nil {
				t.Fatal(err)
			}
			b, err := Open(t.Context(), l, test.name)
			if test.want == nil {
				wantError(t, err, test.kind, test.says...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if b.contents.Index.Blob() != test.want.Index.Blob() {
				t.Errorf("it is the bundle for %s", b.contents.Tag)
			}
		})
	}
}

// A bundle for one platform is whole without its index, as skopeo copy writes it.
func TestManifestAlone(t *testing.T) {
	l, m := world(t)
	one := checked(t, l.Subset(l.Platforms[:1], func(lock.Plugin) bool { return true }))
	c := plan(t, one, m)
	all := entries(t, tarOf(t, c))
	for i, e := range all {
		if e.Name == oci.IndexName {
			b := c.Manifests[0].Blob()
			all[i].data = fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":"sha256:%s","size":%d,"annotations":{"org.opencontainers.image.ref.name":"v1.14.0"}}]}`, manifestType, b.SHA256, b.Size)
		}
	}
	all = slices.DeleteFunc(all, func(e tarEntry) bool { return e.Name == oci.BlobPath(c.Index.Blob().SHA256) })
	sameBundle(t, c, writeFile(t, filepath.Join(t.TempDir(), "b.tar"), pack(t, all)))
	for i, e := range all {
		if e.Name == oci.BlobPath(one.Artifacts[0].SHA256) {
			all[i].data = slices.Repeat([]byte("x"), len(e.data))
		}
	}
	wantError(t, verifyAll(t.Context(), writeFile(t, filepath.Join(t.TempDir(), "b.tar"), pack(t, all))), fault.Integrity, "is damaged")
}

// Nothing that other tools put into a layout is taken away by writing it.
func TestWriteOverCopies(t *testing.T) {
	w := newCopied(t)
	for name, test := range map[string]struct{ named, says string }{
		"another tag":     {`BUNDLE,NAME"prod"}}`, `the tag "prod"`},
		"one more tag":    {`BUNDLE,NAME"prod"}},BUNDLE,NAME"v1.14.0"}}`, `the tag "prod"`},
		"an SBOM":         {`BUNDLE,NAME"v1.14.0"}},SBOM,"artifactType":"text/x"}`, "also lists sha256:"},
		"another bundle":  {`BUNDLE,NAME"v1.14.0"}},OTHER,NAME"v1.15.0"}}`, "v1.15.0 = sha256:"},
		"an absent index": {`BUNDLE,NAME"v1.14.0"}},` + strings.Replace(w.expand("ABSENT"), manifestType, indexType, 1) + `}`, "is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := w.write(t, test.named)
			before := append(names(t, dir), names(t, filepath.Join(dir, oci.BlobsDir))...)
			_, err := WriteLayout(t.Context(), dir, w.otherTag, form.WriteOptions{})
			wantError(t, err, fault.Usage, "contains more than a bundle of botkube-mirror", test.says, "name a directory that does not exist yet")
			if after := append(names(t, dir), names(t, filepath.Join(dir, oci.BlobsDir))...); !slices.Equal(before, after) {
				t.Errorf("%q became %q", before, after)
			}
		})
	}
	for name, named := range map[string]string{
		"oras cp":     `BUNDLE,NAME"v1.14.0"}},AMD64},ARM64}`,
		"skopeo copy": `BUNDLE}`,
		"crane pull":  `BUNDLE,"annotations":{"org.opencontainers.image.version":"v1.14.0"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := w.write(t, named)
			if err := os.Mkdir(filepath.Join(dir, orasDir), 0o755); err != nil {
				t.Fatal(err)
			}
			if _, err := WriteLayout(t.Context(), dir, w.c, form.WriteOptions{}); err != nil {
				t.Fatal(err)
			}
			want := filepath.Join(t.TempDir(), "want")
			if _, err := WriteLayout(t.Context(), want, w.c, form.WriteOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(dir, orasDir)); err != nil {
				t.Error(err)
			}
			for _, sub := range []string{".", oci.BlobsDir} {
				if got, want := names(t, filepath.Join(dir, sub)), names(t, filepath.Join(want, sub)); !slices.Equal(got, want) {
					t.Errorf("it has %q, want %q", got, want)
				}
			}
			sameBundle(t, w.c, dir)
		})
	}
}
