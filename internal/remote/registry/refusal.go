package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// statusError is a registry's refusal.
type statusError struct {
	*transfer.StatusError
	method    string // the method of the request
	stage     stage
	codes     []string // the registry's error codes
	anonymous bool     // there were no credentials to send
	admitted  bool     // the credentials are good, so they are not the reason
	redirect  bool     // a redirect's target answered, not the registry
	page      bool     // the answer is a web page
}

// stage says what a request was for.
type stage int

const (
	stageContent stage = iota
	stageManifest
	stageGreeting // the first request, to /v2/
	stageToken    // the request to the token server
)

func (e *statusError) Error() string {
	s := e.StatusError.Error()
	switch {
	case e.stage == stageToken:
		s = "the token server " + s
	case e.stage == stageGreeting && e.RateLimit.Hint() == "":
		s += " to GET /v2/"
	case e.Code == http.StatusMethodNotAllowed:
		s += " to " + e.method
	}
	return s
}

func (e *statusError) Unwrap() error { return e.StatusError }

func (e *statusError) has(codes ...string) bool {
	return slices.ContainsFunc(codes, func(code string) bool { return slices.Contains(e.codes, code) })
}

// says reports whether the registry's message contains one of the words, in upper or lower case.
func (e *statusError) says(words ...string) bool {
	said := strings.ToLower(e.Says)
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(said, word) })
}

// IsNotFound reports whether err means that the registry does not have the manifest or blob.
func IsNotFound(err error) bool {
	e, ok := errors.AsType[*statusError](err)
	return ok && e.Code == http.StatusNotFound && !e.Proxy && e.stage != stageToken
}

// expect returns an answer as an error, and closes it, unless its status is one of codes.
func (r *Repository) expect(resp *transfer.Response, codes ...int) error {
	stage := stageContent
	if strings.Contains(resp.Request.URL.Path, "/manifests/") {
		stage = stageManifest
	}
	reading := isReading(resp.Request.Method)
	expected := slices.Contains(codes, resp.StatusCode)
	if expected && (reading && stage != stageManifest || !startsPage(resp)) {
		return nil
	}
	defer resp.Close()
	e := r.refused(resp, stage)
	switch e.page = e.page || expected; {
	case expected && reading, e.page && r.page && e.Code == http.StatusNotFound:
		return fault.New(fault.Upstream, "%s answers with a web page", e.Host).WithHint("%s", hintNoRegistry(r.asked.host))
	case e.page && !reading && !ownStatus[e.Code]:
		// The registry itself may answer the next attempt.
		return &passing{e.Error() + ", with a web page", "a load balancer or a gateway may answer instead of the registry: run the command again; if it fails again, ask its administrator"}
	}
	return e
}

func isReading(method string) bool { return method == http.MethodGet || method == http.MethodHead }

func (r *Repository) refused(resp *transfer.Response, stage stage) *statusError {
	req := resp.Request
	e := &statusError{
		StatusError: transfer.NewStatusError(resp.Response),
		method:      req.Method,
		stage:       stage,
		anonymous:   r.anonymous,
		admitted:    r.admitted || lacksScope(resp.Header),
		redirect:    req.URL.Host != r.host,
		page:        startsPage(resp),
	}
	e.read(resp, append(transfer.SecretsIn(req.Header.Get("Authorization")), r.secrets...))
	return e
}

func (e *statusError) read(resp *transfer.Response, secrets []string) {
	body, _ := io.ReadAll(io.LimitReader(resp, maxErrorBody))
	e.DetectRateLimit(resp.Header.Get("Content-Type"), string(body))
	var told struct { // distribution specification, "Error codes"
		Errors []struct{ Code, Message string } `json:"errors"`
	}
	if json.Unmarshal(body, &told) != nil || len(told.Errors) == 0 {
		if mediaType(resp.Header) == "text/plain" {
			line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
			e.Says = transfer.Printable(transfer.Hide(line, secrets), maxMessage)
		}
		return
	}
	var says []string
	for _, d := range told.Errors[:min(len(told.Errors), maxDiagnostics)] {
		e.codes = append(e.codes, d.Code)
		s := d.Code
		if d.Message != "" {
			s = strings.TrimPrefix(s+": "+d.Message, ": ")
		}
		says = append(says, transfer.Printable(transfer.Hide(s, secrets), maxMessage))
	}
	e.Says = strings.Join(says, "; ")
}

