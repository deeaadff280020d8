package mirror

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func TestDiskUses(t *testing.T) {
	dir := t.TempDir()
	if _, ok := disk.SpaceAt(dir); !ok {
		t.Skip("this system does not tell what is free")
	}
	uses := diskUses([]Need{
		{Use: UseStore, Path: dir, Needed: 3},
		{Use: UseOutput, Path: filepath.Join(dir, "not", "yet"), Needed: 4, AtLeast: true},
	})
	if len(uses) != 1 || uses[0].Needed != 7 || !uses[0].AtLeast || uses[0].Free <= 0 || len(uses[0].For) != 2 {
		t.Errorf("two places on one file system: %+v", uses)
	}
}

func TestCheckRoom(t *testing.T) {
	dir := t.TempDir()
	if _, ok := disk.SpaceAt(dir); !ok {
		t.Skip("this system does not tell what is free")
	}
	store := Need{Use: UseStore, Path: dir, Needed: 1}
	if err := checkRoom([]Need{store}); err != nil {
		t.Errorf("one byte: %v", err)
	}
	// More than any disk has.
	half := math.MaxInt64 / 2
	err := checkRoom([]Need{store, {Use: UseOutput, Path: filepath.Join(dir, "b.tar"), Needed: int64(half)}})
	if fault.KindOf(err) != fault.Unexpected {
		t.Fatalf("4 EiB: %v", err)
	}
	for _, part := range []string{"the store " + dir + ", the output " + filepath.Join(dir, "b.tar") + ": ", " needed, ", " free"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the message %q lacks %q", err, part)
		}
	}
	if hint := fault.HintOf(err); !strings.Contains(hint, "--store") || !strings.Contains(hint, "an output on another disk") || strings.Contains(hint, "TMPDIR") {
		t.Errorf("the hint is %q", hint)
	}
}

func TestShort(t *testing.T) {
	for _, c := range []struct {
		needed, free int64
		want         bool
	}{{1, 0, true}, {1, 1, false}, {1, -1, false}, {0, 0, false}} {
		if got := (DiskUse{Needed: c.needed, Free: c.free}).Short(); got != c.want {
			t.Errorf("%d needed, %d free: %t", c.needed, c.free, got)
		}
	}
	const gib = 1 << 30
	if got := (DiskUse{Needed: gib + 1, Free: gib, For: []Need{{Use: UseOutput, Path: "x", Needed: gib + 1}}}).shortage(); got != "the output x: 1073741825 bytes needed, 1073741824 bytes free" {
		t.Errorf("rounded numbers would be equal: %q", got)
	}
}
