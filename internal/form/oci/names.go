package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// maxName bounds, in bytes, the name of a document: a reference has a host of at
// most 255, a path of at most 255 and a tag of at most 128.
const maxName = 1024

// maxNamed bounds the documents that an index of a layout names.
const maxNamed = 1000

// Annotations by which tools name a document in index.json.
const (
	// refName is OCI's (image-spec, annotations.md): a tag, or the whole reference
	// in what crane, containerd and hauler write.
	refName = "org.opencontainers.image.ref.name"
	// imageName is containerd's.
	imageName = "io.containerd.image.name"
)

// descriptor is what a document says of another (image-spec, descriptor.md).
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations"`
}

// Named is a document that an index names.
type Named struct {
	MediaType, ArtifactType string
	lock.Blob
	// Names are tags and references, in the order of the index, each once.
	Names []string
	// unusable says why the descriptor is not one of a blob.
	unusable error
	digest   string
}

// IsIndex reports whether it is an index of OCI's or Docker's.
func (n Named) IsIndex() bool {
	return n.MediaType == "application/vnd.oci.image.index.v1+json" || n.MediaType == "application/vnd.docker.distribution.manifest.list.v2+json"
}

// String says in a message what is named.
func (n Named) String() string {
	what := n.ArtifactType
	if what == "" {
		what = n.MediaType
	}
	if what == "" {
		what = "a document without a type"
	}
	text := fmt.Sprintf("%s (%s)", Clip(n.digest), Clip(what))
	if len(n.Names) > 0 {
		text = Clip(strings.Join(n.Names, ", ")) + " = " + text
	}
	return text
}

// Answers reports whether a name, or a digest, is that of the document. The tag of
// a reference is a name, too.
func (n Named) Answers(name string) bool {
	return n.digest == name || slices.ContainsFunc(n.Names, func(have string) bool {
		return have == name || strings.HasSuffix(have, ":"+name)
	})
}

// hasTagOf reports whether the tag of a reference is among the names.
func (n Named) hasTagOf(reference string) bool {
	return slices.ContainsFunc(n.Names, func(have string) bool { return strings.HasSuffix(reference, ":"+have) })
}

// ReadIndex returns what index.json names. A document that has several names
// stands in it once for each. What it says besides is of no matter: whoever
// copied the layout may have added to it, and OCI has readers ignore keys that
// they do not know.
func ReadIndex(in Files) ([]Named, error) {
	data, err := in.Small(IndexName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Incomplete, "it has no file %s", IndexName)
	}
	if err != nil {
		return nil, err
	}
	var ix struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Manifests     []descriptor `json:"manifests"`
	}
	if err := DecodeOpen(data, &ix); err != nil {
		return nil, fault.New(fault.Integrity, "its %s cannot be read: %w", IndexName, err)
	}
	if ix.SchemaVersion != 2 || ix.MediaType != "" && ix.MediaType != "application/vnd.oci.image.index.v1+json" {
		return nil, fault.New(fault.Integrity, "its %s is of schema version %d and media type %q", IndexName, ix.SchemaVersion, Clip(ix.MediaType))
	}
	if len(ix.Manifests) > maxNamed {
		return nil, fault.New(fault.Integrity, "its %s names %d manifests; at most %d are read", IndexName, len(ix.Manifests), maxNamed)
	}
	all := merged(ix.Manifests)
	for _, n := range all {
		if i := slices.IndexFunc(n.Names, isOdd); i >= 0 {
			return nil, fault.New(fault.Integrity, "its %s names a document %q, which no tool does", IndexName, Clip(n.Names[i]))
		}
	}
	return all, nil
}