// ownStatus has the statuses that mean the same, even if the answer is a proxy's web page.
var ownStatus = map[int]bool{
	http.StatusUnauthorized: true, http.StatusForbidden: true, http.StatusMethodNotAllowed: true, http.StatusProxyAuthRequired: true,
	http.StatusLengthRequired: true, http.StatusRequestEntityTooLarge: true, http.StatusRequestURITooLong: true, http.StatusUnsupportedMediaType: true,
	http.StatusNotImplemented: true,
}

// startsPage reports whether an answer is a web page. The Content-Type is not enough: some
// registries send text/html with every answer (Quay, made with Flask).
func startsPage(resp *transfer.Response) bool {
	if mediaType(resp.Header) != "text/html" {
		return false
	}
	start := make([]byte, 512)
	n, _ := io.ReadFull(resp, start) // an error will come again with the next read
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start[:n]), resp.Body), resp.Body}
	return bytes.HasPrefix(bytes.TrimLeft(start[:n], "\ufeff \t\r\n"), []byte("<"))
}

// passing is a failure that may be over at the next attempt.
type passing struct{ text, hint string }

func (e *passing) Error() string { return e.text }

// noToken returns the error for a token server that gives no token.
func noToken(format string, args ...any) error {
	return fault.New(fault.Upstream, format, args...).WithHint("%s", hintRealm)
}

const hintRealm = "check the token server's address, which the registry sends in its answer to GET /v2/ (WWW-Authenticate, realm): no login page may stand before it"

func hintNoRegistry(host string) string {
	return "check that " + host + " is the registry: Nexus, Artifactory and GitLab have a host or a port of its own for it, and a proxy before it must pass on /v2/"
}

// Refusal is the reason for which a registry refused a request.
type Refusal int

// The reasons.
const (
	NotRefused         Refusal = iota // the error is not a refusal
	RefusedOtherwise                  // any reason that is not below
	RefusedCredentials                // credentials are missing or wrong
	RefusedAccess                     // the user lacks the right, or the repository does not exist: registries do not tell which
	RefusedRepository                 // the repository does not exist, or its name is not allowed
	RefusedPush                       // the repository is a proxy for another registry, or read-only
	RefusedDocument                   // the registry does not accept manifests of that kind
	RefusedTag                        // the tag has other content and is immutable
	RefusedQuota                      // the storage or the quota is full
)

// refusalHints has the hints that are the same for all requests.
var refusalHints = map[Refusal]string{
	RefusedAccess:     "ask the registry's administrator for access, or to create the project: registries do not tell which one is missing",
	RefusedRepository: "create the repository, or its project or organisation, in the registry first",
	RefusedPush:       "push to another repository: this one may be a proxy for another registry, or read-only",
	RefusedDocument:   "look into the registry's log: it does not accept manifests of this kind",
	RefusedTag:        "push to another repository or another tag (--tag), or ask the registry's administrator to allow overwriting this tag (immutable tags)",
	RefusedQuota:      "ask the registry's administrator for more space, or delete content that is no longer needed there",
}

// RefusalOf returns the reason for which a registry refused a request.
func RefusalOf(err error) Refusal {
	e, ok := errors.AsType[*statusError](err)
	if !ok || e.Transient() || e.Code == http.StatusProxyAuthRequired || e.stage == stageGreeting || e.wrongRealm() {
		return NotRefused
	}
	return e.refusal()
}

// RefusalText returns a registry's refusal without the words before it that say what was asked.
func RefusalText(err error) string {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.Error()
	}
	return err.Error()
}

