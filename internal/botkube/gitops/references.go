package gitops

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/helmvalues"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/manifest"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func (g *input) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(g.notes, n) {
		g.notes = append(g.notes, n)
	}
}

// object returns the object of a kind and a name. One without a namespace matches: files in a
// repository often leave it out.
func (g *input) object(kind, namespace, name string) (*manifest.Object, error) {
	var found *manifest.Object
	for _, o := range g.objects {
		if o.Kind != kind || o.Name != name || o.Namespace != namespace && o.Namespace != "" && namespace != "" {
			continue
		}
		if found != nil && (found.Namespace == namespace) == (o.Namespace == namespace) {
			return nil, o.Errorf("it is given twice, also in %s: give it once", found.File)
		}
		if found == nil || o.Namespace == namespace {
			found = o
		}
	}
	return found, nil
}

// place is where a document has a file; of several repositories, in the one that it calls so.
type place struct{ repository, path string }

// file returns the file that a document names. That file then does not count as a values file by
// itself. Two paths match if one ends in the other, and cannot both name one file.
func (g *input) file(named manifest.Field, at place) (*File, error) {
	names := parts(at.path)
	at.path = strings.Join(names, "/")
	var best []*File
	longest := 0
	for _, f := range g.files {
		given := parts(f.Name)
		n := min(len(names), len(given))
		switch ends := slices.Equal(names[len(names)-n:], given[len(given)-n:]); {
		case n == 0 || !ends || n < longest:
		case n > longest:
			best, longest = []*File{f}, n
		default:
			best = append(best, f)
		}
	}
	switch {
	case len(best) == 0:
		return nil, fault.New(fault.Usage, "%w", named.Errorf("the file %.200q is not given", at.path)).
			WithHint("give it too: --values %s", at.path)
	case len(best) > 1:
		return nil, named.Errorf("the file %.200q may be %s or %s: give a longer part of its path", at.path, best[0].Name, best[1].Name)
	case best[0].Referenced && best[0].place != at:
		return nil, fault.New(fault.Usage, "%w", named.Errorf("the file %.200q is not given: %s is used for another one, %.200q", at.path, best[0].Name, best[0].place.path)).
			WithHint("give both, each with enough of its path to tell them apart: --values %s", at.path)
	}
	best[0].Referenced, best[0].place = true, at
	return best[0], nil
}

// withoutServer returns the path in a URL, also of Helm's plugins, without a query and user
// information that may be secret.
func withoutServer(at string) string {
	scheme, rest, found := strings.Cut(at, "://")
	if !found {
		return at
	}
	rest, _, _ = strings.Cut(rest, "?")
	if host, path, _ := strings.Cut(rest, "/"); scheme == "http" || scheme == "https" || strings.Contains(host, "@") {
		return path
	}
	return rest
}

func (g *input) values(named manifest.Field, at place) (map[string]any, error) {
	f, err := g.file(named, at)
	if err != nil {
		return nil, err
	}
	return f.Values()
}

func (f *File) Values() (map[string]any, error) {
	values, err := helmvalues.Parse(f.Data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	return values, checkValues(f.Name, values)
}

// parts are the names in a path, without those that lead up.
func parts(at string) []string {
	at = strings.ReplaceAll(at, `\`, "/")
	return slices.DeleteFunc(strings.Split(path.Clean("/"+strings.TrimLeft(at, "./")), "/"), func(p string) bool { return p == "" || p == ".." })
}
