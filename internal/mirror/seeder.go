package mirror

import (
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
)

// SeederOptions say which programs an image starts to fill a volume from it.
type SeederOptions struct {
	// Given are named by the user.
	Given []image.Seeder
	// None leaves them out, also that of the running program's platform.
	None bool
}

// of returns the seeders for the platforms of a lock: those given, and the
// running program for its own platform, if it runs without libraries.
func (o SeederOptions) of(l *lock.Lock) ([]image.Seeder, error) {
	if o.None {
		return nil, nil
	}
	seeders := slices.Clone(o.Given)
	for _, s := range seeders {
		if !slices.Contains(l.Platforms, s.Platform) {
			return nil, fault.New(fault.Usage, "a seeder is given for %s, but the image is not for that platform", s.Platform).
				WithHint("leave it out, or add --platform %s", s.Platform)
		}
		if err := image.CheckSeeder(s); err != nil {
			return nil, err
		}
	}
	self := image.Seeder{Platform: agent.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}}
	taken := slices.ContainsFunc(seeders, func(s image.Seeder) bool { return s.Platform == self.Platform })
	path, err := os.Executable()
	if err != nil || taken || !slices.Contains(l.Platforms, self.Platform) {
		return seeders, nil
	}
	self.Path = path
	if image.CheckSeeder(self) == nil {
		seeders = append(seeders, self)
	}
	return seeders, nil
}

// imageOptions are those of an image of a lock.
func (s *Session) imageOptions(l *lock.Lock, o WriteOptions) (image.Options, error) {
	seeders, err := o.Seeders.of(l)
	return image.Options{
		Mount: o.Mount, ModTime: o.ModTime, Seeders: seeders, Waiting: s.waiting,
		Progress: func(p image.Progress) {
			s.Observe(Event{Kind: EventWritten, Subject: fmt.Sprintf("%s layer %d of %d: %s", p.Platform, p.Done, p.Total, p.Layer)})
		},
	}, err
}

// describeImage records what an image turned out to be.
func (r *OutputResult) describeImage(written *image.Result) {
	r.Tag, r.Digest = written.Tag, "sha256:"+written.Index.SHA256.String()
	for _, p := range written.Platforms {
		r.Size += p.Size
		if !p.Seeded {
			r.MountOnly = append(r.MountOnly, p.Platform)
		}
	}
}
