// Package resolve makes a plan: which plugins, images and charts are mirrored, which files that needs,
// and where their checksums come from. It reads indexes, values and locks.
package resolve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// Plan says what to mirror and what to download for it.
type Plan struct {
	// Lock is the lock to write. It lacks sizes and digests of artifacts until [Plan.Complete].
	Lock *lock.Lock
	// Downloads has one request for each of Lock.Artifacts, in the same order.
	Downloads []fetch.Request
	// Enforced says that an existing lock gave the sizes and digests.
	Enforced bool
	// ImageSources has the repositories to read the images' blobs from.
	ImageSources map[lock.ImageRole]*registry.Repository
	// NotSelected has platforms that the selected plugins also have.
	NotSelected []agent.Platform
	// LocalTemplates has the sources of templates that are not mirrored.
	LocalTemplates []LocalTemplates
	// Troubles says, by the URL of an artifact, what is wrong with its checksum files.
	Troubles map[string][]string
	// Unasked has the URLs of artifacts for which no server could say whether there is a checksum
	// file.
	Unasked map[string]bool
}

// Complete records the size and the digest of artifact i.
func (p *Plan) Complete(i int, r fetch.Result) {
	p.Lock.Artifacts[i].Blob = lock.Blob{Size: r.Size, SHA256: r.SHA256}
}

// CompleteTemplates records the size, the digest and the files of artifact i, a directory of templates.
// A later download must match.
func (p *Plan) CompleteTemplates(i int, r fetch.Result) {
	p.Complete(i, r)
	d := &p.Downloads[i]
	d.Checksums, d.Size, d.Source = r.Digests, r.Size, "the first download"
	for _, plugin := range p.Lock.Plugins {
		for j, t := range plugin.Templates {
			if t.URL == p.Lock.Artifacts[i].URL {
				plugin.Templates[j].Files = r.Files
			}
		}
	}
}

