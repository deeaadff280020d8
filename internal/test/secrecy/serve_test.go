//go:build linux

package secrecy

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// serve runs the program as a server, has clients ask it with credentials that it does
// not want, ends it, and looks at all that it says and leaves.
func (w *world) serve(args ...string) {
	w.t.Helper()
	said, err := os.Create(filepath.Join(w.out, "served"))
	check(w.t, err)
	defer said.Close()
	cmd := exec.Command(product, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.out, w.env, said, said
	check(w.t, cmd.Start())
	w.pid.Store(int64(cmd.Process.Pid))
	defer w.pid.Store(0)
	w.sample()
	base := listening(w.t, said.Name())
	w.ask(base + "/v1.0.0/cloud/plugins-index.yaml?X-Goog-Signature=" + w.value("signature") + "&odd=" + w.value("other parameter"))
	w.ask(base + "/nothing?token=" + w.value("header"))
	check(w.t, cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		w.t.Error(err)
	}
	log, err := os.ReadFile(said.Name())
	check(w.t, err)
	for _, request := range []string{"/v1.0.0/cloud/plugins-index.yaml", "/nothing"} {
		if !regexp.MustCompile(regexp.QuoteMeta(request)).Match(log) {
			w.t.Errorf("it does not tell of %s:\n%s", request, log)
		}
	}
	searchDir(w.t, w.out, w.all(), w.searched)
}

// listening waits for a server to tell where it is.
func listening(t *testing.T, file string) string {
	t.Helper()
	address := regexp.MustCompile(`https://127\.0\.0\.1:[0-9]+`)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		data, err := os.ReadFile(file)
		check(t, err)
		if found := address.Find(data); found != nil {
			return string(found)
		}
	}
	t.Fatal("it does not listen")
	return ""
}

// ask makes a request with credentials.
func (w *world) ask(url string) {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, http.NoBody)
	check(w.t, err)
	req.SetBasicAuth("urluser", w.value("user information"))
	req.Header.Set("X-API-Key", w.value("header"))
	req.Header.Set("Referer", "https://x.example.test/?token="+w.value("registry token"))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	answer, err := client.Do(req)
	check(w.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	check(w.t, err)
	search(w.t, "an answer", body, w.all())
}
