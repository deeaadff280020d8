//go:build unix

package site

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func TestSource(t *testing.T) {
	root := t.TempDir()
	f := newFixture(t, "v1")
	f.write(t, root)
	f.checkRebased(t, root)
	newFixture(t, "v2").write(t, root)
	s, err := serve(context.Background(), place(root))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var tags []string
	for _, found := range s.Found {
		v := found.Version
		tags = append(tags, v.Tag)
		for _, file := range Files(v.Lock) {
			content, err := v.Open(file.Path, file.Blob)
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(content)
			if err != nil || lock.Sum(data) != file.SHA256 {
				t.Errorf("%s is %q, %v", file.Path, data, err)
			}
			content.Close()
		}
	}
	if !slices.Equal(tags, []string{"v1", "v2"}) {
		t.Errorf("versions %q", tags)
	}
	one, err := serve(context.Background(), place(filepath.Join(root, "v1")))
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	if len(one.Found) != 1 || one.Found[0].Version.Tag != "v1" {
		t.Errorf("versions %v", one.Found)
	}
}

// TestSourceOpensFilesOnly puts something else where a file belongs.
func TestSourceOpensFilesOnly(t *testing.T) {
	root, secret := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	writeFile(t, secret, "secret")
	newFixture(t, "v1").write(t, root)
	s, err := serve(context.Background(), place(root))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v := s.Found[0].Version
	file := Files(v.Lock)[0]
	at := filepath.Join(root, filepath.FromSlash(file.Path))
	for what, put := range map[string]func() error{
		"a link out":          func() error { return os.Symlink(secret, at) },
		"a link to a file":    func() error { return os.Symlink("../../../v1/lock.json", at) },
		"a pipe":              func() error { return syscall.Mkfifo(at, 0o644) },
		"a directory":         func() error { return os.Mkdir(at, 0o755) },
		"nothing":             func() error { return nil },
		"a directory as link": func() error { return moveAndLink(filepath.Dir(at), t.TempDir()) },
	} {
		if err := os.RemoveAll(at); err != nil {
			t.Fatal(err)
		}
		if err := put(); err != nil {
			t.Fatal(err)
		}
		f, err := v.Open(file.Path, file.Blob)
		if err == nil {
			f.Close()
			t.Errorf("%s was opened", what)
		}
		if what == "a directory as link" {
			if err := os.Remove(filepath.Dir(at)); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// moveAndLink has a directory lie elsewhere, with a file where the site's is, and
// a link lead to it.
func moveAndLink(dir, elsewhere string) error {
	moved := filepath.Join(elsewhere, "moved")
	if err := os.Rename(dir, moved); err != nil {
		return err
	}
	return os.Symlink(moved, dir)
}

// TestSourceRefuses damages the documents of a site.
func TestSourceRefuses(t *testing.T) {
	tests := map[string]struct {
		do   func(t *testing.T, root string)
		tag  string
		kind fault.Kind
		says string
	}{
		"an index was changed": {
			do: func(t *testing.T, root string) {
				writeFile(t, filepath.Join(root, "v1", "r", indexName), "entries: []\n")
			},
			kind: fault.Incomplete, says: "was not updated completely",
		},
		"an index is missing": {
			do:   func(t *testing.T, root string) { os.Remove(filepath.Join(root, "v1", "r", indexName)) },
			kind: fault.Incomplete, says: "was not updated completely",
		},
		"the lock is missing": {
			do:   func(t *testing.T, root string) { os.Remove(filepath.Join(root, "v1", lockName)) },
			kind: fault.Incomplete, says: "is missing",
		},
		"the lock is another's": {
			do: func(t *testing.T, root string) {
				data, err := os.ReadFile(filepath.Join(root, "v1", lockName))
				if err != nil {
					t.Fatal(err)
				}
				writeFile(t, filepath.Join(root, "v1", lockName), strings.Replace(string(data), "https://e.com/index.yaml", "https://f.com/index.yaml", 1))
			},
			kind: fault.Incomplete, says: "was not updated completely",
		},
		"it was renamed": {
			do:   func(t *testing.T, root string) { os.Rename(filepath.Join(root, "v1"), filepath.Join(root, "v9")) },
			kind: fault.Integrity, says: "is for version v1, but its directory is v9",
		},
		"there is no such version": {do: func(*testing.T, string) {}, tag: "v2", kind: fault.Usage, says: "has no version v2; it has: v1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			newFixture(t, "v1").write(t, root)
			test.do(t, root)
			s, err := serve(context.Background(), place(filepath.Join(root, test.tag)))
			if err == nil {
				err = s.Found[0].Err
			}
			if err == nil || fault.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v (kind %d), want %s", err, fault.KindOf(err), test.says)
			}
		})
	}
}
