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

// settleReplacements refuses replacements that cannot be meant.
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
				WithHint("give one URL with {os} and {arch} for all platforms, or one for each platform: %s:%s@OS/ARCH=URL", r.Plugin, r.Dependency)
		}
		r.URL = slashed(r.URL)
		if err := sel.tryReplacement(r); err != nil {
			return fault.New(fault.Usage, "--dependency %s: %w", r, err)
		}
		sel.Replacements = append(sel.Replacements, r)
	}
	return nil
}

// adoptReplacements adds the replacements of the lock. Those of flags come first, so they count.
func (sel *Selection) adoptReplacements() {
	if sel.pinned != nil {
		sel.Replacements = slices.Concat(sel.Replacements, pinnedReplacements(sel.pinned))
	}
}

// slashed puts a slash before a Windows path with a drive, which would look like the scheme of a URL.
func slashed(raw string) string {
	if filepath.VolumeName(raw) == "" {
		return raw
	}
	return "/" + strings.TrimPrefix(filepath.ToSlash(raw), "/")
}

// tryReplacement returns an error if the URL cannot be downloaded, whatever the platform.
func (sel *Selection) tryReplacement(r index.Replacement) error {
	if unknown := r.UnknownPlaceholder(); unknown != "" {
		return fmt.Errorf("%s is no placeholder; use {os} and {arch}", unknown)
	}
	if hasEmptyChecksum(r.URL) {
		return errors.New("its ?checksum= is empty")
	}
	_, err := (&collection{artifacts: map[string]*artifact{}}).add(origin{"it", lock.ByFlag, sel.here}, r.At(agent.Platform{OS: "linux", Arch: "amd64"}), "")
	return err
}

// hasEmptyChecksum reports whether a URL has the parameter checksum without a value, as an unset
// variable of a shell leaves it. The agent would ignore it.
func hasEmptyChecksum(raw string) bool {
	_, query, _ := strings.Cut(raw, "?")
	q, _ := url.ParseQuery(query) // what cannot be parsed is no such parameter
	return q.Has("checksum") && q.Get("checksum") == ""
}

// pinnedReplacements are those that a lock has, each for one platform.
func pinnedReplacements(l *lock.Lock) (all []index.Replacement) {
	for _, d := range lock.ReplacedIn(l.Plugins) {
		all = append(all, index.Replacement{Plugin: d.Plugin, Dependency: d.Dependency, URL: d.URL, Platform: d.Platform, Pinned: true})
	}
	return all
}

// checkReplacements refuses those of what no index has. An index that is not read, for lack of
// selected plugins, has nothing to be replaced.
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
			continue // what a lock has is compared with what comes of it
		}
		if err := index.CheckReplacement(indexes, r); err != nil {
			return fault.New(fault.Usage, "--dependency %s: %w", r, err).
				WithHint("write REPOSITORY/PLUGIN:NAME=URL; the command list shows what each plugin needs")
		}
	}
	return nil
}

// judgeReplacements tells of those that replace nothing, and refuses one checksum for several files.
func (r *Resolver) judgeReplacements(replacements []index.Replacement, selected []index.Selected, platforms []agent.Platform) error {
	for _, given := range replacements {
		taken := slices.ContainsFunc(selected, func(e index.Selected) bool { return e.Takes(given) })
		location, err := agent.ParseLocation(given.At(platforms[0]))
		switch {
		case given.Pinned:
		case !taken:
			why := "the plugin is not mirrored, or not for that platform"
			if slices.ContainsFunc(selected, func(e index.Selected) bool {
				return given.Plugin.Covers(e.Key()) && (given.Platform == agent.Platform{} || slices.Contains(e.MirroredFor, given.Platform))
			}) {
				why = "no mirrored version of the plugin has that dependency"
			}
			r.Note(fmt.Sprintf("--dependency %s replaces nothing: %s", given, why))
		case err == nil && location.Checksum != nil && given.Platform == agent.Platform{} && given.At(platforms[0]) != given.At(platforms[len(platforms)-1]):
			return fault.New(fault.Usage, "--dependency %s: one checksum cannot match the different files for %s", given, agent.JoinPlatforms(platforms)).
				WithHint("give one URL for each platform: --dependency %s@OS/ARCH=URL", given)
		}
	}
	return nil
}

// noteRemaining tells of files that were replaced for one plugin, but that another one needs: who
// replaces a program wants to be rid of it.
func (r *Resolver) noteRemaining(l *lock.Lock, given []index.Replacement) {
	file := func(raw string) string {
		location, _ := agent.ParseLocation(raw) // one that cannot be read is the file of no other plugin
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

// replaced returns what an index that lies at base has for a dependency, as [lock.Dependency]
// records it. It may be nothing that could be mirrored: that may be why it is replaced.
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
