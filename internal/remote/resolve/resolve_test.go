package resolve

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// TestDamagedDocuments wants an index and a schema that a lock pins, and that
// the store has in a damaged copy, to be requested again in the same run.
func TestDamagedDocuments(t *testing.T) {
	upstream := newSite(t)
	upstream.files["/index.yaml"] = `entries:
  - name: a
    type: executor
    version: v1.0.0
    jsonSchema: {refURL: schema.json}
    urls: [{url: a, checksum: 7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730, platform: {os: linux, architecture: amd64}}]
`
	upstream.files["/schema.json"] = `{"type": "object"}`
	r, dir := newResolver(t)
	req := Selection{Repositories: []agent.Repository{{Name: "r", URL: upstream.URL + "/index.yaml"}}}
	req.Selection.Platforms = []agent.Platform{{OS: "linux", Arch: "amd64"}}
	plan, err := r.Resolve(t.Context(), req)
	check(t, err)
	req.pinned = plan.Lock
	upstream.requests = 0
	_, err = r.Resolve(t.Context(), req)
	check(t, err)
	if upstream.requests != 0 {
		t.Errorf("%d requests for what the store has", upstream.requests)
	}
	pinned := plan.Lock.Repositories[0]
	for _, b := range []string{pinned.Index.SHA256.String(), pinned.Schemas[0].SHA256.String()} {
		path := filepath.Join(dir, "blobs/sha256", b)
		data, err := os.ReadFile(path)
		check(t, err)
		damaged := append([]byte{data[0] ^ 1}, data[1:]...)
		for name, damage := range map[string]func() error{
			"flipped": func() error { return os.WriteFile(path, damaged, 0o644) },
			"longer":  func() error { return os.WriteFile(path, append(damaged, "x"...), 0o644) },
			"huge":    func() error { return os.Truncate(path, 100<<20) },
			"empty":   func() error { return os.Truncate(path, 0) },
		} {
			check(t, damage())
			fresh, _ := reopened(t, dir)
			upstream.requests = 0
			if _, err := fresh.Resolve(t.Context(), req); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if upstream.requests != 1 {
				t.Errorf("%s: %d requests, want one", name, upstream.requests)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != string(data) {
				t.Errorf("%s: the store holds %.80q, %v", name, got, err)
			}
		}
	}
}
