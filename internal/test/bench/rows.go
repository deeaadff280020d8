//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// weight measures the size of the binary, and the modules that are linked in.
func (b *bench) weight() error {
	binaries := []fact{}
	modules, archives := []fact{}, []fact{}
	for _, name := range []string{"botkube-mirror", "crane", "oras"} {
		path, ok := b.program(name)
		if !ok {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		linked, size, err := b.linked(path)
		if err != nil {
			return err
		}
		binaries = append(binaries, fact{name, float64(info.Size()) / 1e6, "MB"})
		modules = append(modules, fact{name, float64(linked), ""})
		archives = append(archives, fact{name, float64(size) / 1e6, "MB"})
	}
	b.report.facts("binary, stripped", binaries)
	b.report.facts("modules linked in", modules)
	b.report.facts("archives of these modules in Go's module cache", archives)
	return nil
}

// linked counts the modules of a program, and adds up the sizes, in bytes, of those of their archives
// that the module cache has.
func (b *bench) linked(program string) (count int, size int64, err error) {
	out, err := exec.CommandContext(b.ctx, "go", "version", "-m", program).Output()
	if err != nil {
		return 0, 0, err
	}
	cache, err := exec.CommandContext(b.ctx, "go", "env", "GOMODCACHE").Output()
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != "dep" {
			continue
		}
		count++
		var escaped strings.Builder
		for _, r := range fields[1] {
			if r >= 'A' && r <= 'Z' { // golang.org/ref/mod, "Module cache layout"
				escaped.WriteString("!")
			}
			escaped.WriteString(strings.ToLower(string(r)))
		}
		archive := filepath.Join(strings.TrimSpace(string(cache)), "cache", "download", escaped.String(), "@v", fields[2]+".zip")
		if info, err := os.Stat(archive); err == nil {
			size += info.Size()
		}
	}
	return count, size, nil
}

// start measures a command that does nothing.
func (b *bench) start() error {
	sides := []*side{b.command("botkube-mirror", b.binary, "version")}
	if crane, ok := b.peer("crane"); ok {
		sides = append(sides, b.command("crane", crane, "version"))
	}
	return b.compare("version", []string{b.binary}, sides...)
}

// plugins are the numbers of plugins that are tried in turn.
var plugins = []int{10, 100, 1000, 3000}

