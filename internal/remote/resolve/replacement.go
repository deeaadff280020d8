package resolve

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// settleReplacements checks the replacements, and completes their URLs.
func (sel *Selection) settleReplacements() error {
	here, err := indexURL("", ".")
	if err != nil {
		return err
	}
	if sel.here, err = url.Parse(here + "/"); err != nil {
		return err
	}
	given := sel.Replacements
	sel.Replacements = nil
	for _, r := range given {
		if slices.ContainsFunc(sel.Replacements, r.Overlaps) {
			return fault.New(fault.Usage, "--dependency %s is given twice", r).
				WithHint("write one URL with {os} and {arch} for all platforms, or one for each platform: --dependency %s:%s@OS/ARCH=URL", r.Plugin, r.Dependency)
		}
		r.URL = slashed(r.URL)
		if err := sel.tryReplacement(r); err != nil {
			return fault.New(fault.Usage, "--dependency %s: %w", r, err)
		}
		sel.Replacements = append(sel.Replacements, r)
	}
	return nil
}

// adoptReplacements adds the replacements of the lock. Those of flags come first, so they win.
func (sel *Selection) adoptReplacements() {
	if sel.pinned != nil {
		sel.Replacements = slices.Concat(sel.Replacements, pinnedReplacements(sel.pinned))
	}
}

// slashed puts a slash before a Windows path with a drive: the drive would look like a URL's scheme.
func slashed(raw string) string {
	if filepath.VolumeName(raw) == "" {
		return raw
	}
	return "/" + strings.TrimPrefix(filepath.ToSlash(raw), "/")
}

// tryReplacement returns an error if the URL cannot be downloaded for any platform.
func (sel *Selection) tryReplacement(r index.Replacement) error {
	if unknown := r.UnknownPlaceholder(); unknown != "" {
		return fmt.Errorf("%s is not a placeholder: use {os} and {arch}", unknown)
	}
	if hasEmptyChecksum(r.URL) {
		return errors.New("?checksum= is empty")
	}
	_, err := (&collection{artifacts: map[string]*artifact{}}).add(origin{"the URL", lock.ByFlag, sel.here}, r.At(agent.Platform{OS: "linux", Arch: "amd64"}), "")
	return err
}

// hasEmptyChecksum reports whether a URL has the parameter checksum without a value, as an unset
// variable of a shell leaves it. The agent would ignore it.
func hasEmptyChecksum(raw string) bool {
	_, query, _ := strings.Cut(raw, "?")
	q, _ := url.ParseQuery(query) // q has the parameters that can be parsed
	return q.Has("checksum") && q.Get("checksum") == ""
}

// pinnedReplacements returns the replacements of a lock, each for one platform.
func pinnedReplacements(l *lock.Lock) (all []index.Replacement) {
	for _, d := range lock.ReplacedIn(l.Plugins) {
		all = append(all, index.Replacement{Plugin: d.Plugin, Dependency: d.Dependency, URL: d.URL, Platform: d.Platform, Pinned: true})
	}
	return all
}

// checkReplacements returns an error for a replacement of a plugin or dependency that no index has. It
// ignores replacements for an index that is not read because no plugin of it is selected.
func (sel *Selection) checkReplacements(indexes map[string]*index.Index) error {
	unread := map[string]bool{}
	if sel.locked != nil {
		for _, r := range sel.locked.Repositories {
			unread[r.Name] = indexes[r.Name] == nil
		}
	}
	if len(sel.Values) > 0 {
		for _, r := range agent.DefaultRepositories(sel.Version) {
			unread[r.Name] = indexes[r.Name] == nil
		}
	}
	for _, r := range sel.Replacements {
		if r.Pinned || unread[r.Plugin.Repository] {
			continue // replacements of a lock are compared later
		}
		if err := index.CheckReplacement(indexes, r); err != nil {
			return fault.New(fault.Usage, "--dependency %s: %w", r, err).
				WithHint("write --dependency REPOSITORY/PLUGIN:NAME=URL; to see the dependencies of each plugin, run botkube-mirror list")
		}
	}
	return nil
}

// judgeReplacements notes replacements that replace nothing. It refuses one checksum for several
// files.
func (r *Resolver) judgeReplacements(replacements []index.Replacement, selected []index.Selected, platforms []agent.Platform) error {
	for _, given := range replacements {
		taken := slices.ContainsFunc(selected, func(e index.Selected) bool { return e.Takes(given) })
		location, err := agent.ParseLocation(given.At(platforms[0]))
		switch {
		case given.Pinned:
		case !taken:
			why := "the plugin is not selected, or not for that platform"
			if slices.ContainsFunc(selected, func(e index.Selected) bool {
				return given.Plugin.Covers(e.Key()) && (given.Platform == agent.Platform{} || slices.Contains(e.MirroredFor, given.Platform))
			}) {
				why = "no selected version of the plugin has that dependency"
			}
			r.Note(fmt.Sprintf("--dependency %s replaces nothing: %s", given, why))
		case err == nil && location.Checksum != nil && given.Platform == agent.Platform{} && given.At(platforms[0]) != given.At(platforms[len(platforms)-1]):
			return fault.New(fault.Usage, "--dependency %s: one checksum cannot match the different files for %s", given, agent.JoinPlatforms(platforms)).
				WithHint("write one URL for each platform: --dependency %s@OS/ARCH=URL", given)
		}
	}
	return nil
}

// noteRemaining notes files that were replaced for one plugin but that another plugin still needs: the
// user may want to replace them everywhere.
func (r *Resolver) noteRemaining(l *lock.Lock, given []index.Replacement) {
	file := func(raw string) string {
		location, _ := agent.ParseLocation(raw) // empty for a URL that is not valid
		return location.URL
	}
	replaced, told := map[string]bool{}, map[string]bool{}
	for _, d := range lock.ReplacedIn(l.Plugins) {
		replaced[file(d.Replaces)] = replaced[file(d.Replaces)] || !d.SameFile()
	}
	var more []index.Replacement
	for _, p := range l.Plugins {
		for _, b := range p.Builds {
			for _, d := range b.Dependencies {
				if d.Replaces != "" || !replaced[file(d.URL)] {
					continue
				}
				this := index.Replacement{Plugin: p.Key(), Dependency: d.Name, Platform: b.Platform}
				i := slices.IndexFunc(more, this.Overlaps)
				if i < 0 {
					i, more = len(more), append(more, this.Beside(slices.Concat(given, more)))
				}
				text := fmt.Sprintf("%s/%s still needs %s; to replace it there, too: --dependency %s=URL", p.Repository, p.Name, agent.Redact(file(d.URL)), more[i])
				if !told[text] {
					r.Note(text)
					told[text] = true
				}
			}
		}
	}
}

// replaced returns the URL that an index at base has for a dependency, for [lock.Dependency]. The URL
// need not be valid: that may be why it is replaced.
func replaced(base *url.URL, raw string) string {
	if raw == "" {
		return lock.ReplacesNothing
	}
	location, err := locate(base, raw)
	if err != nil {
		return agent.Redact(raw)
	}
	return agent.Redact(cmp.Or(location.Normalized, raw))
}
