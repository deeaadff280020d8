// Package mirror carries out what the commands ask for: it orders the stages,
// bounds how much happens at a time, and tells what happens in events.
package mirror

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-version"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// Selection says what is mirrored, as the flags of that meaning do.
type Selection struct {
	// Version is a Botkube version, "latest", or empty if Repositories or
	// Lock says enough.
	Version string
	// Repositories replace the defaults of the version. Their URLs may be paths.
	Repositories []agent.Repository
	// Values are the paths of values files, or of what the chart rendered of them,
	// that say which plugins an agent starts, and where it takes them from.
	Values []string
	// AllEnabled has every plugin count that Values enable, whether something binds it
	// or not.
	AllEnabled bool
	// Headers are for the requests of the repositories' indexes.
	Headers []Header
	// Plugins are mirrored too, or, without Values, alone.
	Plugins []agent.PluginKey
	Exclude []agent.PluginKey
	// Platforms defaults to linux/amd64, or to those of the lock.
	Platforms    []agent.Platform
	AllPlatforms bool
	// Lock is the path of a lock to enforce, or empty.
	Lock             string
	RequireChecksums bool
	// Members are what a bundle holds beside plugins.
	Members resolve.Members
	// ExecTemplates are sources of templates for the executor exec beside its own.
	ExecTemplates []string
	// NoExecTemplates leaves all of them out.
	NoExecTemplates bool
	// whereStartable is as in [index.Selection].
	whereStartable bool
	// pin is as in [resolve.Request].
	pin bool
	// pluginsOnly leaves out the other members that a lock has.
	pluginsOnly bool
}

// Session is the store and the network of one run. What a command does not
// need is nil: unpacking a file needs neither.
type Session struct {
	Store    *store.Store
	Fetch    *fetch.Client
	Registry *registry.Client
	// Source is for the registry that is read, if Registry is not.
	Source *registry.Client
	// Parallel is how many files are downloaded or uploaded at a time; at least 1.
	Parallel int
	// Observe receives events, from several goroutines. It must not be nil.
	Observe func(Event)
}

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	// EventPlanned opens the downloads: Total is the sum of the known sizes, in bytes.
	EventPlanned EventKind = "planned"
	// EventStarted, EventProgress, EventResumed, EventRetrying, EventRestarted,
	// EventFetched, EventReused and EventFailed are about one artifact.
	EventStarted   EventKind = "started"
	EventProgress  EventKind = "progress"
	EventResumed   EventKind = "resumed"
	EventRetrying  EventKind = "retrying"
	EventRestarted EventKind = "restarted"
	EventFetched   EventKind = "fetched"
	EventReused    EventKind = "reused"
	EventFailed    EventKind = "failed"
	// EventUnpacked is about an artifact of a mirror that is read.
	EventUnpacked EventKind = "unpacked"
	// EventUploading and EventUploaded are about a blob that goes to a registry.
	EventUploading EventKind = "uploading"
	EventUploaded  EventKind = "uploaded"
	// EventWaiting is about another run that has what is needed.
	EventWaiting EventKind = "waiting"
	// EventDisplaced is about what was in the way of an output, and was moved.
	EventDisplaced EventKind = "displaced"
	// EventNote is about something that a person should know of the result,
	// EventWarning about something that may be wrong with it.
	EventNote    EventKind = "note"
	EventWarning EventKind = "warning"
	// EventWriting is about an output that takes a while at the end, all of which
	// is known now.
	EventWriting EventKind = "writing"
	// EventWritten is about one file of an output.
	EventWritten EventKind = "written"
	// EventCompleted is about a whole output.
	EventCompleted EventKind = "completed"
)

