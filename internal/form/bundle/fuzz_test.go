package bundle

import (
	"bytes"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// What is taken for a bundle is whole: it can be written again, and read.
func FuzzOpen(f *testing.F) {
	l, m := fullWorld(f)
	f.Add(tarOf(f, plan(f, l, m)))
	small, m := world(f)
	good := tarOf(f, plan(f, small, m))
	f.Add(good)
	f.Add(good[:len(good)-oci.BlockSize])
	f.Add(append(paxHeader("10 path=x\n"), good...))
	f.Add(pack(f, entries(f, good)[:3]))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := openTar(t.Context(), bytes.NewReader(data), int64(len(data)))
		if err != nil {
			if k := fault.KindOf(err); k == fault.Unexpected {
				t.Errorf("kind %d: %v", k, err)
			}
			return
		}
		for _, x := range b.contents.Blobs {
			if b.Verify(t.Context(), x.SHA256) != nil {
				return
			}
		}
		if err := readTar(t.Context(), tarOf(t, b.contents)); err != nil {
			t.Error(err)
		}
	})
}

// Nothing in an index and a manifest, whose digests are right, makes a bundle
// of what is none.
func FuzzRead(f *testing.F) {
	l, m := fullWorld(f)
	c := plan(f, l, m)
	for _, d := range c.Manifests {
		f.Add(c.Index.Data, d.Data)
	}
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"annotations":{"a":null}}]}`), []byte(`{"layers":null}`))
	f.Fuzz(func(t *testing.T, index, manifest []byte) {
		docs := map[lock.SHA256][]byte{lock.Sum(manifest): manifest}
		got, err := Read(t.Context(), index, reader(func(d lock.SHA256) ([]byte, error) {
			if data, ok := docs[d]; ok {
				return data, nil
			}
			if data, ok := c.made[d]; ok {
				return data, nil
			}
			return nil, fault.New(fault.Incomplete, "absent")
		}))
		if err != nil {
			if k := fault.KindOf(err); k == fault.Unexpected {
				t.Errorf("kind %d: %v", k, err)
			}
			return
		}
		if got.Tag != c.Tag || len(got.Manifests) != len(c.Manifests) || len(got.Lock.Artifacts) != len(l.Artifacts) {
			t.Errorf("another bundle: %s", index)
		}
	})
}
