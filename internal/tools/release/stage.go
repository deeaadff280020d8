package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/botkube-mirror/botkube-mirror/cmd"
)

// completions are the names that shells look for.
var completions = map[string]string{
	"bash":       "botkube-mirror.bash",
	"zsh":        "_botkube-mirror",
	"fish":       "botkube-mirror.fish",
	"powershell": "botkube-mirror.ps1",
}

// stage writes what goes beside a program into archives and packages.
func stage(program, dir, date string) error {
	day, err := time.Parse(time.RFC3339, date)
	if err != nil {
		return err
	}
	if err := licenses(program, filepath.Join(dir, "licenses")); err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(dir, "docs"), os.DirFS(filepath.Join(root, "docs"))); err != nil {
		return err
	}
	for shell, name := range completions {
		var script, complaint bytes.Buffer
		code := cmd.Run(context.Background(), cmd.Environment{
			Args: []string{"completion", shell}, Stdin: &bytes.Buffer{}, Stdout: &script, Stderr: &complaint, Getenv: func(string) string { return "" },
		})
		if code != 0 {
			return fmt.Errorf("completion %s: exit code %d: %s", shell, code, complaint.String())
		}
		if err := write(filepath.Join(dir, "completions", name), script.Bytes()); err != nil {
			return err
		}
	}
	for name, page := range pages(cmd.Tree(), day) {
		packed, err := pack(page)
		if err != nil {
			return err
		}
		if err := write(filepath.Join(dir, "man", name+".gz"), packed); err != nil {
			return err
		}
	}
	return settle(dir, day)
}

// settle gives everything the same modes and dates on any machine: packages take them over.
func settle(dir string, day time.Time) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if d.IsDir() {
			mode = 0o755
		}
		return errors.Join(os.Chmod(name, mode), os.Chtimes(name, day, day))
	})
}

func pack(data []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}

func write(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}
