package mirror

import (
	"context"
	"io"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/deploy"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
	"github.com/botkube-mirror/botkube-mirror/internal/values"
)

// Values returns the Helm values, or the Kubernetes objects, with which an agent
// starts from a mirror, of which only documents are read. The target is as in [ListOptions].
func (s *Session) Values(ctx context.Context, target string, stdin io.Reader, o values.Options) (*deploy.Rendering, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	in, err := s.inspect(ctx, target, stdin)
	if err != nil {
		return nil, err
	}
	if in.lock.BotkubeVersion == "" && o.Version != "" {
		if o.Version, err = resolve.ReleaseTag(o.Version); err != nil {
			return nil, err
		}
	}
	made, notes, err := values.Deploy(in.forValues(), o)
	for _, n := range notes {
		s.Observe(Event{Kind: EventNote, Detail: n})
	}
	return made, err
}

// forValues describes a mirror that values are made for.
func (in *inspected) forValues() values.Mirror {
	m := values.Mirror{
		Name: agent.Redact(in.target), Lock: in.lock, Mount: in.mount, BaseURL: in.baseURL,
		Site: in.kind == KindSite, Bundle: in.kind == KindBundle, Members: in.kind.holdsMembers(), MountOnly: in.mountOnly,
	}
	if in.target == form.StandardStream {
		m.Name = "standard input"
	}
	if reference, ok := strings.CutPrefix(in.target, form.RegistryPrefix); ok && in.kind == KindImage {
		m.Reference, m.Digest = reference, in.digest
	}
	return m
}
