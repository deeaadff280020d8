//go:build !linux

package disk

import "os"

func openDirectory(*os.Root) *os.File { return nil }

// openBeneath is for Linux only.
func openBeneath(*os.File, string) *os.File { return nil }
