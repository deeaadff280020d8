//go:build linux

// Command serve measures botkube-mirror serve beside nginx, which has the same
// site, and what many clients cost. Run it with
//
//	go run ./internal/test/bench/serve [-seconds 5] [-runs 3] [-downloads 2000] [-idle 5000]
//
// It needs nginx and wrk, and prints requests a second for files of several
// sizes, the processor time of a request, and memory.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/measure"
	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/plugins"
)

var sizes = []int{1e3, 1e4, 1e5, 1e6, 1e7, 5e7}

type options struct{ seconds, runs, downloads, idle int }

func main() {
	var o options
	flag.IntVar(&o.seconds, "seconds", 5, "how long each size is asked for")
	flag.IntVar(&o.runs, "runs", 3, "runs of each")
	flag.IntVar(&o.downloads, "downloads", 2000, "downloads at a time, for memory")
	flag.IntVar(&o.idle, "idle", 5000, "idle clients, for memory")
	measure.Main(func(ctx context.Context, dir, binary string) error { return run(ctx, dir, binary, o) })
}

func run(ctx context.Context, dir, binary string, o options) error {
	site, paths, err := makeSite(ctx, dir, binary)
	if err != nil {
		return err
	}
	ours, err := startOurs(ctx, dir, binary, site)
	if err != nil {
		return err
	}
	defer ours.stop()
	nginx, err := startNginx(ctx, dir, site)
	if err != nil {
		return err
	}
	defer nginx.stop()
	fmt.Printf("%12s %14s %14s %8s %16s %16s\n", "bytes", "serve, req/s", "nginx, req/s", "ratio", "serve, µs/req", "nginx, µs/req")
	for i, size := range sizes {
		if err := compare(ctx, dir, size, "/"+paths[i], ours, nginx, o); err != nil {
			return err
		}
	}
	fmt.Printf("resident: serve %d MiB, nginx %d MiB\n", ours.resident()>>20, nginx.resident()>>20)
	return crowd(ours, "/"+paths[len(paths)-1], o)
}

// makeSite makes a site with a file of each size.
func makeSite(ctx context.Context, dir, binary string) (site string, paths []string, err error) {
	up, err := plugins.Files(filepath.Join(dir, "upstream"), sizes)
	if err != nil {
		return "", nil, err
	}
	if err := up.Serve(); err != nil {
		return "", nil, err
	}
	site = filepath.Join(dir, "site")
	if _, err := measure.Run(ctx, dir, binary, append(up.Pull(dir+"/store", "site:"+site), "--base-url", "http://mirror.example.com")...); err != nil {
		return "", nil, err
	}
	for i, name := range up.Archives {
		paths = append(paths, fmt.Sprintf("files/%s/%s/%s", up.SHA256[i][:2], up.SHA256[i], name))
	}
	return site, paths, nil
}

// server is one that is measured, with its processes.
type server struct {
	command *exec.Cmd
	address string
	// pids are those that answer.
	pids []int
}

func (s *server) stop() {
	_ = s.command.Cancel()
	_ = s.command.Wait()
}

func startOurs(ctx context.Context, dir, binary, site string) (*server, error) {
	address, err := free()
	if err != nil {
		return nil, err
	}
	c := measure.Command(ctx, dir, binary, "serve", site, "--listen", address)
	log, err := os.Create(filepath.Join(dir, "serve.log"))
	if err != nil {
		return nil, err
	}
	c.Stderr = log
	s := &server{command: c, address: address}
	return s, s.start(func() []int { return []int{c.Process.Pid} })
}

const nginxConfiguration = `worker_processes %d;
pid %[2]s/nginx.pid;
error_log %[2]s/nginx.error;
daemon off;
events { worker_connections 8192; }
http {
  access_log %[2]s/nginx.log;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  server { listen %[3]s; root %[4]s; }
}
`

func startNginx(ctx context.Context, dir, site string) (*server, error) {
	address, err := free()
	if err != nil {
		return nil, err
	}
	at := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(at, fmt.Appendf(nil, nginxConfiguration, measure.Processors, dir, address, site), 0o644); err != nil {
		return nil, err
	}
	c := measure.Command(ctx, dir, "nginx", "-c", at, "-e", dir+"/nginx.error")
	if err := os.Chmod(dir, 0o755); err != nil { // its workers are another user's
		return nil, err
	}
	s := &server{command: c, address: address}
	return s, s.start(func() []int { return children(c.Process.Pid) })
}

