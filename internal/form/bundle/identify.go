package bundle

import (
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
var errOwnImage = fmt.Errorf("%w: it is the image that botkube-mirror makes of a bundle, to be mounted", ErrNotBundle)

// ErrPart is an [ErrNotBundle] of which more than one platform, or another member,
// was left behind.
var ErrPart = fmt.Errorf("%w: it is a part of one", ErrNotBundle)

// wholeHint is for who has copied a part of a bundle only.
const wholeHint = "copy the whole bundle: skopeo copy --all --preserve-digests, or oras cp, crane copy and regctl image copy without --platform"

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
		return fault.New(kind, "%w", err).WithHint("copy the bundle there again, unchanged; or push it again with --force from where it is intact")
	}
	hint := oci.Hint
	if errors.Is(err, errOwnImage) {
		hint = "the bundle is beside it: its repository has the same name, and -bundle at the end"
	}
	return fault.New(fault.Usage, "%w", err).WithHint("%s", hint)
}

// describeOther says what a document is that is not the index of a bundle; nil if
// that cannot be told.
func (r *reading) describeOther(data []byte) error {
	var doc struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     types.MediaType   `json:"mediaType"`
		ArtifactType  string            `json:"artifactType"`
		Config        v1.Descriptor     `json:"config"`
		Manifests     []json.RawMessage `json:"manifests"`
		Annotations   map[string]string `json:"annotations"`
	}
	if json.Unmarshal(data, &doc) != nil {
		return nil
	}
	config := string(doc.Config.MediaType)
	switch {
	case config == LockType:
		return fault.New(fault.Usage, "%w, for one platform only", ErrPart).WithHint("%s", wholeHint)
	case doc.ArtifactType == ArtifactType:
		return nil
	case isOwn(doc.Annotations):
		return fault.New(fault.Usage, "%w", errOwnImage)
	case config == ChartConfigType:
		return notBundle("it is a Helm chart")
	case doc.Config.MediaType.IsConfig() && doc.ArtifactType == "":
		if isOwn(r.labels(doc.Config)) {
			return fault.New(fault.Usage, "%w", errOwnImage)
		}
		return notBundle("it is an ordinary image")
	case doc.ArtifactType != "" || config != "":
		what := doc.ArtifactType
		if what == "" {
			what = config
		}
		return notBundle("it is an artifact of type %q", oci.Clip(what))
	case len(doc.Manifests) > 0 && (doc.MediaType == "" || doc.MediaType.IsIndex()):
		return notBundle("it is an ordinary image, for several platforms")
	case doc.SchemaVersion == 1:
		return notBundle("it is an ordinary image, in the format of old registries")
	}
	return nil
}

// labels returns those of an image, as far as they can be read: annotations are
// lost when an engine loads an image and pushes it.
func (r *reading) labels(d v1.Descriptor) map[string]string {
	b, err := oci.Described(d, oci.MaxBlob)
	if err != nil {
		return nil
	}
	data, err := oci.ReadBlob(r.ctx, r.from, b, maxDocument)
	var config struct {
		Config struct {
			Labels map[string]string `json:"Labels"`
		} `json:"config"`
	}
	if err != nil || json.Unmarshal(data, &config) != nil {
		return nil
	}
	return config.Config.Labels
}

func isOwn(annotations map[string]string) bool {
	for key := range annotations {
		if strings.HasPrefix(key, ownPrefix) && key != MemberAnnotation {
			return true
		}
	}
	return false
}
