package resolve

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// Selection says what is mirrored, as the flags of that meaning do. A [Request] follows
// from it, from the lock and from the values that it names.
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
	Members Members
	// ExecTemplates are sources of templates for the executor exec beside its own.
	ExecTemplates []string
	// NoExecTemplates leaves all of them out.
	NoExecTemplates bool
	// WhereStartable is as in [index.Selection].
	WhereStartable bool
	// Pin is as in [Request].
	Pin bool
	// PluginsOnly leaves out the other members that a lock has.
	PluginsOnly bool
}

// defaultPlatform is where agents usually run.
var defaultPlatform = agent.Platform{OS: "linux", Arch: "amd64"}

// Select makes a plan of a selection. The agent is what its values configure, or nil
// without values.
func (r *Resolver) Select(ctx context.Context, sel Selection) (*Plan, *configured.Agent, error) {
	req, values, err := r.request(ctx, sel)
	if err != nil {
		return nil, nil, err
	}
	plan, err := r.Resolve(ctx, *req)
	return plan, values, err
}

func (r *Resolver) request(ctx context.Context, sel Selection) (*Request, *configured.Agent, error) {
	req := Request{
		Version:          sel.Version,
		Repositories:     slices.Clone(sel.Repositories),
		Selection:        index.Selection{Plugins: sel.Plugins, Exclude: sel.Exclude, Platforms: sel.Platforms, AllPlatforms: sel.AllPlatforms, WhereStartable: sel.WhereStartable},
		RequireChecksums: sel.RequireChecksums,
		Pin:              sel.Pin,
		Members:          sel.Members,
		Templates:        Templates{None: sel.NoExecTemplates, Add: sel.ExecTemplates},
	}
	if sel.Lock != "" {
		if err := req.applyLock(sel); err != nil {
			return nil, nil, err
		}
	}
	if err := r.settleVersion(ctx, &req); err != nil {
		return nil, nil, err
	}
	values, err := req.applyValues(ctx, sel)
	if err != nil {
		return nil, nil, err
	}
	if err := req.settleWatcher(values); err != nil {
		return nil, nil, err
	}
	if len(req.Selection.Platforms) == 0 {
		req.Selection.Platforms = []agent.Platform{defaultPlatform}
	}
	return &req, values, req.settleRepositories(sel.Headers)
}

// settleRepositories says where the index of each repository is, and what its request has
// in its header.
func (req *Request) settleRepositories(headers []Header) error {
	if len(req.Repositories) == 0 {
		if req.Version == "" {
			return fault.New(fault.Usage, "neither a Botkube version nor a repository is given").
				WithHint("give --version v1.14.0, --version latest, or --repository NAME=URL")
		}
		req.Repositories = agent.DefaultRepositories(req.Version)
	}
	if err := addHeaders(req.Repositories, headers); err != nil {
		return err
	}
	for i, r := range req.Repositories {
		var err error
		if req.Repositories[i].URL, err = indexURL(r.Name, r.URL); err != nil {
			return err
		}
	}
	return nil
}

// applyLock reads the lock and lets it say what the selection leaves open.
func (req *Request) applyLock(sel Selection) error {
	l, err := lock.ReadFile(sel.Lock)
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
	if sel.PluginsOnly {
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

// latestRelease redirects to the newest release of Botkube.
const latestRelease = "https://github.com/kubeshop/botkube/releases/latest"

// settleVersion asks for the latest version, and puts a version into the form
// of the release tags.
func (r *Resolver) settleVersion(ctx context.Context, req *Request) error {
	if req.Version == "" {
		return nil
	}
	if req.Version == "latest" {
		release, err := r.Fetch.Destination(ctx, latestRelease)
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
	req.Version, err = ReleaseTag(req.Version)
	return err
}

// ReleaseTag puts a version into the form of the release tags.
func ReleaseTag(given string) (string, error) {
	tag := "v" + strings.TrimPrefix(given, "v")
	if _, err := version.NewSemver(tag); err != nil {
		return "", fault.New(fault.Usage, "%.80q is not a Botkube version", given).WithHint("give one of the form v1.14.0, or latest where it can be asked for")
	}
	return tag, nil
}

// looksLikeURL takes what begins with a scheme; a single letter is a drive of Windows.
var looksLikeURL = lazyregexp.New(`^[A-Za-z][A-Za-z0-9+.-]+:`)

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
