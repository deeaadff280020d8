//go:build linux

// Command pull measures botkube-mirror pull beside the shell script that a user
// would write for the same job, from a server on this machine. Run it with
//
//	go run ./internal/test/bench/pull [-plugins 12] [-size 45] [-runs 3]
//
// It needs curl, sha256sum and tar, and prints the wall time of each run, the
// ratio of the medians, and the peak memory of the process.
package main

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/measure"
	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/plugins"
)

func main() {
	shape := plugins.Flags(12)
	runs := flag.Int("runs", 3, "runs of each")
	measure.Main(func(ctx context.Context, dir, binary string) error { return run(ctx, dir, binary, shape(), *runs) })
}

func run(ctx context.Context, dir, binary string, shape plugins.Shape, runs int) error {
	up, err := plugins.Programs(ctx, filepath.Join(dir, "upstream"), binary, shape)
	if err != nil {
		return err
	}
	if err := up.Serve(); err != nil {
		return err
	}
	ours, theirs := &measure.Series{Name: "pull"}, &measure.Series{Name: "script"}
	for range runs {
		err := measure.Within(dir, func(dir string) error {
			return ours.Time(func() (measure.Result, error) {
				return measure.Run(ctx, dir, binary, up.Pull(dir+"/store", dir+"/plugins")...)
			})
		})
		if err != nil {
			return err
		}
		err = measure.Within(dir, func(dir string) error {
			return theirs.Time(func() (measure.Result, error) { return measure.Script(ctx, dir, script(up)) })
		})
		if err != nil {
			return err
		}
	}
	ours.Compare(theirs)
	return nil
}

// script is what a user would write: parallel downloads, a check, and
// unpacking on all processors.
func script(up *plugins.Repository) string {
	var s strings.Builder
	s.WriteString("mkdir -p archives plugins\ncd archives\ncurl -fsS --parallel --parallel-max 4 \\\n")
	for _, name := range up.Archives {
		fmt.Fprintf(&s, "  -O %s/%s \\\n", up.URL, name)
	}
	s.WriteString("\nsha256sum -c --quiet <<EOF\n")
	for i, name := range up.Archives {
		fmt.Fprintf(&s, "%s  %s\n", up.SHA256[i], name)
	}
	s.WriteString("EOF\nls *.tar.gz | xargs -P \"$(nproc)\" -I{} tar -xzf {} -C ../plugins\n")
	return s.String()
}
