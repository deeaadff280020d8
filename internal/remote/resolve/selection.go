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

// Selection says what to mirror. Its fields have the meaning of the flags with the same names.
type Selection struct {
	// Version is a Botkube version or "latest". It may be empty if Repositories or Lock is set.
	Version string
	// Repositories replace the version's default repositories. Their URLs may be paths.
	Repositories []agent.Repository
	// Values has the paths of Helm values, or of manifests that the chart rendered. They select the
	// plugins that an agent starts, and their repositories.
	Values []string
	// AllEnabled selects all plugins that Values enable, also if no channel is bound to them.
	AllEnabled bool
	// Headers are for requests of the repositories' indexes.
	Headers []Header
	// Selection has the plugins to mirror in addition to those of Values. Its Platforms default to
	// those of the lock, or to linux/amd64.
	index.Selection
	// Lock is the path of a lock to enforce, or empty. If the lock lacks something that is selected,
	// or if upstream differs from the lock, that is an error.
	Lock string
	// RequireChecksums refuses artifacts without a checksum.
	RequireChecksums bool
	// Members selects images and the chart.
	Members Members
	// Templates selects templates of the executor exec.
	Templates Templates
	// Pin makes a checksum file that is missing or cannot be requested a warning instead of an error.
	Pin bool
	// PluginsOnly leaves out the lock's images and chart.
	PluginsOnly bool
	// locked is the content of Lock, and pinned the selected part. Both may be nil.
	locked, pinned *lock.Lock
	// here is the working directory, for relative paths of Replacements.
	here *url.URL
}

// Members selects images and the chart. A field that is empty selects none.
type Members struct {
	// AgentImage is a reference or [Default].
	AgentImage string
	// AgentTag is the tag of the default image if it differs from the version.
	AgentTag string
	// WatcherImage is the reference of the second container's image, for charts that have one, or
	// "none". It needs AgentImage.
	WatcherImage string
	// WholeImage takes all manifests of each image index, so that its digest stays the same. If that
	// is not possible, it is an error.
	WholeImage bool
	// Chart is the URL of a chart repository or [Default].
	Chart string
}

// Default stands for the place where Botkube publishes an image or a chart.
const Default = "default"

// Select makes a plan. It also returns the agent that the values configure, or nil without values.
func (r *Resolver) Select(ctx context.Context, sel Selection) (*Plan, *configured.Agent, error) {
	sel.Repositories = slices.Clone(sel.Repositories)
	values, err := r.settle(ctx, &sel)
	if err != nil {
		return nil, nil, err
	}
	plan, err := r.Resolve(ctx, sel)
	return plan, values, err
}

// settle fills in what a selection leaves open: from the lock, the values and the defaults.
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
			r.Note(fmt.Sprintf("using part of the lock %s: %d of %d plugins, for %s", sel.Lock, len(sel.pinned.Plugins), len(sel.locked.Plugins), agent.JoinPlatforms(sel.pinned.Platforms)))
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

// settleRepositories fills in the URL and the header fields of each repository.
func (sel *Selection) settleRepositories() error {
	if len(sel.Repositories) == 0 {
		if sel.Version == "" {
			return fault.New(fault.Usage, "neither --version nor --repository is given").
				WithHint("add --version v1.14.0, --version latest, or --repository NAME=URL")
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

// checkPlugins returns an error for an official plugin's name without its repository. It needs no
// request. Other names are checked when the indexes are read.
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

// settleVersion turns the version into a release tag.
func (r *Resolver) settleVersion(ctx context.Context, sel *Selection) error {
	if sel.Version == "" {
		return nil
	}
	var err error
	if sel.Version, err = r.Release(ctx, sel.Version); fault.KindOf(err) == fault.Upstream && fault.HintOf(err) == "" {
		return fault.New(fault.Upstream, "%w", err).WithHint("name the version: --version v1.14.0")
	}
	return err
}

// Release returns the release tag of a version, or of the newest one for "latest".
func (r *Resolver) Release(ctx context.Context, version string) (string, error) {
	if version == "latest" {
		release, err := r.Fetch.Destination(ctx, latestRelease)
		if err != nil {
			return "", fmt.Errorf("latest version of Botkube: %w", err)
		}
		u, err := url.Parse(release)
		if err != nil || !strings.Contains(u.Path, "/releases/tag/") {
			err := fault.New(fault.Upstream, "%s redirects to %s, which is not a release", latestRelease, transfer.Printable(release, 300))
			if instead := r.Fetch.Instead(latestRelease); instead == release {
				return "", err.WithHint("name the version, because the repository manager follows redirects itself: --version v1.14.0")
			}
			return "", err
		}
		version = path.Base(u.Path)
	}
	return ReleaseTag(version)
}

// ReleaseTag returns the release tag of a version: v1.14.0 for 1.14.0. An error is of kind
// [fault.Usage].
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
		return "", e.WithHint("write three numbers, for example v1.14.0")
	case spelling.Nearest(strings.TrimSpace(given), []string{"latest"}) != "":
		return "", e.WithHint("write latest, or a version like v1.14.0")
	}
	return "", e.WithHint("write a version like v1.14.0, or latest")
}

var (
	// releaseForm matches release tags: three numbers, and maybe a pre-release.
	releaseForm = lazyregexp.New(`^v\d+\.\d+\.\d+([-+].*)?$`)
	// numbers matches versions in another form.
	numbers      = lazyregexp.New(`^\D*(\d+)[._-](\d+)[._-](\d+)\D*$`)
	shortVersion = lazyregexp.New(`^\s*[vV]?\.?\d+([._-]\d+)?\s*$`)
)

// looksLikeURL matches what begins with a scheme. A single letter is a drive of Windows.
var looksLikeURL = lazyregexp.New(`^[A-Za-z][A-Za-z0-9+.-]+:`)

// indexURL returns a URL as it is, and a path as a file URL. Its errors do not show a malformed URL,
// which may have a password.
func indexURL(name, raw string) (string, error) {
	if looksLikeURL.MatchString(raw) {
		u, err := url.Parse(raw)
		if err == nil && (u.Scheme == "file" && u.Path != "" || (u.Scheme == "http" || u.Scheme == "https") && u.Host != "") {
			return raw, nil
		}
		e := fault.New(fault.Usage, "the URL of repository %q is not valid: it must begin with http://, https:// or file:///", name)
		if err != nil {
			e = fault.New(fault.Usage, "the URL of repository %q is malformed", name)
		}
		return "", e.WithHint("write ./ before a path with a colon, brackets around an IPv6 address (http://[::1]:8080/), and escapes for special characters of a password (%%40 for @)")
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
