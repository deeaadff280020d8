package bundle

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// errOwnImage is an [ErrNotBundle], too.
var errOwnImage = fmt.Errorf("%w: it is an image for mounting, which botkube-mirror made from a bundle", ErrNotBundle)

// ErrPart is an [ErrNotBundle]: a copy of a bundle that lacks a platform or another member.
var ErrPart = fmt.Errorf("%w: it is only a part of a bundle", ErrNotBundle)

// wholeHint is the hint for a bundle that was copied in part.
const wholeHint = "copy the whole bundle: skopeo copy --all --preserve-digests SOURCE TARGET\nif you use oras cp, crane copy or regctl image copy: leave out --platform"

// ownPrefix begins the annotations and labels of images that this program
// makes, MemberAnnotation apart, which only bundles have.
const ownPrefix = "io.botkube.mirror."

func notBundle(format string, args ...any) *fault.Error {
	return fault.New(fault.Usage, "%w: "+format, append([]any{ErrNotBundle}, args...)...)
}

// advise adds a hint to the error of what is no bundle or a damaged one, if it has
// none.
func advise(err error) error {
	kind, isOther := fault.KindOf(err), errors.Is(err, ErrNotBundle)
	switch damaged := kind == fault.Integrity || kind == fault.Incomplete; {
	case err == nil || fault.HintOf(err) != "" || !damaged && !isOther:
		return err
	case !isOther:
		return fault.New(kind, "%w", err).WithHint("copy the bundle there again, unchanged; or push it again with --force from an intact copy")
	}
	hint := oci.Hint
	if errors.Is(err, errOwnImage) {
		hint = "name the bundle: it is in the repository with the same name and -bundle at the end"
	}
	return fault.New(fault.Usage, "%w", err).WithHint("%s", hint)
}

// describeOther says what a document is that is not the index of a bundle; nil if
// that cannot be told.
func (r *reading) describeOther(data []byte) error {
	doc, err := oci.ProbeOf(data)
	if err != nil {
		return nil
	}
	config := doc.ConfigType()
	switch {
	case config == LockType:
		return fault.New(fault.Usage, "%w, for one platform", ErrPart).WithHint("%s", wholeHint)
	case doc.ArtifactType == ArtifactType:
		return nil
	case isOwn(doc.Annotations):
		return fault.New(fault.Usage, "%w", errOwnImage)
	case config == ChartConfigType:
		return notBundle("it is a Helm chart")
	case types.MediaType(config).IsConfig() && doc.ArtifactType == "":
		if isOwn(r.labels(*doc.Config)) {
			return fault.New(fault.Usage, "%w", errOwnImage)
		}
		return notBundle("it is an ordinary image")
	case doc.ArtifactType != "" || config != "":
		return notBundle("it is an artifact of type %q", oci.Clip(cmp.Or(doc.ArtifactType, config)))
	case len(doc.Manifests) > 0 && (doc.MediaType == "" || types.MediaType(doc.MediaType).IsIndex()):
		return notBundle("it is an ordinary image for several platforms")
	case doc.SchemaVersion == 1:
		return notBundle("it is an ordinary image in the old format of Docker registries (schema 1)")
	}
	return nil
}

// labels returns those of an image, as far as they can be read: annotations are
// lost when an engine loads an image and pushes it.
func (r *reading) labels(config oci.Named) map[string]string {
	if config.Unusable != nil {
		return nil
	}
	var read v1.ConfigFile
	data, err := oci.ReadBlob(r.ctx, r.from, config.Blob, oci.MaxDocument)
	if err != nil || json.Unmarshal(data, &read) != nil {
		return nil
	}
	return read.Config.Labels
}

func isOwn(annotations map[string]string) bool {
	for key := range annotations {
		if strings.HasPrefix(key, ownPrefix) && key != MemberAnnotation {
			return true
		}
	}
	return false
}
