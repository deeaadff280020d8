// Package form says what a mirror can look like, in one table: each form's own
// package has a [Form] in its file form.go, and package forms lists them. Nothing
// else in the program asks which form a mirror has.
package form

import (
	"context"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Kind says what a mirror is. It is printed as JSON.
type Kind string

// Access is how an agent gets at a mirror.
type Access int

// The ways.
const (
	// NoAccess: there are no plugins.
	NoAccess Access = iota
	// Carried: the mirror is unpacked, pushed or served first.
	Carried
	// Mounted: the agent sees files, which the indexes name, below a mount.
	Mounted
	// Downloaded: the agent downloads from URLs, which the indexes name, below a base URL.
	Downloaded
)

// Form is what a mirror can look like.
type Form struct {
	Kind Kind
	// Name is what people call a mirror of the form.
	Name string
	// Access is how an agent gets at it.
	Access Access
	// Members says that there is room for the agent's image and the chart.
	Members bool
	// Partial says that it may be for fewer platforms than what it was made of.
	Partial bool
	// Packed says that it has archives that are still to be unpacked.
	Packed bool
	// Outputs are the ways to write the form.
	Outputs []Output
	// Rewrite says what to do about one that is damaged.
	Rewrite string
	// Unexpected, if not empty, says what to do about files that the lock does not name.
	Unexpected string

	// Recognize says how much what is at a place looks like the form.
	Recognize func(p *Place) Likeness
	// Open reads the documents of a mirror. What is of another form is an [ErrOther].
	Open func(ctx context.Context, p *Place) (*Mirror, error)
	// Audit reads every byte of a mirror, and reports what is wrong with it. It is
	// nil if there is nothing to verify.
	Audit func(ctx context.Context, p *Place, a *Audit) error
	// Serve opens a mirror for agents to download from. If it is nil, NotServed says
	// why there is nothing to download.
	Serve     func(ctx context.Context, p *Place) (*Served, error)
	NotServed func(p *Place) error
	// NotContent says why nothing else can be made of a mirror of the form.
	NotContent func(p *Place) error
	// Prune removes files that the lock no longer names. A dry one only says which, and changes and
	// locks nothing. It is nil if there are none.
	Prune func(ctx context.Context, p *Place, dry bool) (entry.Pruned, error)
}

// Content is where the bytes of a mirror come from.
type Content struct {
	// Plugins makes the files of an agent's plugin directory.
	Plugins pluginsdir.Source
	// Blobs has the upstream files. It is nil where only unpacked files are there.
	Blobs blob.Source
	// Untried says that the archives were never unpacked.
	Untried bool
	// Obtain brings a blob to where Blobs has it, and tells how many bytes that took
	// over a network. It is nil where all blobs are there.
	Obtain func(ctx context.Context, b lock.Blob) (transferred int64, err error)
	// Close closes what was opened for the content, if not nil.
	Close func() error
}

// Seeder is this program for a platform, to be put into an image. There it is what
// runs, so that a Job or an init container can copy the plugins to a volume.
type Seeder struct {
	Platform agent.Platform
	Path     string
}

// Seeders say which programs an image starts to fill a volume from it.
type Seeders struct {
	// Given are named by the user.
	Given []Seeder
	// None leaves them out, also that of the running program's platform.
	None bool
}

// Template is a source of templates that a site serves.
type Template struct {
	// Plugin is the executor that reads it, with its version.
	Plugin agent.PluginKey `json:"plugin"`
	// Ref names the source: see [lock.Template].
	Ref string `json:"ref"`
	// URL is to stand in the executor's configuration in the place of Ref, as
	// one of its templates[].ref. An agent with an empty cache then downloads
	// the templates from the site, and compares their digest.
	URL string `json:"url"`
}
