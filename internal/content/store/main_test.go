package store_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
)

// The test binary plays other processes too: what it is to do comes in the
// environment, what it has done goes to standard output, a line at a time, and
// it ends when its standard input does.
const roleEnv = "STORE_TEST_ROLE"

func TestMain(m *testing.M) {
	role, ok := roles[os.Getenv(roleEnv)]
	if !ok {
		os.Exit(m.Run())
	}
	s, err := store.Open(os.Getenv("STORE_TEST_DIR"))
	if err == nil {
		err = role(s)
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

var roles = map[string]func(*store.Store) error{
	// open does nothing else.
	"open": func(*store.Store) error {
		fmt.Println("opened")
		return nil
	},
	// hold begins an ingest, and keeps it.
	"hold": func(s *store.Store) error {
		in, err := s.Ingest(context.Background(), "held", nil)
		if err != nil {
			return err
		}
		if err := in.SetOrigin(store.Origin{ETag: `"v1"`, Total: 10}); err != nil {
			return err
		}
		if _, err := in.Write([]byte("half")); err != nil {
			return err
		}
		fmt.Println("holding")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return in.Close()
	},
	// use uses what the parent has put.
	"use": func(s *store.Store) error {
		d := lock.Sum([]byte("used by another"))
		if _, ok := s.Has(d); !ok {
			return fmt.Errorf("%s is absent", d)
		}
		fresh, err := s.Put([]byte("put by another"))
		fmt.Println("using", fresh)
		return err
	},
	"count": func(s *store.Store) error {
		fmt.Println("counting")
		return count(s)
	},
}

type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

// start runs a role in another process and waits for its first line.
func start(t *testing.T, role, dir string, change ...func(*exec.Cmd)) (*child, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "STORE_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	for _, f := range change {
		f(cmd)
	}
	stdin, err := cmd.StdinPipe()
	check(t, err)
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	c := &child{cmd, stdin, bufio.NewScanner(stdout)}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return c, c.line()
}

func (c *child) line() string {
	c.lines.Scan()
	return c.lines.Text()
}

// finish lets the process end by itself.
func (c *child) finish(t *testing.T) {
	t.Helper()
	check(t, c.stdin.Close())
	for c.lines.Scan() {
		if strings.HasPrefix(c.lines.Text(), "error") {
			t.Error(c.lines.Text())
		}
	}
	check(t, c.cmd.Wait())
}

// kill ends the process as a power cut would, short of the disk.
func (c *child) kill(t *testing.T) {
	t.Helper()
	check(t, c.cmd.Process.Kill())
	_ = c.cmd.Wait()
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
