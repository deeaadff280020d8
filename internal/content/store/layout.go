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

// The two files of every OCI image layout (image-spec v1.1, image-layout.md).
const (
	layoutContent = `{"imageLayoutVersion":"1.0.0"}`
	indexContent  = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`
)

// Open opens the store in a directory. If the directory is absent or empty, it creates a store
// there. It returns an error if another user owns the store, or if every user may write to it.
func Open(dir string) (*Store, error) { return open(dir, false) }

// OpenShared is [Open] for a store that other users may write to. It ignores the records in the
// store, and hashes every blob before each use.
func OpenShared(dir string) (*Store, error) { return open(dir, true) }

// Look opens the store in a directory without changing it. Only [Store.Roots] and [Store.Sweep] may
// be called, and they change nothing. If there is no store, Look returns the error of [Exists].
func Look(dir string, shared bool) (*Store, error) {
	if err := Exists(dir); err != nil {
		return nil, err
	}
	s, err := newStore(dir)
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

// Exists returns an error if a directory is absent or empty, so that there is no store in it.
func Exists(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return openError(dir, err)
	}
	for _, e := range entries {
		if !disk.IsVolumeMetadata(e.Name()) {
			return nil // Open returns an error if it is not a store
		}
	}
	return fault.New(fault.Usage, "there is no store in %s", dir).
		WithHint("name the directory that you gave pull with --store; without --store, each user has a store of their own")
}

// newStore returns a store in a directory, without opening it.
func newStore(dir string) (*Store, error) {
	if dir == "" {
		return nil, fault.New(fault.Usage, "opening the store: no directory was given").WithHint("name a directory with --store")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", dir, err)
	}
	return &Store{dir: abs, trusted: true}, nil
}

func open(dir string, shared bool) (*Store, error) {
	s, err := newStore(dir)
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

// openError returns the error for a store that cannot be opened, with a hint.
func openError(dir string, err error) error {
	err = explain(err)
	if _, explained := errors.AsType[*fault.Error](err); !explained {
		const other = "name another directory with --store"
		if errors.Is(err, syscall.ENOTDIR) {
			err = fault.New(fault.Usage, "%w", err).WithHint(other)
		} else {
			err = fault.New(fault.Unexpected, "%w", err).WithHint(other)
		}
	}
	return fmt.Errorf("opening the store %s: %w", dir, err)
}

// storeDirs are the directories of a store, parents first.
var storeDirs = []string{ingestDir, blobsRoot, blobsDir, urlsDir, derivedDir, indexesDir, rootsDir}

// prepare creates the missing directories, ingest first: no other OCI image layout has it, so it
// marks the directory as a store.
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
	// Check before the first change, and again when all directories exist.
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

// makeDir creates a directory. It removes a file or a link at that path, but not the target of the
// link.
func (s *Store) makeDir(name string) error {
	if fi, err := s.root.Lstat(name); err == nil && !fi.IsDir() {
		if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err := s.root.Mkdir(name, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process may have created it
	}
	if err != nil {
		return err
	}
	return disk.SyncDirIn(s.root, path.Dir(name))
}

// mendLayout writes oci-layout and index.json if they are missing or damaged. It keeps what other
// tools have added to the index.
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

// maxIndex is the largest index.json of a store, in bytes.
const maxIndex = 16 << 20

func isIndex(data []byte) bool {
	var index struct {
		SchemaVersion int               `json:"schemaVersion"`
		Manifests     []json.RawMessage `json:"manifests"`
	}
	return json.Unmarshal(data, &index) == nil && index.SchemaVersion == 2
}

// layoutVersion returns the major version in oci-layout, or 0 if the file is missing or invalid.
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

// refuseForeign returns an error if a directory is not a store. A store has directories that no
// other OCI image layout has, so it is recognised even if its oci-layout is damaged.
func (s *Store) refuseForeign() error {
	version := s.layoutVersion()
	if version > 1 {
		return fault.New(fault.Usage, "%s has an unsupported version: only version 1 of OCI image layouts is supported", s.at(layoutFile)).
			WithHint("name another directory with --store")
	}
	entries, err := s.entries(".")
	if err != nil {
		return err
	}
	hasStoreDir, layoutEntry, foreign := false, "", ""
	for _, e := range entries {
		switch name := e.Name(); name {
		case ingestDir, urlsDir, derivedDir, indexesDir, rootsDir:
			hasStoreDir = true
		case layoutFile, indexFile, blobsRoot:
			layoutEntry = name
		default:
			if !disk.IsVolumeMetadata(name) {
				foreign = name
			}
		}
	}
	const other = "name a new or an empty directory with --store"
	blobs, err := s.entries(blobsDir)
	hasBlobs := err == nil && len(blobs) > 0
	switch {
	case version == 1 && !hasStoreDir && hasBlobs:
		return fault.New(fault.Usage, "the directory is another OCI image layout, not a store").WithHint(other)
	case version == 1:
		return nil
	case foreign == "" && (hasStoreDir || layoutEntry == ""):
		return nil
	}
	return fault.New(fault.Usage, "the directory is not empty and not a store: it has %q, but no valid %s", cmp.Or(foreign, layoutEntry), layoutFile).
		WithHint(other + "; if this directory was a store, remove it")
}

// entries lists a directory of the store by name. In a store of [Look], a missing directory has no
// entries.
func (s *Store) entries(dir string) ([]fs.DirEntry, error) {
	entries, err := disk.ReadDir(s.root, dir)
	if s.OnlyLooks() && errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return entries, err
}

// sweepLock is held by a process that sweeps, and by a process that opens the store. So a sweep
// knows all processes that use the store.
const sweepLock = "sweep" + lockSuffix

// register shows other processes that this one uses the store.
func (s *Store) register() error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Minute,
		fault.New(fault.Unexpected, "another run is removing blobs from it").WithHint("run the command again when the other run is done"))
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
		// Another process holds the new file, because it took it for a stale one. Use another name.
		return s.enter()
	}
	fi, err := run.Stat()
	if err != nil {
		return errors.Join(err, run.Unlock())
	}
	s.run, s.runName, s.opened = run, name, fi.ModTime()
	return nil
}

// tempName returns a name for a temporary file. It has the run's name, so that other processes can
// find out whether this run still exists.
func (s *Store) tempName() string {
	return fmt.Sprintf("%s/%s%s-%d", ingestDir, tempPrefix, s.runName, s.temps.Add(1))
}
