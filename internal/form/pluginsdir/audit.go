package pluginsdir

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/legible"
)

// Found is a file of a cache directory as it was found.
type Found struct {
	lock.Blob
	disk.Access
	// Problem says in words why it cannot be used: it is a link, or cannot be read.
	// The rest is not known then.
	Problem string
	// Program is what a binary is; the zero value if that is not known.
	Program agent.Program
	// Data is the content of what is no binary.
	Data []byte
}

// IsDocument reports whether a path of a cache directory is that of an index or
// of a file of ours, which are read as a whole.
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
	Found map[string]Found
	// At says where a path of the directory is in the whole.
	At func(path string) string
	// Superseded are paths that an earlier lock named, until they are pruned.
	Superseded []string
	// Mount is where the agent sees the directory; empty to take that from the
	// indexes.
	Mount string
}

// Audit finds out everything that is wrong with a cache directory, and what an
// agent would do with it.
func (a Audited) Audit(r *audit.Report) {
	c := &comparison{Audited: a, report: r}
	c.readSums()
	c.readChecksums()
	c.readLock()
	c.binaries()
	c.readIndexes()
	c.unexpected()
	c.predict()
}

// comparison is one run of [Audited.Audit].
type comparison struct {
	Audited
	report *audit.Report
	// sums are those of SHA256SUMS; nil if it cannot be read.
	sums map[string]lock.SHA256
	// mount is where the agent must see the directory, by its indexes.
	mount string
	// indexed are the digests that the indexes have, for a directory without
	// SHA256SUMS.
	indexed map[string]lock.SHA256
}

// ParseSums reads SHA256SUMS.
func ParseSums(data []byte) (map[string]lock.SHA256, error) {
	data, err := legible.Text(data)
	if err != nil {
		return nil, err
	}
	sums := map[string]lock.SHA256{}
	for line := range strings.Lines(string(data)) {
		digest, p, found := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		sum, err := lock.ParseSHA256(digest)
		if _, twice := sums[p]; !found || err != nil || twice {
			return nil, fmt.Errorf("%.200q is not a digest and a path that stands once", line)
		}
		sums[p] = sum
	}
	return sums, nil
}

const sumsOrder = "it does not list exactly the files that the lock names, in their order"

// CheckSums reports a SHA256SUMS, of which sums are what [ParseSums] read, that is not
// as it was written.
func CheckSums(data []byte, sums map[string]lock.SHA256) error {
	written := Sums(sums)
	if bytes.Equal(data, written) {
		return nil
	}
	if text, err := legible.Text(data); err == nil && bytes.Equal(text, written) {
		return errors.New("an editor changed its encoding or its line ends, so that sha256sum -c cannot read it")
	}
	return errors.New(sumsOrder)
}

// file describes a file of the directory.
func (c *comparison) file(p, content string, basis audit.Basis) audit.File {
	f := audit.File{Path: c.At(p), Content: content, Platforms: []agent.Platform{c.Platform}, State: audit.Intact, Basis: basis}
	if found, there := c.Found[p]; there && found.Problem == "" {
		f.Size, f.SHA256 = found.Size, &found.SHA256
	}
	return f
}

// readSums judges SHA256SUMS by what it names; its digests are compared with
// each file.
func (c *comparison) readSums() {
	f := c.file(SumsPath, "the digests of all files", "")
	detail := ""
	if found, there := c.Found[SumsPath]; there && found.Problem == "" {
		sums, err := ParseSums(found.Data)
		named := slices.Sorted(maps.Keys(sums))
		wanted := append(Paths(c.Lock, c.Platform), LockPath)
		slices.Sort(wanted)
		switch {
		case err != nil:
			f.State, detail = audit.Damaged, err.Error()
		case !slices.Equal(named, wanted):
			f.State, detail = audit.Damaged, sumsOrder
		default:
			if err := CheckSums(found.Data, sums); err != nil {
				f.State, detail = audit.Damaged, err.Error()
			}
		}
		c.sums = sums
	}
	c.judge(f, SumsPath, ownMode, nil, detail)
}

