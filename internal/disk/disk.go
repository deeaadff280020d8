// Package disk says to the file system what it must be told so that what was
// written survives a power cut, and asks it whether there is room, and what is
// there.
package disk
