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
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
)

// Selection says what is mirrored, as the flags of that meaning do.
type Selection struct {
	// Version is a Botkube version, "latest", or empty if Repositories or Lock says enough.
	Version string
	// Repositories replace the defaults of the version. Their URLs may be paths.
	Repositories []agent.Repository
	// Values are files of values, or of what the chart rendered: what an agent starts, and from where.
	Values []string
	// AllEnabled counts every plugin that Values enable, whether something binds it or not.
	AllEnabled bool
	// Headers are for the requests of the repositories' indexes.
	Headers []Header
	// Its Plugins are mirrored beside those of Values, and its Platforms default to those
	// of the lock, or linux/amd64.
	index.Selection
	// Lock is the path of a lock to enforce, or empty. The selected part of it is taken. If the lock
	// lacks something, or something differs from it, that is an error.
	Lock string
	// RequireChecksums refuses artifacts that nobody vouches for.
	RequireChecksums bool
	// Members are what a bundle holds beside plugins.
	Members Members
	// Templates are those of the executor exec.
	Templates Templates
	// Pin makes a checksum file that is missing or cannot be asked for a warning: a person will look.
	Pin bool
	// PluginsOnly leaves out the other members that a lock has.
	PluginsOnly bool
	// locked is what Lock holds, and pinned the part of it that is selected. Both may be nil.
	locked, pinned *lock.Lock
	// here is the directory that paths of Replacements are relative to.
	here *url.URL
}

// Members are what a bundle may hold beside plugins, each unless empty.
type Members struct {
	// AgentImage is a reference, or [Default].
	AgentImage string
	// AgentTag is the tag of the default image, where it is another than the version's.
	AgentTag string
	// WatcherImage goes with AgentImage, for charts that have a second container.
	WatcherImage string
	// WholeImage takes all that the indexes of the images name, so that they keep their digests, or
	// fails.
	WholeImage bool
	// Chart is the URL of a chart repository, or [Default].
	Chart string
}

// Default stands for where Botkube publishes.
const Default = "default"

// Select makes a plan. The agent is what the values configure, or nil without values.
func (r *Resolver) Select(ctx context.Context, sel Selection) (*Plan, *configured.Agent, error) {
	sel.Repositories = slices.Clone(sel.Repositories)
	values, err := r.settle(ctx, &sel)
	if err != nil {
		return nil, nil, err
	}
	plan, err := r.Resolve(ctx, sel)
	return plan, values, err
}

// settle has the lock, the values and defaults say what a selection leaves open.
func (r *Resolver) settle(ctx context.Context, sel *Selection) (*configured.Agent, error) {
	if err := sel.readLock(); err != nil {
		return nil, err
	}
	if err := r.settleVersion(ctx, sel); err != nil {
		return nil, err
	}
	values, err := sel.applyValues(ctx)
	if err != nil {
		return nil, err
	}
	if err := sel.settleRepositories(); err != nil {
		return nil, err
	}
	if err := sel.checkPlugins(); err != nil {
		return nil, err
	}
	if sel.locked != nil {
		if err := sel.applyLock(); err != nil {
			return nil, err
		}
		if len(sel.pinned.Plugins) < len(sel.locked.Plugins) || len(sel.pinned.Platforms) < len(sel.locked.Platforms) {
			r.Note(fmt.Sprintf("using a part of the lock %s: %d of %d plugins, for %s", sel.Lock, len(sel.pinned.Plugins), len(sel.locked.Plugins), agent.JoinPlatforms(sel.pinned.Platforms)))
		}
	}
	if len(sel.Platforms) == 0 {
		sel.Platforms = []agent.Platform{{OS: "linux", Arch: "amd64"}}
	}
	if err := sel.settleReplacements(); err != nil {
		return nil, err
	}
	return values, sel.settleWatcher(values)
}

// settleRepositories settles where each index is, and what its request has in its header.
func (sel *Selection) settleRepositories() error {
	if len(sel.Repositories) == 0 {
		if sel.Version == "" {
			return fault.New(fault.Usage, "neither a Botkube version nor a repository is given").
				WithHint("give --version v1.14.0, --version latest, or --repository NAME=URL")
		}
		sel.Repositories = agent.DefaultRepositories(sel.Version)
	}
	if err := addHeaders(sel.Repositories, sel.Headers); err != nil {
		return err
	}
	for i, r := range sel.Repositories {
		var err error
		if sel.Repositories[i].URL, err = indexURL(r.Name, r.URL); err != nil {
			return err
		}
	}
	return nil
}

