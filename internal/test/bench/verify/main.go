//go:build linux

// Command verify measures botkube-mirror verify beside sha256sum over the same
// bytes, on as many processors. Run it with
//
//	go run ./internal/test/bench/verify [-plugins 12] [-size 45] [-runs 3]
//
// A bundle is compared with sha256sum over the files of its layout, for one
// sha256sum over the tar would use one processor only.
package main

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"

	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/measure"
	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/plugins"
)

func main() {
	shape := plugins.Flags(12)
	runs := flag.Int("runs", 3, "runs of each")
	measure.Main(func(ctx context.Context, dir, binary string) error { return run(ctx, dir, binary, shape(), *runs) })
}

// form is a mirror, and the files whose bytes are those that it consists of.
type form struct{ name, target, files string }

func run(ctx context.Context, dir, binary string, shape plugins.Shape, runs int) error {
	up, err := plugins.Random(ctx, filepath.Join(dir, "upstream"), shape)
	if err != nil {
		return err
	}
	bundle, err := up.Bundle(ctx, dir, binary)
	if err != nil {
		return err
	}
	outputs := []string{"unpack", bundle, "-q", "-o", "plugins", "-o", "oci:layout", "-o", "site:web", "--base-url", "http://mirror.example.com"}
	if _, err := measure.Run(ctx, dir, binary, outputs...); err != nil {
		return err
	}
	for _, f := range []form{{"directory", "plugins", "plugins"}, {"layout", "layout", "layout"}, {"tar", bundle, "layout"}, {"site", "web", "web"}} {
		if err := compare(ctx, dir, binary, f, runs); err != nil {
			return err
		}
	}
	return nil
}

// compare measures one form. What is read is in memory then.
func compare(ctx context.Context, dir, binary string, f form, runs int) error {
	ours, theirs := &measure.Series{Name: "verify " + f.name}, &measure.Series{Name: "sha256sum " + f.name}
	script := fmt.Sprintf("find %s -type f -print0 | xargs -0 -P%d -n1 sha256sum >/dev/null", f.files, measure.Processors)
	for range runs {
		for _, path := range []string{f.target, f.files} {
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			if err := measure.Warm(ctx, path); err != nil {
				return err
			}
		}
		if err := ours.Time(func() (measure.Result, error) { return measure.Run(ctx, dir, binary, "verify", f.target, "-q") }); err != nil {
			return err
		}
		if err := theirs.Time(func() (measure.Result, error) { return measure.Script(ctx, dir, script) }); err != nil {
			return err
		}
	}
	ours.Compare(theirs)
	return nil
}
