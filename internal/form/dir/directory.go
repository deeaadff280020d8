package dir

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// directory is that of one platform, or the top of those of several.
type directory struct {
	*atomicdir.Tree
	// planned are the paths of the coming layout.
	planned map[string]bool

	begin     sync.Once
	began     bool
	failed    error
	committed bool

	mu sync.Mutex
	// made has the digests of placed files.
	made map[string]lock.Blob
}

func newDirectory(t *atomicdir.Tree) *directory {
	return &directory{Tree: t, planned: map[string]bool{}, made: map[string]lock.Blob{}}
}

// openPlanned opens the directory of a plan, which no other form of output may
// have.
func openPlanned(name string, open func(name string) (*atomicdir.Tree, error), o Options) (*directory, error) {
	t, err := open(name)
	if err != nil {
		return nil, err
	}
	d := newDirectory(t)
	// Only now has another run that wrote a site there come to its end.
	if site.InTree(t) {
		d.Close()
		return nil, fault.New(fault.Usage, "%s is a site", t.Path).WithHint("name another directory for the agent's cache directory")
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

// Stage creates a file under a temporary name. Before the first one, it notes
// what the directory holds and will hold, so that nothing is forgotten if the
// run ends here.
func (d *directory) Stage() (*atomicdir.Staged, error) {
	if err := d.note(); err != nil {
		return nil, err
	}
	return d.Tree.Stage()
}

// Put writes a small file if the directory does not hold that already. Like
// [directory.Stage], it notes first.
func (d *directory) Put(ctx context.Context, p string, data []byte) (bool, error) {
	blob := lock.Blob{Size: int64(len(data)), SHA256: lock.Sum(data)}
	if same, err := d.Holds(ctx, p, blob, agent.IndexMode); err != nil || same {
		return false, err
	}
	if err := d.note(); err != nil {
		return false, err
	}
	return true, d.Write(p, data, agent.IndexMode)
}

func (d *directory) note() error {
	d.begin.Do(func() { d.began, d.failed = true, d.beginWriting() })
	return d.failed
}

// syncPlaced makes the names of the directory's files durable.
func (d *directory) syncPlaced() error {
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