// OpenTemplates returns the indexes of artifacts that are templates without a known list of files.
func (p *Plan) OpenTemplates() (indexes []int) {
	open := map[string]bool{}
	for _, plugin := range p.Lock.Plugins {
		for _, t := range plugin.Templates {
			open[t.URL] = open[t.URL] || len(t.Files) == 0
		}
	}
	for i, a := range p.Lock.Artifacts {
		if open[a.URL] {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// Resolver makes a [Plan] from a [Selection]. All fields but Registry must be set.
type Resolver struct {
	Fetch *fetch.Client
	// Registry reads images. It may be nil if no image is selected.
	Registry *registry.Client
	// Store gets the indexes and schemas, unchanged.
	Store *store.Store
	// Lookups is how many small documents are requested at a time.
	Lookups int
	// Note gets remarks for the user, Warn warnings. Both are one sentence.
	Note, Warn func(string)
	// Collected gets the requests for all files before their checksums are looked up. With a lock, it
	// is called before indexes are compared.
	Collected func([]fetch.Request)
}

// Resolve requests indexes, JSON schemas and publishers' checksum files, but no artifacts. Its error
// has several problems if they are independent.
func (r *Resolver) Resolve(ctx context.Context, sel Selection) (*Plan, error) {
	members := &memberPrefetch{Resolver: r, sel: sel}
	defer members.stop()
	if sel.pinned != nil {
		if sel.pinned == sel.locked { // for a part, the files are known after the indexes are read
			r.Collected(pinnedRequests(sel.pinned))
		}
		members.start(ctx, sel.pinned.Platforms)
	}
	repositories, err := r.repositories(ctx, sel)
	if err != nil {
		return nil, err
	}
	selected, platforms, err := r.selectEntries(&sel, repositories)
	if err != nil {
		return nil, err
	}
	collected, err := r.collectFiles(&sel, repositories, selected, platforms)
	if err != nil {
		return nil, err
	}
	if sel.pinned == nil {
		r.Collected(collected.requests())
		members.start(ctx, platforms)
	}
	if err := r.schemas(ctx, repositories, selected); err != nil {
		return nil, err
	}
	if sel.pinned == nil {
		if err := r.publishers(ctx, collected.artifacts, sel.Pin); err != nil {
			return nil, err
		}
	}
	plan, err := collected.plan(sel.Version, repositories, platforms)
	if err != nil {
		return nil, err
	}
	plan.NotSelected = sel.notSelected(selected, platforms)
	if sel.pinned == nil {
		r.noteRemaining(plan.Lock, sel.Replacements)
	} else if err := enforce(plan, sel.pinned, sel.Replacements); err != nil {
		return nil, err
	}
	if err := members.join(plan); err != nil {
		return nil, err
	}
	if sel.RequireChecksums {
		err = requireChecksums(plan, sel.pinned)
	}
	return plan, err
}

// selectEntries selects entries of the indexes, and the platforms. If a part of a lock is selected,
// it narrows the part with the help of the indexes.
func (r *Resolver) selectEntries(sel *Selection, repositories []*repository) ([]index.Selected, []agent.Platform, error) {
	indexes := map[string]*index.Index{}
	for _, repo := range repositories {
		indexes[repo.Name] = repo.index
	}
	if sel.pinned != sel.locked {
		if err := sel.narrow(indexes); err != nil {
			return nil, nil, err
		}
		r.Collected(pinnedRequests(sel.pinned))
	}
	sel.adoptReplacements()
	if err := sel.checkReplacements(indexes); err != nil {
		return nil, nil, err
	}
	selected, platforms, err := index.Select(indexes, sel.Selection)
	switch {
	case err != nil && sel.pinned != nil:
		return nil, nil, fault.New(fault.Integrity, "selecting the lock's plugins in the index: %w", err).
			WithHint("the lock and the index do not belong together: write a new lock with botkube-mirror lock")
	case err != nil:
		return nil, nil, fault.New(fault.Usage, "selecting plugins: %w", err)
	}
	return selected, platforms, nil
}

// collectFiles collects the files of entries, with their templates. It removes other templates from
// the pinned part.
func (r *Resolver) collectFiles(sel *Selection, repositories []*repository, selected []index.Selected, platforms []agent.Platform) (*collection, error) {
	collected, err := collect(repositories, selected, sel.here)
	if err != nil {
		return nil, err
	}
	if err := r.judgeReplacements(sel.Replacements, selected, platforms); err != nil {
		return nil, err
	}
	if err := collected.templates(selected, sel.Templates, sel.pinned); err != nil {
		return nil, err
	}
	if sel.pinned != nil {
		if err := sel.narrowTemplates(collected.plugins); err != nil {
			return nil, err
		}
	}
	return collected, nil
}

// notSelected returns the other platforms of the selected entries; with a lock, those in the lock.
func (sel *Selection) notSelected(selected []index.Selected, platforms []agent.Platform) (others []agent.Platform) {
	for _, p := range index.OfferedPlatforms(selected) {
		if !slices.Contains(platforms, p) && (sel.locked == nil || slices.Contains(sel.locked.Platforms, p)) {
			others = append(others, p)
		}
	}
	return others
}

// repository is a repository while it is resolved.
type repository struct {
	agent.Repository
	url   *url.URL
	index *index.Index
	// schemas has the URLs of lock.Schemas, with their secrets.
	schemas []string
	lock    lock.Repository
	// pinned is the repository in the enforced lock, or nil.
	pinned *lock.Repository
}

func (r *Resolver) repositories(ctx context.Context, sel Selection) ([]*repository, error) {
	repositories, err := newRepositories(sel)
	if err != nil {
		return nil, err
	}
	return repositories, errors.Join(r.indexes(ctx, repositories)...)
}

func newRepositories(sel Selection) ([]*repository, error) {
	repositories := make([]*repository, len(sel.Repositories))
	for i, repo := range sel.Repositories {
		if err := agent.CheckRepository(repo.Name); err != nil {
			return nil, fault.New(fault.Usage, "%w", err)
		}
		if slices.ContainsFunc(sel.Repositories[:i], func(r agent.Repository) bool { return r.Name == repo.Name }) {
			return nil, fault.New(fault.Usage, "repository %q is given twice", repo.Name)
		}
		u, err := url.Parse(repo.URL)
		if err != nil || u.Scheme == "" {
			return nil, fault.New(fault.Usage, "the index URL of repository %q is malformed", repo.Name)
		}
		repositories[i] = &repository{Repository: repo, url: u}
		if sel.pinned == nil {
			continue
		}
		for j, p := range sel.pinned.Repositories {
			if p.Name == repo.Name {
				repositories[i].pinned = &sel.pinned.Repositories[j]
			}
		}
	}
	return repositories, nil
}

// indexes reads the indexes of repositories. It returns an error, or nil, for each.
func (r *Resolver) indexes(ctx context.Context, repositories []*repository) []error {
	problems := make([]error, len(repositories))
	var group errgroup.Group
	group.SetLimit(r.Lookups)
	for i, repo := range repositories {
		group.Go(func() error {
			problems[i] = r.index(ctx, repo)
			return nil
		})
	}
	_ = group.Wait() // the errors are in problems
	return problems
}

func (r *Resolver) index(ctx context.Context, repo *repository) error {
	repo.lock = lock.Repository{Name: repo.Name, URL: agent.Redact(repo.URL)}
	var want *lock.SHA256
	if repo.pinned != nil {
		want = &repo.pinned.Index.SHA256
	}
	data, err := r.document(ctx, repo.Repository, index.MaxSize, "index", want)
	if err != nil {
		return r.indexError(repo, err)
	}
	repo.index, err = index.Parse(data)
	if err == nil && len(repo.index.Entries) == 0 {
		// The agent would accept it, but the mirror would have no plugins.
		err = errNoEntries
	}
	if err != nil {
		return unusableIndex(repo, err)
	}
	if repo.lock.Index, err = r.put(data); err == nil {
		// This is for completion in shells only, so errors do not matter.
		_ = r.Store.NoteIndex(store.Index{Repository: repo.Name, URL: repo.lock.URL, SHA256: repo.lock.Index.SHA256, Seen: time.Now()})
	}
	return err
}

// document returns a small file. If a lock pins it, document takes it from the store if possible, so
// that a pull with a lock does not need upstream for it.
func (r *Resolver) document(ctx context.Context, from agent.Repository, most int64, what string, pinned *lock.SHA256) ([]byte, error) {
	if pinned != nil {
		if data, err := r.Store.ReadAll(*pinned, most); err == nil {
			return data, nil
		}
	}
	header, err := header(from)
	if err != nil {
		return nil, err
	}
	data, err := r.Fetch.Document(ctx, from.URL, most, header)
	if err == nil && pinned != nil && lock.Sum(data) != *pinned {
		err = fault.New(fault.Integrity, "%s has sha256 %s, but the lock pins %s", agent.Redact(from.URL), lock.Sum(data), *pinned).
			WithHint("the %s has changed upstream: write a new lock with botkube-mirror lock, and compare the two with botkube-mirror diff", what)
	}
	return data, err
}

func (r *Resolver) put(data []byte) (lock.Blob, error) {
	sum, err := r.Store.Put(data)
	return lock.Blob{Size: int64(len(data)), SHA256: sum}, err
}

var errNoEntries = errors.New("the index has no entries")

const lookElsewhere = "open the URL on another machine: if it is the same there, report it to its publisher"

// unusableIndex returns the error for an index that cannot be used.
func unusableIndex(repo *repository, err error) error {
	what := fmt.Sprintf("the index of repository %q at %s", repo.Name, agent.Redact(repo.URL))
	none, isNone := errors.AsType[*index.NotIndexError](err)
	switch {
	case isNone && none.What == textfile.Empty:
		return fault.New(fault.Upstream, "%s is empty", what).WithHint(lookElsewhere)
	case isNone && none.What == textfile.LFSPointer:
		return fault.New(fault.Integrity, "%s is %s, not a plugin index", what, none.What).WithHint("%s", fetch.HintLFS)
	case isNone:
		return fault.New(fault.Integrity, "%s is %s, not a plugin index", what, none.What).WithHint(lookElsewhere)
	case errors.Is(err, errNoEntries):
		return fault.New(fault.Upstream, "%s has no entries", what).WithHint(lookElsewhere)
	}
	return fault.New(fault.Integrity, "%s has errors for which the agent would refuse all of it, or which cannot be mirrored:\n%w", what, err).
		WithHint("report them to its publisher; until then, name only the other repositories with --repository")
}

// schemas reads the JSON schemas that selected entries name by URL.
func (r *Resolver) schemas(ctx context.Context, repositories []*repository, selected []index.Selected) error {
	for _, repo := range repositories {
		if err := repo.listSchemas(selected); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.Lookups)
	for _, repo := range repositories {
		for i, url := range repo.schemas {
			group.Go(func() error { return r.schema(ctx, url, &repo.lock.Schemas[i], repo.pinned) })
		}
	}
	return group.Wait()
}

func (repo *repository) listSchemas(selected []index.Selected) error {
	for _, e := range selected {
		if e.Repository != repo.Name {
			continue
		}
		for _, ref := range e.RefURLs() {
			abs, err := agent.ResolveLocation(repo.url, ref)
			if err == nil {
				err = checkLocal(repo.url, abs)
			}
			if err != nil {
				return fault.New(fault.Integrity, "the JSON schema of %s: %w", e.Key(), err).
					WithHint("leave the plugin out with --exclude %s/%s", e.Repository, e.Name)
			}
			if !slices.Contains(repo.schemas, abs) {
				repo.schemas = append(repo.schemas, abs)
				repo.lock.Schemas = append(repo.lock.Schemas, lock.Schema{URL: agent.Redact(abs)})
			}
		}
	}
	return nil
}

func (r *Resolver) schema(ctx context.Context, url string, s *lock.Schema, pinned *lock.Repository) error {
	var want *lock.SHA256
	if pinned != nil {
		if i := slices.IndexFunc(pinned.Schemas, func(p lock.Schema) bool { return p.URL == s.URL }); i >= 0 {
			want = &pinned.Schemas[i].SHA256
		}
	}
	data, err := r.document(ctx, agent.Repository{URL: url}, lock.MaxSchema, "JSON schema", want)
	if err != nil {
		return fmt.Errorf("JSON schema: %w", err)
	}
	if text, err := textfile.Decode(data); err != nil || !json.Valid(text) {
		return fault.New(fault.Integrity, "the JSON schema at %s is %s, not JSON", agent.Redact(url), textfile.Kind(data))
	}
	s.Blob, err = r.put(data)
	return err
}

// requireChecksums returns an error that lists all files without a checksum from upstream or a lock.
func requireChecksums(plan *Plan, pinned *lock.Lock) error {
	l := plan.Lock
	var urls []string
	instead := ""
	for _, a := range l.Artifacts {
		if a.VerifiedBy != lock.ByNone || pinned != nil {
			continue
		}
		urls = append(urls, "  "+a.URL)
		for _, trouble := range plan.Troubles[a.URL] {
			urls = append(urls, "    "+trouble)
		}
		if a.DirArchive == lock.DirArchiveYAML {
			instead = ", and templates with --no-exec-templates"
		}
	}
	if l.Chart != nil && l.Chart.VerifiedBy == lock.ByNone && pinned == nil {
		urls = append(urls, "  "+l.Chart.URL)
	}
	for _, im := range l.Images() {
		if !strings.Contains(im.Reference, "@") && pinnedImage(pinned, im.Role) == nil { // a tag may move
			urls = append(urls, "  "+im.Reference)
		}
	}
	if len(urls) == 0 {
		return nil
	}
	for _, d := range lock.ReplacedIn(l.Plugins) {
		if location, _ := agent.ParseLocation(d.URL); slices.Contains(urls, "  "+location.URL) && !location.IsGit {
			instead += "\nor add the checksum to the URL of --dependency: ?checksum=sha256:HEX"
			break
		}
	}
	return fault.New(fault.Integrity, "checksums are required, but these files have none:\n%s", strings.Join(urls, "\n")).
		WithHint("check these files yourself, write a lock with botkube-mirror lock, and use it: botkube-mirror pull --lock FILE\nor leave their plugins out with --exclude%s", instead)
}
