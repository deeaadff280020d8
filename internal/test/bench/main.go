//go:build linux

// Command bench measures botkube-mirror beside what others would use for the same, and writes
// docs/explanation/benchmarks.md with a picture of how time and memory grow. Run it in the module's directory, on a
// machine with nothing else to do:
//
//	go run ./internal/test/bench [-runs 5] [-only push,verify] [-o docs/explanation]
//
// botkube-mirror and its peers, which are the other programs, take turns on two processors. The files
// to read are in memory before each run, and what earlier runs wrote is on disk. Peers are taken from
// PATH; crane and oras are built if they are not there. The page names the peers that are missing.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// bench is one run of the command.
type bench struct {
	ctx context.Context
	// dir is the working directory, which is removed in the end; binary is botkube-mirror's.
	dir, binary string
	runs        int
	report      *report
	// absent has the reason why a peer is missing, by its name.
	absent map[string]string
	// made has the repositories by their description: see [bench.repository].
	made map[string]*upstream
}

func main() {
	log.SetFlags(0)
	b := &bench{report: &report{}, absent: map[string]string{}, made: map[string]*upstream{}}
	flag.IntVar(&b.runs, "runs", 5, "runs of each")
	only := flag.String("only", "weight,start,growth,bundle,directory,unpack,verify,push,serve", "what to measure; commands, too, runs every command on many plugins")
	product := flag.String("product", "", "botkube-mirror to measure (default: built from this module, as it is released)")
	scratch := flag.String("dir", "", "directory to work in (default: a temporary one)")
	out := flag.String("o", "docs/explanation", "directory for benchmarks.md and benchmarks.svg; - prints the table only")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b.ctx = ctx
	if err := b.run(*scratch, *product, *out, strings.Split(*only, ",")); err != nil {
		log.Fatal(err)
	}
}

func (b *bench) run(scratch, product, out string, only []string) (err error) {
	if b.dir, err = os.MkdirTemp(scratch, "bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.dir, err = filepath.Abs(b.dir); err != nil {
		return err
	}
	if b.binary = product; product == "" {
		b.binary = filepath.Join(b.dir, "botkube-mirror")
		err = b.goTool("build", "-o", b.binary, "github.com/botkube-mirror/botkube-mirror")
	} else {
		b.binary, err = filepath.Abs(product)
	}
	if err != nil {
		return err
	}
	measures := map[string]func() error{
		"weight": b.weight, "start": b.start, "growth": b.growth, "bundle": b.bundle, "directory": b.directory,
		"unpack": b.unpack, "verify": b.verify, "push": b.push, "serve": b.serve, "commands": b.commands,
	}
	for _, name := range only {
		measure, known := measures[name]
		if !known {
			return fmt.Errorf("there is nothing called %q to measure", name)
		}
		if err := measure(); b.ctx.Err() != nil {
			return context.Cause(b.ctx)
		} else if err != nil {
			b.report.fail(fmt.Errorf("%s: %w", name, err))
		}
	}
	return b.report.write(out, b.absent, b.runs)
}

func (b *bench) goTool(args ...string) error {
	c := exec.CommandContext(b.ctx, "go", append([]string{args[0], "-trimpath", "-ldflags=-s -w"}, args[1:]...)...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+b.dir)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", args[len(args)-1], err, out)
	}
	return nil
}

// modules are those of the peers that are built if they are not in PATH.
var modules = map[string]string{
	"crane": "github.com/google/go-containerregistry/cmd/crane@v0.20.3",
	"oras":  "oras.land/oras/cmd/oras@v1.3.6",
}

// peer returns the path of another program, or notes that it cannot be had.
func (b *bench) peer(name string) (path string, ok bool) {
	if b.absent[name] != "" {
		return "", false
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, true
	}
	path = filepath.Join(b.dir, name)
	if _, err := os.Stat(path); err == nil {
		return path, true
	}
	module, known := modules[name]
	if !known {
		b.absent[name] = "not in PATH"
		return "", false
	}
	if err := b.goTool("install", module); err != nil {
		b.absent[name] = strings.SplitN(err.Error(), "\n", 2)[0]
		return "", false
	}
	return path, true
}

// program is [bench.peer], or the product.
func (b *bench) program(name string) (path string, ok bool) {
	if name == "botkube-mirror" {
		return b.binary, true
	}
	return b.peer(name)
}

// peers reports whether all of these are there.
func (b *bench) peers(names ...string) bool {
	all := true
	for _, name := range names {
		_, ok := b.peer(name)
		all = all && ok
	}
	return all
}