// ownMode is what must be granted of a file of [MetaDir]: the agent reads none.
const ownMode = 0

// judge completes what is known of a file, and reports it. Want is nil where
// nothing says what the digest should be.
func (c *comparison) judge(f audit.File, p string, mode fs.FileMode, want *lock.SHA256, detail string) {
	found, there := c.Found[p]
	switch {
	case !there:
		f.State, detail = audit.Missing, "it is missing"
	case found.Problem != "":
		f.State, detail = audit.Damaged, "it "+found.Problem
	case f.State != audit.Intact:
	case want != nil && *want != found.SHA256:
		f.State, f.Expected = audit.Damaged, want
		detail = fmt.Sprintf("its sha256 is %s, but %s says %s", found.SHA256, basisName(f.Basis), want)
	case found.Privileged():
		f.State, detail = audit.Damaged, "it has the set-user-ID or the set-group-ID bit, which pull never sets"
	default:
		if detail = found.Lacking(Reader, mode); detail != "" {
			f.State = audit.Damaged
		}
	}
	if f.State == audit.Intact && found.Exposed() {
		c.report.Expose(f.Path)
	}
	c.report.Add(f, detail)
}

func basisName(b audit.Basis) string {
	if b == audit.BySums {
		return string(b)
	}
	return "the " + string(b)
}

// noted returns the digest that SHA256SUMS has for a path.
func (c *comparison) noted(p string) *lock.SHA256 {
	if sum, listed := c.sums[p]; listed {
		return &sum
	}
	return nil
}

// readLock judges the lock, which was read already: whether it is written as it
// should be, and noted.
func (c *comparison) readLock() {
	data, err := c.Lock.Marshal()
	if err != nil {
		return // a lock that was parsed can be written
	}
	f, want, detail := c.file(LockPath, "the lock", audit.BySums), lock.Sum(data), ""
	noted, found := c.noted(LockPath), c.Found[LockPath]
	if noted == nil {
		f.Basis = "" // that SHA256SUMS says nothing was reported
	}
	switch {
	case found.Problem != "" || f.SHA256 == nil:
	case found.SHA256 != want:
		f.State, f.Expected = audit.Damaged, &want
		detail = "it is not the lock of this directory as it was written"
	case noted != nil && *noted != want:
		f.State, f.Expected = audit.Damaged, noted
		detail = "it and SHA256SUMS do not agree: one of the two is damaged"
	}
	c.judge(f, LockPath, ownMode, nil, detail)
}

