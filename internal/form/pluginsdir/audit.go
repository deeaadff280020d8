package pluginsdir

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
)

// IsDocument reports whether a path in a cache directory is that of an index, the lock or
// SHA256SUMS, which are read as a whole.
func IsDocument(p string) bool {
	return strings.HasPrefix(p, MetaDir+"/") || path.Dir(p) == "." && path.Ext(p) == ".yaml"
}

// Audited is a cache directory that is compared with its lock.
type Audited struct {
	// Lock is for this platform alone, and what the directory's own lock must be.
	Lock     *lock.Lock
	Platform agent.Platform
	// Found are the files by their paths in the directory: those of [MetaDir],
	// of the directories of the lock's repositories, and all indexes.
	Found map[string]entry.Found
	// At says where a path of the directory is in the whole.
	At func(path string) string
	// KeepsModes is as in [entry.Audit].
	KeepsModes bool
	// Superseded are paths that an earlier lock named, until they are pruned.
	Superseded map[string]bool
	// Mount is where the agent sees the directory; empty to take that from the indexes.
	Mount string

	report *audit.Report
	files  entry.Audit
	// sums are those of SHA256SUMS; nil if it cannot be read.
	sums entry.Sums
	// start is what an agent finds.
	start audit.StartState
	// mount is where the agent must see the directory, by its indexes.
	mount string
	// indexed are the digests that the indexes have, for want of SHA256SUMS.
	indexed map[string]lock.SHA256
}

// Audit finds out everything that is wrong with a cache directory, and what an
// agent would do with it. It returns where the agent must see the directory, by its
// indexes.
func (c *Audited) Audit(r *audit.Report) (mount string) {
	c.report = r
	c.start = c.startState()
	c.files = entry.Audit{Report: r, Reader: Reader, At: c.At, Found: c.Found, KeepsModes: c.KeepsModes}
	c.readSums()
	c.readChecksums()
	c.readLock()
	c.binaries()
	c.readIndexes()
	c.unexpected()
	r.Expect(c.start)
	return c.mount
}

// readSums judges SHA256SUMS by what it names; its digests are for each file.
func (c *Audited) readSums() {
	damage := ""
	if found, there := c.Found[SumsPath]; there && found.Problem == "" {
		sums, err := entry.ParseSums(found.Data)
		if err == nil {
			err = sums.Check(found.Data, append(Paths(c.Lock, c.Platform), LockPath))
		}
		if err != nil {
			damage = err.Error()
		}
		c.sums = sums
	}
	c.files.Entry(document(c.Platform, SumsPath, "the digests of all files"), damage)
}

// readLock judges whether the lock, which was read, is written as it should be.
func (c *Audited) readLock() {
	data, err := c.Lock.Marshal()
	if err != nil {
		return // a lock that was parsed can be written
	}
	e, want, damage := document(c.Platform, LockPath, "the lock"), lock.Sum(data), ""
	noted, found := c.sums.Of(LockPath), c.Found[LockPath]
	if noted != nil {
		e.Basis = audit.BySums // otherwise, that SHA256SUMS says nothing was reported
	}
	switch {
	case found.SHA256 != want:
		e.SHA256, damage = &want, "this is not the lock that was written to this directory"
	case noted != nil && *noted != want:
		e.SHA256, damage = noted, "the lock and SHA256SUMS do not agree: one of the two is damaged"
	}
	c.files.Entry(e, damage)
}

// readChecksums reads the digests that indexes have of what they name.
func (c *Audited) readChecksums() {
	c.indexed = map[string]lock.SHA256{}
	note := func(p, digest string) {
		if sum, err := lock.ParseSHA256(digest); err == nil {
			c.indexed[p] = sum
		}
	}
	for _, r := range c.Lock.Repositories {
		ix, err := c.start.Index(r.Name)
		if err != nil {
			continue
		}
		for _, e := range ix.Entries {
			build, _ := e.Build(c.Platform)
			binary := agent.BinaryPath(r.Name, e.Type, e.Version, e.Name)
			note(binary, build.Checksum)
			for name, u := range build.Dependencies {
				if l, err := agent.ParseLocation(u); err == nil && l.Checksum != nil {
					note(agent.DependencyPath(binary, name), l.Checksum.Hex)
				}
			}
		}
	}
}

