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

// access says who may change a file besides this user and root.
type access int

// From the best to the worst.
const (
	exclusive access = iota
	byGroup
	byOthers
	// foreign is what belongs to another user.
	foreign
)

// accessTo says who may write a file. On Windows, which has lists of rights, all is exclusive.
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

// checkAccess refuses a store that another user owns or that every user may
// write to, unless it is shared knowingly. A volume that keeps no owners or modes,
// as many network file systems do not, tells nothing of who may write: it is used,
// and not trusted. Neither is a store that a group may write to.
func (s *Store) checkAccess(shared bool) error {
	for _, dir := range append([]string{"."}, storeDirs...) {
		fi, err := s.root.Lstat(dir)
		if err != nil || !fi.IsDir() {
			continue // not made yet
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

// keepsModes tries whether owners and modes are kept. If nothing can be written, they are.
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
		"or add --shared-store: every blob is hashed before each use then, and nothing else in the store is trusted"
	if who == foreign {
		return fault.New(fault.Usage, "%s belongs to %s, who may change what is in it; this is %s", at, userName(disk.AccessOf(fi).User), userName(os.Geteuid())).
			WithHint(other)
	}
	return fault.New(fault.Usage, "every user may change what is in %s (mode %04o)", at, fi.Mode().Perm()).
		WithHint("if nobody else has written to it, keep others out: chmod -R go-w %s\nor %s", store, other)
}

// userName says who a user is.
func userName(id int) string {
	text := "user " + strconv.Itoa(id)
	if u, err := user.LookupId(strconv.Itoa(id)); err == nil {
		text = cmp.Or(fmt.Sprintf("%s (%s)", text, u.Username), text)
	}
	return text
}

// trusts reports whether nobody else can have changed a file, or will while it is read.
func (s *Store) trusts(fi fs.FileInfo) bool { return s.trusted && accessTo(fi) == exclusive }

// TempDir creates a directory for what is on its way to becoming a blob. It is
// for the caller to remove; one that a killed run left, the next run removes. If
// others may write to the store, it is outside of it.
func (s *Store) TempDir() (string, error) {
	if !s.trusted {
		dir, err := os.MkdirTemp("", "botkube-mirror-*")
		if err != nil {
			err = fmt.Errorf("making a temporary directory: %w", err)
		}
		return dir, err
	}
	name := s.tempName()
	if err := s.root.Mkdir(name, 0o700); err != nil {
		return "", fmt.Errorf("making room in the store: %w", explain(err))
	}
	return s.at(name), nil
}
