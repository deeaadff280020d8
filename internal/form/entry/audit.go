package entry

import (
	"fmt"
	"io/fs"
	"path"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
)

// Audit compares the files of a tree with a plan.
type Audit struct {
	Report *audit.Report
	// Reader is who must be able to use the tree.
	Reader disk.Reader
	// At says where a path of the tree is in the whole.
	At func(path string) string
	// Found are the files that are there.
	Found map[string]Found
	// KeepsModes says that the volume keeps modes. If it is false, the modes of the files
	// decide: see [disk.KeepsModes].
	KeepsModes bool

	// modeless caches what the modes of the files say; nil until it is needed.
	modeless *bool
}

// keepsModes reports whether a file that every user may change was made so.
func (a *Audit) keepsModes() bool {
	if a.modeless == nil {
		var modes []fs.FileMode
		for _, f := range a.Found {
			if f.Problem == "" {
				modes = append(modes, f.Mode)
			}
		}
		modeless := !disk.KeepsModes(modes)
		a.modeless = &modeless
	}
	return a.KeepsModes || !*a.modeless
}

// File describes the file of an entry.
func (a *Audit) File(e Entry) audit.File {
	f := audit.File{Path: a.At(e.Path), Content: e.Content, Platforms: e.Platforms, State: audit.Intact, Basis: e.Basis, Sources: e.Sources}
	if found, there := a.Found[e.Path]; there && found.Problem == "" {
		f.Size, f.SHA256 = found.Size, &found.SHA256
	}
	return f
}

// Entry reports whether the file of an entry is intact. If damage is not empty, it says what is
// wrong with the content.
func (a *Audit) Entry(e Entry, damage string) {
	found, there := a.Found[e.Path]
	f := a.File(e)
	f.State = audit.Damaged
	switch {
	case !there:
		f.State, damage = audit.Missing, "the file is missing"
	case found.Problem != "":
		damage = found.Problem
	case e.SHA256 != nil && *e.SHA256 != found.SHA256:
		f.Expected = e.SHA256
		if damage == "" {
			damage = fmt.Sprintf("its sha256 is %s, but %s says %s", found.SHA256, e.Basis.What(), *e.SHA256)
		}
	case damage != "":
	default:
		if damage = a.WrongMode(e, found); damage == "" {
			f.State = audit.Intact
		}
	}
	a.Report.Add(f, damage)
}

// WrongMode says what is wrong with a mode, and notes what the volume is to blame for.
func (a *Audit) WrongMode(e Entry, found Found) string {
	if found.Exposed() && !a.keepsModes() {
		a.Report.Expose(a.At(e.Path))
		return found.WrongOnModeless(a.Reader, e.Needed)
	}
	return found.Wrong(a.Reader, e.Needed)
}

// Modes reports wrong modes of a plan's existing files, and of their directories. Nothing is read.
func (a *Audit) Modes(t *atomicdir.Tree, plan []Entry) {
	a.Found = map[string]Found{}
	for _, e := range plan {
		if fi, err := disk.StatRegular(t.Root, e.Path); err == nil {
			a.Found[e.Path] = Found{Access: disk.AccessOf(fi)}
		}
	}
	for _, e := range plan {
		if found, there := a.Found[e.Path]; there {
			a.fail(e.Path, a.WrongMode(e, found))
		}
	}
	a.Dirs(t, plan)
}

func (a *Audit) fail(p, wrong string) {
	if wrong != "" {
		a.Report.Fail(audit.Problem{Kind: audit.KindDamaged, Path: a.At(p), Detail: wrong})
	}
}

// name says in words which document has a digest.
// Dirs reports wrong modes of the directories that contain the files of a plan. It does not look at
// the mode of the tree itself, which its owner chose.
func (a *Audit) Dirs(t *atomicdir.Tree, plan []Entry) {
	dirs := map[string]disk.Access{}
	var modes []fs.FileMode
	look := func(dir string) {
		if fi, err := t.Root.Lstat(dir); err == nil && fi.IsDir() {
			dirs[dir] = disk.AccessOf(fi)
			modes = append(modes, fi.Mode())
		}
	}
	look(".")
	for _, e := range plan {
		for dir := path.Dir(e.Path); dir != "."; dir = path.Dir(dir) {
			if _, seen := dirs[dir]; !seen {
				look(dir)
			}
		}
	}
	delete(dirs, ".")
	keeps := a.KeepsModes || disk.KeepsModes(modes)
	for dir, access := range dirs {
		need := atomicdir.NeededOfDir(dir)
		wrong := access.Wrong(a.Reader, need)
		if !keeps {
			wrong = access.WrongOnModeless(a.Reader, need)
		}
		a.fail(dir, wrong)
	}
}
