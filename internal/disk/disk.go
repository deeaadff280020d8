// Package disk is what the program asks of file systems: opening files below a root
// without following links, modes that suffice for a reader, names that survive a
// power cut, free space, temporary files. What differs between operating systems is in
// system_*.go.
package disk
