// Package disk says to the file system what it must be told so that what was
// written survives a power cut, and reads from its errors that it is full.
package disk
