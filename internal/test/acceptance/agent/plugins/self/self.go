// Package self lets a plugin of this suite say who it is and what it can run.
package self

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Description is what a plugin knows about itself.
type Description struct {
	// Stamp is the line that the suite appended to this very executable. It makes plugins built from one
	// program differ in bytes, so that taking one for another shows.
	Stamp string `json:"stamp"`
	// Dependencies holds what each file in the dependency directory printed when it was run.
	Dependencies map[string]string `json:"dependencies"`
}

// Describe answers for the running process, as JSON.
func Describe() (string, error) {
	stamp, err := stamp()
	if err != nil {
		return "", err
	}
	deps, err := runAll(os.Getenv("PLUGIN_DEPENDENCY_DIR"))
	if err != nil {
		return "", err
	}
	out, err := json.Marshal(Description{Stamp: stamp, Dependencies: deps})
	return string(out), err
}

// stampLimit is more than any stamp takes.
const stampLimit = 256

// stamp is the last line of the executable.
func stamp() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := f.Seek(-stampLimit, io.SeekEnd); err != nil {
		return "", fmt.Errorf("reading stamp of %s: %w", path, err)
	}
	tail, err := io.ReadAll(f)
	if err != nil {
		return "", fmt.Errorf("reading stamp of %s: %w", path, err)
	}
	tail = bytes.TrimSuffix(tail, []byte("\n"))
	return string(tail[bytes.LastIndexByte(tail, '\n')+1:]), nil
}

// runAll runs every file in dir. No directory means no dependencies.
func runAll(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	out := map[string]string{}
	for _, e := range entries {
		said, err := exec.Command(filepath.Join(dir, e.Name())).Output()
		if err != nil {
			return nil, fmt.Errorf("running dependency %s: %w", e.Name(), err)
		}
		out[e.Name()] = string(bytes.TrimSpace(said))
	}
	return out, nil
}
