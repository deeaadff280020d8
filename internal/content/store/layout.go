package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
)

const (
	layoutFile = "oci-layout"
	indexFile  = "index.json"
	blobsRoot  = "blobs"
	blobsDir   = "blobs/sha256"
	ingestDir  = "ingest"
	urlsDir    = "urls"
	derivedDir = "derived"
	indexesDir = "indexes"
	rootsDir   = "roots"
	tempPrefix = "tmp-"
	runPrefix  = "run-"
	dirMode    = 0o755
	fileMode   = 0o644
	lockSuffix = ".lock"
	partSuffix = ".part"
	metaSuffix = ".json"
	sumsSuffix = ".sums"
)

// Contents of the two files that make a directory an OCI image layout
// (image-spec v1.1, image-layout.md).
const (
	layoutContent = `{"imageLayoutVersion":"1.0.0"}`
	indexContent  = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`
)

// Open opens the store in a directory, and makes one of a directory that is
// absent or empty. One that another user owns or that every user may write to is
// refused.
func Open(dir string) (*Store, error) { return open(dir, false) }

// OpenShared is [Open] for a store that others may write to. Nothing that it
// remembers counts, and every blob is hashed before each use.
func OpenShared(dir string) (*Store, error) { return open(dir, true) }

// Look opens the store in a directory for [Store.Roots] and [Store.Sweep] alone, which then change
// nothing. If there is no store, it is an error, as it is of [Exists].
func Look(dir string, shared bool) (*Store, error) {
	if err := Exists(dir); err != nil {
		return nil, err
	}
	s, err := at(dir)
	if err != nil {
		return nil, err
	}
	if s.root, err = disk.OpenRoot(s.dir); err == nil {
		err = s.refuseForeign()
	}
	if err == nil {
		err = s.checkAccess(shared)
	}
	if err != nil {
		return nil, openError(dir, errors.Join(err, s.closeRoot()))
	}
	return s, nil
}

// OnlyLooks reports whether a store was opened by [Look].
func (s *Store) OnlyLooks() bool { return s.run == nil }

// Exists returns an error if there is no store in a directory. It changes nothing.
func Exists(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return openError(dir, err)
	}
	for _, e := range entries {
		if !disk.IsVolumeMetadata(e.Name()) {
			return nil // or something else, which opening it says
		}
	}
	return fault.New(fault.Usage, "there is no store in %s", dir).
		WithHint("name the directory that pull was given with --store; without it, each user has a store of their own")
}

// at returns a store in a directory, which is yet to be opened.
func at(dir string) (*Store, error) {
	if dir == "" {
		return nil, fault.New(fault.Usage, "opening the store: no directory is named").WithHint("name one with --store")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", dir, err)
	}
	return &Store{dir: abs, trusted: true}, nil
}

func open(dir string, shared bool) (*Store, error) {
	s, err := at(dir)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(shared); err != nil {
		return nil, openError(dir, errors.Join(err, s.closeRoot()))
	}
	if err := s.register(); err != nil {
		return nil, openError(dir, errors.Join(err, s.closeRoot()))
	}
	if err := s.mendLayout(); err != nil {
		return nil, openError(dir, errors.Join(err, s.Close()))
	}
	s.removeStale()
	return s, nil
}

// openError says what stands in the way of a store.
func openError(dir string, err error) error {
	err = explain(err)
	if _, explained := errors.AsType[*fault.Error](err); !explained {
		const other = "name another directory with --store"
		if errors.Is(err, syscall.ENOTDIR) {
			err = fault.New(fault.Usage, "a file is in the way: %w", err).WithHint(other)
		} else {
			err = fault.New(fault.Unexpected, "%w", err).WithHint(other)
		}
	}
	return fmt.Errorf("opening the store %s: %w", dir, err)
}

// storeDirs are the directories of a store, parents first.
var storeDirs = []string{ingestDir, blobsRoot, blobsDir, urlsDir, derivedDir, indexesDir, rootsDir}

// prepare creates the directories that are missing. The first of them is one
// that tells a store from what is somebody else's.
func (s *Store) prepare(shared bool) error {
	created, err := disk.MakeDirs(s.dir, dirMode, nil)
	if err != nil {
		return err
	}
	for _, dir := range created {
		if err := disk.SyncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	if fi, err := os.Stat(s.dir); err == nil && !fi.IsDir() {
		return &fs.PathError{Op: "open", Path: s.dir, Err: syscall.ENOTDIR}
	}
	if s.root, err = disk.OpenRoot(s.dir); err != nil {
		return err
	}
	if err := s.refuseForeign(); err != nil {
		return err
	}
	// Before anything is written, and once all is there.
	if err := s.checkAccess(shared); err != nil {
		return err
	}
	for _, sub := range storeDirs {
		if err := s.makeDir(sub); err != nil {
			return err
		}
	}
	return s.checkAccess(shared)
}

func (s *Store) closeRoot() error {
	if s.root == nil {
		return nil
	}
	return s.root.Close()
}

// makeDir creates a directory. Anything else in its place goes, a link and not what it leads to.
func (s *Store) makeDir(name string) error {
	if fi, err := s.root.Lstat(name); err == nil && !fi.IsDir() {
		if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err := s.root.Mkdir(name, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return nil // or another process has just made it
	}
	if err != nil {
		return err
	}
	return disk.SyncDirIn(s.root, path.Dir(name))
}

// mendLayout writes the files that make the directory an OCI image layout
// where they are absent or damaged. What another tool put into the index stays.
func (s *Store) mendLayout() error {
	if s.layoutVersion() != 1 {
		if err := s.writeFile(layoutFile, []byte(layoutContent), durable); err != nil {
			return err
		}
	}
	if data, ok := s.readFile(indexFile, maxIndex); ok && isIndex(data) {
		return nil
	}
	return s.writeFile(indexFile, []byte(indexContent), durable)
}

// maxIndex bounds, in bytes, the index.json of a store.
const maxIndex = 16 << 20

func isIndex(data []byte) bool {
	var index struct {
		SchemaVersion int               `json:"schemaVersion"`
		Manifests     []json.RawMessage `json:"manifests"`
	}
	return json.Unmarshal(data, &index) == nil && index.SchemaVersion == 2
}

// layoutVersion returns the major version that oci-layout names, or 0 if it is none.
func (s *Store) layoutVersion() int {
	var layout struct {
		Version string `json:"imageLayoutVersion"`
	}
	data, ok := s.readFile(layoutFile, 64<<10)
	if !ok || json.Unmarshal(data, &layout) != nil {
		return 0
	}
	major, _, _ := strings.Cut(layout.Version, ".")
	version, err := strconv.Atoi(major)
	if err != nil {
		return 0
	}
	return version
}

// refuseForeign returns an error for a directory that is not a store. A store has
// directories that no other layout has, even where its oci-layout is damaged.
func (s *Store) refuseForeign() error {
	version := s.layoutVersion()
	if version > 1 {
		return fault.New(fault.Usage, "%s is not that of an OCI image layout of version 1", s.at(layoutFile)).
			WithHint("name another directory with --store")
	}
	entries, err := s.entries(".")
	if err != nil {
		return err
	}
	begun, rest, foreign := false, "", ""
	for _, e := range entries {
		switch name := e.Name(); name {
		case ingestDir, urlsDir, derivedDir, indexesDir, rootsDir:
			begun = true
		case layoutFile, indexFile, blobsRoot:
			rest = name
		default:
			if !disk.IsVolumeMetadata(name) {
				foreign = name
			}
		}
	}
	const other = "name an empty or absent directory with --store"
	blobs, err := s.entries(blobsDir)
	hasBlobs := err == nil && len(blobs) > 0
	switch {
	case version == 1 && !begun && hasBlobs:
		return fault.New(fault.Usage, "the directory is an OCI image layout with blobs, but not a store").WithHint(other)
	case version == 1:
		return nil
	case foreign == "" && (begun || rest == ""):
		return nil
	}
	return fault.New(fault.Usage, "the directory is not empty and not a store: it has %q, but no valid %s", cmp.Or(foreign, rest), layoutFile).
		WithHint(other + "; if this one was a store, remove it")
}

// entries lists a directory of the store, by name. Where none is made, one that is absent is empty.
func (s *Store) entries(dir string) ([]fs.DirEntry, error) {
	entries, err := disk.ReadDir(s.root, dir)
	if s.OnlyLooks() && errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return entries, err
}

// sweepLock is held by who sweeps, and by who joins those who use the store,
// so that a sweep knows them all.
const sweepLock = "sweep" + lockSuffix

// register enters this process in the list of those who use the store.
func (s *Store) register() error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Minute,
		fault.New(fault.Unexpected, "another run is sweeping it").WithHint("try again when that run is done"))
	defer cancel()
	l, err := s.claim(ctx, ingestDir+"/"+sweepLock, nil)
	if err != nil {
		return err
	}
	return errors.Join(s.enter(), l.Unlock())
}

func (s *Store) enter() error {
	name := rand.Text()
	run, err := filelock.TryFile(s.root, ingestDir+"/"+runPrefix+name+lockSuffix)
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
	s.run, s.runName, s.opened = run, name, fi.ModTime()
	return nil
}

// tempName names a file so that others can tell whether its writer lives.
func (s *Store) tempName() string {
	return fmt.Sprintf("%s/%s%s-%d", ingestDir, tempPrefix, s.runName, s.temps.Add(1))
}
