package mirror

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Use is what a run needs room for.
type Use string

// The uses.
const (
	UseStore     Use = "store"
	UseOutput    Use = "output"
	UseTemporary Use = "temporary"
)

// Need is how much a run will write to a place.
type Need struct {
	Use  Use    `json:"use"`
	Path string `json:"path"`
	// Needed is in bytes.
	Needed int64 `json:"needed"`
	// AtLeast says that it may be more: a size is not known, or that of what is
	// in an archive which this machine has not unpacked yet.
	AtLeast bool `json:"atLeast,omitempty"`
}

func (n Need) String() string {
	switch n.Use {
	case UseStore:
		return "the store " + n.Path
	case UseTemporary:
		return "temporary files in " + n.Path
	}
	return "the output " + n.Path
}

// DiskUse is what a run needs of a file system, and what that has.
type DiskUse struct {
	// Needed is the sum of the needs.
	Needed  int64 `json:"needed"`
	AtLeast bool  `json:"atLeast,omitempty"`
	// Free is in bytes, or -1 where it cannot be told.
	Free int64 `json:"free"`
	// For are the needs on this file system.
	For []Need `json:"for"`
}

// Short reports whether there is too little room.
func (u DiskUse) Short() bool { return u.Free >= 0 && u.Needed > u.Free }

// diskUses sums up what is needed on each file system.
func diskUses(needs []Need) []DiskUse {
	uses := []DiskUse{}
	at := map[string]int{}
	for _, n := range needs {
		space, ok := disk.SpaceAt(n.Path)
		i, known := at[space.FileSystem]
		if !ok || !known {
			i = len(uses)
			uses = append(uses, DiskUse{Free: -1})
		}
		if ok {
			at[space.FileSystem] = i
			uses[i].Free = space.Free
		}
		uses[i].Needed += n.Needed
		uses[i].AtLeast = uses[i].AtLeast || n.AtLeast
		uses[i].For = append(uses[i].For, n)
	}
	return uses
}

// checkRoom refuses to begin what a disk has no room for.
func checkRoom(needs []Need) error {
	var short []string
	var on []Use
	for _, u := range diskUses(needs) {
		if !u.Short() {
			continue
		}
		short = append(short, u.shortage())
		for _, n := range u.For {
			on = append(on, n.Use)
		}
	}
	if len(short) == 0 {
		return nil
	}
	return fault.New(fault.Unexpected, "too little room on the disk: %s", strings.Join(short, "; ")).
		WithHint("%s", roomHint(on))
}

func (u DiskUse) shortage() string {
	var names []string
	atLeast := ""
	for _, n := range u.For {
		if n.Needed > 0 {
			names = append(names, n.String())
		}
	}
	if u.AtLeast {
		atLeast = "at least "
	}
	needed, free := humanize.IBytes(uint64(u.Needed)), humanize.IBytes(uint64(u.Free))
	if needed == free {
		needed, free = fmt.Sprintf("%d bytes", u.Needed), fmt.Sprintf("%d bytes", u.Free)
	}
	return fmt.Sprintf("%s: %s%s needed, %s free", strings.Join(names, ", "), atLeast, needed, free)
}

// roomHint says how to come to more room.
func roomHint(on []Use) string {
	var ways []string
	if slices.Contains(on, UseStore) {
		ways = append(ways, "a store on another disk with --store")
	}
	if slices.Contains(on, UseOutput) {
		ways = append(ways, "an output on another disk")
	}
	if slices.Contains(on, UseTemporary) {
		ways = append(ways, "another directory for temporary files in the environment variable TMPDIR")
	}
	hint := "free some space, or name " + strings.Join(ways, ", or ")
	if slices.Contains(on, UseStore) {
		hint += "\nbotkube-mirror prune removes from the store what no output of this machine is made of"
	}
	return hint
}

// tempNeed is what waits in the directory for temporary files.
func tempNeed(needed int64) Need {
	return Need{Use: UseTemporary, Path: filepath.Clean(os.TempDir()), Needed: needed, AtLeast: true}
}