func (s *server) start(pids func() []int) error {
	if err := s.command.Start(); err != nil {
		return err
	}
	for range 200 {
		if conn, err := net.Dial("tcp", s.address); err == nil {
			s.pids = pids()
			return conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.stop()
	return fmt.Errorf("nothing listens at %s", s.address)
}

// free returns an address where nothing listens.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// children returns the processes that another one started.
func children(pid int) []int {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	var pids []int
	for _, field := range strings.Fields(string(data)) {
		if n, err := strconv.Atoi(field); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}

// rate is what came of asking for one file.
type rate struct{ requests, seconds, cpu float64 }

func (r rate) perSecond() float64 { return r.requests / r.seconds }
func (r rate) microseconds() float64 {
	return r.cpu / r.requests * 1e6
}

// compare asks both for a file in turn.
func compare(ctx context.Context, dir string, size int, path string, ours, nginx *server, o options) error {
	var a, b rate
	for range o.runs {
		for _, s := range []struct {
			server *server
			sum    *rate
		}{{ours, &a}, {nginx, &b}} {
			r, err := load(ctx, dir, s.server, path, o.seconds)
			if err != nil {
				return err
			}
			s.sum.requests, s.sum.seconds, s.sum.cpu = s.sum.requests+r.requests, s.sum.seconds+r.seconds, s.sum.cpu+r.cpu
		}
	}
	fmt.Printf("%12d %14.0f %14.0f %8.2f %16.1f %16.1f\n", size, a.perSecond(), b.perSecond(), a.perSecond()/b.perSecond(), a.microseconds(), b.microseconds())
	return nil
}

func load(ctx context.Context, dir string, s *server, path string, seconds int) (rate, error) {
	before := s.cpu()
	out, err := measure.Command(ctx, dir, "wrk", "-t1", "-c32", "-d"+strconv.Itoa(seconds), "http://"+s.address+path).Output()
	if err != nil {
		return rate{}, fmt.Errorf("wrk: %w", err)
	}
	r := rate{cpu: s.cpu() - before}
	for line := range strings.Lines(string(out)) {
		var elapsed string
		if n, _ := fmt.Sscanf(line, "%f requests in %s", &r.requests, &elapsed); n == 2 {
			d, err := time.ParseDuration(strings.TrimSuffix(elapsed, ","))
			if err != nil {
				return rate{}, err
			}
			r.seconds = d.Seconds()
		}
	}
	if r.requests == 0 {
		return rate{}, fmt.Errorf("wrk made no request:\n%s", out)
	}
	return r, nil
}

// ticks is how many ticks of /proc/PID/stat a second has (proc(5), sysconf(_SC_CLK_TCK)).
const ticks = 100

// cpu returns the processor time of the server so far, in seconds.
func (s *server) cpu() (seconds float64) {
	for _, pid := range s.pids {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		for _, i := range []int{11, 12} { // utime and stime, behind the name
			n, _ := strconv.ParseFloat(fields[i], 64)
			seconds += n / ticks
		}
	}
	return seconds
}

// resident returns how much memory the server has, in bytes, what its processes share
// counted once.
func (s *server) resident() (bytes int64) {
	for _, pid := range s.pids {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if _, rest, found := strings.Cut(string(data), "Pss:"); found {
			var kib int64
			fmt.Sscan(rest, &kib)
			bytes += kib << 10
		}
	}
	return bytes
}

// crowd has many clients at a time, and prints what they cost.
func crowd(s *server, path string, o options) error {
	limit := syscall.Rlimit{}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if want := uint64(o.downloads + o.idle + 100); limit.Cur < want {
		return fmt.Errorf("%d clients need %d descriptors, but the limit is %d: raise it with ulimit -n", o.downloads+o.idle, want, limit.Cur)
	}
	var clients []net.Conn
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	ask := func(n int, path string) error {
		for range n {
			c, err := net.Dial("tcp", s.address)
			if err != nil {
				return err
			}
			clients = append(clients, c)
			_ = c.(*net.TCPConn).SetReadBuffer(4096)
			if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: mirror\r\n\r\n", path); err != nil {
				return err
			}
		}
		time.Sleep(2 * time.Second)
		return nil
	}
	for _, step := range []struct {
		what string
		n    int
		path string
	}{{"idle clients", o.idle, "/healthz"}, {"downloads, too", o.downloads, path}} {
		if err := ask(step.n, step.path); err != nil {
			return err
		}
		start := time.Now()
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			return err
		}
		fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n")
		data, err := io.ReadAll(c)
		if answer := string(data); err != nil || !strings.HasSuffix(answer, "ok\n") {
			return fmt.Errorf("/healthz answers %q, %w", answer, err)
		}
		fmt.Printf("with %5d %-16s %4d MiB resident, /healthz answers within %.3f s\n", step.n, step.what+":", s.resident()>>20, time.Since(start).Seconds())
	}
	return nil
}
