package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// readTar opens a tar file in memory, and verifies all of it.
func readTar(ctx context.Context, data []byte) error {
	b, err := openTar(ctx, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	for _, x := range b.contents.Blobs {
		if err := b.Verify(ctx, x.SHA256); err != nil {
			return err
		}
	}
	return nil
}

// A digest notices what changes in a blob, so that of those a sample will do;
// everything else is flipped bit by bit. Which name a bundle has in index.json is of
// no matter, nor is a key there that readers need not know.
func TestEveryFlippedBitIsNoticed(t *testing.T) {
	l, m := world(t)
	good := tarOf(t, plan(t, l, m))
	if err := readTar(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	sample := make([]bool, len(good))
	for _, blob := range l.Blobs() {
		at := bytes.Index(good, m.blobs[blob.SHA256])
		for i := range int(blob.Size) {
			sample[at+i] = true
		}
	}
	key := bytes.Index(good, []byte(`"schemaVersion":2,"`)) + len(`"schemaVersion":2,"`)
	annotations := key + bytes.Index(good[key:], []byte(`"annotations"`)) + 1
	end := annotations + bytes.Index(good[annotations:], []byte(`"}}]}`))
	free := func(at int) bool {
		return at >= key && at < key+len("mediaType") || at >= annotations && at < end
	}
	step := tier.Pick(907, 1)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	const part = 4096
	for from := 0; from < len(good)*8; from += part {
		g.Go(func() error {
			data := bytes.Clone(good)
			for bit := from; bit < min(from+part, len(good)*8); bit += step {
				if sample[bit/8] && bit%37 != 0 {
					continue
				}
				data[bit/8] ^= 1 << (bit % 8)
				err := readTar(t.Context(), data)
				data[bit/8] ^= 1 << (bit % 8)
				if err == nil && !free(bit/8) {
					t.Errorf("bit %d of byte %d is not noticed: %q", bit%8, bit/8, around(good, bit/8))
				} else if k := fault.KindOf(err); err != nil && k == fault.Unexpected {
					t.Errorf("bit %d of byte %d is of kind %d: %v", bit%8, bit/8, k, err)
				}
			}
			return nil
		})
	}
	_ = g.Wait()
}

func around(data []byte, at int) []byte { return data[max(0, at-20):min(len(data), at+20)] }

func TestTruncatedAnywhere(t *testing.T) {
	l, m := fullWorld(t)
	good := tarOf(t, plan(t, l, m))
	step := tier.Pick(97, 7)
	for n := 1; n < len(good); n += step {
		err := readTar(t.Context(), good[:n])
		if err == nil {
			t.Fatalf("truncated to %d of %d bytes: not noticed", n, len(good))
		}
		if k := fault.KindOf(err); k != fault.Integrity || !strings.Contains(fault.HintOf(err), "copy b.tar again") {
			t.Fatalf("truncated to %d of %d bytes: kind %d: %v (hint %q)", n, len(good), k, err, fault.HintOf(err))
		}
	}
}

// tarEntry is one of a tar file to make.
type tarEntry struct {
	tar.Header
	data []byte
}

// entries takes a tar file apart.
func entries(t testing.TB, data []byte) []tarEntry {
	t.Helper()
	var all []tarEntry
	for tr := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tarEntry{*h, content})
	}
}

