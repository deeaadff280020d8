package dir

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

var arm = agent.Platform{OS: "linux", Arch: "arm64"}

// twoPlatforms adds a platform for which nothing is offered.
func twoPlatforms(t *testing.T) *fixture {
	f := newFixture(t, "v1")
	f.lock.Platforms = append(f.lock.Platforms, arm)
	f.lock.Sort()
	if err := f.lock.Check(); err != nil {
		t.Fatal(err)
	}
	return f
}

// audited verifies a directory.
func audited(t *testing.T, root, mount string) *form.Audit {
	t.Helper()
	a := &form.Audit{AuditOptions: form.AuditOptions{
		Mount: mount, Accept: func(*form.Form) error { return nil }, Planned: func(int64, int) {}, Hashed: func(int64) {},
	}}
	if err := verify(t.Context(), &form.Place{Path: root}, a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAudit(t *testing.T) {
	const binary = "r/executor_v1_x"
	replace := func(t *testing.T, path string, with func(path string) error) {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := with(path); err != nil {
			t.Fatal(err)
		}
	}
	nothing := func(string) error { return nil }
	link := func(path string) error { return os.Symlink(os.TempDir(), path) }
	directory := func(path string) error { return os.Mkdir(path, 0o755) }
	file := func(path string) error { return os.WriteFile(path, []byte("other"), 0o755) }
	one, two := newFixture(t, "v1"), twoPlatforms(t)
	for _, c := range []struct {
		name  string
		of    *fixture
		path  string
		with  func(path string) error
		first audit.Problem
	}{
		{"a file", one, binary, file, audit.Problem{Kind: audit.KindDamaged, Path: binary}},
		{"a file that is a link", one, binary, link, audit.Problem{Kind: audit.KindDamaged, Path: binary, Detail: "it is a link, not a regular file"}},
		{"a file that is a directory", one, binary, directory, audit.Problem{Kind: audit.KindDamaged, Path: binary, Detail: "it is a directory, not a regular file"}},
		{"a file that is missing", one, binary, nothing, audit.Problem{Kind: audit.KindMissing, Path: binary, Detail: "the file is missing"}},
		{"the directory of a repository that is a link", one, "r", link, audit.Problem{Kind: audit.KindDamaged, Path: "r", Detail: "it is a link, not a directory"}},
		{"a link among files", one, "r/other", link, audit.Problem{Kind: audit.KindUnexpected, Path: "r/other", Detail: "it is a link, not a regular file, and is not in the lock"}},
		{"an index that is a directory", one, "other.yaml", directory, audit.Problem{Kind: audit.KindUnexpected, Path: "other.yaml", Detail: "it is a directory, not a regular file, and is not in the lock"}},
		{"the lock", one, lockPath, file, audit.Problem{Kind: audit.KindDamaged, Path: lockPath}},
		{"the lock that is missing", one, lockPath, nothing, audit.Problem{Kind: audit.KindMissing, Path: lockPath, Detail: "the file is missing"}},
		{"a file of one platform", two, "linux-amd64/" + binary, file, audit.Problem{Kind: audit.KindDamaged, Path: "linux-amd64/" + binary}},
		{"a platform that is missing", two, "linux-amd64", nothing, audit.Problem{Kind: audit.KindMissing, Path: "linux-amd64", Detail: "the directory of linux/amd64 is missing"}},
		{"a platform that is a file", two, "linux-amd64", file, audit.Problem{Kind: audit.KindDamaged, Path: "linux-amd64", Detail: "it is a regular file, not a directory"}},
		{"a platform that is a link", two, "linux-amd64", link, audit.Problem{Kind: audit.KindDamaged, Path: "linux-amd64", Detail: "it is a link, not a directory"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "plugins")
			c.of.write(t, root)
			if found := audited(t, root, ""); len(found.Problems()) > 0 || found.Lock == nil {
				t.Fatalf("%+v", found.Problems())
			}
			replace(t, filepath.Join(root, filepath.FromSlash(c.path)), c.with)
			r := audited(t, root, "")
			if len(r.Problems()) == 0 {
				t.Fatal("there is no problem")
			}
			got := r.Problems()[0]
			if c.first.Detail == "" {
				got.Detail = ""
			}
			if got != c.first {
				t.Errorf("%+v", r.Problems())
			}
		})
	}
}

// TestAuditModes wants what the agent's user cannot get at to be damage.
func TestAuditModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it has no modes")
	}
	f, root := newFixture(t, "v1"), filepath.Join(t.TempDir(), "plugins")
	f.write(t, root)
	detail := fmt.Sprintf("its mode is 0700 and its owner %d:%d, but user 101 of group 101 needs 0555", os.Getuid(), os.Getgid())
	for _, p := range []string{"r", "r/executor_v1_x", "r/executor_v1_x_deps"} {
		if err := os.Chmod(filepath.Join(root, filepath.FromSlash(p)), 0o700); err != nil {
			t.Fatal(err)
		}
		r := audited(t, root, "")
		if want := (audit.Problem{Kind: audit.KindDamaged, Path: p, Detail: detail}); len(r.Problems()) != 1 || r.Problems()[0] != want {
			t.Errorf("%+v", r.Problems())
		}
		if err := os.Chmod(filepath.Join(root, filepath.FromSlash(p)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAuditDigest wants the digest of a directory to be that of its SHA256SUMS.
func TestAuditDigest(t *testing.T) {
	f, root := newFixture(t, "v1"), filepath.Join(t.TempDir(), "plugins")
	f.write(t, root)
	found := audited(t, root, "")
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(pluginsdir.SumsPath)))
	if err != nil {
		t.Fatal(err)
	}
	if found.Digest != lock.Sum(data).OCI() || found.FoundMount != "/plugins" {
		t.Errorf("%q, %q", found.Digest, found.FoundMount)
	}
}

// TestAuditMount wants the indexes to be held against where the agent sees the
// directory.
func TestAuditMount(t *testing.T) {
	f, root := newFixture(t, "v1"), filepath.Join(t.TempDir(), "plugins")
	f.write(t, root)
	for mount, problems := range map[string]int{"": 0, "/plugins": 0, "/other": 1} {
		r := audited(t, root, mount)
		if len(r.Problems()) != problems || problems > 0 && (r.Problems()[0].Path != "r.yaml" || r.Problems()[0].Kind != audit.KindIndex) {
			t.Errorf("%q: %+v", mount, r.Problems())
		}
	}
}
