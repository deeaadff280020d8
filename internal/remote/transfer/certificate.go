package transfer

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// maxPEM bounds, in bytes, a file of certificates or a key.
const maxPEM = 16 << 20

// Identity has the files that TLS needs: certificate authorities (CAs) to trust, and a client
// certificate. The zero value is usable: it trusts the system's CAs, or Mozilla's where the system
// has none, and sends no client certificate.
type Identity struct {
	// CAFiles are PEM files with CAs to trust in addition to the system's.
	CAFiles []string
	// CertFile and KeyFile are PEM files of the client certificate (with its intermediate
	// certificates) and of its private key, or both empty. The certificate is sent only to a server
	// that asks for one and accepts its CA (RFC 8446, section 4.4.2.3).
	CertFile, KeyFile string
	// FlagPrefix is put before the names of flags in hints: "source-" turns --ca-file into
	// --source-ca-file.
	FlagPrefix string
}

func (id Identity) flag(name string) string { return "--" + id.FlagPrefix + name }

// TLS reads the files and returns a configuration for clients. Errors are of kind [fault.Usage] and
// name the file and the flag.
func (id Identity) TLS(ctx context.Context) (*tls.Config, error) {
	bringRoots()
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(id.CAFiles) > 0 {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		for _, file := range id.CAFiles {
			if err := id.addAuthorities(ctx, roots, file); err != nil {
				return nil, err
			}
		}
		cfg.RootCAs = roots
	}
	if id.CertFile == "" && id.KeyFile == "" {
		return cfg, nil
	}
	cert, err := id.certificate(ctx)
	if err != nil {
		return nil, err
	}
	cfg.Certificates = []tls.Certificate{*cert}
	return cfg, nil
}

// addAuthorities adds all certificates of a file, or fails. If it skipped a damaged one, the user
// would see an unknown authority later.
func (id Identity) addAuthorities(ctx context.Context, roots *x509.CertPool, file string) error {
	wrong := func(format string, args ...any) *fault.Error {
		return fault.New(fault.Usage, "reading the certificates in %s: %w", file, fmt.Errorf(format, args...)).
			WithHint("give %s a PEM file: it begins with -----BEGIN CERTIFICATE-----", id.flag("ca-file"))
	}
	data, err := readPEM(ctx, "certificates", file, id.flag("ca-file"))
	if err != nil {
		return err
	}
	begun, n := strings.Count(string(data), "-----BEGIN CERTIFICATE-----"), 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		n++
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return wrong("certificate number %d is damaged: %w", n, err)
		}
		roots.AddCert(cert)
	}
	switch {
	case begun == 0 && n == 0:
		what, convert := notPEM(data)
		if convert == "" {
			return wrong("%s", what)
		}
		return wrong("%s", what).WithHint("convert it: "+convert+" -in %s -out ca.pem\nthen use %s ca.pem", fault.Quote(file), id.flag("ca-file"))
	case n < begun:
		return wrong("a certificate is damaged: the file has %d, and %d can be read", begun, n)
	}
	return nil
}

// notPEM describes a file that has no certificate in PEM, and returns the openssl command that
// converts it, or "".
func notPEM(data []byte) (what, convert string) {
	if _, err := x509.ParseCertificate(data); err == nil { // what Windows exports by default
		return "the certificate is in DER, not in PEM", "openssl x509 -inform der"
	}
	switch block, _ := pem.Decode(data); {
	case block != nil && block.Type == "PKCS7":
		return "the file is PKCS #7 (.p7b)", "openssl pkcs7 -print_certs"
	case bytes.Contains(data[:min(len(data), 32)], signedData):
		return "the file is PKCS #7 (.p7b), not PEM", "openssl pkcs7 -print_certs -inform der"
	case len(data) > 0 && data[0] == derSequence:
		return "the file is not a certificate in PEM, but maybe PKCS #12 (.pfx)", "openssl pkcs12 -nokeys"
	}
	switch kind := textfile.Kind(data); kind {
	case textfile.PlainText, textfile.PEM, textfile.Empty:
		return "the file has no certificate", ""
	default:
		return "the file is " + kind, ""
	}
}