// checkPlugins refuses an official plugin's name without its repository. That takes no request. For
// other plugins, the indexes are needed.
func (sel *Selection) checkPlugins() error {
	for _, key := range slices.Concat(sel.Plugins, sel.Exclude) {
		if meant, ok := agent.OfficialPlugin(sel.Version, key.Name); ok && key.Repository == "" && names(sel.Repositories, meant.Repository) {
			meant.Version = key.Version
			return fault.New(fault.Usage, "plugin %q is not of the form REPOSITORY/NAME", key).WithHint("write %s", meant)
		}
	}
	return nil
}

// latestRelease redirects to the newest release of Botkube.
const latestRelease = "https://github.com/kubeshop/botkube/releases/latest"

// settleVersion makes a release tag of the version.
func (r *Resolver) settleVersion(ctx context.Context, sel *Selection) error {
	if sel.Version == "" {
		return nil
	}
	var err error
	if sel.Version, err = r.Release(ctx, sel.Version); fault.KindOf(err) == fault.Upstream && fault.HintOf(err) == "" {
		return fault.New(fault.Upstream, "%w", err).WithHint("give the version: --version v1.14.0")
	}
	return err
}

// Release returns the release tag of a version, or of the newest one for "latest".
func (r *Resolver) Release(ctx context.Context, version string) (string, error) {
	if version == "latest" {
		release, err := r.Fetch.Destination(ctx, latestRelease)
		if err != nil {
			return "", fmt.Errorf("asking for the latest version of Botkube: %w", err)
		}
		u, err := url.Parse(release)
		if err != nil || !strings.Contains(u.Path, "/releases/tag/") {
			err := fault.New(fault.Upstream, "%s leads to %s, which is not a release", latestRelease, transfer.Printable(release, 300))
			if instead := r.Fetch.Instead(latestRelease); instead == release {
				return "", err.WithHint("the repository manager follows redirects itself, so the newest release is not known; give the version: --version v1.14.0")
			}
			return "", err
		}
		version = path.Base(u.Path)
	}
	return ReleaseTag(version)
}

// ReleaseTag puts a version into the form of the release tags.
func ReleaseTag(given string) (string, error) {
	tag := "v" + strings.TrimPrefix(given, "v")
	if _, err := version.NewSemver(tag); err == nil && releaseForm.MatchString(tag) {
		return tag, nil
	}
	e := fault.New(fault.Usage, "%.80q is not a Botkube version", given)
	if n := numbers.FindStringSubmatch(given); n != nil {
		return "", e.WithHint("write v%s.%s.%s", n[1], n[2], n[3])
	}
	switch {
	case shortVersion.MatchString(given):
		return "", e.WithHint("a version has three numbers: give one of the form v1.14.0")
	case spelling.Nearest(strings.TrimSpace(given), []string{"latest"}) != "":
		return "", e.WithHint("write latest, or a version of the form v1.14.0")
	}
	return "", e.WithHint("give one of the form v1.14.0, or latest where it can be asked for")
}

var (
	// releaseForm is that of the tags of releases: three numbers, and what marks a pre-release.
	releaseForm = lazyregexp.New(`^v\d+\.\d+\.\d+([-+].*)?$`)
	// numbers finds a version that is written in another form.
	numbers      = lazyregexp.New(`^\D*(\d+)[._-](\d+)[._-](\d+)\D*$`)
	shortVersion = lazyregexp.New(`^\s*[vV]?\.?\d+([._-]\d+)?\s*$`)
)

// looksLikeURL takes what begins with a scheme; a single letter is a drive of Windows.
var looksLikeURL = lazyregexp.New(`^[A-Za-z][A-Za-z0-9+.-]+:`)

// indexURL returns a URL as it is, and a path as a URL. Its errors do not show a malformed URL, which
// may hold a password.
func indexURL(name, raw string) (string, error) {
	if looksLikeURL.MatchString(raw) {
		u, err := url.Parse(raw)
		if err == nil && (u.Scheme == "file" && u.Path != "" || (u.Scheme == "http" || u.Scheme == "https") && u.Host != "") {
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
