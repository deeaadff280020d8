package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
)

const (
	layoutFile  = "oci-layout"
	indexFile   = "index.json"
	blobsRoot   = "blobs"
	blobsDir    = "blobs/sha256"
	ingestDir   = "ingest"
	urlsDir     = "urls"
	derivedDir  = "derived"
	rootsDir    = "roots"
	tempPrefix  = "tmp-"
	runPrefix   = "run-"
	dirMode     = 0o755
	fileMode    = 0o644
	lockSuffix  = ".lock"
	partSuffix  = ".part"
	metaSuffix  = ".json"
	sumsSuffix  = ".sums"
	otherSuffix = ".other"
)

// Contents of the two files that make a directory an OCI image layout
// (image-spec v1.1, image-layout.md).
const (
	layoutContent = `{"imageLayoutVersion":"1.0.0"}`
	indexContent  = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`
)

// staleAfter is the age at which a temporary file cannot be in use. A writer
// that slept for longer notices: see [Store.writeFile].
const staleAfter = time.Hour

// Open opens the store in a directory, and makes one of a directory that is
// absent or empty.
func Open(dir string) (*Store, error) {
	if dir == "" {
		return nil, fault.New(fault.Usage, "opening the store: no directory is named").WithHint("name one with --store")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", dir, err)
	}
	s := &Store{dir: abs, busy: map[string]chan struct{}{}, known: map[lock.SHA256]int64{}}
	if err := s.prepare(); err != nil {
		return nil, openError(dir, err)
	}
	if err := s.register(); err != nil {
		return nil, openError(dir, err)
	}
	s.removeStale()
	return s, nil
}

// openError says what stands in the way of a store.
func openError(dir string, err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return fmt.Errorf("opening the store %s: %w", dir, err)
	}
	const other = "name another directory with --store"
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return fault.New(fault.Usage, "opening the store %s: a file is in the way: %w", dir, err).WithHint(other)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fault.New(fault.Unexpected, "opening the store %s: %w", dir, err).
			WithHint("the store must be readable and writable; %s", other)
	case disk.IsFull(err):
		return fault.New(fault.Unexpected, "opening the store %s: %w", dir, err).WithHint("free some space, or %s", other)
	}
	return fault.New(fault.Unexpected, "opening the store %s: %w", dir, err).WithHint(other)
}

// prepare creates what is missing. The layout file comes first, so that a
// directory of ours is never taken for somebody else's.
func (s *Store) prepare() error {
	created, err := disk.MakeDirs(s.dir, dirMode)
	if err != nil {
		return err
	}
	for _, dir := range created {
		if err := disk.SyncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	if err := s.prepareLayout(); err != nil {
		return err
	}
	for _, sub := range []string{blobsRoot, blobsDir, ingestDir, urlsDir, derivedDir, rootsDir} {
		if err := makeDir(filepath.Join(s.dir, sub)); err != nil {
			return err
		}
	}
	path := filepath.Join(s.dir, indexFile)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.writeFile(path, []byte(indexContent), durable)
}

// makeDir creates a directory whose parent exists.
func makeDir(path string) error {
	err := os.Mkdir(path, dirMode)
	if err == nil {
		return disk.SyncDir(filepath.Dir(path))
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	fi, err := os.Stat(path)
	if err == nil && !fi.IsDir() {
		err = &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	}
	return err
}

func (s *Store) prepareLayout() error {
	path := filepath.Join(s.dir, layoutFile)
	switch _, err := os.Lstat(path); {
	case err == nil:
		return checkLayout(path)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := s.refuseForeign(); err != nil {
		return err
	}
	if err := makeDir(filepath.Join(s.dir, ingestDir)); err != nil {
		return err
	}
	return s.writeFile(path, []byte(layoutContent), durable)
}

func checkLayout(path string) error {
	var layout struct {
		Version string `json:"imageLayoutVersion"`
	}
	data, ok := readFile(path, 64<<10)
	if !ok || json.Unmarshal(data, &layout) != nil || !strings.HasPrefix(layout.Version, "1.") {
		return fault.New(fault.Usage, "%s is not that of an OCI image layout of version 1", path).
			WithHint("name another directory with --store, or remove this one if it was a store")
	}
	return nil
}

// refuseForeign refuses a directory that is not empty. The ingest directory is
// the first thing that a store gets, and lost+found is part of a fresh volume.
func (s *Store) refuseForeign() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); name != ingestDir && name != "lost+found" {
			return fault.New(fault.Usage, "the directory is not empty and not a store: it has %q, but no %s", name, layoutFile).
				WithHint("name an empty or absent directory with --store")
		}
	}
	return nil
}

// sweepLock is held by who sweeps, and by who joins those who use the store,
// so that a sweep knows them all.
const sweepLock = "sweep" + lockSuffix

// register enters this process in the list of those who use the store.
func (s *Store) register() error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Minute,
		fault.New(fault.Unexpected, "another run is sweeping it").WithHint("try again when that run is done"))
	defer cancel()
	l, err := s.claimFile(ctx, filepath.Join(s.dir, ingestDir, sweepLock), func() {})
	if err != nil {
		return err
	}
	return errors.Join(s.enter(), l.Unlock())
}

func (s *Store) enter() error {
	f, err := os.CreateTemp(filepath.Join(s.dir, ingestDir), runPrefix+"*"+lockSuffix)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	run, err := filelock.TryFile(f.Name())
	if err != nil {
		return err
	}
	if run == nil {
		// Another process is cleaning up and took the file for a stale one.
		return s.enter()
	}
	fi, err := run.Stat()
	if err != nil {
		return errors.Join(err, run.Unlock())
	}
	s.run, s.opened = run, fi.ModTime()
	return nil
}

// removeStale removes what processes that were killed left behind, save their
// downloads, which are resumed.
func (s *Store) removeStale() {
	entries, err := os.ReadDir(filepath.Join(s.dir, ingestDir))
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(s.dir, ingestDir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), tempPrefix):
			if fi, err := e.Info(); err == nil && time.Since(fi.ModTime()) > staleAfter {
				_ = os.Remove(path)
			}
		case strings.HasSuffix(e.Name(), lockSuffix):
			if l, err := filelock.TryFile(path); err == nil && l != nil {
				_ = l.Unlock()
			}
		}
	}
}
