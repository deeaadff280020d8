package disk

import "os"

// Opener is [OpenRegular] for many files below one root.
type Opener struct {
	root *os.Root
	// dir is the directory itself, or nil where the system cannot open below it in
	// one step.
	dir *os.File
}

// NewOpener returns an opener for a root, which stays the caller's.
func NewOpener(root *os.Root) *Opener { return &Opener{root, openDirectory(root)} }

// OpenRegular opens a file as [OpenRegular] does.
func (o *Opener) OpenRegular(name string) (*os.File, error) {
	if f := openBeneath(o.dir, name); f != nil {
		return f, nil
	}
	return OpenRegular(o.root, name) // says what is wrong, if anything is
}

// Close closes the opener.
func (o *Opener) Close() error {
	if o.dir == nil {
		return nil
	}
	return o.dir.Close()
}
