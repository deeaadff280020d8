package serve

import (
	"slices"
	"sync"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// document is a small file that depends on the base URL.
type document struct {
	data []byte
	sum  lock.SHA256
}

// renderCache keeps the documents of versions for the base URLs of the latest
// requests. Clients choose the host, and so the number of base URLs: the cache
// is bounded.
type renderCache struct {
	mu sync.Mutex
	// kept is in the order of use, the latest last.
	kept []rendering
}

type rendering struct {
	version   *form.Version
	base      string
	documents map[string]document
}

const maxRenderings = 16

// get returns the documents of a version for a base URL, by path. It renders one
// version at a time, so that unknown hosts take one processor at most.
func (c *renderCache) get(v *form.Version, base string) (map[string]document, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.kept, func(r rendering) bool { return r.version == v && r.base == base })
	if i >= 0 {
		found := c.kept[i]
		c.kept = append(slices.Delete(c.kept, i, i+1), found)
		return found.documents, nil
	}
	list, err := site.Documents(v.Lock, base, v.Indexes)
	if err != nil {
		return nil, err
	}
	made := rendering{v, base, map[string]document{}}
	for _, d := range list {
		made.documents[d.Path] = document{d.Data, lock.Sum(d.Data)}
	}
	if len(c.kept) >= maxRenderings {
		c.kept = slices.Delete(c.kept, 0, 1)
	}
	c.kept = append(c.kept, made)
	return made.documents, nil
}
