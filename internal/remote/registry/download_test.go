package registry_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// hurried returns a repository of a registry that is asked twice at most.
func hurried(t testing.TB, h http.HandlerFunc) *registry.Repository {
	t.Helper()
	return open(t, newClient(t, registry.Config{PlainHTTP: true, Options: transfer.Options{Retry: transfer.Retry{Limit: 1}}}), serve(t, h), false)
}

// read reads a blob to its end.
func read(t testing.TB, r *registry.Repository, b lock.Blob) error {
	t.Helper()
	content := r.Open(t.Context(), b)
	defer content.Close()
	_, err := io.Copy(io.Discard, content)
	return err
}

// TestReadRange breaks the first answer, and goes on in ways that registries have.
func TestReadRange(t *testing.T) {
	t.Parallel()
	blob, data := content(t, 1<<20)
	const cut = 600 << 10
	part := func(w http.ResponseWriter, contentRange string, data []byte) {
		if contentRange != "" {
			w.Header().Set("Content-Range", contentRange)
		}
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(data)
	}
	last := len(data) - 1
	for name, answer := range map[string]func(w http.ResponseWriter){
		"given":         func(w http.ResponseWriter) { part(w, fmt.Sprintf("bytes %d-%d/%d", cut, last, len(data)), data[cut:]) },
		"total unknown": func(w http.ResponseWriter) { part(w, fmt.Sprintf("bytes %d-%d/*", cut, last), data[cut:]) },
		"ignored":       func(w http.ResponseWriter) { _, _ = w.Write(data) },
		"refused":       func(w http.ResponseWriter) { w.WriteHeader(http.StatusRequestedRangeNotSatisfiable) },
		"another":       func(w http.ResponseWriter) { part(w, fmt.Sprintf("bytes 5-%d/%d", last, len(data)), data[5:]) },
		"without":       func(w http.ResponseWriter) { part(w, "", data[cut:]) },
		"no numbers":    func(w http.ResponseWriter) { part(w, "bytes x-y/z", data[cut:]) },
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			r := hurried(t, func(w http.ResponseWriter, req *http.Request) {
				n++
				switch {
				case n == 1:
					w.Header().Set("Content-Length", fmt.Sprint(len(data)))
					_, _ = w.Write(data[:cut])
					panic(http.ErrAbortHandler)
				case req.Header.Get("Range") == fmt.Sprintf("bytes=%d-", cut):
					answer(w)
				default:
					_, _ = w.Write(data)
				}
			})
			content := r.Open(t.Context(), blob)
			defer content.Close()
			got, err := io.ReadAll(content)
			check(t, err)
			if !bytes.Equal(got, data) {
				t.Errorf("%d other bytes", len(got))
			}
		})
	}
}

// TestReadWrong reads what is not the blob.
func TestReadWrong(t *testing.T) {
	t.Parallel()
	blob, data := content(t, 1<<20)
	empty, _ := content(t, 0)
	chunked := func(w http.ResponseWriter, data []byte) {
		_ = http.NewResponseController(w).Flush() // no Content-Length
		_, _ = w.Write(data)
	}
	sized := func(w http.ResponseWriter, data []byte) {
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		_, _ = w.Write(data)
	}
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, req *http.Request)
		kind   fault.Kind
		says   string
	}{
		"too short":            {func(w http.ResponseWriter, _ *http.Request) { sized(w, data[1:]) }, fault.Integrity, "1048575 bytes, not 1048576"},
		"too long":             {func(w http.ResponseWriter, _ *http.Request) { sized(w, append(data, 1)) }, fault.Integrity, "1048577 bytes, not 1048576"},
		"too short, unsaid":    {func(w http.ResponseWriter, _ *http.Request) { chunked(w, data[1:]) }, fault.Upstream, "ended after 1048575 of 1048576 bytes"},
		"too long, unsaid":     {func(w http.ResponseWriter, _ *http.Request) { chunked(w, append(data, 1)) }, fault.Integrity, "more than the 1048576 bytes"},
		"absent":               {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, fault.Incomplete, "does not have this blob"},
		"a range nobody asked": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusPartialContent) }, fault.Upstream, "only a part of the blob"},
		"refused":              {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, fault.Upstream, "403"},
	} {
		t.Run(name, func(t *testing.T) {
			r := hurried(t, c.answer)
			content := r.Open(t.Context(), blob)
			defer content.Close()
			_, err := io.ReadAll(content)
			checkFails(t, err, c.kind, c.says)
		})
	}
	r := hurried(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	checkFails(t, read(t, r, empty), fault.Incomplete, "does not have this blob")
	r = hurried(t, func(w http.ResponseWriter, _ *http.Request) {})
	check(t, read(t, r, empty))
}
