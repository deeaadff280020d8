//go:build unix

package cmd

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestInterruptedAtPipes checks that a signal ends a command that waits for a pipe in place of a
// file, such as <(COMMAND), if COMMAND writes nothing.
func TestInterruptedAtPipes(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"pull --values PIPE -o out", "lock --values PIPE lock.json", "verify . --values PIPE", "list --values PIPE",
		"list docker://registry.example.com/x:y --ca-file PIPE",
		"list docker://registry.example.com/x:y --client-cert PIPE --client-key PIPE",
	} {
		pipe := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, interrupt := context.WithCancel(t.Context())
		go func() {
			// It waits for who reads, and goes on as long as the test does.
			if w, err := os.OpenFile(pipe, os.O_WRONLY, 0); err == nil {
				defer w.Close()
				interrupt()
				<-t.Context().Done()
			}
		}()
		var out bytes.Buffer
		code := Run(ctx, Environment{
			Args:   append(strings.Fields(strings.ReplaceAll(args, "PIPE", pipe)), "--store", filepath.Join(t.TempDir(), "store")),
			Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" },
		})
		if code != 130 || !strings.Contains(out.String(), "interrupted") {
			t.Errorf("%q ended with %d\n%s", args, code, &out)
		}
		interrupt()
	}
}
