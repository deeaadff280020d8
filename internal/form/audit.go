package form

import (
	"context"
	"fmt"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// Audit is one verification of a mirror: what is asked, and what is found.
type Audit struct {
	audit.Report
	AuditOptions

	// Form is the form of the mirror, as it was recognized.
	Form *Form
	// Lock is nil if it cannot be read, which is in the report, or if there are several.
	Lock *lock.Lock
	// Platforms are those of a mirror with several locks.
	Platforms []agent.Platform
	// Tag and Digest are as in [Mirror]; here a directory and a site have a digest, too.
	Tag, Digest string
	// FoundMount and FoundBaseURL are the mount and the base URL in the mirror's indexes.
	FoundMount, FoundBaseURL string
	// Misplaced says that the indexes are for another place than the one given.
	Misplaced bool
	// Unpacked says that the archives were unpacked.
	Unpacked bool
	// FileAt says where an unpacked file of a platform is in the mirror. It is nil
	// where there are no unpacked files.
	FileAt func(p agent.Platform, file string) string
}

// AuditOptions say what is verified. None of the functions may be nil.
type AuditOptions struct {
	// Mount and BaseURL are where agents find the mirror, or empty.
	Mount, BaseURL string
	// Served says that botkube-mirror serves the mirror, and rewrites its indexes.
	Served bool
	// Unpack has archives unpacked, as an agent's directory needs them.
	Unpack bool
	// Parallel is how many files of a registry are read at a time.
	Parallel int
	// Accept is called once the form is certain. An error ends the audit.
	Accept func(f *Form) error
	// Planned is called with how much will be read, in bytes and files.
	Planned func(total int64, files int)
	// Hashed is called with the number of bytes that were read, from several goroutines.
	Hashed func(n int64)
}

// Audit finds out which form a mirror has, and verifies it.
func (all Forms) Audit(ctx context.Context, p *Place, a *Audit) error {
	defer p.Close() // nothing was written to it
	return all.try(p, func(f *Form) error {
		if f.Audit == nil {
			_, err := f.Open(ctx, p) // it may be of another form
			if err == nil {
				err = fault.New(fault.Usage, "%s is a %s: it has no files to verify", p, f.Name).
					WithHint("compare a mirror with it: botkube-mirror verify MIRROR --against %s", p.Target)
			}
			return err
		}
		a.Form = f
		return f.Audit(ctx, p, a)
	})
}

// Begin must be called as soon as it is certain that the mirror has the form.
func (a *Audit) Begin() error { return a.Accept(a.Form) }

// Unreadable adds err to the report if it is damage: the mirror is too damaged to go on. Otherwise
// it returns err.
func (a *Audit) Unreadable(err error) error {
	state, ok := audit.StateOf(err)
	if !ok {
		return err
	}
	a.Fail(audit.Problem{Kind: audit.Kind(state), Detail: err.Error()})
	return nil
}

// maxNoted bounds how many other documents of a layout are noted.
const maxNoted = 8

// NoteNames notes what other tools changed in the index.json of a layout: other tags of the mirror,
// and documents that are not part of it.
func (a *Audit) NoteNames(tag string, names []string, beside []oci.Named) {
	if own := (oci.Named{Names: names}); len(names) > 1 || len(names) > 0 && !own.Answers(tag) {
		a.Note(fmt.Sprintf("index.json gives it the name %s", oci.Clip(strings.Join(names, ", "))))
	}
	var told []string
	for _, n := range beside[:min(len(beside), maxNoted)] {
		told = append(told, n.String())
	}
	if len(beside) > maxNoted {
		told = append(told, fmt.Sprintf("and %d more", len(beside)-maxNoted))
	}
	if len(told) > 0 {
		a.Note("index.json also lists other content, which was not verified: " + strings.Join(told, "; "))
	}
}
