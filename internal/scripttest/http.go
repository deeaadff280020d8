package scripttest

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/botkube-mirror/botkube-mirror/internal/registry/registrytest"
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

func get(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: get STATUS URL FILE [FIELD: VALUE]...")
	}
	req, err := http.NewRequest(http.MethodGet, args[1], nil)
	ts.Check(err)
	for _, field := range args[3:] {
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
	data, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), data, 0o644))
	if strconv.Itoa(resp.StatusCode) != args[0] {
		ts.Fatalf("%s, not %s\n%s", resp.Status, args[0], data)
	}
}

func writeCertificate(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: certificate DIR")
	}
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o755))
	ts.Check(registrytest.WriteCertificate(ts.MkAbs(args[0])))
}
