//go:build linux

// Command bundle measures how botkube-mirror pull writes a bundle of what its
// store has, beside cp -r of the same blobs. Run it with
//
//	go run ./internal/test/bench/bundle [-plugins 12] [-size 45] [-runs 3]
//
// All that is read is in memory before each run. cp leaves what it wrote to the
// kernel, while a bundle is on disk in the end: the second ratio is to cp and
// then sync of the copies.
package main

import (
	"context"
	"encoding/json"
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

func run(ctx context.Context, dir, binary string, shape plugins.Shape, runs int) error {
	up, err := plugins.Random(ctx, filepath.Join(dir, "upstream"), shape)
	if err != nil {
		return err
	}
	if err := up.Serve(); err != nil {
		return err
	}
	store := filepath.Join(dir, "store")
	err = measure.Within(dir, func(dir string) error {
		_, err := measure.Run(ctx, dir, binary, up.Pull(store, dir+"/bundle.tar")...)
		return err
	})
	if err != nil {
		return err
	}
	blobs := filepath.Join(store, "blobs")
	ours, copied, synced := &measure.Series{Name: "bundle"}, &measure.Series{Name: "cp"}, &measure.Series{Name: "cp and sync"}
	things := []struct {
		series *measure.Series
		run    func(dir string) (measure.Result, error)
	}{
		{ours, func(dir string) (measure.Result, error) {
			r, err := measure.Run(ctx, dir, binary, up.Pull(store, dir+"/bundle.tar")...)
			if err == nil {
				err = checkReused(r.Output, up.Size)
			}
			return r, err
		}},
		{copied, func(dir string) (measure.Result, error) {
			return measure.Script(ctx, dir, fmt.Sprintf("cp -r %q copy", blobs))
		}},
		{synced, func(dir string) (measure.Result, error) {
			return measure.Script(ctx, dir, fmt.Sprintf("cp -r %q copy; find copy -type f -exec sync -d {} +", blobs))
		}},
	}
	for range runs {
		for _, t := range things {
			if err := measure.Warm(ctx, blobs); err != nil {
				return err
			}
			err := measure.Within(dir, func(dir string) error {
				return t.series.Time(func() (measure.Result, error) { return t.run(dir) })
			})
			if err != nil {
				return err
			}
		}
	}
	ours.Compare(copied, synced)
	return nil
}

// checkReused refuses a run that downloaded what the store should have had.
func checkReused(output []byte, size int64) error {
	var result struct{ ReusedBytes int64 }
	if err := json.Unmarshal(output, &result); err != nil {
		return err
	}
	if result.ReusedBytes != size {
		return fmt.Errorf("%d of %d bytes came from the store", result.ReusedBytes, size)
	}
	return nil
}
