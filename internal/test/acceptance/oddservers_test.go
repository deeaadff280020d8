//go:build linux

package acceptance

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// oddServer answers each path in a way of its own.
func oddServer(t *testing.T) http.Handler {
	t.Helper()
	program := []byte("#!/bin/sh\necho odd\n")
	plain := packedTar(t, member{name: "plain", content: program})
	coded := func(coding string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", coding)
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Write(body)
		}
	}
	mux := http.NewServeMux()
	for _, name := range []string{"aws-chunked", "binary", "utf-8", "identity"} {
		mux.Handle("/"+name, coded(name, program))
	}
	mux.Handle("/gzip", coded("gzip", zipped(t, program)))
	mux.Handle("/twice/gzip.tar.gz", coded("gzip", zipped(t, zipped(t, plain))))
	mux.HandleFunc("/a::b/colons", func(w http.ResponseWriter, _ *http.Request) { w.Write(program) })
	mux.HandleFunc("/address", func(w http.ResponseWriter, _ *http.Request) { w.Write(program) })
	mux.HandleFunc("/chunked", func(w http.ResponseWriter, _ *http.Request) {
		for _, b := range program {
			w.Write([]byte{b})
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/led/relative", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "../a::b/colons#part")
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/refusing", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		w.Write(program)
	})
	return mux
}

// TestOddServersAsAgent has the agent's own code and pull download the same files from servers that are not by the
// book, and wants them to come to the same bytes.
func TestOddServersAsAgent(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	}
	server := httptest.NewUnstartedServer(oddServer(t))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	dependencies := map[string]string{
		"aws-chunked": "/aws-chunked", "binary": "/binary", "utf-8": "/utf-8", "identity": "/identity", "gzip": "/gzip",
		"plain": "/twice/gzip.tar.gz", "colons": "/a::b/colons", "address": "/address", "chunked": "/chunked",
		"relative": "/led/relative", "refusing": "/refusing",
	}
	var index bytes.Buffer
	fmt.Fprintf(&index, "entries:\n  - name: odd\n    type: executor\n    version: v1.0.0\n    description: odd\n    urls:\n      - url: %s/address\n        platform: {os: %s, architecture: %s}\n        dependencies:\n",
		server.URL, here.OS, here.Arch)
	var files []wanted
	var names []string
	for name, path := range dependencies {
		fmt.Fprintf(&index, "          %s: {url: %q}\n", name, server.URL+path)
		files, names = append(files, wanted{URL: server.URL + path, Name: name}), append(names, name)
	}
	dir := tempDir(t)
	at := filepath.Join(dir, "plugins-index.yaml")
	if err := os.WriteFile(at, index.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	got := runProduct(t, startProxy(t, nil), "pull", "--repository", "demo="+at, "--platform", here.String(), "--store", filepath.Join(dir, "store"), "-o", filepath.Join(dir, "plugins"))
	if got.code != 0 {
		t.Fatalf("exit code %d", got.code)
	}
	for i, theirs := range agentTakes(t, files) {
		ours, err := os.ReadFile(filepath.Join(dir, "plugins", "demo", "executor_v1.0.0_odd_deps", names[i]))
		if err != nil || !theirs.usable() || !bytes.Equal(ours, theirs.Content) {
			t.Errorf("%s: the mirror has %q, %v; the agent %q, %s%s", names[i], ours, err, theirs.Content, theirs.Error, theirs.Odd)
		}
	}
}
