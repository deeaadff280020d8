package dir

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/store"
)

// place brings one file to its path.
func (t *tree) place(ctx context.Context, f lock.File, s *store.Store) (bool, error) {
	intact, err := t.intact(ctx, f, s)
	if err != nil || intact {
		return false, err
	}
	if err := s.Verify(ctx, f.Artifact.SHA256); err != nil {
		return false, err
	}
	staged, err := t.stage()
	if err != nil {
		return false, err
	}
	defer staged.discard()
	if err := unpack(ctx, f, s, staged); err != nil {
		return false, err
	}
	made := staged.blob()
	if err := s.SetDerived(f.Artifact.SHA256, how(f), made); err != nil {
		return false, err
	}
	// Another machine's store does not know what extraction gives: now this
	// one does, and the file may be right after all.
	same, err := t.holds(ctx, f.Path, made, agent.BinaryMode)
	if err == nil && !same {
		err = t.publish(staged, f.Path, agent.BinaryMode)
	}
	if err == nil {
		t.record(f.Path, made)
	}
	return !same, err
}

func (t *tree) record(p string, made lock.Blob) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.made[p] = made
}

// intact reports whether the file is there as it should be. What it should be
// is known if this machine unpacked it before.
func (t *tree) intact(ctx context.Context, f lock.File, s *store.Store) (bool, error) {
	made := f.Artifact.Blob
	if f.Format != "" {
		known, ok := s.Derived(f.Artifact.SHA256, how(f))
		if !ok {
			return false, nil
		}
		made = known
	}
	same, err := t.holds(ctx, f.Path, made, agent.BinaryMode)
	if same {
		t.record(f.Path, made)
	}
	return same, err
}

// how names what is taken out of an artifact.
func how(f lock.File) string {
	return fmt.Sprintf("%s %q %q %t", f.Format, f.Member.Dir, f.Member.Name, f.Member.First)
}

// holds reports whether a regular file of a mode with a content is at a path.
// A wrong mode alone is mended.
func (t *tree) holds(ctx context.Context, p string, want lock.Blob, mode fs.FileMode) (bool, error) {
	fi, err := t.root.Lstat(p)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() != want.Size {
		return false, nil
	}
	f, err := t.root.Open(p)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, reader{ctx, f}, make([]byte, bufferSize)); err != nil {
		return false, ctx.Err()
	}
	if lock.SHA256(h.Sum(nil)) != want.SHA256 {
		return false, nil
	}
	if fi.Mode().Perm() != mode {
		return true, t.root.Chmod(p, mode)
	}
	return true, nil
}

const (
	// bufferSize is that of copies, in bytes.
	bufferSize = 256 << 10
	// writtenAtOnce is after how many bytes the disk is told to begin.
	writtenAtOnce = 8 << 20
)

// reader fails once its context is done.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// unpack writes the binary that an artifact is or holds.
func unpack(ctx context.Context, f lock.File, s *store.Store, to *stagedFile) error {
	blob, err := s.Open(f.Artifact.SHA256)
	if err != nil {
		return err
	}
	defer blob.Close()
	if f.Format == "" {
		_, err = io.CopyBuffer(to, reader{ctx, blob}, make([]byte, bufferSize))
		return err
	}
	_, err = archive.Extract(ctx, blob, f.Format, f.Member, archive.Limits{}, to)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("unpacking %s: %w", f.Artifact.URL, err)
	if fault.KindOf(err) != fault.Integrity {
		return err
	}
	hint := fmt.Sprintf("leave the plugin out with --exclude %s/%s, and tell its publisher", f.Plugin.Repository, f.Plugin.Name)
	if held := fault.HintOf(err); held != "" {
		hint = held + "\n" + hint
	}
	return fault.New(fault.Integrity, "%w", err).WithHint("%s", hint)
}
