//go:build linux

// Command recording runs botkube-mirror in a terminal of 80 columns and draws what the terminal
// shows. Without arguments, it writes docs/recording.svg, the recording of the README. Run it in
// the root of the module, after a change of what a recorded command prints:
//
//	go run ./internal/test/recording
//
// If there are command lines as arguments, it draws a still of the terminal after the last one:
//
//	go run ./internal/test/recording -o verify.svg -theme dark 'botkube-mirror verify ./plugins'
//
// The commands run in a shell. https://plugins.example.com serves the demo's upstream to them, with
// programs of some megabytes, slowly enough for a progress bar.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// story is what the README shows.
var story = []string{
	"# Where there is internet:",
	"botkube-mirror pull --output bundle.tar \\\n    --repository demo=https://plugins.example.com/plugins-index.yaml",
	"# In the air gap:",
	"botkube-mirror unpack bundle.tar --output ./plugins",
	"botkube-mirror verify ./plugins",
}

const (
	columns = 80
	rows    = 26

	sizeOfPrograms = "2000000"
)

func main() {
	log.SetFlags(0)
	out := flag.String("o", "docs/recording.svg", "file to write")
	dir := flag.String("dir", "", "directory in which the commands run (default: a temporary one)")
	theme := flag.String("theme", "", "light or dark (default: what the reader prefers)")
	at := flag.Duration("at", 0, "draw the still as it was so long after the last command began (default: when it ended)")
	flag.Parse()
	if err := run(*out, *dir, *theme, *at, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

func run(out, dir, theme string, at time.Duration, commands []string) error {
	scratch, err := os.MkdirTemp("", "recording-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	for _, goTool := range []*exec.Cmd{
		exec.Command("go", "build", "-o", filepath.Join(scratch, "bin", "botkube-mirror"), "."),
		exec.Command("go", "run", "./testdata/upstream/generate", "-size", sizeOfPrograms, scratch),
	} {
		if text, err := goTool.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", goTool, err, text)
		}
	}
	if dir == "" {
		dir = filepath.Join(scratch, "work")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	w, err := newWorld(filepath.Join(scratch, "demo"), dir, filepath.Join(scratch, "bin"), 12*time.Millisecond)
	if err != nil {
		return err
	}
	defer w.close()
	still := len(commands) > 0
	if !still {
		commands = story
	}
	s, err := w.record(commands)
	if err != nil {
		return err
	}
	p := picture{screen: s, theme: theme, rows: rows}
	if still {
		p.still, p.rows, p.end = true, len(s.rows), s.now
		if at > 0 {
			p.end = s.began + at
		}
	}
	return os.WriteFile(out, p.svg(), 0o644)
}
