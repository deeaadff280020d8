package dir

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/index"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/store"
)

// commit completes a platform's directory. The order counts: whatever comes
// last is what an agent, a later run or a person takes as the sign that the
// rest is there.
func (t *tree) commit(ctx context.Context, l *lock.Lock, p agent.Platform, o Options) (bool, error) {
	indexes, err := t.indexes(l, p, o)
	if err != nil {
		return false, err
	}
	lockData, err := l.Marshal()
	if err != nil {
		return false, err
	}
	type file struct {
		path string
		data []byte
	}
	files := []file{{sumsPath, t.sums(indexes, lockData)}, {lockPath, lockData}}
	for _, r := range l.Repositories {
		files = append(files, file{agent.IndexPath(r.Name), indexes[agent.IndexPath(r.Name)]})
	}
	if err := t.syncDirs(); err != nil {
		return false, err
	}
	written := false
	for _, f := range files {
		changed, err := t.put(ctx, f.path, f.data)
		if err != nil {
			return false, err
		}
		written = written || changed
	}
	if err := t.writeSuperseded(supersededBy(t.superseded(), layout(l, p))); err != nil {
		return false, err
	}
	t.committed = true
	return written, t.syncDirs()
}

// syncDirs makes the names of the tree's files durable.
func (t *tree) syncDirs() error {
	dirs := map[string]bool{".": true, metaDir: true}
	for p := range t.made {
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			dirs[dir] = true
		}
	}
	for _, dir := range t.created {
		if err := disk.SyncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	for _, dir := range sortedKeys(dirs) {
		if err := disk.SyncDir(filepath.Join(t.path, filepath.FromSlash(dir))); err != nil {
			return err
		}
	}
	return nil
}

// commitWhole writes the lock of a directory for several platforms. The sums of
// one for a single platform, which it may have been, no longer hold.
func (t *tree) commitWhole(ctx context.Context, l *lock.Lock) (bool, error) {
	data, err := l.Marshal()
	if err != nil {
		return false, err
	}
	written, err := t.put(ctx, lockPath, data)
	if err != nil {
		return false, err
	}
	t.committed = true
	if err := t.writeSuperseded(supersededBy(t.superseded(), t.layoutOf(l))); err != nil {
		return false, err
	}
	if _, err := t.root.Lstat(sumsPath); err == nil {
		if err := t.root.Remove(sumsPath); err != nil {
			return false, err
		}
	}
	return written, t.syncDirs()
}

// sums is the content of SHA256SUMS.
func (t *tree) sums(indexes map[string][]byte, lockData []byte) []byte {
	digests := map[string]lock.SHA256{lockPath: lock.Sum(lockData)}
	for p, made := range t.made {
		digests[p] = made.SHA256
	}
	for p, data := range indexes {
		digests[p] = lock.Sum(data)
	}
	var out bytes.Buffer
	for _, p := range sortedKeys(digests) {
		fmt.Fprintf(&out, "%s  %s\n", digests[p], p)
	}
	return out.Bytes()
}

// indexes returns the rewritten indexes by path.
func (t *tree) indexes(l *lock.Lock, p agent.Platform, o Options) (map[string][]byte, error) {
	indexes := map[string][]byte{}
	for _, r := range l.Repositories {
		upstream, err := o.Store.ReadAll(r.Index.SHA256, index.MaxSize)
		if err != nil {
			return nil, fmt.Errorf("reading the index of %q: %w", r.Name, err)
		}
		ix, err := index.Parse(upstream)
		if err != nil {
			return nil, fmt.Errorf("reading the index of %q: %w", r.Name, err)
		}
		rewritten, err := t.rewrite(ix, r, l, p, o)
		if err != nil {
			return nil, fmt.Errorf("rewriting the index of %q: %w", r.Name, err)
		}
		indexes[agent.IndexPath(r.Name)] = rewritten
	}
	return indexes, nil
}

// rewrite points an index to the files of this directory.
func (t *tree) rewrite(ix *index.Index, r lock.Repository, l *lock.Lock, p agent.Platform, o Options) ([]byte, error) {
	schemas, err := schemaTexts(r, o.Store)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(r.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the URL of %q: %w", r.Name, err)
	}
	return ix.Rewrite(func(e *agent.Entry) (index.Replacement, bool) {
		i := slices.IndexFunc(l.Plugins, func(p lock.Plugin) bool { return p.Is(r.Name, e) })
		if i < 0 {
			return index.Replacement{}, false
		}
		return index.Replacement{
			Builds:  map[agent.Platform]agent.Build{p: t.localBuild(l.Plugins[i], p, o.Mount)},
			Schemas: schemas.of(e, base),
		}, true
	})
}

// localBuild is a build whose URLs are files of this directory.
func (t *tree) localBuild(plugin lock.Plugin, p agent.Platform, mount string) agent.Build {
	binary := plugin.Binary()
	local := agent.Build{URL: fileURL(mount, binary), Checksum: t.made[binary].SHA256.String(), Dependencies: map[string]string{}}
	for _, build := range plugin.Builds {
		if build.Platform != p {
			continue
		}
		for _, d := range build.Dependencies {
			at := agent.DependencyPath(binary, d.Name)
			local.Dependencies[d.Name] = fileURL(mount, at) + "?checksum=sha256:" + t.made[at].SHA256.String()
		}
	}
	return local
}

// fileURL is where the agent sees a file of the directory.
func fileURL(mount, p string) string {
	return (&url.URL{Scheme: "file", Path: path.Join(mount, p)}).String()
}

// texts are the JSON schemas of a repository by their absolute URLs.
type texts map[string]string

func schemaTexts(r lock.Repository, s *store.Store) (texts, error) {
	all := texts{}
	for _, schema := range r.Schemas {
		data, err := s.ReadAll(schema.SHA256, lock.MaxSchema)
		if err != nil {
			return nil, fmt.Errorf("reading the JSON schema %s: %w", schema.URL, err)
		}
		all[schema.URL] = string(data)
	}
	return all, nil
}

// of returns the texts by the URLs that the entry has.
func (t texts) of(e *agent.Entry, base *url.URL) map[string]string {
	byRef := map[string]string{}
	for _, ref := range e.RefURLs() {
		abs, err := agent.ResolveLocation(base, ref)
		if text, found := t[agent.Redact(abs)]; err == nil && found {
			byRef[ref] = text
		}
	}
	return byRef
}