func pack(t testing.TB, all []tarEntry) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, e := range all {
		if e.Typeflag == tar.TypeReg {
			e.Size = int64(len(e.data))
		}
		if err := tw.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestHostileTars(t *testing.T) {
	l, m := world(t)
	c := plan(t, l, m)
	good := tarOf(t, c)
	all := entries(t, good)
	extra := func(h tar.Header, data string) []byte {
		return pack(t, append(slices.Clone(all), tarEntry{h, []byte(data)}))
	}
	artifact := l.Artifacts[0].SHA256
	without := func(name string) []byte {
		return pack(t, slices.DeleteFunc(slices.Clone(all), func(e tarEntry) bool { return strings.HasSuffix(e.Name, name) }))
	}
	replaced := func(name, data string) []byte {
		changed := slices.Clone(all)
		for i, e := range changed {
			if strings.HasSuffix(e.Name, name) {
				changed[i].data = []byte(data)
			}
		}
		return pack(t, changed)
	}
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644} }
	raw := func(name string, kind byte, size string) []byte {
		h := make([]byte, oci.BlockSize)
		copy(h, name)
		copy(h[124:], size)
		h[156] = kind
		copy(h[257:], "ustar\x0000")
		seal(h)
		return append(h, good...)
	}
	for name, test := range map[string]struct {
		data []byte
		kind fault.Kind
		says []string
	}{
		"missing artifact":   {without(artifact.String()), fault.Incomplete, []string{"missing", "dl.k8s.example/release/kubectl?arch=amd64 for linux/amd64", "copy b.tar again"}},
		"missing index blob": {without(lock.Sum(c.Index.Data).String()), fault.Incomplete, []string{"image index", "missing"}},
		"no index.json":      {without(oci.IndexName), fault.Incomplete, []string{oci.IndexName}},
		"only blobs":         {pack(t, slices.DeleteFunc(slices.Clone(all), func(e tarEntry) bool { return e.Name == oci.FileName || e.Name == oci.IndexName })), fault.Incomplete, []string{"the file oci-layout is missing: the copy is incomplete", "copy b.tar again"}},
		"other layout":       {replaced(oci.FileName, `{"imageLayoutVersion":"2.0.0"}`), fault.Integrity, []string{"2.0.0"}},
		"damaged artifact":   {replaced(artifact.String(), strings.Repeat("x", len(m.blobs[artifact]))), fault.Integrity, []string{"kubectl", "damaged", artifact.String()}},
		"shorter artifact":   {replaced(artifact.String(), "x"), fault.Integrity, []string{"kubectl", "has 1 bytes"}},
		"two of a blob":      {extra(file(oci.BlobsDir+"/"+artifact.String()), "x"), fault.Integrity, []string{"two entries"}},
		"two of index.json":  {extra(file("./index.json"), "{}"), fault.Integrity, []string{"two entries"}},
		"escaping":           {extra(file("a/../../b"), "x"), fault.Integrity, []string{"leads out"}},
		"absolute":           {extra(file("/etc/passwd"), "x"), fault.Integrity, []string{"absolute"}},
		"backslash":          {extra(file(`..\b`), "x"), fault.Integrity, []string{"backslash"}},
		"symlink":            {extra(tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "b"}, ""), fault.Integrity, []string{"a symbolic link, which is neither a file nor a directory"}},
		"hard link":          {extra(tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "b"}, ""), fault.Integrity, []string{"neither a file nor a directory"}},
		"device":             {extra(tar.Header{Typeflag: tar.TypeChar, Name: "a"}, ""), fault.Integrity, []string{"neither a file nor a directory"}},
		"fifo":               {extra(tar.Header{Typeflag: tar.TypeFifo, Name: "a"}, ""), fault.Integrity, []string{"neither a file nor a directory"}},
		"GNU sparse":         {raw("a", 'S', "00000000000"), fault.Integrity, []string{"is damaged"}},
		"PAX sparse":         {append(paxHeader("22 GNU.sparse.major=1\n"), good...), fault.Integrity, []string{"sparse"}},
		"PAX length":         {append(paxHeader("99 path=x\n"), good...), fault.Integrity, []string{"a record cannot be read"}},
		"PAX size":           {append(paxHeader("30 size=99999999999999999999\n"), good...), fault.Integrity, []string{"extended"}},
		"PAX negative":       {append(paxHeader("11 size=-1\n"), good...), fault.Integrity, []string{"a size"}},
		"PAX for all":        {append(globalHeader("10 path=x\n"), good...), fault.Integrity, []string{"for all entries"}},
		"PAX for nothing":    {append(bytes.Clone(good[:len(good)-2*oci.BlockSize]), append(paxHeader("10 path=x\n"), make([]byte, 2*oci.BlockSize)...)...), fault.Integrity, []string{"or an extended header before it is damaged"}},
		"huge size":          {raw("a", '0', "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff"), fault.Integrity, []string{"size"}},
		"negative size":      {raw("a", '0', "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), fault.Integrity, []string{"size"}},
		"size beyond end":    {raw("a", '0', "77777777777"), fault.Integrity, []string{"truncated"}},
		"size of nothing":    {raw("a", '0', "garbage"), fault.Integrity, []string{"a size"}},
		"directory of size":  {raw("a/", '5', "00000001000"), fault.Integrity, []string{"directory"}},
		"long name":          {raw("a", 'L', "77777777777"), fault.Integrity, []string{"extended"}},
		"big index.json":     {replaced(oci.IndexName, strings.Repeat(" ", oci.MaxDocument+1)), fault.Integrity, []string{"but the maximum is"}},
		"empty index.json":   {replaced(oci.IndexName, ""), fault.Integrity, []string{oci.IndexName}},
		"trailing garbage":   {append(bytes.Clone(good), append(make([]byte, 511), 'x')...), fault.Integrity, []string{"after the end"}},
		"second tar":         {append(bytes.Clone(good), good...), fault.Integrity, []string{"after the end"}},
		"long trailing":      {append(bytes.Clone(good), make([]byte, 4<<20)...), fault.Integrity, []string{"follow the end"}},
		"one zero block":     {good[:len(good)-oci.BlockSize], fault.Integrity, []string{"truncated"}},
		"empty":              {nil, fault.Integrity, []string{"empty"}},
		"a tar of nothing":   {make([]byte, 1024), fault.Usage, []string{"neither a bundle nor an image"}},
		"gzip":               {[]byte(tgz(map[string]string{"a": "b"})), fault.Usage, []string{"gzip", "gunzip"}},
		"zip":                {append([]byte("PK\x03\x04"), make([]byte, 1000)...), fault.Usage, []string{"zip"}},
		"zstd":               {append([]byte("\x28\xb5\x2f\xfd"), make([]byte, 1000)...), fault.Usage, []string{"unzstd"}},
		"text":               {[]byte(strings.Repeat("no tar ", 1000)), fault.Usage, []string{"not a tar"}},
		"short text":         {[]byte("hello"), fault.Usage, []string{"not a tar"}},
		"in directories":     {inDirectories(t, all), fault.Usage, []string{"inside directories: a, b", "tar -cf"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := readTar(t.Context(), test.data)
			if err == nil && test.data == nil {
				t.Fatal("no error")
			}
			wantError(t, err, test.kind, append(test.says, "b.tar")...)
			if test.kind == fault.Usage && !errors.Is(err, oci.ErrNotLayout) {
				t.Errorf("not an ErrNotLayout: %v", err)
			}
			for _, goish := range []string{"strconv", "json:", "invalid character", "type '"} {
				if err != nil && strings.Contains(err.Error(), goish) {
					t.Errorf("it is said with %q: %v", goish, err)
				}
			}
			if test.kind == fault.Integrity && !strings.Contains(fault.HintOf(err), "sha256sum") {
				t.Errorf("hint %q", fault.HintOf(err))
			}
		})
	}
}

