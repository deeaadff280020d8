//go:build !linux && !darwin && !windows

package disk

// spaceOf knows of no way to ask.
func spaceOf(string) (Space, bool) { return Space{}, false }
