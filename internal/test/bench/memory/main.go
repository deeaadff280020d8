//go:build linux

// Command memory measures what botkube-mirror needs of memory to write, unpack
// and push a large bundle. Run it with
//
//	go run ./internal/test/bench/memory [-plugins 48] [-size 45]
//
// The plugins cannot be compressed: with 48 of 45 MB, the bundle has 2 GiB. It
// needs docker-registry, and disk space for five times the bundle.
package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/measure"
	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/plugins"
	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/registry"
)

func main() {
	shape := plugins.Flags(48)
	measure.Main(func(ctx context.Context, dir, binary string) error { return run(ctx, dir, binary, shape()) })
}

func run(ctx context.Context, dir, binary string, shape plugins.Shape) error {
	up, err := plugins.Random(ctx, filepath.Join(dir, "upstream"), shape)
	if err != nil {
		return err
	}
	if err := up.Serve(); err != nil {
		return err
	}
	product := func(name string, args ...string) error {
		s := &measure.Series{Name: name}
		return s.Time(func() (measure.Result, error) { return measure.Run(ctx, dir, binary, args...) })
	}
	store, bundle, unpacked := filepath.Join(dir, "store"), filepath.Join(dir, "bundle.tar"), filepath.Join(dir, "plugins")
	if err := product("pull, empty store", up.Pull(store, bundle)...); err != nil {
		return err
	}
	if err := product("pull, nothing to do", up.Pull(store, bundle)...); err != nil {
		return err
	}
	if err := os.Remove(bundle); err != nil {
		return err
	}
	if err := product("pull, full store", up.Pull(store, bundle)...); err != nil {
		return err
	}
	if err := os.RemoveAll(store); err != nil {
		return err
	}
	if err := product("unpack", "unpack", bundle, "-o", unpacked, "-q"); err != nil {
		return err
	}
	if err := product("verify of the directory", "verify", unpacked, "--against", bundle); err != nil {
		return err
	}
	if err := os.RemoveAll(unpacked); err != nil {
		return err
	}
	listed, err := measure.Run(ctx, dir, binary, "list", bundle, "--format", "json")
	if err != nil {
		return err
	}
	var listing struct{ Tag string }
	if err := json.Unmarshal(listed.Output, &listing); err != nil {
		return err
	}
	return registry.With(ctx, filepath.Join(dir, "registry"), func(host string) error {
		if err := product("push of the bundle", "push", bundle, host+"/bench", "--plain-http", "--skip", "image", "-q"); err != nil {
			return err
		}
		if err := product("push of the image", "push", bundle, host+"/bench", "--plain-http", "--skip", "bundle", "-q"); err != nil {
			return err
		}
		return product("verify of the image", "verify", "docker://"+host+"/bench/botkube-plugins:"+listing.Tag, "--plain-http")
	})
}
