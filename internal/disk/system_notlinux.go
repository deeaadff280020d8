//go:build !linux

package disk

import (
	"errors"
	"os"
)

// nameless is for Linux only.
func nameless(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func openDirectory(*os.Root) *os.File { return nil }

// openBeneath is for Linux only.
func openBeneath(*os.File, string) *os.File { return nil }

// StartWriteback is a hint that only Linux takes.
func StartWriteback(*os.File, int64, int64) {}
