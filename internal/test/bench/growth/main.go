//go:build linux

// Command growth runs botkube-mirror on more and more plugins, for one and for three
// platforms. Run it with
//
//	go run ./internal/test/bench/growth [-plugins 10,100,1000,3000] [-size 5]
//
// Time of processors that a file takes more of, the more there are, is a loop within a
// loop.
package main

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/measure"
	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/plugins"
)

func main() {
	counts := flag.String("plugins", "10,100,1000,3000", "numbers of plugins")
	size := flag.Int("size", 5, "size of a plugin's binary, in KB")
	measure.Main(func(ctx context.Context, dir, binary string) error {
		for text := range strings.SplitSeq(*counts, ",") {
			count, err := strconv.Atoi(text)
			if err != nil {
				return err
			}
			for _, platforms := range [][]string{{"linux/amd64"}, {"linux/amd64", "linux/arm64", "darwin/arm64"}} {
				shape := plugins.Shape{Count: count, Size: *size * 1e3, Platforms: platforms}
				if err := measure.Within(dir, func(dir string) error { return run(ctx, dir, binary, shape) }); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// run measures every command once.
func run(ctx context.Context, dir, binary string, shape plugins.Shape) error {
	up, err := plugins.Random(ctx, filepath.Join(dir, "upstream"), shape)
	if err != nil {
		return err
	}
	if err := up.Serve(); err != nil {
		return err
	}
	pull := append(up.Pull("store", "bundle.tar"), "--platform", strings.Join(shape.Platforms, ","))
	commands := [][]string{pull, pull}
	for _, command := range []string{
		"list bundle.tar",
		"verify bundle.tar", "verify bundle.tar --unpack",
		"unpack bundle.tar -o plugins", "unpack bundle.tar -o plugins", "unpack bundle.tar -o oci:layout",
		"unpack bundle.tar -o site:web --base-url http://mirror.example.com", "unpack bundle.tar -o image:image.tar",
		"verify plugins", "verify layout", "verify web", "verify image.tar",
		"diff bundle.tar layout", "diff plugins image.tar",
	} {
		commands = append(commands, append(strings.Fields(command), "-q"))
	}
	for _, command := range commands {
		r, err := measure.Run(ctx, dir, binary, command...)
		if err != nil {
			return err
		}
		files := float64(shape.Count * len(shape.Platforms))
		fmt.Printf("%5d plugins, %d platforms: %6.2f s, of processors %6.2f s, %5.0f µs a file, peak memory %5.1f MiB: %.60s\n",
			shape.Count, len(shape.Platforms), r.Wall.Seconds(), r.CPU.Seconds(), r.CPU.Seconds()*1e6/files, float64(r.Memory)/(1<<20), strings.Join(command, " "))
	}
	return nil
}
