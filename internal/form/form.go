// Package form says what a mirror can look like, in one table: each form's own
// package has a [Form] in its file form.go, and package forms lists them. Nothing
// else in the program asks which form a mirror has.
package form

import (
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Kind says what a mirror is. It is printed as JSON.
type Kind string

// Form is what a mirror can look like. A function that is nil is of no use to the
// form; package form says so to the user.
type Form struct {
	Kind Kind
	// Name is what people call a mirror of the form.
	Name string
	// Members says that there is room for the agent's image and the chart.
	Members bool
	// Outputs are the ways to write the form.
	Outputs []Output
}

// Content is where the bytes of a mirror come from.
type Content struct {
	// Plugins makes the files of an agent's plugin directory.
	Plugins pluginsdir.Source
	// Blobs has the upstream files. It is nil where only unpacked files are there.
	Blobs blob.Source
	// Untried says that nobody has unpacked the archives yet.
	Untried bool
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
	// Ref is the source of which it is the content: see [lock.Template].
	Ref string `json:"ref"`
	// URL is to stand in the executor's configuration in the place of Ref, as
	// one of its templates[].ref. An agent with an empty cache then downloads
	// the templates from the site, and compares their digest.
	URL string `json:"url"`
}
