package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

// Failure is a file that could not be downloaded.
type Failure struct {
	// URL is that of an artifact, or REPOSITORY@DIGEST of an image.
	URL string `json:"url"`
	// Image is what an image is for: agent or watcher.
	Image lock.ImageRole `json:"image,omitempty"`
	// Plugins need the file: each is REPOSITORY/NAME.
	Plugins []string `json:"plugins"`
	Error   string   `json:"error"`
	Hint    string   `json:"hint,omitempty"`
	// ExitCode is that of a run which this failure would have ended.
	ExitCode int `json:"exitCode"`
	// Missing says that upstream does not have the file that the index names.
	Missing bool `json:"missing,omitempty"`
}

// Incomplete is the error of a run with --keep-going that could not download some files.
type Incomplete struct {
	// Failures are sorted by their URLs.
	Failures []Failure
	// Files is the number of files of the run.
	Files int
}

func (e *Incomplete) Error() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d of %d files could not be downloaded, so nothing was written:", len(e.Failures), e.Files)
	for _, f := range e.Failures {
		needed := strings.Join(f.Plugins, ", ")
		if len(f.Plugins) == 0 {
			needed = f.Image.What()
		}
		fmt.Fprintf(&out, "\n  %s: %s", needed, f.Error)
	}
	return out.String()
}

// hint says to leave out what is missing, and for the rest what the failures say themselves. If
// nothing was to be downloaded, the store has no files that a further run could reuse.
func (e *Incomplete) hint(dryRun bool) string {
	exclude, steps := map[string]bool{}, map[string]bool{}
	for _, f := range e.Failures {
		switch {
		case f.Missing:
			for _, p := range f.Plugins {
				exclude["--exclude "+p] = true
			}
		case f.Hint != "":
			steps[f.Hint] = true
		}
	}
	lines := slices.Sorted(maps.Keys(steps))
	if len(exclude) > 0 {
		lines = append(lines, "upstream does not have some of the files: leave their plugins out with "+strings.Join(slices.Sorted(maps.Keys(exclude)), " "))
	}
	if hints := strings.Join(lines, "\n"); dryRun || strings.Contains(hints, fetch.HintResumed) {
		return hints
	}
	return strings.Join(append(lines, "the next run downloads only the missing files: the others are in the store"), "\n")
}

// fail takes a failure that the run goes on after. It returns any other: those that are
// not about one file but about this machine, and that the run was interrupted.
func (d *downloads) fail(ctx context.Context, url string, err error) error {
	kind := fault.KindOf(err)
	if r, ok := d.replaced(url); ok && (kind == fault.Upstream || kind == fault.Integrity) {
		by, correct := "--dependency", "correct the URL"
		if d.plan.Enforced {
			by, correct = "the lock", "write the lock again with the right URL in --dependency"
		}
		err = fault.New(kind, "%w", err).WithHint("%s", strings.TrimPrefix(fault.HintOf(err)+fmt.Sprintf(
			"\nthe URL replaces %s of %s for %s (from %s): %s; or leave out the plugin (--exclude) or the platform (--platform)", r.Dependency, r.Plugin, r.Platform, by, correct), "\n"))
	}
	if !d.keepGoing || ctx.Err() != nil || kind != fault.Upstream && kind != fault.Integrity {
		return err
	}
	d.Observe(Event{Kind: EventFailed, Subject: url, Detail: err.Error()})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed[url] = err
	return nil
}

// replaced returns the first dependency that is not the index's, but the artifact.
func (d *downloads) replaced(url string) (lock.Replaced, bool) {
	for _, r := range lock.ReplacedIn(d.plan.Lock.Plugins) {
		if location, err := agent.ParseLocation(r.URL); err == nil && location.URL == url {
			return r, true
		}
	}
	return lock.Replaced{}, false
}

func (d *downloads) hasFailed(url string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed[url] != nil
}

// incomplete returns an [Incomplete] if any download failed, and notes that in the result.
func (d *downloads) incomplete() error {
	if len(d.failed) == 0 {
		return nil
	}
	l := d.plan.Lock
	needed, images := pluginsByURL(l), map[string]lock.ImageRole{}
	for _, b := range l.ImageBlobs() {
		images[b.SHA256.OCI()] = b.Role
	}
	e := &Incomplete{Files: len(l.Artifacts) + len(images)}
	for _, url := range slices.Sorted(maps.Keys(d.failed)) {
		err := d.failed[url]
		_, replaced := d.replaced(url)
		e.Failures = append(e.Failures, Failure{
			URL: url, Image: images[url[strings.LastIndex(url, "@")+1:]], Plugins: append([]string{}, needed[url]...), Error: err.Error(), Hint: fault.HintOf(err),
			ExitCode: int(fault.KindOf(err)), Missing: fetch.IsNotFound(err) && d.Fetch.Instead(url) == "" && !replaced,
		})
	}
	d.result.Failed = e.Failures
	for i, a := range d.result.Artifacts {
		if d.failed[a.URL] != nil {
			d.result.Artifacts[i].Status = StatusFailed
		}
	}
	return fault.New(fault.Incomplete, "%w", e).WithHint("%s", e.hint(d.result.DryRun))
}

// pluginsByURL returns which plugins need an artifact, sorted.
func pluginsByURL(l *lock.Lock) map[string][]string {
	needed := map[string][]string{}
	for _, p := range l.Plugins {
		name := agent.PluginKey{Repository: p.Repository, Name: p.Name}.String()
		for _, b := range p.Builds {
			urls := []string{b.URL}
			for _, d := range b.Dependencies {
				urls = append(urls, d.URL)
			}
			for _, raw := range urls {
				location, _ := agent.ParseLocation(raw) // the lock was checked
				needed[location.URL] = append(needed[location.URL], name)
			}
		}
		for _, t := range p.Templates {
			needed[t.URL] = append(needed[t.URL], name)
		}
	}
	for url, names := range needed {
		slices.Sort(names)
		needed[url] = slices.Compact(names)
	}
	return needed
}
