// Package powercut records what a program does to files, and works out what of
// that would be on the disk after a power cut at any instant.
package powercut
