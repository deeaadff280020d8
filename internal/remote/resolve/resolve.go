// Package resolve makes a plan: what is mirrored, which files that takes, and who vouches for them.
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

// Plan is what a mirror takes.
type Plan struct {
	// Lock lacks sizes and digests of artifacts that nobody gave: see [Plan.Complete].
	Lock *lock.Lock
	// Downloads has one request for each of Lock.Artifacts, in their order.
	Downloads []fetch.Request
	// Enforced says that an earlier lock vouches for what nobody else does.
	Enforced bool
	// ImageSources have the blobs of the images of Lock.
	ImageSources map[lock.ImageRole]*registry.Repository
	// NotSelected are platforms that the selected plugins also offer.
	NotSelected []agent.Platform
	// LocalTemplates are not mirrored.
	LocalTemplates []LocalTemplates
	// Troubles has, by the URL of an artifact, what is wrong with its checksum files.
	Troubles map[string][]string
	// Unasked has the URLs of artifacts of which nobody knows whether there is a checksum file.
	Unasked map[string]bool
}

// Complete records what artifact i turned out to be.
func (p *Plan) Complete(i int, r fetch.Result) {
	p.Lock.Artifacts[i].Blob = lock.Blob{Size: r.Size, SHA256: r.SHA256}
}

// CompleteTemplates records what the templates of artifact i turned out to be.
// From then on, nothing else will do.
func (p *Plan) CompleteTemplates(i int, r fetch.Result) {
	p.Complete(i, r)
	d := &p.Downloads[i]
	d.Checksums, d.Size, d.Source = r.Digests, r.Size, "what was downloaded before"
	for _, plugin := range p.Lock.Plugins {
		for j, t := range plugin.Templates {
			if t.URL == p.Lock.Artifacts[i].URL {
				plugin.Templates[j].Files = r.Files
			}
		}
	}
}

// OpenTemplates returns the indexes of templates whose files are not known yet.
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

// Resolver makes a [Plan] of a [Selection]. All fields but Registry must be set.
type Resolver struct {
	Fetch *fetch.Client
	// Registry is asked for images. It may be nil if none is wanted.
	Registry *registry.Client
	// Store receives the indexes and schemas as upstream served them.
	Store *store.Store
	// Lookups is how many small documents are requested at a time.
	Lookups int
	// Note is told what a person may want to know, Warn what may be wrong.
	Note, Warn func(string)
	// Collected is called with the wanted files before their checksums are asked for. With a lock,
	// it is called before indexes are compared.
	Collected func([]fetch.Request)
}

// Resolve requests indexes, JSON schemas and publishers' checksum files, but no artifact.
// Problems are reported together where they do not hide each other.
func (r *Resolver) Resolve(ctx context.Context, sel Selection) (*Plan, error) {
	members := &membersAhead{Resolver: r, sel: sel}
	defer members.stop()
	if sel.pinned != nil {
		if sel.pinned == sel.locked { // the indexes say which files a part has
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

// selectEntries selects entries of the indexes, and tells for which platforms. If it is a part of a
// lock that is selected, that gets what only the indexes tell.
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
		return nil, nil, fault.New(fault.Integrity, "selecting what the lock pins: %w", err).
			WithHint("the lock and the index do not belong together: write a new lock with the command lock")
	case err != nil:
		return nil, nil, fault.New(fault.Usage, "selecting plugins: %w", err)
	}
	return selected, platforms, nil
}

// collectFiles collects the files of entries, templates included, and has the lock pin no other
// templates.
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

// notSelected returns the platforms that the selected entries also offer, in the lock if there is one.
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
	// schemas are the URLs of those that lock has.
	schemas []string
	lock    lock.Repository
	// pinned is what a lock that is enforced has of it, or nil.
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

// indexes reads the indexes of repositories. Each has an error, or nil.
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
	_ = group.Wait() // the problems are kept
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
		// To the agent it is an index without plugins; a mirror would lack them all.
		err = errNoEntries
	}
	if err != nil {
		return unusableIndex(repo, err)
	}
	if repo.lock.Index, err = r.put(data); err == nil {
		// Without it, shells complete fewer values.
		_ = r.Store.NoteIndex(store.Index{Repository: repo.Name, URL: repo.lock.URL, SHA256: repo.lock.Index.SHA256, Seen: time.Now()})
	}
	return err
}

// document returns a small file. What a lock pins is taken from the store if it is there
// undamaged, so that a locked pull needs no upstream for it.
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
			WithHint("upstream changed the %s since the lock was written: write a new one with the command lock, and look at what differs", what)
	}
	return data, err
}

func (r *Resolver) put(data []byte) (lock.Blob, error) {
	sum, err := r.Store.Put(data)
	return lock.Blob{Size: int64(len(data)), SHA256: sum}, err
}

var errNoEntries = errors.New("it has no entries")

const lookElsewhere = "open the URL elsewhere to see whether it is so there; then tell its publisher"

// unusableIndex says why nothing can be made of an index.
func unusableIndex(repo *repository, err error) error {
	what := fmt.Sprintf("the index of repository %q at %s", repo.Name, agent.Redact(repo.URL))
	none, isNone := errors.AsType[*index.NotIndexError](err)
	switch {
	case isNone && none.What == textfile.Empty:
		return fault.New(fault.Upstream, "%s is empty", what).WithHint(lookElsewhere)
	case isNone && none.What == textfile.LFSPointer:
		return fault.New(fault.Integrity, "%s is no plugin index but %s", what, none.What).WithHint("%s", fetch.HintLFS)
	case isNone:
		return fault.New(fault.Integrity, "%s is no plugin index but %s", what, none.What).WithHint(lookElsewhere)
	case errors.Is(err, errNoEntries):
		return fault.New(fault.Upstream, "%s has no entries", what).WithHint(lookElsewhere)
	}
	return fault.New(fault.Integrity, "%s cannot be used; the agent would refuse it as a whole, or it cannot be mirrored:\n%w", what, err).
		WithHint("tell its publisher; until then, name the other repositories with --repository")
}

// schemas fetches the JSON schemas that selected entries give by reference.
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
		return fmt.Errorf("reading a JSON schema: %w", err)
	}
	if text, err := textfile.Decode(data); err != nil || !json.Valid(text) {
		return fault.New(fault.Integrity, "the JSON schema at %s is not JSON but %s", agent.Redact(url), textfile.Kind(data))
	}
	s.Blob, err = r.put(data)
	return err
}

// requireChecksums reports what neither upstream nor a lock vouches for.
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
			instead += "\nor give the checksum in --dependency: add ?checksum=sha256:HEX to its URL"
			break
		}
	}
	return fault.New(fault.Integrity, "checksums are required, but nobody vouches for:\n%s", strings.Join(urls, "\n")).
		WithHint("check these files yourself, write a lock with the command lock, and pull with --lock FILE; or leave their plugins out with --exclude%s", instead)
}
