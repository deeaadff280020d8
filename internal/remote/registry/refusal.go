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

// statusError is an answer that is a refusal.
type statusError struct {
	*transfer.StatusError
	method    string // of the request
	stage     stage
	codes     []string // the registry's own error codes
	anonymous bool     // no credentials were there to send
	admitted  bool     // the credentials are good, so something else is the reason
	elsewhere bool     // another host than the registry's answers
	page      bool     // the answer is a web page
}

// stage is what a request was about.
type stage int

const (
	stageContent stage = iota
	stageManifest
	stageGreeting // the first question, at /v2/
	stageToken    // that to the token server
)

func (e *statusError) Error() string {
	s := e.StatusError.Error()
	switch {
	case e.stage == stageToken:
		s = "the token server " + s
	case e.stage == stageGreeting && e.RateLimit.Hint() == "":
		s += " to the question whether it is a registry (/v2/)"
	case e.Code == http.StatusMethodNotAllowed:
		s += " to " + e.method
	}
	return s
}

func (e *statusError) Unwrap() error { return e.StatusError }

func (e *statusError) has(codes ...string) bool {
	return slices.ContainsFunc(codes, func(code string) bool { return slices.Contains(e.codes, code) })
}

// says reports whether the registry's own words contain one of some, whatever the case.
func (e *statusError) says(words ...string) bool {
	said := strings.ToLower(e.Says)
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(said, word) })
}

// IsNotFound reports whether a registry does not have what it was asked for.
func IsNotFound(err error) bool {
	e, ok := errors.AsType[*statusError](err)
	return ok && e.Code == http.StatusNotFound && !e.Proxy && e.stage != stageToken
}

// expect returns the refusal that an answer is unless its status is one of
// codes. It closes what it refuses.
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
		// A second answer may be the registry's own.
		return &passing{e.Error() + ", with a web page", "something before the registry answers in its place, such as a load balancer or a gateway: run it again; if it stays, ask whoever runs that"}
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
		elsewhere:   req.URL.Host != r.host,
		page:        startsPage(resp),
	}
	e.read(resp, append(transfer.SecretsIn(req.Header.Get("Authorization")), r.secrets...))
	return e
}

func (e *statusError) read(resp *transfer.Response, secrets []string) {
	body, _ := io.ReadAll(io.LimitReader(resp, maxErrorBody))
	e.Told(resp.Header.Get("Content-Type"), string(body))
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

// ownStatus has the refusals that are what they are, though a proxy words
// them in a page.
var ownStatus = map[int]bool{
	http.StatusUnauthorized: true, http.StatusForbidden: true, http.StatusMethodNotAllowed: true, http.StatusProxyAuthRequired: true,
	http.StatusLengthRequired: true, http.StatusRequestEntityTooLarge: true, http.StatusRequestURITooLong: true, http.StatusUnsupportedMediaType: true,
	http.StatusNotImplemented: true,
}

// startsPage reports whether an answer is a web page. That it says so is not
// enough: some registries say it of every answer (Quay, made with Flask).
func startsPage(resp *transfer.Response) bool {
	if mediaType(resp.Header) != "text/html" {
		return false
	}
	start := make([]byte, 512)
	n, _ := io.ReadFull(resp, start) // what is wrong shows when it is read again
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start[:n]), resp.Body), resp.Body}
	return bytes.HasPrefix(bytes.TrimLeft(start[:n], "\ufeff \t\r\n"), []byte("<"))
}

// passing is a failure that another attempt may not meet.
type passing struct{ text, hint string }

func (e *passing) Error() string { return e.text }

// noToken is the error if a token server, or what a registry takes for one, gives no token.
func noToken(format string, args ...any) error {
	return fault.New(fault.Upstream, format, args...).WithHint("%s", hintRealm)
}

const hintRealm = "the registry names its token server in its answer to /v2/ (WWW-Authenticate, realm): is that address right, and does nothing stand before it that asks people to log in?"

func hintNoRegistry(host string) string {
	return "is " + host + " where the registry listens? some products have a host or a port for it (Nexus, Artifactory, GitLab), and a proxy before it must pass /v2/ on"
}

// Refusal is what a registry refuses something for.
type Refusal int