// seal writes the checksum of a header.
func seal(h []byte) {
	copy(h[148:156], "        ")
	var sum int
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

func paxHeader(records string) []byte    { return extendedHeader('x', records) }
func globalHeader(records string) []byte { return extendedHeader('g', records) }

func extendedHeader(kind byte, records string) []byte {
	h := make([]byte, 2*oci.BlockSize)
	copy(h, "PaxHeaders.0/a")
	copy(h[124:], fmt.Sprintf("%011o", len(records)))
	h[156] = kind
	copy(h[257:], "ustar\x0000")
	seal(h[:oci.BlockSize])
	copy(h[oci.BlockSize:], records)
	return h
}

func inDirectories(t *testing.T, all []tarEntry) []byte {
	t.Helper()
	var moved []tarEntry
	for _, dir := range []string{"a/", "b/"} {
		for _, e := range all {
			e.Name = dir + e.Name
			moved = append(moved, e)
		}
	}
	return pack(t, moved)
}

func TestTooManyEntries(t *testing.T) {
	h := make([]byte, oci.BlockSize)
	copy(h, "a/")
	copy(h[124:], "00000000000")
	h[156] = '5'
	copy(h[257:], "ustar\x0000")
	seal(h)
	_, err := oci.OpenTar(repeated{h}, 4*200_000*oci.BlockSize, "b.tar")
	wantError(t, err, fault.Integrity, "more than 200000 entries")
}

// repeated is a block again and again.
type repeated struct{ block []byte }

func (r repeated) ReadAt(p []byte, at int64) (int, error) {
	at %= int64(len(r.block))
	for n := 0; n < len(p); at = 0 {
		n += copy(p[n:], r.block[at:])
	}
	return len(p), nil
}

// An image in a tar file, as skopeo and docker write it, is no bundle.
func TestOrdinaryImage(t *testing.T) {
	m := newMemory()
	im := imageManifest(t, m, amd64, manifestType)
	index := m.put(`{"schemaVersion":2,"mediaType":"` + indexType + `","manifests":[{"mediaType":"` + manifestType + `","size":` +
		fmt.Sprint(im.Size) + `,"digest":"sha256:` + im.SHA256.String() + `","platform":{"os":"linux","architecture":"amd64"}}]}`)
	for name, top := range map[string]struct {
		mediaType string
		lock.Blob
	}{
		"one platform": {manifestType, im.Blob},
		"multi-arch":   {indexType, index},
	} {
		t.Run(name, func(t *testing.T) {
			all := []tarEntry{
				{tar.Header{Typeflag: tar.TypeReg, Name: oci.FileName}, []byte(oci.FileContent)},
				{tar.Header{Typeflag: tar.TypeReg, Name: oci.IndexName}, fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":"sha256:%s","size":%d}]}`, top.mediaType, top.SHA256, top.Size)},
			}
			for _, d := range slices.SortedFunc(maps.Keys(m.blobs), func(a, b lock.SHA256) int { return bytes.Compare(a[:], b[:]) }) {
				all = append(all, tarEntry{tar.Header{Typeflag: tar.TypeReg, Name: oci.BlobsDir + "/" + d.String()}, m.blobs[d]})
			}
			err := readTar(t.Context(), pack(t, all))
			wantError(t, err, fault.Usage, "not a bundle", "image")
			if !errors.Is(err, ErrNotBundle) {
				t.Error("not an ErrNotBundle")
			}
		})
	}
}

func TestIndexJSON(t *testing.T) {
	l, m := world(t)
	c := plan(t, l, m)
	all := entries(t, tarOf(t, c))
	d := fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%s","size":%d`, indexType, lock.Sum(c.Index.Data), len(c.Index.Data))
	child := fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%s","size":%d}`, manifestType, lock.Sum(c.Manifests[0].Data), len(c.Manifests[0].Data))
	other := strings.Replace(child, lock.Sum(c.Manifests[0].Data).String(), strings.Repeat("0", 64), 1)
	const tagged = `,"annotations":{"org.opencontainers.image.ref.name":"v1.14.0"}}`
	for name, test := range map[string]struct {
		index string
		kind  fault.Kind
		says  string
	}{
		"as skopeo writes it":     {`{"schemaVersion":2,"manifests":[` + d + tagged + `]}`, 0, ""},
		"without a tag":           {`{"schemaVersion":2,"manifests":[` + d + `}]}`, 0, ""},
		"as oras writes it":       {`{"schemaVersion":2,"manifests":[` + d + tagged + `,` + child + `]}`, 0, ""},
		"as containerd writes it": {`{"schemaVersion":2,"manifests":[` + d + `,"annotations":{"io.containerd.image.name":"r/b:v1.14.0","org.opencontainers.image.ref.name":"v1.14.0"}}]}`, 0, ""},
		"as crane writes it":      {`{"schemaVersion":2,"manifests":[` + d + strings.Replace(tagged, "v1.14.0", "reg.example:5000/b:v1.14.0", 1) + `]}`, 0, ""},
		"with white space":        {"{ \"schemaVersion\": 2,\n\"manifests\": [" + d + "}]}\n", 0, ""},
		"twice":                   {`{"schemaVersion":2,"manifests":[` + d + tagged + `,` + d + strings.Replace(tagged, "v1.14.0", "prod", 1) + `]}`, 0, ""},
		"none":                    {`{"schemaVersion":2,"manifests":[]}`, fault.Usage, "lists nothing"},
		"beside an image":         {`{"schemaVersion":2,"manifests":[` + d + `},` + other + `]}`, 0, ""},
		"beside an absent index":  {`{"schemaVersion":2,"manifests":[` + d + `},` + strings.Replace(other, manifestType, indexType, 1) + `]}`, fault.Incomplete, "besides a bundle, index.json lists sha256:0000"},
		"another tag":             {`{"schemaVersion":2,"manifests":[` + d + strings.Replace(tagged, "v1.14.0", "v1.14.1", 1) + `]}`, 0, ""},
		"other annotations":       {`{"schemaVersion":2,"manifests":[` + d + strings.Replace(tagged, "ref.name", "ref.mame", 1) + `]}`, 0, ""},
		"two sizes":               {`{"schemaVersion":2,"manifests":[` + d + `},` + strings.Replace(d, `"size":`, `"size":1`, 1) + `}]}`, fault.Integrity, "two different types or sizes"},
		"key in capitals":         {`{"schemaVersion":2,"Manifests":[` + d + tagged + `]}`, fault.Integrity, "Manifests"},
		"key twice":               {`{"schemaVersion":2,"manifests":[],"manifests":[` + d + tagged + `]}`, fault.Integrity, "twice"},
		"unknown key":             {`{"schemaVersion":2,"more":1,"manifests":[` + d + tagged + `]}`, 0, ""},
		"not UTF-8":               {`{"schemaVersion":2,"more` + "\xff" + `":1,"manifests":[` + d + tagged + `]}`, fault.Integrity, "UTF-8"},
		"schema version":          {`{"schemaVersion":3,"manifests":[` + d + tagged + `]}`, fault.Integrity, "schema version 3"},
		"deep":                    {strings.Repeat(`{"manifests":[`, 40), fault.Integrity, "nested"},
		"negative size":           {strings.Replace(`{"schemaVersion":2,"manifests":[`+d+tagged+`]}`, `"size":`, `"size":-`, 1), fault.Integrity, "size"},
		"huge size":               {strings.Replace(`{"schemaVersion":2,"manifests":[`+d+tagged+`]}`, `"size":`, `"size":9999999`, 1), fault.Integrity, "bytes"},
		"sha512":                  {strings.Replace(`{"schemaVersion":2,"manifests":[`+d+tagged+`]}`, `sha256:`, `sha512:`, 1), fault.Integrity, oci.IndexName},
		"a list of Docker's":      {strings.Replace(`{"schemaVersion":2,"manifests":[`+d+tagged+`]}`, indexType, "application/vnd.docker.distribution.manifest.list.v2+json", 1), fault.Usage, "not an image index"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := slices.Clone(all)
			for i, e := range changed {
				if e.Name == oci.IndexName {
					changed[i].data = []byte(test.index)
				}
			}
			err := readTar(t.Context(), pack(t, changed))
			if test.kind == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantError(t, err, test.kind, test.says)
		})
	}
}

func TestHostileLayouts(t *testing.T) {
	l, m := world(t)
	c := plan(t, l, m)
	at := oci.BlobPath(l.Artifacts[0].SHA256)
	for name, test := range map[string]struct {
		change func(dir string) error
		kind   fault.Kind
		says   string
	}{
		"missing blob": {func(dir string) error { return os.Remove(filepath.Join(dir, at)) }, fault.Incomplete, "kubectl"},
		"symlink": {func(dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, at), filepath.Join(dir, "moved")), os.Symlink("../../moved", filepath.Join(dir, at)))
		}, fault.Integrity, "not a regular file"},
		"symlink outside": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, oci.IndexName)), os.Symlink("/etc/hostname", filepath.Join(dir, oci.IndexName)))
		}, fault.Integrity, "not a regular file"},
		"directory": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, at)), os.Mkdir(filepath.Join(dir, at), 0o755))
		}, fault.Integrity, "not a regular file"},
		"blobs elsewhere": {func(dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, "blobs"), filepath.Join(dir, "moved")), os.Symlink("moved", filepath.Join(dir, "blobs")))
		}, fault.Integrity, "not a directory"},
		"damaged": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, at), bytes.Repeat([]byte("x"), int(l.Artifacts[0].Size)), 0o644)
		}, fault.Integrity, "kubectl"},
		"a store": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, oci.IndexName), []byte(`{"schemaVersion":2,"manifests":[]}`), 0o644)
		}, fault.Usage, "lists nothing"},
		"only blobs": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, oci.FileName)), os.Remove(filepath.Join(dir, oci.IndexName)))
		}, fault.Incomplete, "copy the directory layout again from where it was pulled, with all its files"},
		"only index.json": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, oci.FileName)), os.RemoveAll(filepath.Join(dir, "blobs")))
		}, fault.Incomplete, "reading the image index sha256:"},
		"index.json is a directory": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, oci.IndexName)), os.Mkdir(filepath.Join(dir, oci.IndexName), 0o755))
		}, fault.Integrity, "index.json: it is a directory, not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "layout")
			if _, err := WriteLayout(t.Context(), dir, c, form.WriteOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := test.change(dir); err != nil {
				t.Fatal(err)
			}
			if !oci.MayBeLayout(dir) {
				t.Error("it is not taken for a layout")
			}
			wantError(t, verifyAll(t.Context(), dir), test.kind, test.says, "layout")
		})
	}
}

