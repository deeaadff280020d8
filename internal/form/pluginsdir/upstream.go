package pluginsdir

import (
	"context"
	"fmt"
	"reflect"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// Upstream is a [Source]: upstream files as their publishers made them.
type Upstream struct {
	Blobs blob.Source
	// Memory records what was unpacked from archives; it may be nil.
	Memory Memory
}

// Memory records what was made from a blob: see [store.Store.Derived].
type Memory interface {
	Derived(blob lock.SHA256, how string) (lock.Made, bool)
	SetDerived(blob lock.SHA256, how string, made lock.Made) error
}

// Known knows what the lock pins.
func (Upstream) Known(_ agent.Platform, f lock.File) (lock.Blob, bool) { return f.Pinned() }

// Expected knows what Memory remembers, too.
func (u Upstream) Expected(_ agent.Platform, f lock.File) (size int64, known bool) {
	if pinned, ok := f.Pinned(); ok {
		return pinned.Size, true
	}
	if u.Memory == nil {
		return 0, false
	}
	made, known := u.Memory.Derived(f.Artifact.SHA256, how(f))
	return made.Size, known
}

// MostOf returns how many bytes a file of a cache directory can have: as many as
// the lock says, or, of one that is unpacked, as its archive can hold.
func MostOf(f lock.File) int64 {
	if pinned, ok := f.Pinned(); ok {
		return pinned.Size
	}
	return archive.Limits{}.MaxUnpacked(f.Artifact.Size)
}

// MostOfAny is the maximum size, in bytes, of a file that is not in the lock.
func MostOfAny() int64 { return archive.DefaultLimits.UnpackedBytes }

// how names what is taken out of an artifact.
func how(f lock.File) string {
	return fmt.Sprintf("%s %q %q %t", f.Format, f.Member.Dir, f.Member.Name, f.Member.First)
}

// Make verifies the artifact, and writes the binary that it is or holds.
func (u Upstream) Make(ctx context.Context, p agent.Platform, f lock.File, sink blob.Sink) error {
	if err := u.Blobs.Verify(ctx, f.Artifact.SHA256); err != nil {
		return err
	}
	to := &headed{Sink: sink}
	name, err := u.unpack(ctx, p, f, to)
	if err != nil {
		return err
	}
	made := to.Blob()
	pinned, ok := f.Pinned()
	switch {
	case ok && made != pinned && f.Template != "":
		return fault.New(fault.Integrity, "%s of %s has the sha256 %s, but the lock says %s", f.Member.Name, agent.Redact(f.Artifact.URL), made.SHA256, pinned.SHA256).
			WithHint("the lock contradicts itself: write it again with botkube-mirror lock")
	case ok && made != pinned:
		return fault.New(fault.Integrity, "%s changed while it was read: its sha256 was %s, and is %s", agent.Redact(f.Artifact.URL), pinned.SHA256, made.SHA256).
			WithHint("run the same command again; if it fails again, check the disk and the memory of this machine")
	case ok || u.Memory == nil:
		return nil
	}
	remembered := lock.Made{Size: made.Size, Name: name, Program: to.head.Program()}
	if known, ok := u.Memory.Derived(f.Artifact.SHA256, how(f)); ok && reflect.DeepEqual(known, remembered) {
		return nil
	}
	return u.Memory.SetDerived(f.Artifact.SHA256, how(f), remembered)
}

// unpack returns the name that the file has in the archive, if it is one of several.
func (u Upstream) unpack(ctx context.Context, p agent.Platform, f lock.File, to blob.Sink) (name string, err error) {
	content, err := u.Blobs.Open(f.Artifact.SHA256)
	if err != nil {
		return "", err
	}
	defer content.Close()
	if f.Format == "" {
		return "", blob.Copy(ctx, to, content)
	}
	name, err = archive.Extract(ctx, blob.WatchedFile(ctx, content), f.Format, f.Member, archive.Limits{}, to)
	if err == nil {
		return name, nil
	}
	err = fmt.Errorf("unpacking %s: %w", f.Artifact.URL, err)
	if fault.KindOf(err) != fault.Integrity {
		return "", err
	}
	hint := remedy(f)
	if f.Replaces != "" {
		hint = fmt.Sprintf("the file is dependency %s of %s for %s: %s", f.Dependency, f.Plugin, p, hint)
	}
	if held := fault.HintOf(err); held != "" {
		hint = held + "\n" + hint
	}
	return "", fault.New(fault.Integrity, "%w", err).WithHint("%s", hint)
}

// Index returns the index as upstream served it.
func (u Upstream) Index(_ agent.Platform, r lock.Repository) (Index, error) {
	data, err := u.Blobs.ReadAll(r.Index.SHA256, index.MaxSize)
	if err != nil {
		return Index{}, err
	}
	ix := Index{Data: data, Schemas: map[string]string{}}
	for _, schema := range r.Schemas {
		text, err := u.Blobs.ReadAll(schema.SHA256, lock.MaxSchema)
		if err != nil {
			return Index{}, fmt.Errorf("reading the JSON schema %s: %w", schema.URL, err)
		}
		if text, err = textfile.Decode(text); err != nil {
			return Index{}, fmt.Errorf("reading the JSON schema %s: %w", schema.URL, err)
		}
		ix.Schemas[schema.URL] = string(text)
	}
	return ix, nil
}
