//go:build linux

// Command push measures botkube-mirror push of a bundle beside what copies an
// OCI layout into a registry: skopeo copy, oras cp and crane push. Run it with
//
//	go run ./internal/test/bench/push [-plugins 12] [-size 45] [-runs 3] [-peers skopeo,oras,crane]
//
// It needs docker-registry, which runs on loopback and is empty for each run;
// a second push of the same then finds everything there. skopeo must be
// installed; oras and crane are built from their modules, if the module proxy
// has them. All that is pushed is in memory before each run. oras and crane get
// the bundle unpacked to a layout directory, for which they are not charged, and
// skopeo once a directory, and once the file, as botkube-mirror does.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/measure"
	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/plugins"
	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/registry"
)

// modules are those of the peers that are built.
var modules = map[string]string{
	"oras":  "oras.land/oras/cmd/oras@v1.3.6",
	"crane": "github.com/google/go-containerregistry/cmd/crane@v0.22.1",
}

func main() {
	shape := plugins.Flags(12)
	runs := flag.Int("runs", 3, "runs of each")
	peers := flag.String("peers", "skopeo,oras,crane", "whom to compare with, separated by commas")
	measure.Main(func(ctx context.Context, dir, binary string) error {
		names := strings.FieldsFunc(*peers, func(r rune) bool { return r == ',' })
		return run(ctx, dir, binary, shape(), *runs, names)
	})
}

func run(ctx context.Context, dir, binary string, shape plugins.Shape, runs int, peers []string) error {
	up, err := plugins.Random(ctx, filepath.Join(dir, "upstream"), shape)
	if err != nil {
		return err
	}
	b := &bundle{layout: filepath.Join(dir, "layout")}
	if b.file, err = up.Bundle(ctx, dir, binary); err != nil {
		return err
	}
	if err := b.extract(ctx); err != nil {
		return err
	}
	ours := newPusher("push", "bench/botkube-plugins-bundle", func(host string) []string {
		return []string{binary, "push", b.file, host + "/bench", "--plain-http", "--skip", "image", "-q"}
	})
	pushers := []*pusher{ours}
	for _, name := range peers {
		built, err := b.peer(ctx, dir, name)
		if err != nil {
			return fmt.Errorf("%w\n-peers leaves it out", err)
		}
		pushers = append(pushers, built...)
	}
	for range runs {
		for _, p := range pushers {
			if err := p.measure(ctx, dir, b); err != nil {
				return err
			}
		}
	}
	var first, second []*measure.Series
	for _, p := range pushers[1:] {
		first, second = append(first, p.first), append(second, p.second)
	}
	ours.first.Compare(first...)
	ours.second.Compare(second...)
	return nil
}

// bundle is what is pushed: a file, and the same as a directory.
type bundle struct {
	file, layout string
	tag, digest  string
}

func (b *bundle) extract(ctx context.Context) error {
	if err := os.Mkdir(b.layout, 0o755); err != nil {
		return err
	}
	if _, err := measure.Run(ctx, b.layout, "tar", "-xf", b.file); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(b.layout, "index.json"))
	if err != nil {
		return err
	}
	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return err
	}
	if len(index.Manifests) != 1 {
		return fmt.Errorf("the bundle's index.json names %d manifests", len(index.Manifests))
	}
	b.digest = index.Manifests[0].Digest
	b.tag = index.Manifests[0].Annotations["org.opencontainers.image.ref.name"]
	return nil
}

// peer returns the ways in which another program pushes the bundle.
func (b *bundle) peer(ctx context.Context, dir, name string) ([]*pusher, error) {
	to := func(host string) string { return host + "/" + name + "/bundle:" + b.tag }
	if name == "skopeo" {
		program, err := exec.LookPath(name)
		if err != nil {
			return nil, err
		}
		from := func(title, source string) *pusher {
			return newPusher(title, name+"/bundle", func(host string) []string {
				return []string{program, "--insecure-policy", "--tmpdir", dir, "copy", "--all", "--preserve-digests", "--quiet",
					"--dest-tls-verify=false", source, "docker://" + to(host)}
			})
		}
		return []*pusher{from("skopeo", "oci-archive:"+b.file), from("skopeo of a directory", "oci:"+b.layout+":"+b.tag)}, nil
	}
	module, known := modules[name]
	if !known {
		return nil, fmt.Errorf("there is no peer %q", name)
	}
	program, err := measure.Install(ctx, dir, module)
	if err != nil {
		return nil, err
	}
	return []*pusher{newPusher(name, name+"/bundle", func(host string) []string {
		if name == "oras" {
			return []string{program, "cp", "--from-oci-layout", b.layout + ":" + b.tag, "--to-plain-http", to(host), "--no-tty"}
		}
		return []string{program, "push", b.layout, to(host)} // to loopback, it speaks http
	})}, nil
}

// pusher is a program that pushes the bundle.
type pusher struct {
	repository    string
	first, second *measure.Series
	// command pushes to a host.
	command func(host string) []string
}

func newPusher(name, repository string, command func(host string) []string) *pusher {
	return &pusher{repository, &measure.Series{Name: name}, &measure.Series{Name: name + ", again"}, command}
}

// measure pushes twice to a registry that is empty before.
func (p *pusher) measure(ctx context.Context, dir string, b *bundle) error {
	for _, path := range []string{b.file, b.layout} {
		if err := measure.Warm(ctx, path); err != nil {
			return err
		}
	}
	return registry.With(ctx, filepath.Join(dir, "registry"), func(host string) error {
		command := p.command(host)
		for _, s := range []*measure.Series{p.first, p.second} {
			err := measure.Within(dir, func(dir string) error {
				return s.Time(func() (measure.Result, error) { return measure.Run(ctx, dir, command[0], command[1:]...) })
			})
			if err != nil {
				return err
			}
		}
		digest, err := registry.Digest(ctx, host, p.repository, b.tag)
		if err == nil && digest != b.digest {
			err = fmt.Errorf("%s pushed %s, not %s", p.first.Name, digest, b.digest)
		}
		return err
	})
}
