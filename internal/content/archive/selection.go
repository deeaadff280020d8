package archive

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// selection finds the file that the agent would take among the entries of an archive.
type selection struct {
	want agent.Member
	// pattern holds the segments of want.Dir.
	pattern []string
	// dir is the path that matches pattern. It is valid if dirFound is set.
	dir      string
	dirFound bool
	// best is the best entry so far. It is valid if found is set.
	best  entry
	found bool
	// inDir and elsewhere list the names of files, for the message if none can be taken.
	inDir, elsewhere listing
}

func newSelection(want agent.Member) (*selection, error) {
	s := &selection{want: want}
	dir := path.Clean(want.Dir)
	if dir == "." {
		s.dirFound = true
		return s, nil
	}
	if _, err := path.Match(dir, ""); err != nil {
		return nil, fault.New(fault.Integrity, "sub-directory %q is not a valid pattern", want.Dir)
	}
	s.pattern = strings.Split(dir, "/")
	return s, nil
}

// offer reports whether an entry is better than the best so far, and selects it.
func (s *selection) offer(e entry) (bool, error) {
	if e.name == "." {
		return false, nil
	}
	parts := strings.Split(e.name, "/")
	n := len(s.pattern)
	inside := len(parts) >= n && s.matches(parts[:n])
	if inside {
		dir := path.Join(parts[:n]...)
		if s.dirFound && dir != s.dir {
			return false, fault.New(fault.Integrity, "sub-directory %q matches several paths in the archive: %s and %s", s.want.Dir, quote(s.dir), quote(dir))
		}
		s.dir, s.dirFound = dir, true
	}
	switch {
	case e.directory:
		return false, nil
	case !inside || len(parts) != n+1:
		s.elsewhere.add(e.name)
		return false, nil
	}
	s.inDir.add(e.name)
	if !s.isBetter(parts[n]) {
		return false, nil
	}
	s.best, s.found = e, true
	return true, nil
}

// matches reports whether the parts of a path match the pattern.
func (s *selection) matches(parts []string) bool {
	for i, p := range s.pattern {
		// newSelection refused malformed patterns.
		if ok, err := path.Match(p, parts[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// isBetter reports whether a file of the wanted directory is better than the best so far: it has
// the wanted name, or comes before the other by name, or has the same name and follows it.
func (s *selection) isBetter(base string) bool {
	exact := s.want.Name != "" && base == s.want.Name
	if exact || !s.want.First || !detectable(base) {
		return exact
	}
	if !s.found {
		return true
	}
	best := path.Base(s.best.name)
	return best != s.want.Name && base <= best
}

// detectable reports whether the agent may use a file as a plugin's binary
// (pkg/plugin/downloader.go, getFirstFileInDirectory).
func detectable(base string) bool {
	if strings.HasPrefix(base, ".") {
		return false
	}
	ext := path.Ext(base)
	return ext == "" || ext == ".exe" || ext == ".sh"
}

// err returns the reason why no file can be taken, or nil.
func (s *selection) err() error {
	if s.found {
		return s.best.err()
	}
	if s.inDir.total+s.elsewhere.total == 0 {
		return fault.New(fault.Integrity, "archive has no files")
	}
	what := fmt.Sprintf("file %q", s.want.Name)
	if s.want.Name == "" {
		what = "file that the agent would run as the plugin"
	}
	where := ""
	switch {
	case !s.dirFound:
		what = fmt.Sprintf("directory %q", s.want.Dir)
	case s.dir != "":
		where = " in " + quote(s.dir)
	}
	return fault.New(fault.Integrity, "archive has no %s%s", what, where).WithHint("the archive has: %s", s.listFiles())
}

// listFiles lists the files of the archive. Files of the wanted directory come first.
func (s *selection) listFiles() string {
	names := slices.Concat(s.inDir.first, s.elsewhere.first)
	names = names[:min(len(names), maxNames)]
	list := strings.Join(names, ", ")
	if more := s.inDir.total + s.elsewhere.total - len(names); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

// maxNames is how many names a message lists.
const maxNames = 20

// listing counts names and keeps the first of them, sorted.
type listing struct {
	first []string
	total int
}

func (l *listing) add(name string) {
	shown := name
	if q := quote(name); q != `"`+name+`"` {
		shown = q
	}
	i, known := slices.BinarySearch(l.first, shown)
	if known {
		return
	}
	l.total++
	l.first = slices.Insert(l.first, i, shown)
	l.first = l.first[:min(len(l.first), maxNames)]
}
