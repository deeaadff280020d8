package dir

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// directory is that of one platform, or the top of those of several.
type directory struct {
	*atomicdir.Tree
	// planned are the paths of the coming layout.
	planned   map[string]bool
	began     bool
	committed bool

	mu sync.Mutex
	// made has the digests of the files that were written, or were there.
	made map[string]lock.Blob
}

func newDirectory() *directory {
	return &directory{planned: map[string]bool{}, made: map[string]lock.Blob{}}
}

// openPlanned opens the directory of a plan, which no other form of output may have.
// Before its first file is staged, it is noted what the directory holds and will
// hold, so that nothing is forgotten if the run ends here.
func openPlanned(o Options, open func(begin func() error) (*atomicdir.Tree, error)) (*directory, error) {
	d := newDirectory()
	var err error
	if d.Tree, err = open(d.beginWriting); err != nil {
		return nil, err
	}
	// Only now has another run that wrote a site there come to its end.
	if site.InTree(d.Tree) {
		d.Close()
		return nil, fault.New(fault.Usage, "%s is a site", d.Path).WithHint("name another directory for the agent's cache directory")
	}
	if d.completed() {
		d.MayDisplace(o.Displaced)
	}
	return d, nil
}

// completed reports whether a run has come to its end in the directory, whatever
// became of it since.
func (d *directory) completed() bool {
	for _, p := range []string{lockPath, sumsPath} {
		if _, err := d.Root.Lstat(p); err == nil {
			return true
		}
	}
	return false
}

// Close removes what is unfinished, and a directory that was made for nothing.
func (d *directory) Close() error {
	return errors.Join(d.forgetUnwritten(), d.Tree.Close())
}

func (d *directory) record(p string, made lock.Blob) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.made[p] = made
}

// syncWritten makes the names of the directory's files durable.
func (d *directory) syncWritten() error {
	return d.SyncDirs(append(slices.Collect(maps.Keys(d.made)), lockPath))
}

// readMeta reads a file of ours, of bounded size.
func readMeta(t *atomicdir.Tree, p string) ([]byte, error) { return t.Read(p, maxMeta) }

// readLock reads the lock that is there.
func readLock(t *atomicdir.Tree) (*lock.Lock, error) {
	data, err := readMeta(t, lockPath)
	if err != nil {
		return nil, err
	}
	return lock.Parse(data)
}
