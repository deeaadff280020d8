package mirror

import (
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// subset returns the part of a lock that is wanted, as a pull of it would have written it.
func (src *source) subset(s lock.Selection) (*lock.Lock, error) {
	name := src.Mirror.String()
	part, err := src.Lock.Part(name, s)
	if err == nil {
		err = src.Lock.Lacks(name, s.Exclude)
	}
	switch {
	case err != nil && fault.KindOf(err) == fault.Incomplete:
		return nil, fault.New(fault.Incomplete, "%w", err).
			WithHint("on the machine with internet access, pull for that platform, too: --platform %s", agent.JoinPlatforms(s.Platforms))
	case err != nil:
		return nil, fault.New(fault.Usage, "%w", err).WithHint("to see what the mirror has: botkube-mirror list %s", name)
	case part == src.Lock || src.Blobs == nil:
		return part, nil
	}
	return part, part.Narrow(func(r lock.Repository) (*index.Index, error) {
		data, err := src.Blobs.ReadAll(r.Index.SHA256, index.MaxSize)
		if err != nil {
			return nil, err
		}
		return index.Parse(data)
	})
}
