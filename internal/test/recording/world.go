//go:build linux

package main

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/botkube-mirror/botkube-mirror/internal/test/proxytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

// world is where the commands run: a directory, and a proxy behind which plugins.example.com is.
type world struct {
	dir            string
	env            []string
	upstream, gate *httptest.Server
}

// newWorld serves the files of an upstream to commands that run in dir, with programs of bin. A
// pause is before each piece of a large file.
func newWorld(upstream, dir, bin string, pause time.Duration) (*world, error) {
	home, err := os.MkdirTemp("", "recording-home-")
	if err != nil {
		return nil, err
	}
	authority := tlstest.NewAuthority("recording")
	certificates := filepath.Join(home, "ca.pem")
	if err := os.WriteFile(certificates, authority.PEM(), 0o644); err != nil {
		return nil, err
	}
	w := &world{dir: dir, upstream: httptest.NewUnstartedServer(slowly(http.FileServer(http.Dir(upstream)), pause))}
	w.upstream.TLS = authority.Server("plugins.example.com")
	w.upstream.StartTLS()
	w.gate = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if host, _, _ := net.SplitHostPort(r.Host); r.Method != http.MethodConnect || host != "plugins.example.com" {
			http.Error(out, "there is no such host here", http.StatusBadGateway)
			return
		}
		proxytest.Tunnel(out, w.upstream.Listener.Addr().String())
	}))
	w.env = []string{
		"HOME=" + home, "PATH=" + bin + ":" + os.Getenv("PATH"), "TERM=xterm-256color", "LANG=C.UTF-8",
		"HTTPS_PROXY=" + w.gate.URL, "SSL_CERT_FILE=" + certificates,
	}
	return w, nil
}

func (w *world) close() {
	w.gate.Close()
	w.upstream.Close()
	_ = os.RemoveAll(strings.TrimPrefix(w.env[0], "HOME=")) // a temporary directory
}

// slowly answers requests for archives and programs in pieces.
func slowly(h http.Handler, pause time.Duration) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".tar.gz") || strings.HasSuffix(r.URL.Path, "/kubectl") {
			out = slowWriter{out, pause}
		}
		h.ServeHTTP(out, r)
	})
}

type slowWriter struct {
	http.ResponseWriter
	pause time.Duration
}

func (w slowWriter) Write(p []byte) (int, error) {
	time.Sleep(w.pause)
	return w.ResponseWriter.Write(p)
}

const (
	// keystroke and thought are the pace at which the commands are typed.
	keystroke = 25 * time.Millisecond
	thought   = 700 * time.Millisecond
)

// record shows how a user types command lines, and what they print.
func (w *world) record(commands []string) (*screen, error) {
	s := &screen{}
	for i, line := range commands {
		s.now += thought
		if i > 0 && !strings.HasPrefix(commands[i-1], "#") {
			s.at++
		}
		s.typed(line)
		s.now += thought / 2
		s.began = s.now
		if strings.HasPrefix(line, "#") {
			continue
		}
		if err := w.run(s, line); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// run runs a command line in a pseudo terminal, and has the screen show what it prints. How it ends
// is not an error.
func (w *world) run(s *screen, line string) error {
	controller, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer controller.Close()
	fd := int(controller.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return err
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		return err
	}
	name, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return err
	}
	terminal, err := os.OpenFile("/dev/pts/"+strconv.Itoa(name), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	shell := exec.Command("sh", "-c", line)
	shell.Dir, shell.Env = w.dir, w.env
	shell.Stdin, shell.Stdout, shell.Stderr = terminal, terminal, terminal
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	began, before := time.Now(), s.now
	err = shell.Start()
	terminal.Close()
	if err != nil {
		return err
	}
	buffer := make([]byte, 1<<16)
	for {
		n, err := controller.Read(buffer)
		s.now = before + time.Since(began)
		s.write(buffer[:n])
		if err != nil {
			break // EIO, when the last process has closed the terminal
		}
	}
	if err := shell.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return err
	}
	return nil
}
