package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	_ "unsafe" // for go:linkname

	"github.com/kubeshop/botkube/pkg/plugin"
)

// downloadBinary is the manager's own: it downloads, unpacks and takes the file
// (pkg/plugin/downloader.go).
//
//go:linkname downloadBinary github.com/kubeshop/botkube/pkg/plugin.downloadBinary
func downloadBinary(ctx context.Context, destPath string, binaryURL plugin.URL, autoDetectFilename bool) error

// Wanted is a file for the agent to download.
type Wanted struct {
	URL string `json:"url"`
	// Name is what the file is called in the end. A plugin's may be called
	// anything in its archive.
	Name   string `json:"name"`
	Plugin bool   `json:"plugin"`
}

// Taken is what the agent has then.
type Taken struct {
	Error string `json:"error,omitempty"`
	// Odd says what the agent has if the entry is not a regular file.
	Odd     string `json:"odd,omitempty"`
	Content []byte `json:"content,omitempty"`
}

// mostWritten bounds each file that is unpacked, in bytes.
const mostWritten = 256 << 20

// download answers each file that it reads.
func download(in io.Reader, out io.Writer) error {
	// What is beyond the limit is then an error, not a signal.
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: mostWritten, Max: mostWritten}); err != nil {
		return err
	}
	decoder, encoder := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var w Wanted
		if err := decoder.Decode(&w); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := encoder.Encode(take(w)); err != nil {
			return err
		}
	}
}

func take(w Wanted) Taken {
	dir, err := os.MkdirTemp("", "take")
	if err != nil {
		return Taken{Error: err.Error()}
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, w.Name)
	if err := downloadBinary(context.Background(), name, plugin.URL{URL: w.URL}, w.Plugin); err != nil {
		return Taken{Error: err.Error()}
	}
	fi, err := os.Stat(name) // as the agent does: of a file on this machine, it has a link
	switch {
	case err != nil:
		return Taken{Error: err.Error()}
	case !fi.Mode().IsRegular():
		return Taken{Odd: fi.Mode().String()}
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return Taken{Error: err.Error()}
	}
	return Taken{Content: content}
}