// wrongRealm reports whether the answer does not look like one of a token server.
func (e *statusError) wrongRealm() bool {
	return e.stage == stageToken && (e.page || e.Code != http.StatusUnauthorized && e.Code != http.StatusForbidden)
}

func (e *statusError) refusal() Refusal {
	writing := !isReading(e.method)
	switch {
	case e.Code == http.StatusUnauthorized && !e.admitted, e.says("token has expired"):
		return RefusedCredentials
	case writing && e.says("quota", "upper limit", "storage limit"):
		return RefusedQuota
	case writing && e.says("read only", "read-only"), writing && e.stage == stageContent && (e.Code == http.StatusMethodNotAllowed || e.has("UNSUPPORTED")):
		return RefusedPush
	case writing && e.stage == stageManifest && (e.Code == http.StatusConflict || e.says("immutab", "cannot be overwritten", "does not allow updating", "disallowed")):
		return RefusedTag
	case writing && e.stage == stageManifest && e.refusesDocument():
		return RefusedDocument
	case e.Code == http.StatusUnauthorized, e.Code == http.StatusForbidden:
		return RefusedAccess
	case e.has("NAME_UNKNOWN", "NAME_INVALID"), writing && e.Code == http.StatusNotFound && len(e.codes) > 0:
		return RefusedRepository
	}
	return RefusedOtherwise
}

// refusesDocument reports whether the registry may refuse a manifest because of its kind.
// MANIFEST_BLOB_UNKNOWN, for example, is another reason.
func (e *statusError) refusesDocument() bool {
	return e.has("MANIFEST_INVALID", "UNSUPPORTED") ||
		slices.Contains([]int{http.StatusUnsupportedMediaType, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented}, e.Code) ||
		e.Code == http.StatusBadRequest && !e.has("MANIFEST_BLOB_UNKNOWN", "DIGEST_INVALID", "TAG_INVALID")
}

// hint returns the next step after a refusal by the registry at a host.
func (e *statusError) hint(host string) string {
	switch {
	case e.RateLimit.Hint() != "":
		return e.RateLimit.Hint()
	case e.Code == http.StatusProxyAuthRequired:
		return transfer.HintProxyRefuses
	case e.Transient():
		return "run the command again later; if it fails again, look into the registry's log"
	case e.stage == stageGreeting && e.Code == http.StatusForbidden && len(e.codes) > 0:
		return "ask the registry's administrator whether its firewall allows this machine's address"
	case e.stage == stageGreeting:
		return hintNoRegistry(host)
	case e.wrongRealm():
		return hintRealm
	case e.Code == http.StatusRequestEntityTooLarge:
		return "raise the limit for the size of requests in the proxy before the registry (nginx: client_max_body_size 0)"
	case e.Code == http.StatusForbidden && e.redirect:
		return "check that this machine may reach that host, and that its clock is right: the registry redirects there for its content"
	}
	return e.refusalHint(host)
}

func (e *statusError) refusalHint(host string) string {
	refusal := e.refusal()
	if hint := refusalHints[refusal]; hint != "" {
		return hint
	}
	switch {
	case refusal == RefusedCredentials && e.anonymous:
		return "log in first: docker login " + host + "\nit writes the credentials to " + configPlace + "; in CI, set DOCKER_AUTH_CONFIG to the content of such a file"
	case refusal == RefusedCredentials:
		return "log in again: docker login " + host + "\nthe credentials in " + configPlace + " are wrong or expired"
	case e.Code == http.StatusMethodNotAllowed:
		return "let the proxy before the registry pass GET, HEAD, POST, PATCH, PUT and DELETE below /v2/: it refuses " + e.method
	case e.Code == http.StatusNotFound && e.method == http.MethodPost:
		return "check the path: Nexus and Artifactory need the name of their own repository in it, or a port of its own"
	case e.Code == http.StatusNotFound:
		return "check the spelling, and that it was pushed; some registries hide content until you log in: docker login " + host
	}
	return "look into the registry's log"
}
