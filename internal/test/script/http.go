package script

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
)

// urlForm is a URL in what is printed.
var urlForm = regexp.MustCompile(`https?://[^\s"]+`)

func urlIn(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: url FILE NAME")
	}
	found := urlForm.FindString(ts.ReadFile(args[0]))
	if found == "" {
		ts.Fatalf("%s has no URL", args[0])
	}
	ts.Setenv(args[1], found)
	scheme, rest, _ := strings.Cut(found, "://")
	host, _, _ := strings.Cut(rest, "/")
	ts.Setenv(args[1]+"_HOST", scheme+"://"+host)
}

// get downloads a URL. It tries again for some seconds if the status is another
// one: what a server has in memory it answers for a second longer.
func get(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: get STATUS URL FILE [FIELD: VALUE]...")
	}
	var status string
	var data []byte
	for range 50 {
		if status, data = getOnce(ts, args[1], args[3:]); strings.HasPrefix(status, args[0]) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), data, 0o644))
	if !strings.HasPrefix(status, args[0]) {
		ts.Fatalf("%s, not %s\n%s", status, args[0], data)
	}
}

func getOnce(ts *testscript.TestScript, url string, fields []string) (status string, data []byte) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	ts.Check(err)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		req.Header.Set(name, value)
		req.Host = req.Header.Get("Host")
	}
	roots := x509.NewCertPool()
	if ca := ts.Getenv("CA"); ca != "" {
		roots.AppendCertsFromPEM([]byte(ts.ReadFile(ca)))
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true, DisableCompression: true}
	resp, err := transport.RoundTrip(req)
	ts.Check(err)
	defer resp.Body.Close()
	data, err = io.ReadAll(resp.Body)
	ts.Check(err)
	return resp.Status, data
}

func writeCertificate(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: certificate DIR")
	}
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o755))
	ts.Check(registrytest.WriteCertificate(ts.MkAbs(args[0])))
}
