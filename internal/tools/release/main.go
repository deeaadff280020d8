// Command release makes the other files of a release: licences, completions, man pages, SBOMs and
// the container image. .goreleaser.yaml calls it.
package main

import (
	"errors"
	"fmt"
	"os"
)

// root is the program's own module. "go -C internal/tools/release run ." starts this one below it.
const root = "../../.."

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 4 && args[0] == "stage":
		return stage(args[1], args[2], args[3])
	case len(args) == 4 && args[0] == "sbom":
		return sbom(args[1], args[2], args[3])
	case len(args) == 5 && args[0] == "image":
		return image(args[1], args[2], args[3], args[4])
	}
	return errors.New(`usage:
  release stage PROGRAM DIR DATE              licences, docs, completions and man pages for a program into DIR
  release sbom ARCHIVE VERSION FILE           what is linked into the program in an archive, as CycloneDX
  release image DIST VERSION REVISION FILE    the archives for Linux in DIST as a container image`)
}
