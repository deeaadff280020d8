package store

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// access says which users besides this one and root may change a file.
type access int

// The kinds of access, from the safest to the least safe.
const (
	exclusive access = iota
	byGroup
	byOthers
	// foreign means that another user owns the file.
	foreign
)

// accessTo says who may change a file. On Windows, which has access control lists instead of modes,
// it returns exclusive.
func accessTo(fi fs.FileInfo) access {
	a := disk.AccessOf(fi)
	switch mode := a.Mode.Perm(); {
	case a.User < 0:
		return exclusive
	case a.User != os.Geteuid() && a.User != 0:
		return foreign
	case mode&0o002 != 0:
		return byOthers
	case mode&0o020 != 0:
		return byGroup
	}
	return exclusive
}

// checkAccess returns an error if another user owns the store, or if every user may write to it.
// With shared, it accepts such a store, but does not trust it. It also accepts, and does not trust,
// a store to which a group may write, and one on a volume that keeps no owners or modes, such as
// many network file systems.
func (s *Store) checkAccess(shared bool) error {
	for _, dir := range append([]string{"."}, storeDirs...) {
		fi, err := s.root.Lstat(dir)
		if err != nil || !fi.IsDir() {
			continue // not created yet
		}
		who := accessTo(fi)
		s.trusted = s.trusted && who == exclusive
		if who <= byGroup || shared || !s.keepsModes() {
			continue
		}
		return refuseAccess(filepath.Join(s.dir, dir), s.dir, who, fi)
	}
	return nil
}

// keepsModes creates a file to find out whether the file system keeps owners and modes. It returns
// true if no file can be created.
func (s *Store) keepsModes() bool {
	name := tempPrefix + rand.Text()
	f, err := s.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return true
	}
	defer s.root.Remove(name)
	defer f.Close()
	fi, err := f.Stat()
	return err != nil || disk.AccessOf(fi).User == os.Geteuid() && fi.Mode().Perm()&0o077 == 0
}

func refuseAccess(at, store string, who access, fi fs.FileInfo) error {
	const other = "name a store of your own with --store\n" +
		"or add --shared-store: every blob is then checked before each use, and nothing else in the store is trusted"
	if who == foreign {
		return fault.New(fault.Usage, "%s belongs to %s, who can change its content; you are %s", at, userName(disk.AccessOf(fi).User), userName(os.Geteuid())).
			WithHint(other)
	}
	return fault.New(fault.Usage, "every user can change the content of %s (mode %04o)", at, fi.Mode().Perm()).
		WithHint("if no other user has written to it, take their write permission away: chmod -R go-w %s\nor %s", store, other)
}

// userName returns the number and the name of a user for messages.
func userName(id int) string {
	text := "user " + strconv.Itoa(id)
	if u, err := user.LookupId(strconv.Itoa(id)); err == nil {
		text = cmp.Or(fmt.Sprintf("%s (%s)", text, u.Username), text)
	}
	return text
}

// trusts reports whether no other user can change a file or could have changed it.
func (s *Store) trusts(fi fs.FileInfo) bool { return s.trusted && accessTo(fi) == exclusive }

// TempDir creates a temporary directory, which the caller must remove. If the process is killed,
// the next run removes it. It is in the store, unless others may write there.
func (s *Store) TempDir() (string, error) {
	if !s.trusted {
		dir, err := os.MkdirTemp("", "botkube-mirror-*")
		if err != nil {
			err = fmt.Errorf("creating a temporary directory: %w", err)
		}
		return dir, err
	}
	name := s.tempName()
	if err := s.root.Mkdir(name, 0o700); err != nil {
		return "", fmt.Errorf("creating a temporary directory in the store: %w", explain(err))
	}
	return s.at(name), nil
}