// Event is something that happened. It has no influence on what happens next.
type Event struct {
	Kind EventKind
	// Subject is the artifact's URL, the output's path or the file's.
	Subject string
	// Bytes is how many bytes came with an EventProgress, were there already
	// with an EventResumed, and make up the artifact with an EventFetched or
	// EventReused.
	Bytes int64
	// Total is the size in bytes, or -1 where it is not known.
	Total int64
	// Count is the number of artifacts of an EventPlanned.
	Count int
	// Detail says why, in words.
	Detail string
	// Wait is how long an EventRetrying waits.
	Wait time.Duration
}

// defaultPlatform is where agents usually run.
var defaultPlatform = agent.Platform{OS: "linux", Arch: "amd64"}

// resolve turns a selection into a plan. Configured is what its values come to, or
// nil if it has none.
func (s *Session) resolve(ctx context.Context, sel Selection) (*resolve.Plan, *Configured, error) {
	req, configured, err := s.request(ctx, sel)
	if err != nil {
		return nil, nil, err
	}
	resolver := resolve.Resolver{
		Fetch: s.Fetch, Store: s.Store, Registry: s.Registry,
		Note: func(text string) { s.Observe(Event{Kind: EventNote, Detail: text}) }, Warn: s.warn,
	}
	plan, err := resolver.Resolve(ctx, *req)
	return plan, configured, err
}

func (s *Session) warn(text string) { s.Observe(Event{Kind: EventWarning, Detail: text}) }

// request says what a selection asks for.
func (s *Session) request(ctx context.Context, sel Selection) (*resolve.Request, *Configured, error) {
	req := resolve.Request{
		Version:          sel.Version,
		Repositories:     slices.Clone(sel.Repositories),
		Selection:        index.Selection{Plugins: sel.Plugins, Exclude: sel.Exclude, Platforms: sel.Platforms, AllPlatforms: sel.AllPlatforms, WhereStartable: sel.whereStartable},
		RequireChecksums: sel.RequireChecksums,
		Pin:              sel.pin,
		Members:          sel.Members,
		Templates:        resolve.Templates{None: sel.NoExecTemplates, Add: sel.ExecTemplates},
	}
	if sel.Lock != "" {
		if err := applyLock(&req, sel); err != nil {
			return nil, nil, err
		}
	}
	if err := s.settleVersion(ctx, &req); err != nil {
		return nil, nil, err
	}
	var configured *Configured
	if len(sel.Values) > 0 {
		var err error
		if configured, err = applyValues(&req, sel); err != nil {
			return nil, nil, err
		}
	}
	if err := settleWatcher(&req, configured); err != nil {
		return nil, nil, err
	}
	if len(req.Repositories) == 0 {
		if req.Version == "" {
			return nil, nil, fault.New(fault.Usage, "neither a Botkube version nor a repository is given").
				WithHint("give --version v1.14.0, --version latest, or --repository NAME=URL")
		}
		req.Repositories = agent.DefaultRepositories(req.Version)
	}
	if err := addHeaders(req.Repositories, sel.Headers); err != nil {
		return nil, nil, err
	}
	for i, r := range req.Repositories {
		u, err := indexURL(r.Name, r.URL)
		if err != nil {
			return nil, nil, err
		}
		req.Repositories[i].URL = u
	}
	if len(req.Selection.Platforms) == 0 {
		req.Selection.Platforms = []agent.Platform{defaultPlatform}
	}
	return &req, configured, nil
}

// applyLock reads the lock and lets it say what the selection leaves open.
func applyLock(req *resolve.Request, sel Selection) error {
	l, err := readLock(sel.Lock)
	if err != nil {
		return err
	}
	req.Lock = l
	if req.Version == "" {
		req.Version = l.BotkubeVersion
	}
	if len(req.Repositories) == 0 {
		for _, r := range l.Repositories {
			req.Repositories = append(req.Repositories, agent.Repository{Name: r.Name, URL: r.URL})
		}
	}
	if len(sel.Plugins)+len(sel.Exclude)+len(sel.Values) == 0 {
		for _, p := range l.Plugins {
			req.Selection.Plugins = append(req.Selection.Plugins, p.Key())
		}
	}
	if len(sel.Platforms) == 0 && !sel.AllPlatforms {
		req.Selection.Platforms = l.Platforms
	}
	if sel.pluginsOnly {
		return nil
	}
	if l.AgentImage != nil && req.Members.AgentImage == "" {
		req.Members.AgentImage = l.AgentImage.Reference
	}
	if l.Chart != nil && req.Members.Chart == "" {
		req.Members.Chart = l.Chart.URL
	}
	return nil
}

