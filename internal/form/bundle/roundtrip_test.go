package bundle

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

func v1Type(s string) types.MediaType { return types.MediaType(s) }

func TestRoundTrip(t *testing.T) {
	l, m := fullWorld(t)
	c := plan(t, l, m)
	file, dir := filepath.Join(t.TempDir(), "new/b.tar"), filepath.Join(t.TempDir(), "new/layout")
	if changed, err := WriteFile(t.Context(), file, c, form.WriteOptions{}); err != nil || !changed {
		t.Fatal(changed, err)
	}
	if changed, err := WriteLayout(t.Context(), dir, c, form.WriteOptions{}); err != nil || !changed {
		t.Fatal(changed, err)
	}
	stream := tarOf(t, c)
	if data, err := os.ReadFile(file); err != nil || !bytes.Equal(data, stream) {
		t.Errorf("file and stream differ: %v", err)
	}
	if int64(len(stream)) != c.Size() {
		t.Errorf("Size() is %d of %d", c.Size(), len(stream))
	}
	for _, path := range []string{file, dir} {
		b, err := openPath(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if want, _ := l.Marshal(); !reflect.DeepEqual(b.contents.Lock, mustParse(t, want)) {
			t.Error("the lock differs")
		}
		if b.layout.Name() != path {
			t.Errorf("name %q", b.layout.Name())
		}
		for _, x := range b.contents.Blobs {
			if err := b.Verify(t.Context(), x.SHA256); err != nil {
				t.Error(err)
			}
			f, err := b.Open(x.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(f)
			f.Close()
			if err != nil || oci.BlobOf(data) != x {
				t.Errorf("%s: %v", b.contents.What(x.SHA256), err)
			}
		}
		if again := tarOf(t, b.contents); !bytes.Equal(again, stream) {
			t.Error("what was read is not written again as it was")
		}
		if again := tarOf(t, plan(t, b.contents.Lock, b)); !bytes.Equal(again, stream) {
			t.Error("a plan from a bundle is another")
		}
	}
}

func mustParse(t *testing.T, data []byte) *lock.Lock {
	t.Helper()
	l, err := lock.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
