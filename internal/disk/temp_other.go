//go:build !linux

package disk

import (
	"errors"
	"os"
)

// nameless is for Linux only.
func nameless(string) (*os.File, error) { return nil, errors.ErrUnsupported }