func readLock(file string) (*lock.Lock, error) {
	data, err := readRegular(file, lock.MaxSize)
	if fault.KindOf(err) == fault.Integrity {
		return nil, fault.New(fault.Integrity, "reading the lock: %s: %w", file, err).WithHint("name the file that pull, lock or list wrote")
	}
	if err != nil {
		return nil, fault.New(fault.Usage, "reading the lock: %w", err)
	}
	l, err := lock.Parse(data)
	if err != nil {
		return nil, fault.New(fault.Integrity, "%s: %w", file, err)
	}
	return l, nil
}

// readRegular reads a regular file of at most max bytes. Anything else is of kind
// [fault.Integrity].
func readRegular(file string, max int64) ([]byte, error) {
	f, fi, err := disk.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi.Size() > max {
		return nil, fault.New(fault.Integrity, "it has %d bytes; at most %d are read", fi.Size(), max)
	}
	return io.ReadAll(io.LimitReader(f, max))
}

// latestRelease redirects to the newest release of Botkube.
const latestRelease = "https://github.com/kubeshop/botkube/releases/latest"

// settleVersion asks for the latest version, and puts a version into the form
// of the release tags.
func (s *Session) settleVersion(ctx context.Context, req *resolve.Request) error {
	if req.Version == "" {
		return nil
	}
	if req.Version == "latest" {
		release, err := s.Fetch.Destination(ctx, latestRelease)
		if err != nil {
			return fmt.Errorf("asking for the latest version of Botkube: %w", err)
		}
		u, err := url.Parse(release)
		if err != nil || !strings.Contains(u.Path, "/releases/tag/") {
			return fault.New(fault.Upstream, "%s does not lead to a release", latestRelease).WithHint("give the version: --version v1.14.0")
		}
		req.Version = path.Base(u.Path)
	}
	var err error
	req.Version, err = releaseTag(req.Version)
	return err
}

// releaseTag puts a version into the form of the release tags.
func releaseTag(given string) (string, error) {
	tag := "v" + strings.TrimPrefix(given, "v")
	if _, err := version.NewSemver(tag); err != nil {
		return "", fault.New(fault.Usage, "%.80q is not a Botkube version", given).WithHint("give one of the form v1.14.0, or latest where it can be asked for")
	}
	return tag, nil
}

// looksLikeURL takes what begins with a scheme; a single letter is a drive of Windows.
var looksLikeURL = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+:`)

// indexURL makes a URL of what names an index: a URL already, or a path.
//
// What looks like a URL but is none may hold a password, so it is not shown.
func indexURL(name, raw string) (string, error) {
	if looksLikeURL.MatchString(raw) {
		u, err := url.Parse(raw)
		switch {
		case err == nil && u.Scheme == "file" && u.Path != "", err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
			return raw, nil
		}
		return "", fault.New(fault.Usage, "the index of repository %q is not a URL of the form http://, https:// or file:///", name).
			WithHint("a path with a colon begins with ./; an IPv6 address is written in brackets, as in http://[::1]:8080/; characters of a password that mean something in a URL are escaped, as %%40 for @")
	}
	abs, err := filepath.Abs(raw)
	if err != nil {
		return "", fault.New(fault.Usage, "the index %q: %w", raw, err)
	}
	slashed := filepath.ToSlash(abs)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed
	}
	return (&url.URL{Scheme: "file", Path: slashed}).String(), nil
}
