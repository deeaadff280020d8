package serve

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// Certificate is a server's certificate with its key. It reads the files again when they change, so
// that a renewed certificate needs no restart.
type Certificate struct {
	certFile, keyFile string
	reread
	current *tls.Certificate
	// cert and key are the contents of the files.
	cert, key []byte
}

// reread reads files again when they may have changed.
type reread struct {
	problem func(error)

	mu      sync.Mutex
	checked time.Time
	// reported is the last problem. Each problem is reported once.
	reported string
}

// refresh calls load, at most once in checkInterval. If load fails, it reports "FAILURE: ERR".
func (r *reread) refresh(failure string, load func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if now.Sub(r.checked) < checkInterval {
		return
	}
	r.checked = now
	err := load()
	if err == nil {
		r.reported = ""
		return
	}
	if text := err.Error(); text != r.reported {
		r.reported = text
		r.problem(fmt.Errorf("%s: %w", failure, err))
	}
}

// checkInterval is how often the files are checked for changes.
const checkInterval = time.Second

// maxSecret is the largest size of a file with a certificate, a key or passwords, in bytes.
const maxSecret = 1 << 20

// LoadCertificate reads a certificate and its key in PEM. Errors are of kind [fault.Usage]. If files
// cannot be used later, it calls problem and keeps the last good certificate.
func LoadCertificate(certFile, keyFile string, problem func(error)) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, reread: reread{problem: problem}}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// pemFiles is the hint for files that cannot be used.
const pemFiles = "name two PEM files: the server's certificate, followed by the intermediate certificates, and its private key"

// load reads the files, and uses them if they changed.
func (c *Certificate) load() error {
	cert, err := readSecret("the certificate and its key", c.certFile, pemFiles)
	if err != nil {
		return err
	}
	key, err := readSecret("the certificate and its key", c.keyFile, pemFiles)
	if err != nil || c.cert != nil && bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return err
	}
	c.cert, c.key = cert, key
	if err := transfer.CheckKey(c.keyFile, key); err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fault.New(fault.Usage, "using the certificate %s with the key %s: %w", c.certFile, c.keyFile, err).
			WithHint(pemFiles)
	}
	c.current = &pair
	if end := pair.Leaf.NotAfter; time.Now().After(end) {
		c.problem(fmt.Errorf("the certificate %s has expired: it was valid until %s", c.certFile, end.UTC().Format(time.RFC3339)))
	}
	return nil
}

// readSecret reads a small file. What is the file's description in errors, hint their hint.
func readSecret(what, name, hint string) ([]byte, error) {
	info, err := os.Stat(name)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxSecret) {
		return nil, fault.New(fault.Usage, "%s is not a regular file of at most %d bytes", name, maxSecret).WithHint("%s", hint)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fault.New(fault.Usage, "reading %s: %w", what, err).WithHint("%s", hint)
	}
	return textfile.Decode(data)
}

// get is for [tls.Config.GetCertificate].
func (c *Certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.refresh("still using the previous certificate", c.load)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current, nil
}
