// Package docs runs the documentation: every command that a page shows, in a world of local servers,
// and compares what it prints with what the page shows. It also checks links, anchors, flags in the
// text, and form.
//
// docs/development.md describes the format of pages, under "Docs are tests".
package docs