// The refusals.
const (
	NotRefused         Refusal = iota // the error is no refusal
	RefusedOtherwise                  // for another reason than those below
	RefusedCredentials                // there are none, or they are wrong
	RefusedAccess                     // the user lacks the right, or the repository does not exist: registries do not tell which
	RefusedRepository                 // the repository does not exist, or cannot exist
	RefusedPush                       // nothing can be pushed there: it is a proxy repository, or may only be read
	RefusedDocument                   // the registry does not take a manifest of that kind
	RefusedTag                        // the tag has other content, and may not be moved
	RefusedQuota                      // there is no room left
)

// refusalHints have the next step where it is always the same.
var refusalHints = map[Refusal]string{
	RefusedAccess:     "the user lacks the right, or the project does not exist: ask whoever runs the registry",
	RefusedRepository: "create the repository, or what it belongs to (a project, an organisation), in the registry first",
	RefusedPush:       "is it a repository that only passes on what another registry has, or may only be read? push to another one",
	RefusedDocument:   "the registry does not take manifests of this kind; its log tells more",
	RefusedTag:        "the registry does not let a tag be moved (immutable tags): push to another repository, or have that lifted for this tag",
	RefusedQuota:      "there is no room left for it in the registry: have the quota raised, or delete there what is no longer needed",
}

// RefusalOf returns what a registry refused something for.
func RefusalOf(err error) Refusal {
	e, ok := errors.AsType[*statusError](err)
	if !ok || e.Transient() || e.Code == http.StatusProxyAuthRequired || e.stage == stageGreeting || e.wrongRealm() {
		return NotRefused
	}
	return e.refusal()
}

// RefusalText returns a registry's refusal without what it was about.
func RefusalText(err error) string {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.Error()
	}
	return err.Error()
}

// wrongRealm reports whether what answers is no token server, it seems.
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

// refusesDocument reports whether a manifest may be refused for its kind. For one
// that lacks blobs there is a code of its own.
func (e *statusError) refusesDocument() bool {
	return e.has("MANIFEST_INVALID", "UNSUPPORTED") ||
		slices.Contains([]int{http.StatusUnsupportedMediaType, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented}, e.Code) ||
		e.Code == http.StatusBadRequest && !e.has("MANIFEST_BLOB_UNKNOWN", "DIGEST_INVALID", "TAG_INVALID")
}

// hint is the next step after a refusal by the registry at a host.
func (e *statusError) hint(host string) string {
	switch {
	case e.RateLimit.Hint() != "":
		return e.RateLimit.Hint()
	case e.Code == http.StatusProxyAuthRequired:
		return transfer.HintProxyRefuses
	case e.Transient():
		return "the registry is in trouble: run it again later"
	case e.stage == stageGreeting && e.Code == http.StatusForbidden && len(e.codes) > 0:
		return "the registry lets nobody in from here: its firewall may not know this machine's address; ask whoever runs it"
	case e.stage == stageGreeting:
		return hintNoRegistry(host)
	case e.wrongRealm():
		return hintRealm
	case e.Code == http.StatusRequestEntityTooLarge:
		return "a proxy before the registry limits requests: have it let larger ones through (nginx: client_max_body_size 0)"
	case e.Code == http.StatusForbidden && e.elsewhere:
		return "the registry leads there for its content: may this machine reach that host, and does its clock tell the right time?"
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
		return "no credentials are there for it: docker login " + host + " writes them to " + configPlace
	case refusal == RefusedCredentials:
		return "it does not take the credentials that are there for it: docker login " + host + " replaces them in " + configPlace
	case e.Code == http.StatusMethodNotAllowed:
		return "something before the registry does not let " + e.method + " pass: have it pass GET, HEAD, POST, PATCH, PUT and DELETE below /v2/"
	case e.Code == http.StatusNotFound && e.method == http.MethodPost:
		return "does the registry take uploads at this path? Nexus and Artifactory want the name of their own repository in it, or a port of its own"
	case e.Code == http.StatusNotFound:
		return "is the reference spelt right, and was it pushed? a registry may also hide from a user what it does not let him see: docker login " + host
	}
	return "the registry's log tells more"
}