func (c *Audited) binaries() {
	for _, f := range c.Lock.Files(c.Platform) {
		e, damage := Entry(c.Platform, f), ""
		noted, found := c.sums.Of(f.Path), c.Found[f.Path]
		switch sum, indexed := c.indexed[f.Path]; {
		case e.SHA256 != nil && noted != nil && *noted != *e.SHA256:
			c.report.Fail(audit.Problem{Kind: audit.KindDamaged, Path: c.At(SumsPath), Detail: fmt.Sprintf("its digest of %s is not that of the lock", c.At(f.Path))})
		case e.SHA256 != nil:
		case noted != nil:
			e.SHA256 = noted
		case indexed:
			e.SHA256, e.Basis = &sum, audit.ByIndex
		default:
			e.Basis, damage = "", "neither SHA256SUMS nor the index has a digest of the file"
		}
		if pinned, ok := f.Pinned(); ok && found.SHA256 == pinned.SHA256 && found.Size != pinned.Size {
			damage = fmt.Sprintf("the file has %d bytes, but the lock says %d", found.Size, pinned.Size)
		}
		c.files.Entry(e, damage)
		if found.Problem == "" {
			ReportUnfit(c.report, c.At(f.Path), c.Platform, f, lock.Made{Size: found.Size, Program: found.Program})
		}
	}
}

// readIndexes judges whether each index was written so, and is what agent and lock want.
func (c *Audited) readIndexes() {
	for _, r := range c.Lock.Repositories {
		e := indexEntry(c.Platform, r)
		p := e.Path
		if e.SHA256 = c.sums.Of(p); e.SHA256 != nil {
			e.Basis = audit.BySums // otherwise, that SHA256SUMS says nothing was reported
		}
		c.files.Entry(e, "")
		if found, there := c.Found[p]; there && found.Problem == "" {
			for _, problem := range c.indexProblems(r) {
				c.report.Fail(audit.Problem{Kind: audit.KindIndex, Path: c.At(p), Detail: problem})
			}
		}
	}
}

// indexProblems says what is wrong with an index.
func (c *Audited) indexProblems(r lock.Repository) []string {
	ix, err := c.start.Index(r.Name)
	mount := MountIn(ix, err, r.Name, c.Platform)
	c.mount = cmp.Or(c.mount, mount)
	made := map[string]lock.Blob{}
	for _, sums := range []map[string]lock.SHA256{c.indexed, c.sums} {
		for p, sum := range sums {
			made[p] = lock.Blob{SHA256: sum}
		}
	}
	for _, f := range c.Lock.Files(c.Platform) {
		if pinned, ok := f.Pinned(); ok {
			made[f.Path] = pinned
		}
	}
	at := cmp.Or(c.mount, "/plugins")
	problems := IndexProblems(ix, err, c.Lock, r, func(p lock.Plugin) (map[agent.Platform]agent.Build, error) {
		return map[agent.Platform]agent.Build{c.Platform: localBuild(p, c.Platform, at, made)}, nil
	})
	if mount != c.mount && mount != "" {
		problems = append(problems, fmt.Sprintf("the index is for a directory at %s, but another index is for one at %s", mount, c.mount))
	}
	if mount != "" && c.Mount != "" && mount != c.Mount {
		problems = append(problems, fmt.Sprintf("the index is for a directory at %s, but the agent sees the directory at %s", mount, c.Mount))
	}
	return problems
}

// unexpected reports what nothing names, where the agent looks for plugins and indexes.
func (c *Audited) unexpected() {
	wanted := Paths(c.Lock, c.Platform)
	earlier := 0
	for _, p := range slices.Sorted(maps.Keys(c.Found)) {
		if _, named := slices.BinarySearch(wanted, p); named || strings.HasPrefix(p, MetaDir+"/") {
			continue
		}
		if disk.IsLeftover(path.Base(p)) {
			continue
		}
		if c.Superseded[p] && c.Found[p].Problem == "" {
			earlier++
			continue
		}
		f := c.files.File(entry.Entry{Path: p, Content: "a file that is not in the lock", Platforms: []agent.Platform{c.Platform}})
		f.State = audit.Unexpected
		detail := "the file is not in the lock, and an agent might run it"
		if path.Ext(p) == ".yaml" && path.Dir(p) == "." {
			detail = "the file is not in the lock, and an agent would read it as the index of a repository"
		}
		if problem := c.Found[p].Problem; problem != "" {
			detail = problem + ", and is not in the lock"
		}
		c.report.Add(f, detail)
	}
	c.report.Leave(earlier)
}

// startState is what an agent finds.
func (c *Audited) startState() audit.StartState {
	g := audit.StartState{
		Startup: agent.Startup{Platform: c.Platform, Files: map[string]bool{}, Indexes: map[string][]byte{}, URLs: map[string]string{}},
		Lock:    c.Lock,
		Within:  func(u string) bool { return strings.HasPrefix(u, "file://") },
		OnDisk:  true,
	}
	for p, f := range c.Found {
		g.Files[p] = f.Problem == ""
	}
	for _, r := range c.Lock.Repositories {
		g.URLs[r.Name] = r.URL
		if f, there := c.Found[agent.IndexPath(r.Name)]; there && f.Problem == "" {
			g.Indexes[r.Name] = f.Data
		}
	}
	return g
}
