package oci

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// maxOpened bounds the documents that are opened to find one.
const maxOpened = 256

// Chosen is the document that [Layout.Choose] found.
type Chosen struct {
	Named
	Data []byte
	// Others are the documents that index.json names and the chosen one does not.
	Others []Named
}

// Unread is the error of a document that cannot be read, so that it is not known whether it is the
// document in question.
type Unread struct {
	Named
	Err error
}

func (e *Unread) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with the document.
func (e *Unread) Unwrap() error { return e.Err }

// Kind is the kind of document that [Layout.Choose] looks for.
type Kind struct {
	// Name is what people call one of the kind.
	Name string
	// Is returns nil for a document of the kind, and else what it is or what is
	// wrong with it.
	Is func(n Named, data []byte) error
	// Other is what every error of Is wraps that is of another kind of document.
	Other error
}

// Choose finds the one document of a kind in a layout. If name is not empty, it is a name or a
// digest of the document. Choose looks at indexes, also at indexes inside of indexes; the manifests
// of a found index are a part of it. If no index is of the kind, Choose looks at manifests. If the
// layout has no document of the kind, the error is an [Unread], or the error that Is returned for a
// document.
func (l *Layout) Choose(ctx context.Context, name string, kind Kind) (*Chosen, error) {
	all, err := l.Index()
	if err != nil {
		return nil, err
	}
	c := &choosing{Kind: kind, ctx: ctx, from: l, seen: map[string]bool{}, parts: map[string]bool{}}
	candidates := answering(all, name)
	within := strings.HasPrefix(name, "sha256:") && len(candidates) == 0
	if within {
		candidates = all
	}
	c.look(candidates, true)
	if len(c.found) == 0 && !within {
		c.look(candidates, false)
	}
	if within {
		c.found = slices.DeleteFunc(c.found, func(f Chosen) bool { return f.digest != name })
	}
	switch {
	case len(c.found) > 1:
		var found []Named
		for _, f := range c.found {
			found = append(found, f.Named)
		}
		return nil, l.ambiguous(found, "%d %ss found: %s", len(found), kind.Name, join(found))
	case len(all) == 0:
		return nil, fault.New(fault.Usage, "%w: %s lists nothing, like that of a store", kind.Other, IndexName).WithHint(Hint)
	case len(c.seen) == 0 || within && !c.seen[name]:
		return nil, l.ambiguous(all, "%s does not list %q; it lists: %s", IndexName, Clip(name), join(all))
	case c.unread != nil && len(c.found) == 0:
		return nil, c.unread
	case c.unread != nil && name == "":
		return nil, fault.New(fault.KindOf(c.unread), "besides a %s, %s lists %s, which cannot be read: %w", kind.Name, IndexName, c.unread.Named, c.unread).
			WithHint("to use the %[2]s that can be read, %[1]s; otherwise %[3]s", l.nameIt(c.found[0].Named), kind.Name, l.copyAgain())
	case len(c.found) == 0:
		return nil, c.other
	}
	chosen := &c.found[0]
	for _, n := range all {
		if n.digest != chosen.digest && !c.parts[n.digest] {
			chosen.Others = append(chosen.Others, n)
		}
	}
	return chosen, nil
}

// ambiguous is the error of a layout in which one of several documents must be named.
func (l *Layout) ambiguous(of []Named, format string, args ...any) error {
	return fault.New(fault.Usage, format, args...).WithHint("%s, or another of them", l.nameIt(of[0]))
}

func join(documents []Named) string {
	var all []string
	for _, n := range documents {
		all = append(all, n.String())
	}
	return strings.Join(all, "; ")
}

func answering(all []Named, name string) []Named {
	if name == "" {
		return all
	}
	exact := slices.DeleteFunc(slices.Clone(all), func(n Named) bool { return n.digest != name && !slices.Contains(n.Names, name) })
	if len(exact) > 0 {
		return exact
	}
	return slices.DeleteFunc(slices.Clone(all), func(n Named) bool { return !n.Answers(name) })
}

type choosing struct {
	Kind
	ctx   context.Context
	from  Reader
	seen  map[string]bool
	found []Chosen
	// parts are named by what was found.
	parts map[string]bool
	// unread is of the first document that cannot be read, other what one is that is
	// of another kind.
	unread *Unread
	other  error
}

func (c *choosing) look(all []Named, indexes bool) {
	for _, n := range all {
		if n.IsIndex() == indexes && !c.seen[n.digest] {
			c.seen[n.digest] = true
			c.open(n)
		}
	}
}

// open looks at one document, and at the indexes that it names if it is an index of
// another kind.
func (c *choosing) open(n Named) {
	var probe Probe
	data, err := c.read(n)
	if err == nil {
		probe, _ = ProbeOf(data)
		err = c.Is(n, data)
	}
	switch {
	case err == nil:
		c.found = append(c.found, Chosen{Named: n, Data: data})
		for _, part := range probe.Manifests {
			c.parts[part.digest] = true
		}
	case data != nil && errors.Is(err, c.Other):
		if c.other == nil || fault.HintOf(c.other) == "" && fault.HintOf(err) != "" {
			c.other = err
		}
		c.look(probe.Manifests, true)
	case c.unread == nil:
		c.unread = &Unread{Named: n, Err: err}
	}
}

func (c *choosing) read(n Named) ([]byte, error) {
	if len(c.seen) > maxOpened {
		return nil, fault.New(fault.Integrity, "%s lists too many documents: the maximum is %d", IndexName, maxOpened)
	}
	if n.Unusable != nil {
		return nil, fmt.Errorf("%s: %w", IndexName, n.Unusable)
	}
	data, err := ReadManifest(c.ctx, c.from, n.Blob)
	if err != nil {
		what := "manifest"
		if n.IsIndex() {
			what = "image index"
		}
		return nil, fmt.Errorf("reading the %s %s: %w", what, n.digest, err)
	}
	return data, nil
}

// plain are the names that need no quotes in a shell.
var plain = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9._/:-]*$`)

// nameIt says how a command names a document in the layout: as skopeo does by a
// name, or as oras does by its digest.
func (l *Layout) nameIt(n Named) string {
	path, form, hint := l.name, "oci-archive:", "name "
	if l.dir {
		form = "oci:"
	}
	if path == StandardInput {
		path, hint = "FILE", "write standard input to a file, and name "
	}
	for _, name := range n.Names {
		if plain.MatchString(name) {
			return hint + form + path + ":" + name
		}
	}
	return hint + form + path + "@" + n.digest
}
