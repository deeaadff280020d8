package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// maxName bounds, in bytes, the name of a document: a reference has a host of at
// most 255, a path of at most 255 and a tag of at most 128.
const maxName = 1024

// maxNamed bounds the documents that an index of a layout names.
const maxNamed = 1000

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
	// Unusable says why the descriptor is not one of a blob.
	Unusable error
	digest   string
}

// IsIndex reports whether it is an index of OCI's or Docker's.
func (n Named) IsIndex() bool {
	return n.MediaType == "application/vnd.oci.image.index.v1+json" || n.MediaType == "application/vnd.docker.distribution.manifest.list.v2+json"
}

// String describes the document in messages: names, digest and type.
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

func (n Named) hasTagOf(reference string) bool {
	return slices.ContainsFunc(n.Names, func(have string) bool { return strings.HasSuffix(reference, ":"+have) })
}

// Probe is what tells an index or a manifest of one kind from another, as far as it can
// be read. Who goes on to use the document decodes it strictly.
type Probe struct {
	SchemaVersion           int
	MediaType, ArtifactType string
	Annotations             map[string]string
	// Config is nil where there is none.
	Config    *Named
	Manifests []Named
}

// ProbeOf probes a document. A document that is not an index has no manifests. If there are very
// many manifests, only the first ones are returned.
func ProbeOf(data []byte) (Probe, error) {
	var d struct {
		Probe
		Config    *descriptor
		Manifests []descriptor
	}
	err := json.Unmarshal(data, &d)
	p := d.Probe
	if d.Config != nil {
		config := d.Config.named()
		p.Config = &config
	}
	p.Manifests = merged(d.Manifests[:min(len(d.Manifests), maxNamed)])
	return p, textfile.JSONError(data, err)
}

// ConfigType returns the media type of the configuration, if there is one.
func (p Probe) ConfigType() string {
	if p.Config == nil {
		return ""
	}
	return p.Config.MediaType
}

// Index returns the documents of index.json. A document with several names is listed there once for
// each name. Unknown keys are ignored, as the OCI specification requires: a tool that copied the
// layout may have added some.
func (l *Layout) Index() ([]Named, error) {
	data, err := l.Document(IndexName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Incomplete, "the file %s is missing", IndexName)
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
		return nil, fault.New(fault.Integrity, "%s cannot be read: %w", IndexName, err)
	}
	if ix.SchemaVersion != 2 || ix.MediaType != "" && ix.MediaType != "application/vnd.oci.image.index.v1+json" {
		return nil, fault.New(fault.Integrity, "%s has schema version %d and media type %q, which is not an OCI image index", IndexName, ix.SchemaVersion, Clip(ix.MediaType))
	}
	if len(ix.Manifests) > maxNamed {
		return nil, fault.New(fault.Integrity, "%s lists %d manifests, but the maximum is %d", IndexName, len(ix.Manifests), maxNamed)
	}
	all := merged(ix.Manifests)
	for _, n := range all {
		if i := slices.IndexFunc(n.Names, isUntypable); i >= 0 {
			return nil, fault.New(fault.Integrity, "%s lists a document as %q, which is too long or cannot be printed", IndexName, Clip(n.Names[i]))
		}
	}
	return all, nil
}

func isUntypable(name string) bool {
	return len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

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
		if n.MediaType != d.MediaType || n.Size != d.Size && n.Unusable == nil {
			n.Unusable = fault.New(fault.Integrity, "%s is listed with two different types or sizes", Clip(d.Digest))
		}
		for _, key := range []string{RefNameAnnotation, ImageNameAnnotation} {
			if name := d.Annotations[key]; name != "" && !n.Answers(name) && !n.hasTagOf(name) {
				n.Names = append(n.Names, name)
			}
		}
	}
	return all
}

func (d descriptor) named() Named {
	n := Named{MediaType: d.MediaType, ArtifactType: d.ArtifactType, digest: d.Digest}
	n.Blob, n.Unusable = blobOf(d.Digest, d.Size, lock.MaxBlob)
	return n
}
