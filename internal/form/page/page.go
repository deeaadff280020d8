// Package page renders the web page of a site or a served mirror: versions, plugins, checksums and
// Helm values. The page is one HTML file with its own style, without scripts and without external
// resources. The package does no I/O.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"sync"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// Name is the name of the page's file in a site. Web servers answer a request for a directory with
// it.
const Name = "index.html"

// Page is the content of a page: a version of a mirror, and a list of the other versions.
type Page struct {
	// All are the versions that are there, the newest first. None are listed if there is only one.
	All []Listed
	// Up is the relative URL of the page that lists all versions, or empty.
	Up string
	Version
}

// Listed is one of several versions.
type Listed struct {
	Totals
	// URL is the relative one of the version's own page.
	URL string
	// Shown says that the page shows this version.
	Shown bool
}

// Totals is the summary of a version.
type Totals struct {
	Tag       string
	Platforms []agent.Platform
	Plugins   int
	Files     int
	// Size is that of the files, the same content counted once, in bytes.
	Size int64
}

// Version is one version of a mirror. URLs of files and documents are relative to the page.
type Version struct {
	Totals
	// Botkube is the Botkube version, or empty.
	Botkube string
	BaseURL string
	// Made is when the mirror was made, or zero.
	Made time.Time
	// LockDigest identifies what is mirrored.
	LockDigest   string
	Repositories []Repository
	Entries      []Plugin
	Templates    []Template
	// ChecksumCounts has the number of files for each source of checksums, the strongest first.
	ChecksumCounts []ChecksumCount
	// Values are the Helm values to paste. If there are none, NoValues says why.
	Values, NoValues string
	// Password says that the server wants a user and a password.
	Password bool
	// Check is a command.
	Check            string
	LockURL, SumsURL string
}

// Repository is a mirrored plugin repository.
type Repository struct {
	Name string
	// Upstream is where the index came from.
	Upstream string
	// Index is the URL for the agent.
	Index string
}

// Template is a source of templates, and the URL to configure in its place.
type Template struct{ Plugin, Ref, URL string }

// Plugin is a mirrored plugin.
type Plugin struct {
	Name    string
	Type    agent.PluginType
	Version string
	// Platforms are those that it has a build for.
	Platforms    []agent.Platform
	Dependencies []string
	Files        []File
	// Size is that of the files, the same content counted once, in bytes.
	Size int64
}

// File is an upstream file of a plugin.
type File struct {
	// For says which platforms it is for.
	For []agent.Platform
	// What says what the file is: "plugin", the name of a dependency, or "templates".
	What string
	// Notes say what is special about it.
	Notes []string
	// Name and URL are those in the mirror, Upstream is where it came from.
	Name, URL, Upstream string
	Size                int64
	SHA256              lock.SHA256
	VerifiedBy          lock.ChecksumSource
	VerifiedWith        []string
}

// ChecksumCount is the number of files whose checksum comes from a source.
type ChecksumCount struct {
	Source lock.ChecksumSource
	Files  int
}

//go:embed page.css
var style string

// policy allows a browser the style of the page and its icon, and nothing else.
var policy = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'"
})

// Policy is the Content-Security-Policy of a page that a server sends: no page may frame it.
func Policy() string { return policy() + "; frame-ancestors 'none'" }

// mark is what every page has, and no other tool writes.
const mark = `<meta name="generator" content="botkube-mirror">`

// Head is the number of bytes at the start of a file that [IsPage] and [MadeIn] need.
const Head = 4 << 10

// MadeIn returns when the mirror was made by a file that starts so, or zero.
func MadeIn(head []byte) (made time.Time) {
	if _, rest, ok := bytes.Cut(head, []byte(madeMark)); ok {
		text, _, _ := bytes.Cut(rest, []byte(`"`))
		made, _ = time.Parse(time.RFC3339, string(text)) // an edited one is none
	}
	return made.UTC()
}

const madeMark = `<meta name="date" content="`

// IsPage reports whether a file that starts so was written as a page of a mirror.
func IsPage(data []byte) bool { return bytes.Contains(data, []byte(mark)) }