// growth measures how time and memory grow with the number of plugins.
func (b *bench) growth() error {
	const pulls, verifies = "pull to a directory, %d plugins of 200 KB", "verify of a directory, %d plugins of 200 KB"
	for _, n := range plugins {
		up, err := b.repository(n, 200e3, false)
		if err != nil {
			return err
		}
		dir := up.dir + "-plugins"
		r, err := b.exec(b.dir, b.pull(up, up.dir+"-store", dir)...)
		if err != nil {
			return err
		}
		pull := &side{name: "botkube-mirror", walls: []time.Duration{r.wall}, memory: r.memory}
		b.report.compared(fmt.Sprintf(pulls, n), []*side{pull})
		verify := b.command("botkube-mirror", b.binary, "verify", dir, "-q")
		if err := b.compare(fmt.Sprintf(verifies, n), []string{dir}, verify); err != nil {
			return err
		}
		b.report.points = append(b.report.points, point{n, pull.median(), verify.median(), pull.memory, verify.memory})
		for _, path := range []string{up.dir, up.dir + "-store", dir} {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// commands runs every command once on more and more plugins, for one platform and for three. If the
// time for each plugin grows with their number, a loop is within a loop. It is not in the report.
func (b *bench) commands() error {
	for _, n := range plugins {
		for _, platforms := range [][]string{{"linux/amd64"}, {"linux/amd64", "linux/arm64", "darwin/arm64"}} {
			up, err := b.repository(n, 5e3, false, platforms...)
			if err != nil {
				return err
			}
			dir, err := os.MkdirTemp(b.dir, "commands-")
			if err != nil {
				return err
			}
			pull := b.pull(up, "store", "bundle.tar", "--platform", strings.Join(platforms, ","))
			commands := [][]string{pull, pull}
			for _, command := range []string{
				"list bundle.tar", "verify bundle.tar", "verify bundle.tar --unpack",
				"unpack bundle.tar -o plugins", "unpack bundle.tar -o plugins", "unpack bundle.tar -o oci:layout",
				"unpack bundle.tar -o site:web --base-url http://mirror.example.com", "unpack bundle.tar -o image:image.tar",
				"verify plugins", "verify layout", "verify web", "verify image.tar", "diff bundle.tar layout", "diff plugins image.tar",
			} {
				commands = append(commands, append([]string{b.binary}, append(strings.Fields(command), "-q")...))
			}
			for _, command := range commands {
				r, err := b.exec(dir, command...)
				if err != nil {
					return err
				}
				fmt.Printf("%5d plugins, %d platforms: %7.3f s, %6.0f µs a file, %5.0f MiB: %.60s\n", n, len(platforms), r.wall.Seconds(),
					r.wall.Seconds()*1e6/float64(len(up.names)), float64(r.memory)/(1<<20), strings.Join(command[1:], " "))
			}
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// bundle measures a pull to a bundle beside what downloads the same files.
func (b *bench) bundle() error {
	up, err := b.repository(22, 9e6, true)
	if err != nil {
		return err
	}
	ours := func(more ...string) *side {
		return b.command("botkube-mirror", b.pull(up, "DIR/store", "DIR/b.tar", more...)...)
	}
	sides := func(ours *side) []*side {
		if b.peers("curl") {
			return []*side{ours, b.script("curl --parallel", "cd DIR\n"+up.curl())}
		}
		return []*side{ours}
	}
	of := fmt.Sprintf("pull to a bundle, %d files of %.0f MB", len(up.names), float64(up.size)/1e6)
	all := sides(ours())
	if hauler, ok := b.peer("hauler"); ok {
		all = append(all, b.script("hauler", up.hauler(hauler)))
	}
	if err := b.compare(of, []string{up.dir}, all...); err != nil {
		return err
	}
	up.delay.Store(int64(30 * time.Millisecond))
	defer up.delay.Store(0)
	if err := b.compare(of+", 30 ms before every answer", []string{up.dir}, sides(ours())...); err != nil {
		return err
	}
	lock := up.dir + ".lock.json"
	if _, err := b.exec(b.dir, b.binary, "lock", "--repository", "bench="+up.url+"/plugins-index.yaml", "--store", up.dir+"-locked", "-q", lock); err != nil {
		return err
	}
	if err := b.compare(of+", 30 ms before every answer, with a lock", []string{up.dir}, sides(ours("--lock", lock))...); err != nil {
		return err
	}
	return b.again(up)
}

// again measures a second pull with nothing new.
func (b *bench) again(up *upstream) error {
	const row = "second pull, nothing new, 30 ms before every answer"
	store, bundle := up.dir+"-kept", up.dir+"-kept.tar"
	if _, err := b.exec(b.dir, b.pull(up, store, bundle)...); err != nil {
		return err
	}
	before := up.requests.Load()
	if err := b.compare(row, nil, b.command("botkube-mirror", b.pull(up, store, bundle)...)); err != nil {
		return err
	}
	b.report.facts("requests of a second pull", []fact{{"botkube-mirror", float64(up.requests.Load()-before) / float64(b.runs), ""}})
	return nil
}

// hauler is the script with which hauler collects the archives.
func (up *upstream) hauler(program string) string {
	var files strings.Builder
	for _, name := range up.names {
		fmt.Fprintf(&files, "    - {path: %s/%s, name: %s}\n", up.url, name, name)
	}
	return fmt.Sprintf("cd DIR\ncat > files.yaml <<'EOF'\napiVersion: content.hauler.cattle.io/v1\nkind: Files\nmetadata: {name: bench}\nspec:\n  files:\n%sEOF\n"+
		"%[2]s store sync --store store --filename files.yaml\n%[2]s store save --store store --filename haul.tar.zst\n", files.String(), program)
}

// directory measures a pull to a directory beside the script that a user would write.
func (b *bench) directory() error {
	up, err := b.repository(12, 20e6, true)
	if err != nil {
		return err
	}
	sides := []*side{b.command("botkube-mirror", b.pull(up, "DIR/store", "DIR/plugins")...)}
	if b.peers("curl", "sha256sum", "tar") {
		var sums strings.Builder
		for i, name := range up.names {
			fmt.Fprintf(&sums, "%s  %s\n", up.sums[i], name)
		}
		sides = append(sides, b.script("curl, sha256sum and tar", fmt.Sprintf("mkdir DIR/archives DIR/plugins\ncd DIR/archives\n%s"+
			"sha256sum -c --quiet <<'EOF'\n%sEOF\nls *.tar.gz | xargs -P%d -I{} tar -xzf {} -C ../plugins\n", up.curl(), sums.String(), processors)))
	}
	return b.compare(fmt.Sprintf("pull to a directory, %d files of %.0f MB", len(up.names), float64(up.size)/1e6), []string{up.dir}, sides...)
}

// unpack measures an unpack to a directory.
func (b *bench) unpack() error {
	up, err := b.bundled(true)
	if err != nil {
		return err
	}
	sides := []*side{b.command("botkube-mirror", b.binary, "unpack", up.bundle, "-o", "DIR/plugins", "-q")}
	if b.peers("tar", "gzip") {
		sides = append(sides, b.script("tar and gzip -d", fmt.Sprintf("mkdir DIR/bundle DIR/plugins\ntar -xf %q -C DIR/bundle\ncd DIR/bundle\n"+
			"printf '%%s\\n' %s | xargs -P%d -I{} sh -c 'gzip -dc blobs/sha256/{} | tar -xC ../plugins'\n", up.bundle, strings.Join(up.sums, " "), processors)))
	}
	return b.compare("unpack to a directory", []string{up.bundle}, sides...)
}

// verify measures verifications beside programs that hash every byte.
func (b *bench) verify() error {
	up, err := b.bundled(true)
	if err != nil {
		return err
	}
	bundle, dir, layout := up.bundle, up.dir+"-verified", up.dir+"-layout"
	if _, err := b.exec(b.dir, b.binary, "unpack", bundle, "-q", "-o", dir, "-o", "oci:"+layout); err != nil {
		return err
	}
	for _, f := range []struct{ row, target, files string }{
		{"verify of a bundle", bundle, layout}, {"verify of a directory", dir, dir},
	} {
		sides := []*side{b.command("botkube-mirror", b.binary, "verify", f.target, "-q")}
		if b.peers("openssl") {
			// One process over the tar would use one processor only.
			sides = append(sides, b.script("openssl dgst -sha256",
				fmt.Sprintf("find %q -type f -print0 | xargs -0 -P%d -n1 openssl dgst -sha256 >/dev/null\n", f.files, processors)))
		}
		if err := b.compare(f.row, []string{f.target, f.files}, sides...); err != nil {
			return err
		}
	}
	return nil
}

// push measures pushes of a bundle to a registry that is empty before, and a second one each.
func (b *bench) push() error {
	if !b.peers("docker-registry") {
		return nil
	}
	up, err := b.bundled(false)
	if err != nil {
		return err
	}
	bundle, layout := up.bundle, up.dir+"-layout"
	if err := os.Mkdir(layout, 0o755); err != nil {
		return err
	}
	if _, err := b.exec(layout, "tar", "-xf", bundle); err != nil {
		return err
	}
	tag, err := tagOf(layout)
	if err != nil {
		return err
	}
	arguments := map[string]func(host string) []string{
		"botkube-mirror": func(host string) []string {
			return []string{"push", bundle, host + "/bench", "--plain-http", "--skip", "image", "-q"}
		},
		"crane": func(host string) []string { return []string{"push", layout, host + "/bench/bundle:" + tag} }, // to loopback, it speaks http
		"oras": func(host string) []string {
			return []string{"cp", "--from-oci-layout", layout + ":" + tag, "--to-plain-http", host + "/bench/bundle:" + tag, "--no-tty"}
		},
	}
	var first, second []*side
	for _, name := range []string{"botkube-mirror", "crane", "oras"} {
		program, ok := b.program(name)
		if !ok {
			continue
		}
		a, s := &side{name: name}, &side{name: name}
		a.run = func(dir string) (result, error) {
			return b.pushTwice(dir, func(host string) []string { return append([]string{program}, arguments[name](host)...) }, s)
		}
		first, second = append(first, a), append(second, s)
	}
	if err := b.compare("push of a bundle, plain HTTP", []string{bundle, layout}, first...); err != nil {
		return err
	}
	b.report.compared("push again, nothing new", second)
	return nil
}

// pushTwice returns what the first push took, and adds the second to its side.
func (b *bench) pushTwice(dir string, command func(host string) []string, second *side) (first result, err error) {
	err = b.withRegistry(dir, func(host string) error {
		if first, err = b.exec(dir, command(host)...); err != nil {
			return err
		}
		r, err := b.exec(dir, command(host)...)
		second.walls, second.memory = append(second.walls, r.wall), max(second.memory, r.memory)
		return err
	})
	return first, err
}

// tagOf returns the tag of the only document of a layout.
func tagOf(layout string) (string, error) {
	data, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		return "", err
	}
	var index struct {
		Manifests []struct{ Annotations map[string]string }
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return "", err
	}
	if len(index.Manifests) != 1 {
		return "", fmt.Errorf("the bundle's index.json names %d documents", len(index.Manifests))
	}
	return index.Manifests[0].Annotations["org.opencontainers.image.ref.name"], nil
}

const nginxConfiguration = `worker_processes %d;
pid %[2]s/nginx.pid;
error_log %[2]s/nginx.error;
daemon off;
events { worker_connections 1024; }
http {
  access_log %[2]s/nginx.log;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  server { listen %[3]s; root %[4]s; }
}
`

// serve measures a server of a site, asked for one file by 32 clients at a time.
func (b *bench) serve() error {
	const row = "serve, requests a second for a file of %d KB"
	if !b.peers("nginx", "wrk") {
		return nil
	}
	for _, size := range []int{4e3, 4e6} {
		up, err := b.repository(1, size, false)
		if err != nil {
			return err
		}
		dir := up.dir + "-served"
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		site := filepath.Join(dir, "site")
		if _, err := b.exec(b.dir, b.pull(up, dir+"/store", "site:"+site, "--base-url", "http://mirror.example.com")...); err != nil {
			return err
		}
		time.Sleep(3 * time.Second) // until then, a change of the file might leave no trace
		ours, theirs := freePort(), freePort()
		conf := filepath.Join(dir, "nginx.conf")
		if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConfiguration, processors, dir, theirs, site), 0o644); err != nil {
			return err
		}
		for _, d := range []string{b.dir, dir} { // nginx's workers are another user's
			if err := os.Chmod(d, 0o755); err != nil {
				return err
			}
		}
		path := "/files/" + up.sums[0][:2] + "/" + up.sums[0] + "/" + up.names[0]
		rates := map[string][]float64{}
		err = b.withServer(dir, ours, []string{b.binary, "serve", site, "--listen", ours, "-q"}, func() error {
			return b.withServer(dir, theirs, []string{"nginx", "-c", conf, "-e", dir + "/nginx.error"}, func() error {
				for range b.runs {
					for name, host := range map[string]string{"botkube-mirror": ours, "nginx": theirs} {
						r, err := b.exec(dir, "wrk", "-t1", "-c32", "-d2", "http://"+host+path)
						if err != nil {
							return err
						}
						_, rest, _ := strings.Cut(string(r.output), "Requests/sec:")
						rate, err := strconv.ParseFloat(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]), 64)
						if err != nil {
							return fmt.Errorf("wrk: %s", r.output)
						}
						rates[name] = append(rates[name], rate)
					}
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		var facts []fact
		for _, name := range []string{"botkube-mirror", "nginx"} {
			slices.Sort(rates[name])
			facts = append(facts, fact{name, rates[name][len(rates[name])/2], "/s"})
		}
		b.report.facts(fmt.Sprintf(row, size/1000), facts)
	}
	return nil
}