// isOdd reports whether a name is none that can be typed.
func isOdd(name string) bool {
	return len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

// merged puts descriptors of one document together.
func merged(descriptors []descriptor) []Named {
	var all []Named
	at := map[string]int{}
	for _, d := range descriptors {
		i, had := at[d.Digest]
		if !had {
			i = len(all)
			at[d.Digest] = i
			all = append(all, d.named())
		}
		n := &all[i]
		if n.MediaType != d.MediaType || n.Size != d.Size && n.unusable == nil {
			n.unusable = fault.New(fault.Integrity, "%s has two types or sizes", Clip(d.Digest))
		}
		for _, key := range []string{refName, imageName} {
			if name := d.Annotations[key]; name != "" && !n.Answers(name) && !n.hasTagOf(name) {
				n.Names = append(n.Names, name)
			}
		}
	}
	return all
}

func (d descriptor) named() Named {
	n := Named{MediaType: d.MediaType, ArtifactType: d.ArtifactType, digest: d.Digest}
	hex, isSHA256 := strings.CutPrefix(d.Digest, "sha256:")
	sum, err := lock.ParseSHA256(hex)
	switch {
	case !isSHA256 || err != nil || sum.String() != hex:
		n.unusable = fault.New(fault.Integrity, "the digest %q is not a sha256", Clip(d.Digest))
	case d.Size < 0 || d.Size > MaxBlob:
		n.unusable = fault.New(fault.Integrity, "the size %d of %s is not plausible", d.Size, Clip(d.Digest))
	default:
		n.Blob = lock.Blob{Size: d.Size, SHA256: sum}
	}
	return n
}

// maxOpened bounds the documents that are opened to find one.
const maxOpened = 256

// Chosen is the document of a layout that was looked for.
type Chosen struct {
	Named
	Data []byte
	// Beside are the other documents that index.json names, but for those that the
	// chosen one names as well.
	Beside []Named
}

// Several is the error of a layout with more than one document of a kind.
type Several struct{ Documents []Named }

func (e *Several) Error() string {
	var all []string
	for _, n := range e.Documents {
		all = append(all, n.String())
	}
	return strings.Join(all, "; ")
}

// Absent is the error of a layout that has no document with a name, or none at all.
type Absent struct {
	Name string
	Has  []Named
}

func (e *Absent) Error() string {
	var all []string
	for _, n := range e.Has {
		all = append(all, n.String())
	}
	if len(all) == 0 {
		return fmt.Sprintf("its %s names nothing", IndexName)
	}
	return fmt.Sprintf("its %s names no %q; it names: %s", IndexName, Clip(e.Name), strings.Join(all, "; "))
}

// Unread is the error of a document of which it cannot be told whether it is one
// of those that are looked for.
type Unread struct {
	Named
	// Found are others which are.
	Found []Named
	Err   error
}

func (e *Unread) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with the document.
func (e *Unread) Unwrap() error { return e.Err }

// Kind is what [Choose] looks for.
type Kind struct {
	// Is returns nil for a document of the kind, and else what it is or what is
	// wrong with it.
	Is func(n Named, data []byte) error
	// Other is what every error of Is wraps that is of another kind of document.
	Other error
}

// Choose finds the one document of a kind in a layout: that with a name or a
// digest, if one is given. Indexes are looked at, those within other ones too; what
// an index of the kind names is a part of it. Manifests are looked at where no index
// is of the kind. The error is a [Several], an [Absent], an [Unread] or, if there is
// none of the kind, what Is says of one.
func Choose(ctx context.Context, in Files, name string, kind Kind) (*Chosen, error) {
	all, err := ReadIndex(in)
	if err != nil {
		return nil, err
	}
	c := &choosing{Kind: kind, ctx: ctx, from: ReaderOf(in), seen: map[string]bool{}, parts: map[string]bool{}}
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
		return nil, &Several{documents(c.found)}
	case len(c.seen) == 0 || within && !c.seen[name]:
		return nil, &Absent{Name: name, Has: all}
	case c.unread != nil && (name == "" || len(c.found) == 0):
		c.unread.Found = documents(c.found)
		return nil, c.unread
	case len(c.found) == 0:
		return nil, c.other
	}
	chosen := &c.found[0]
	for _, n := range all {
		if n.digest != chosen.digest && !c.parts[n.digest] {
			chosen.Beside = append(chosen.Beside, n)
		}
	}
	return chosen, nil
}

// answering returns what has a name: exactly that one, if there is such.
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

func documents(found []Chosen) []Named {
	var all []Named
	for _, c := range found {
		all = append(all, c.Named)
	}
	return all
}

// choosing is one run of [Choose].
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

// look goes through indexes, or through manifests.
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
	data, err := c.read(n)
	if err != nil {
		c.fail(n, err)
		return
	}
	var ix struct {
		Manifests []descriptor `json:"manifests"`
	}
	_ = json.Unmarshal(data, &ix) // what is no index names nothing
	err = c.Is(n, data)
	switch {
	case err == nil:
		c.found = append(c.found, Chosen{Named: n, Data: data})
		for _, d := range ix.Manifests {
			c.parts[d.Digest] = true
		}
	case !errors.Is(err, c.Other):
		c.fail(n, err)
	default:
		if c.other == nil || fault.HintOf(c.other) == "" && fault.HintOf(err) != "" {
			c.other = err
		}
		if len(ix.Manifests) <= maxNamed {
			c.look(merged(ix.Manifests), true)
		}
	}
}

func (c *choosing) read(n Named) ([]byte, error) {
	if len(c.seen) > maxOpened {
		return nil, fault.New(fault.Integrity, "its %s names too many documents: at most %d are looked at", IndexName, maxOpened)
	}
	if n.unusable != nil {
		return nil, fmt.Errorf("its %s: %w", IndexName, n.unusable)
	}
	data, err := ReadManifest(c.ctx, c.from, n.Blob)
	switch {
	case err == nil:
		return data, nil
	case n.IsIndex():
		return nil, fmt.Errorf("reading its image index: %w", err)
	}
	return nil, fmt.Errorf("reading a manifest: %w", err)
}

func (c *choosing) fail(n Named, err error) {
	if c.unread == nil {
		c.unread = &Unread{Named: n, Err: err}
	}
}

// plain are the names that need no quotes in a shell.
var plain = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/:-]*$`)

// Address is how a command names a document in a layout that is a file or a
// directory: as skopeo does by a name, or as oras does by its digest.
func Address(path string, dir bool, n Named) string {
	form := "oci-archive:"
	if dir {
		form = "oci:"
	}
	for _, name := range n.Names {
		if plain.MatchString(name) {
			return form + path + ":" + name
		}
	}
	return form + path + "@" + n.digest
}
