package mirror

import (
	"context"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/deploy"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
	"github.com/botkube-mirror/botkube-mirror/internal/values"
)

// Values returns the Helm values, or the Kubernetes objects, with which an agent starts from a
// mirror. It reads only documents, no plugin files.
func (s *Session) Values(ctx context.Context, target string, o values.Options) (*deploy.Rendering, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	in, err := s.open(ctx, target)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if in.Lock.BotkubeVersion == "" && o.Version != "" {
		if o.Version, err = resolve.ReleaseTag(o.Version); err != nil {
			return nil, err
		}
	}
	made, notes, err := values.Deploy(ctx, in, o)
	for _, n := range notes {
		s.Observe(Event{Kind: EventNote, Detail: n})
	}
	return made, err
}