// readChecksums reads the digests that indexes have of what they name.
func (c *comparison) readChecksums() {
	c.indexed = map[string]lock.SHA256{}
	note := func(p, digest string) {
		if sum, err := lock.ParseSHA256(digest); err == nil {
			c.indexed[p] = sum
		}
	}
	for _, r := range c.Lock.Repositories {
		ix, err := agent.ReadIndex(c.Found[agent.IndexPath(r.Name)].Data)
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

func (c *comparison) binaries() {
	for _, f := range c.Lock.Files(c.Platform) {
		file := c.file(f.Path, f.What(), audit.BySums)
		file.Sources = []lock.Artifact{f.Artifact}
		want, detail := c.noted(f.Path), ""
		if pinned, ok := f.Pinned(); ok {
			file.Basis = audit.ByLock
			if want != nil && *want != pinned.SHA256 {
				c.report.Fail(audit.Problem{Kind: audit.KindDamaged, Path: c.At(SumsPath), Detail: fmt.Sprintf("its digest of %s is not the lock's", c.At(f.Path))})
			}
			want = &pinned.SHA256
			if found := c.Found[f.Path]; found.SHA256 == *want && found.Size != pinned.Size {
				file.State, detail = audit.Damaged, fmt.Sprintf("it has %d bytes, but the lock says %d", found.Size, pinned.Size)
			}
		} else if sum, indexed := c.indexed[f.Path]; want == nil && indexed {
			want, file.Basis = &sum, audit.ByIndex
		}
		if want == nil {
			file.Basis, file.State, detail = "", audit.Damaged, "neither SHA256SUMS nor the index says what it should be"
		}
		c.judge(file, f.Path, f.Mode(), want, detail)
		if found := c.Found[f.Path]; found.Problem == "" {
			if unfit, is := JudgeProgram(c.Platform, f, lock.Made{Blob: found.Blob, Program: found.Program}); is {
				unfit.Report(c.report, c.At(f.Path))
			}
		}
	}
}

// readIndexes judges each index: whether it is the one that was written, whether
// the agent takes it, and whether it is that of the lock.
func (c *comparison) readIndexes() {
	for _, r := range c.Lock.Repositories {
		p := agent.IndexPath(r.Name)
		f := c.file(p, "the index of "+r.Name, audit.BySums)
		want := c.noted(p)
		if want == nil {
			f.Basis = "" // that SHA256SUMS says nothing was reported
		}
		c.judge(f, p, agent.IndexMode, want, "")
		if found, there := c.Found[p]; there && found.Problem == "" {
			for _, problem := range c.indexProblems(r, found.Data) {
				c.report.Fail(audit.Problem{Kind: audit.KindIndex, Path: c.At(p), Detail: problem})
			}
		}
	}
}

// indexProblems says what is wrong with an index.
func (c *comparison) indexProblems(r lock.Repository, data []byte) []string {
	mount := MountIn(data, r.Name, c.Platform)
	if c.mount == "" {
		c.mount = mount
	}
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
	problems := IndexProblems(data, c.Lock, r, func(p lock.Plugin) (map[agent.Platform]agent.Build, error) {
		return map[agent.Platform]agent.Build{c.Platform: localBuild(p, c.Platform, at, made)}, nil
	})
	if mount != c.mount && mount != "" {
		problems = append(problems, fmt.Sprintf("it is for a directory at %s, another index for one at %s", mount, c.mount))
	}
	if mount != "" && c.Mount != "" && mount != c.Mount {
		problems = append(problems, fmt.Sprintf("it names files below %s, but the agent sees the directory at %s", mount, c.Mount))
	}
	return problems
}

// IndexProblems compares a rewritten index with what the agent takes and with
// the lock: it must name exactly the lock's plugins of the repository, each with
// the builds given, and nothing else to download.
func IndexProblems(data []byte, l *lock.Lock, r lock.Repository, builds func(lock.Plugin) (map[agent.Platform]agent.Build, error)) []string {
	ix, err := agent.ReadIndex(data)
	if err != nil {
		return []string{"the agent refuses it: " + strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	var problems []string
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	seen := map[agent.PluginKey]map[agent.PluginType]bool{}
	for i := range ix.Entries {
		e := &ix.Entries[i]
		n := slices.IndexFunc(l.Plugins, func(p lock.Plugin) bool { return p.Matches(r.Name, e) })
		if n < 0 {
			report("it names %s, which the lock does not", e.Label())
			continue
		}
		p := l.Plugins[n]
		if seen[p.Key()] == nil {
			seen[p.Key()] = map[agent.PluginType]bool{}
		}
		seen[p.Key()][p.Type] = true
		for _, ref := range e.RefURLs() {
			report("%s refers to a JSON schema at %s", e.Label(), agent.Redact(ref))
		}
		want, err := builds(p)
		if err != nil {
			report("%s: %v", e.Label(), err)
			continue
		}
		problems = append(problems, buildProblems(e, ownDependencies(p, want))...)
	}
	for _, p := range l.Plugins {
		if p.Repository == r.Name && !seen[p.Key()][p.Type] {
			report("it lacks %s %s, which the lock names", p.Type, p.Key())
		}
	}
	return problems
}

// ownDependencies drops what only a newer version of a plugin lists: it is
// mirrored, but rewriting an entry does not add it.
func ownDependencies(p lock.Plugin, builds map[agent.Platform]agent.Build) map[agent.Platform]agent.Build {
	for _, b := range p.Builds {
		for _, d := range b.Dependencies {
			if d.FromNewest {
				delete(builds[b.Platform].Dependencies, d.Name)
			}
		}
	}
	return builds
}

// buildProblems compares the builds of an entry.
func buildProblems(e *agent.Entry, want map[agent.Platform]agent.Build) []string {
	var problems []string
	for _, u := range e.URLs {
		if _, wanted := want[agent.Platform(u.Platform)]; !wanted {
			problems = append(problems, fmt.Sprintf("%s is offered for %.40s/%.40s, which the lock does not name", e.Label(), u.Platform.OS, u.Platform.Arch))
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(want), agent.ComparePlatforms) {
		have, offered := e.Build(p)
		w := want[p]
		switch {
		case !offered:
			problems = append(problems, fmt.Sprintf("%s is not offered for %s", e.Label(), p))
		case have.URL != w.URL:
			problems = append(problems, fmt.Sprintf("%s for %s leads to %.300q, not to %s", e.Label(), p, agent.Redact(have.URL), w.URL))
		case have.Checksum != w.Checksum:
			problems = append(problems, fmt.Sprintf("%s for %s has the checksum %.80q, not %s", e.Label(), p, have.Checksum, w.Checksum))
		case !reflect.DeepEqual(have.Dependencies, w.Dependencies):
			problems = append(problems, dependencyProblems(e, p, have.Dependencies, w.Dependencies)...)
		}
	}
	return problems
}

func dependencyProblems(e *agent.Entry, p agent.Platform, have, want map[string]string) []string {
	var problems []string
	names := slices.Concat(slices.Collect(maps.Keys(have)), slices.Collect(maps.Keys(want)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		h, listed := have[name]
		w, wanted := want[name]
		switch {
		case h == w:
		case !listed:
			problems = append(problems, fmt.Sprintf("%s for %s lacks the dependency %s", e.Label(), p, name))
		case !wanted:
			problems = append(problems, fmt.Sprintf("%s for %s has the dependency %.80q, which the lock does not name", e.Label(), p, name))
		default:
			problems = append(problems, fmt.Sprintf("the dependency %s of %s for %s leads to %.300q, not to %s", name, e.Label(), p, agent.Redact(h), w))
		}
	}
	return problems
}

// MountIn returns where the agent must see a directory, by one of its indexes;
// empty if that cannot be told.
func MountIn(data []byte, repository string, p agent.Platform) string {
	ix, err := agent.ReadIndex(data)
	if err != nil {
		return ""
	}
	for i := range ix.Entries {
		e := &ix.Entries[i]
		build, _ := e.Build(p)
		u, err := url.Parse(build.URL)
		if err != nil {
			continue
		}
		if mount, ok := strings.CutSuffix(u.Path, "/"+agent.BinaryPath(repository, e.Type, e.Version, e.Name)); ok {
			return "/" + strings.TrimPrefix(mount, "/")
		}
	}
	return ""
}

// unexpected reports what lies where the agent looks for plugins and indexes,
// and nothing names.
func (c *comparison) unexpected() {
	wanted := Paths(c.Lock, c.Platform)
	earlier := 0
	for _, p := range slices.Sorted(maps.Keys(c.Found)) {
		if _, named := slices.BinarySearch(wanted, p); named || strings.HasPrefix(p, MetaDir+"/") {
			continue
		}
		if disk.IsLeftover(path.Base(p)) {
			continue
		}
		if slices.Contains(c.Superseded, p) && c.Found[p].Problem == "" {
			earlier++
			continue
		}
		f := c.file(p, "nothing that the lock names", "")
		f.State = audit.Unexpected
		detail := "the lock does not name it, and an agent might run it"
		if path.Ext(p) == ".yaml" && path.Dir(p) == "." {
			detail = "the lock does not name it, and an agent takes it for the index of a repository"
		}
		if odd := c.Found[p].Problem; odd != "" {
			detail = "it " + odd + ", and the lock does not name it"
		}
		c.report.Add(f, detail)
	}
	c.report.Leave(earlier)
}

// predict says what the agent would do.
func (c *comparison) predict() {
	g := audit.StartState{
		Platform: c.Platform, Lock: c.Lock, Files: map[string]bool{}, Indexes: map[string][]byte{}, URLs: map[string]string{},
		Within: func(u string) bool { return strings.HasPrefix(u, "file://") }, OnDisk: true,
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
	c.report.Expect(g)
}
