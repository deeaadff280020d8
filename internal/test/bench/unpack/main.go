//go:build linux

// Command unpack measures botkube-mirror unpack to a directory beside tar and
// gzip on as many processors. Run it with
//
//	go run ./internal/test/bench/unpack [-plugins 12] [-size 45] [-runs 3]
//
// Of the pipelines, the first checks nothing, the second checks the blobs, as
// unpack does, and the third also has what it unpacked on disk in the end, as
// unpack does too.
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
	bundle, err := up.Bundle(ctx, dir, binary)
	if err != nil {
		return err
	}
	ours := &measure.Series{Name: "unpack"}
	pipelines := []*measure.Series{{Name: "pipeline"}, {Name: "pipeline, checked"}, {Name: "pipeline, checked, synced"}}
	unpack := func(dir string) (measure.Result, error) {
		return measure.Run(ctx, dir, binary, "unpack", bundle, "-o", dir+"/plugins", "-q")
	}
	scripts := scripts(up, bundle)
	for range runs {
		if err := timed(ctx, dir, bundle, ours, unpack); err != nil {
			return err
		}
		for i, script := range scripts {
			pipeline := func(dir string) (measure.Result, error) { return measure.Script(ctx, dir, script) }
			if err := timed(ctx, dir, bundle, pipelines[i], pipeline); err != nil {
				return err
			}
		}
	}
	ours.Compare(pipelines...)
	return nil
}

// timed adds a run in a new directory to a series. The bundle is in memory then.
func timed(ctx context.Context, dir, bundle string, s *measure.Series, run func(dir string) (measure.Result, error)) error {
	if err := measure.Warm(ctx, bundle); err != nil {
		return err
	}
	return measure.Within(dir, func(dir string) error {
		return s.Time(func() (measure.Result, error) { return run(dir) })
	})
}

func scripts(up *plugins.Repository, bundle string) []string {
	const (
		check = "for f in blobs/sha256/*; do echo \"${f##*/}  $f\"; done | xargs -P2 -d'\\n' -n1 sh -c 'echo \"$1\" | sha256sum -c --quiet' sh\n"
		sync  = "find ../plugins -type f -exec sync -d {} +\n"
	)
	extract := fmt.Sprintf("mkdir bundle plugins\ntar -xf %q -C bundle\ncd bundle\n", bundle)
	unpack := fmt.Sprintf("printf '%%s\\n' %s | xargs -P%d -I{} sh -c 'gzip -dc blobs/sha256/{} | tar -xC ../plugins'\n",
		strings.Join(up.SHA256, " "), measure.Processors)
	return []string{extract + unpack, extract + check + unpack, extract + check + unpack + sync}
}
