package resolve

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

// enforce compares a plan with a lock, and adds the lock's sizes and digests to the plan.
func enforce(plan *Plan, pinned *lock.Lock, given []index.Replacement) error {
	adoptTemplates(plan.Lock, pinned)
	if err := otherDependencies(plan.Lock, pinned, given); err != nil {
		return err
	}
	if err := differences(plan.Lock, pinned); err != nil {
		return fault.New(fault.Integrity, "the lock does not match the index:\n%w", err).
			WithHint("write a new lock with botkube-mirror lock, and compare the two with botkube-mirror diff")
	}
	byURL := map[string]lock.Artifact{}
	for _, a := range pinned.Artifacts {
		byURL[a.URL] = a
	}
	for i := range plan.Lock.Artifacts {
		// The output must contain exactly this lock.
		a := byURL[plan.Lock.Artifacts[i].URL]
		plan.Lock.Artifacts[i] = a
		d := &plan.Downloads[i]
		d.Checksums = append(d.Checksums, agent.Checksum{Algorithm: "sha256", Hex: a.SHA256.String()})
		d.Source = "the lock"
		d.Size = a.Size
	}
	plan.Enforced = true
	return nil
}

// otherDependencies refuses a --dependency whose URL differs from the lock's, and a lock whose
// dependencies differ from its index.
func otherDependencies(got, pinned *lock.Lock, given []index.Replacement) error {
	var lines []string
	for _, d := range lock.Diff(pinned, got) {
		if d.Subject == lock.SubjectDependency && (d.Aspect == lock.AspectURL || d.Aspect == lock.AspectReplaces) {
			lines = append(lines, "  "+d.String())
		}
	}
	if len(lines) == 0 {
		return nil
	}
	err := fault.New(fault.Integrity, "a dependency has another URL than in the lock:\n%s", strings.Join(lines, "\n"))
	if !slices.ContainsFunc(given, func(r index.Replacement) bool { return !r.Pinned }) {
		return err.WithHint("the lock and the index do not belong together: write a new lock with botkube-mirror lock")
	}
	return err.WithHint("leave out --dependency: the lock has the replacements; or write a new lock with botkube-mirror lock")
}

// pinnedRequests returns the requests for a lock's artifacts, without credentials.
func pinnedRequests(pinned *lock.Lock) (all []fetch.Request) {
	for _, a := range pinned.Artifacts {
		sum := agent.Checksum{Algorithm: "sha256", Hex: a.SHA256.String()}
		all = append(all, fetch.Request{URL: a.URL, Tree: a.DirArchive, Checksums: []agent.Checksum{sum}, Size: a.Size, Source: "the lock"})
	}
	return all
}

// differences compares a plan with a lock, without the sizes, digests and verifiedBy of artifacts,
// which the plan does not know yet.
func differences(got, pinned *lock.Lock) error {
	var problems []error
	report := func(format string, args ...any) { problems = append(problems, fmt.Errorf("  "+format, args...)) }
	compare(report, "repository", got.Repositories, pinned.Repositories, func(r lock.Repository) string { return r.Name })
	compare(report, "plugin", got.Plugins, pinned.Plugins, func(p lock.Plugin) string { return fmt.Sprintf("%s (%s)", p.Key(), p.Type) })
	urls := func(l *lock.Lock) []string {
		var urls []string
		for _, a := range l.Artifacts {
			urls = append(urls, a.URL)
		}
		return urls
	}
	compare(report, "artifact", urls(got), urls(pinned), func(u string) string { return u })
	return errors.Join(problems...)
}

func compare[E any](report func(string, ...any), what string, got, pinned []E, name func(E) string) {
	known := map[string]E{}
	for _, e := range pinned {
		known[name(e)] = e
	}
	for _, e := range got {
		other, found := known[name(e)]
		delete(known, name(e))
		switch {
		case !found:
			report("%s %s is not in the lock", what, name(e))
		case !reflect.DeepEqual(e, other):
			report("%s %s differs from the lock", what, name(e))
		}
	}
	for _, e := range pinned {
		if _, left := known[name(e)]; left {
			report("%s %s is only in the lock", what, name(e))
		}
	}
}
