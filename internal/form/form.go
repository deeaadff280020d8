// Package form describes the forms of a mirror (directory, bundle, site, image, lock) in one table.
// The package of each form defines a [Form] in its file form.go, and package forms lists them. No
// other code of the program distinguishes forms.
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

// Access is how an agent reads a mirror.
type Access int

// The ways in which an agent reads a mirror.
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

// Form describes one form of a mirror, with the functions to recognize, read, verify, serve and
// write it.
type Form struct {
	Kind Kind
	// Name is what people call a mirror of the form.
	Name string
	// Access is how an agent gets at it.
	Access Access
	// Members says that the form can have the agent's image and the chart.
	Members bool
	// Partial says that a mirror of the form may be for fewer platforms than its source.
	Partial bool
	// Packed says that the form has archives, which an agent's directory needs unpacked.
	Packed bool
	// Outputs are the ways to write the form.
	Outputs []Output
	// Rewrite is the hint for a damaged mirror.
	Rewrite string
	// Unexpected, if not empty, is the hint for files that are not in the lock.
	Unexpected string

	// Recognize says how likely the place has the form.
	Recognize func(p *Place) MatchLevel
	// Open reads the documents of a mirror. What is of another form is an [ErrOther].
	Open func(ctx context.Context, p *Place) (*Mirror, error)
	// Audit reads every byte of a mirror, and reports what is wrong with it. It is
	// nil if there is nothing to verify.
	Audit func(ctx context.Context, p *Place, a *Audit) error
	// Serve opens a mirror from which agents download. If it is nil, NotServed returns the error
	// that says why the form cannot be served.
	Serve     func(ctx context.Context, p *Place) (*Served, error)
	NotServed func(p *Place) error
	// NotContent returns the error of a mirror that cannot be the source of an output.
	NotContent func(p *Place) error
	// Prune removes files that the lock no longer names. A dry run only lists them, and changes and
	// locks nothing. Prune is nil if the form has no such files.
	Prune func(ctx context.Context, p *Place, dry bool) (entry.Pruned, error)
}

// Content is where the bytes of a mirror come from.
type Content struct {
	// Plugins makes the files of an agent's plugin directory.
	Plugins pluginsdir.Source
	// Blobs has the upstream files. It is nil where only unpacked files are there.
	Blobs blob.Source
	// NotUnpacked means that the archives were never unpacked.
	NotUnpacked bool
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
