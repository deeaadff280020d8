package pluginsdir

import (
	"context"
	"fmt"
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// Unfit is a file that an agent would run as a program, and cannot run.
type Unfit struct {
	Platform   agent.Platform  `json:"platform"`
	Plugin     agent.PluginKey `json:"plugin"`
	Dependency string          `json:"dependency,omitempty"`
	// URL is that of the upstream file; Member is what is taken out of it, or
	// empty if that is not known, or the file is no archive.
	URL    string        `json:"url"`
	Member string        `json:"member,omitempty"`
	Is     agent.Program `json:"is"`
	// Certain says that no agent can start with it. A dependency that is not a program is not
	// certain: its plugin may read it. A plugin that is text may be a script, unless the agent took
	// the wrong file from an archive.
	Certain bool `json:"certain"`
	// remedy says what to do if it is certain.
	remedy string
}

// remedy says what to do about a file that is not what the agent needs.
func remedy(f lock.File) string {
	if f.Replaces != "" {
		return "correct the URL in --dependency; if the URL comes from a lock, write that lock again"
	}
	return fmt.Sprintf("leave the plugin out with --exclude %s/%s, and report the problem to its publisher", f.Plugin.Repository, f.Plugin.Name)
}

// JudgeProgram reports whether an agent cannot run a file, and why. If the kind of the file is not
// known, the file counts as usable.
func JudgeProgram(p agent.Platform, f lock.File, made lock.Made) (Unfit, bool) {
	fitness := made.Program.RunsOn(p)
	if f.Template != "" || fitness == agent.Fits {
		return Unfit{}, false
	}
	return Unfit{
		Platform: p, Plugin: f.Plugin, Dependency: f.Dependency, URL: agent.Redact(f.Artifact.URL), Member: made.Name, Is: made.Program,
		Certain: fitness == agent.Foreign || f.Dependency == "" && (made.Program.HasOtherMagic() || f.Format != "" && made.Program.IsPlainText()),
		remedy:  remedy(f),
	}, true
}

// Detail says what is wrong with the file.
func (u Unfit) Detail() string {
	if u.Is.Format != "" {
		return fmt.Sprintf("the file is %s, which does not run on %s", u.Is, u.Platform)
	}
	return fmt.Sprintf("the file is %s, not a program", u.Is)
}

// Subject names the file: "the plugin x/y@v1 for linux/amd64 (LICENSE of URL)".
func (u Unfit) Subject() string {
	what := "the plugin " + u.Plugin.String()
	if u.Dependency != "" {
		what = "the dependency " + u.Dependency + " of " + u.Plugin.String()
	}
	of := u.URL
	if u.Member != "" {
		of = fmt.Sprintf("%q of %s", u.Member, u.URL)
	}
	return fmt.Sprintf("%s for %s (%s)", what, u.Platform, of)
}

// Remedy says what to do about it.
func (u Unfit) Remedy() string {
	switch {
	case !u.Certain && u.Dependency != "":
		return "check that the plugin only reads the file"
	case !u.Certain:
		return "check that the agent's system can run the file"
	case u.Dependency == "" && u.Member != "" && u.Is.Format == "":
		return u.remedy + " (from an archive, the agent takes the first file without an extension, by name)"
	}
	return u.remedy
}

// ReportUnfit adds a file, which is at a path, to what a verification finds if an agent
// cannot run it: a problem if no agent can start with it. It passes over a dependency that is
// perhaps a file to read: a pull warns of it, when the user can still choose another.
func ReportUnfit(r *audit.Report, path string, p agent.Platform, f lock.File, made lock.Made) {
	switch u, unfit := JudgeProgram(p, f, made); {
	case !unfit:
	case u.Certain:
		r.Fail(audit.Problem{Kind: audit.KindUnfit, Path: path, Detail: fmt.Sprintf("%s: %s; %s", u.Subject(), u.Detail(), u.Remedy())})
	case u.Dependency == "":
		r.Note(fmt.Sprintf("%s: %s: %s", u.Subject(), u.Detail(), u.Remedy()))
	}
}

// headed is a sink that keeps the head, too.
type headed struct {
	blob.Sink
	head agent.Head
}

func (h *headed) Write(p []byte) (int, error) {
	n, err := h.Sink.Write(p)
	_, _ = h.head.Write(p[:n]) // never fails
	return n, err
}

func (h *headed) Reset() error {
	h.head = agent.Head{}
	return h.Sink.Reset()
}

// Examine unpacks a file, says what it is to the system that would run it, and keeps
// nothing of it. The file must come from an archive: no digest is known that it could be
// compared with, so nothing is hashed.
func Examine(ctx context.Context, from Source, p agent.Platform, f lock.File) (lock.Made, error) {
	to := &headed{Sink: new(counted)}
	if err := from.Make(ctx, p, f, to); err != nil {
		return lock.Made{}, err
	}
	return lock.Made{Size: to.Blob().Size, Program: to.head.Program()}, nil
}

// counted is a sink that only counts: its blobs have no digest.
type counted struct{ size int64 }

func (c *counted) Write(p []byte) (int, error) {
	c.size += int64(len(p))
	return len(p), nil
}

func (c *counted) Reset() error {
	c.size = 0
	return nil
}

func (c *counted) Blob() lock.Blob { return lock.Blob{Size: c.size} }

// ProgramOf returns the kind of program that a blob is.
func ProgramOf(blobs blob.Source, d lock.SHA256) (agent.Program, error) {
	f, err := blobs.Open(d)
	if err != nil {
		return agent.Program{}, err
	}
	defer f.Close()
	var head agent.Head
	if _, err := io.Copy(&head, io.LimitReader(f, agent.ProgramHeadSize)); err != nil {
		return agent.Program{}, err
	}
	return head.Program(), nil
}

// Unfit returns the files of a lock that an agent cannot run, as far as it is
// known what they are: what Memory does not know of an archive is not looked at.
func (u Upstream) Unfit(l *lock.Lock) ([]Unfit, error) {
	var all []Unfit
	for _, p := range l.Platforms {
		for _, f := range l.Files(p) {
			made, err := u.made(f)
			if err != nil {
				return nil, err
			}
			if unfit, is := JudgeProgram(p, f, made); is {
				all = append(all, unfit)
			}
		}
	}
	return all, nil
}

// made says what a file is, as far as that is known.
func (u Upstream) made(f lock.File) (made lock.Made, err error) {
	pinned, ok := f.Pinned()
	switch {
	case f.Template != "":
	case ok:
		made.Size = pinned.Size
		made.Program, err = ProgramOf(u.Blobs, pinned.SHA256)
	case u.Memory != nil:
		made, _ = u.Memory.Derived(f.Artifact.SHA256, how(f))
	}
	return made, err
}
