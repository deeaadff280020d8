package archive

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// selection finds the file that the agent would take, as the entries go by.
type selection struct {
	want agent.Member
	// pattern holds the segments of want.Dir.
	pattern []string
	// dir is the path that matches pattern, once one did.
	dir      string
	dirFound bool
	// best is the entry that counts so far.
	best  entry
	found bool
	// near and far are names of files, directly in dir and elsewhere.
	near, far listing
}

func newSelection(want agent.Member) (*selection, error) {
	s := &selection{want: want}
	dir := path.Clean(want.Dir)
	if dir == "." {
		s.dirFound = true
		return s, nil
	}
	if _, err := path.Match(dir, ""); err != nil {
		return nil, fault.New(fault.Integrity, "sub-directory %q is a malformed pattern", want.Dir)
	}
	s.pattern = strings.Split(dir, "/")
	return s, nil
}

// offer reports whether an entry supersedes what was selected before.
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
			return false, fault.New(fault.Integrity, "sub-directory %q matches several paths of the archive: %s and %s", s.want.Dir, quote(s.dir), quote(dir))
		}
		s.dir, s.dirFound = dir, true
	}
	switch {
	case e.directory:
		return false, nil
	case !inside || len(parts) != n+1:
		s.far.add(e.name)
		return false, nil
	}
	s.near.add(e.name)
	if !s.beats(parts[n]) {
		return false, nil
	}
	s.best, s.found = e, true
	return true, nil
}

// matches reports whether a path, in parts, is one of the pattern.
func (s *selection) matches(parts []string) bool {
	for i, p := range s.pattern {
		// A malformed pattern never gets here.
		if ok, err := path.Match(p, parts[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// beats reports whether a file of the wanted directory comes before the best
// one, or takes its place because it has its name.
func (s *selection) beats(base string) bool {
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

// detectable reports whether the agent takes a file for a plugin's binary
// (pkg/plugin/downloader.go, getFirstFileInDirectory).
func detectable(base string) bool {
	if strings.HasPrefix(base, ".") {
		return false
	}
	ext := path.Ext(base)
	return ext == "" || ext == ".exe" || ext == ".sh"
}

// err is why no file was found that may be taken, or nil.
func (s *selection) err() error {
	if s.found {
		return s.best.err()
	}
	if s.near.total+s.far.total == 0 {
		return fault.New(fault.Integrity, "archive holds no files")
	}
	what := fmt.Sprintf("file %q", s.want.Name)
	if s.want.Name == "" {
		what = "file that can be a plugin"
	}
	where := ""
	switch {
	case !s.dirFound:
		what = fmt.Sprintf("directory %q", s.want.Dir)
	case s.dir != "":
		where = " in " + quote(s.dir)
	}
	return fault.New(fault.Integrity, "archive has no %s%s", what, where).WithHint("it holds: %s", s.held())
}

// held lists the files of the archive, those of the wanted directory first.
func (s *selection) held() string {
	names := slices.Concat(s.near.first, s.far.first)
	names = names[:min(len(names), mostNames)]
	list := strings.Join(names, ", ")
	if more := s.near.total + s.far.total - len(names); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

// mostNames is how many names a message lists.
const mostNames = 20

// listing keeps the first names of many.
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
	l.first = l.first[:min(len(l.first), mostNames)]
}