// failing is a source whose methods fail.
type failing struct {
	*memory
	verify error
	open   error
}

func (f failing) Verify(ctx context.Context, d lock.SHA256) error {
	if f.verify != nil {
		return f.verify
	}
	return f.memory.Verify(ctx, d)
}

func (f failing) Open(d lock.SHA256) (blob.File, error) {
	if f.open != nil {
		return nil, f.open
	}
	return f.memory.Open(d)
}

// Whatever fails, nothing is left behind, and nothing that was there changes.
func TestFailedWriting(t *testing.T) {
	l, m := world(t)
	damaged := newMemory()
	maps.Copy(damaged.blobs, m.blobs)
	damaged.blobs[l.Artifacts[2].SHA256] = []byte("damaged")
	sameSize := newMemory()
	maps.Copy(sameSize.blobs, m.blobs)
	sameSize.blobs[l.Artifacts[2].SHA256] = bytes.Repeat([]byte("x"), int(l.Artifacts[2].Size))
	lacking := newMemory()
	maps.Copy(lacking.blobs, m.blobs)
	delete(lacking.blobs, l.Artifacts[2].SHA256)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx  context.Context
		from blob.Source
		want fault.Kind
	}{
		"damaged blob":  {t.Context(), damaged, fault.Integrity},
		"other content": {t.Context(), sameSize, fault.Integrity},
		"lacking blob":  {t.Context(), lacking, fault.Incomplete},
		"disk":          {t.Context(), failing{m, nil, errors.New("input/output error")}, fault.Unexpected},
		"verifying":     {t.Context(), failing{m, errors.New("input/output error"), nil}, fault.Unexpected},
		"cancelled":     {cancelled, m, fault.Unexpected},
	} {
		t.Run(name, func(t *testing.T) {
			c := plan(t, l, test.from)
			dir := t.TempDir()
			var out bytes.Buffer
			if err := WriteStream(test.ctx, &out, c, form.WriteOptions{}); fault.KindOf(err) != test.want || err == nil {
				t.Errorf("stream: %v", err)
			}
			if bytes.Contains(out.Bytes(), []byte("xxxxxxxx")) {
				t.Error("damaged data was streamed")
			}
			if err := readTar(t.Context(), out.Bytes()); err == nil {
				t.Error("a stream that failed is a bundle")
			}
			if name == "verifying" {
				return // a file is compared instead
			}
			if _, err := WriteFile(test.ctx, filepath.Join(dir, "sub/b.tar"), c, form.WriteOptions{}); fault.KindOf(err) != test.want || err == nil {
				t.Errorf("file: %v", err)
			}
			old := writeFile(t, filepath.Join(dir, "old.tar"), []byte("old"))
			if _, err := WriteFile(test.ctx, old, c, form.WriteOptions{}); fault.KindOf(err) != test.want || err == nil {
				t.Errorf("old file: %v", err)
			}
			if data, err := os.ReadFile(old); err != nil || string(data) != "old" {
				t.Errorf("the old file became %q (%v)", data, err)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("left: %v", entries)
			}
			layout := filepath.Join(dir, "layout")
			if _, err := WriteLayout(test.ctx, layout, c, form.WriteOptions{}); fault.KindOf(err) != test.want || err == nil {
				t.Errorf("layout: %v", err)
			}
			if _, err := os.Stat(filepath.Join(layout, oci.IndexName)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("index.json: %v", err)
			}
		})
	}
}