func (id Identity) certificate(ctx context.Context) (*tls.Certificate, error) {
	certFlag, keyFlag := id.flag("client-cert"), id.flag("client-key")
	if id.KeyFile == "" || id.CertFile == "" {
		given, missing := certFlag, keyFlag
		if id.CertFile == "" {
			given, missing = keyFlag, certFlag
		}
		return nil, fault.New(fault.Usage, "%s is given without %s", given, missing).WithHint("add %s FILE; if one file has both the certificate and the key, name it twice", missing)
	}
	certPEM, err := readPEM(ctx, "client certificate", id.CertFile, certFlag)
	if err != nil {
		return nil, err
	}
	keyPEM, err := readPEM(ctx, "private key", id.KeyFile, keyFlag)
	if err = cmp.Or(err, CheckKey(id.KeyFile, keyPEM)); err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fault.New(fault.Usage, "the client certificate in %s and the private key in %s cannot be used: %s",
			id.CertFile, id.KeyFile, strings.TrimPrefix(err.Error(), "tls: ")).
			WithHint("give %s the certificate, and %s the private key that belongs to it, both in PEM", certFlag, keyFlag)
	}
	return &cert, id.checkTime(cert.Leaf, time.Now())
}

func (id Identity) checkTime(cert *x509.Certificate, now time.Time) error {
	const form = "2006-01-02 15:04 MST"
	switch {
	case now.After(cert.NotAfter):
		return fault.New(fault.Usage, "the client certificate in %s expired at %s", id.CertFile, cert.NotAfter.UTC().Format(form)).
			WithHint("name a renewed certificate, or check this machine's clock")
	case now.Before(cert.NotBefore):
		return fault.New(fault.Usage, "the client certificate in %s is not valid before %s", id.CertFile, cert.NotBefore.UTC().Format(form)).
			WithHint("check this machine's clock")
	}
	return nil
}

// CheckKey returns an error of kind [fault.Usage] if data, the PEM content of file, has a private key
// that needs a password (RFC 1421, section 4.6.1.1, and RFC 7468, section 11). crypto/tls would only
// say that it cannot parse the key.
func CheckKey(file string, data []byte) error {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return fault.New(fault.Usage, "the private key in %s is encrypted", file).
				WithHint("decrypt it: openssl pkey -in %s -out plain.key\nkeep plain.key where only you can read it", fault.Quote(file))
		}
	}
	return nil
}

// derSequence is the first byte of every DER file (X.690): a certificate, a key, PKCS #7 or #12.
const derSequence = 0x30

// signedData is the type of PKCS #7, in DER (RFC 2315, section 14).
var signedData = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02}

// readPEM reads the file that a flag names. It may be a pipe: <(vault read …).
func readPEM(ctx context.Context, what, file, flag string) ([]byte, error) {
	data, err := disk.Await(ctx, func() ([]byte, error) { return disk.ReadFile(file, maxPEM) })
	if err == nil && !(len(data) > 0 && data[0] == derSequence) { // DER is no text
		data, err = textfile.Decode(data)
	}
	if err != nil {
		return nil, fault.New(fault.Usage, "reading the %s in %s: %w", what, file, err).WithHint("name a PEM file with %s", flag)
	}
	return data, nil
}

// IsTLS reports whether the check of the server's certificate failed.
func IsTLS(err error) bool {
	return Is[*tls.CertificateVerificationError](err) || IsUnknownAuthority(err) || Is[x509.HostnameError](err) || Is[x509.CertificateInvalidError](err)
}

// IsNotTLS reports whether the server does not speak TLS.
func IsNotTLS(err error) bool {
	return Is[tls.RecordHeaderError](err) || errors.Is(err, http.ErrSchemeMismatch)
}

// IsUnknownAuthority reports whether no trusted CA signed the server's certificate.
func IsUnknownAuthority(err error) bool {
	return Is[x509.UnknownAuthorityError](err) || Is[x509.SystemRootsError](err)
}

// refusals are the alerts (RFC 8446, section 6.2) with which servers refuse a missing or an unwanted
// client certificate, in the words of crypto/tls. Before TLS 1.3, handshake_failure was the usual one.
var refusals = []string{
	"certificate required", "bad certificate", "unknown certificate authority", "unknown certificate", "expired certificate",
	"revoked certificate", "unsupported certificate", "access denied", "handshake failure",
}

// IsClientRefused reports whether a server refused the client certificate, or that there was none.
func IsClientRefused(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "remote error" && slices.ContainsFunc(refusals, func(alert string) bool { return e.Err.Error() == "tls: "+alert })
}
