package transfer

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// maxErrorMessage is how many characters of a server's own message are shown at most.
const maxErrorMessage = 300

// errorMessage returns the message in a refusal's JSON, as Artifactory, Nexus and registries write it, or "".
func (r *Response) errorMessage(body []byte) string {
	var answer struct {
		Errors []struct{ Message string } `json:"errors"`
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Errors) == 0 {
		return ""
	}
	var secrets []string
	for name, values := range r.Request.Header {
		if !travels[name] {
			for _, value := range values {
				secrets = append(secrets, SecretsIn(value)...)
			}
		}
	}
	return Printable(Hide(answer.Errors[0].Message, secrets), maxErrorMessage)
}

// Hide removes secrets, and the signatures of signed URLs, from a server's message: a server may
// repeat what it was sent.
func Hide(s string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "redacted")
		}
	}
	return agent.RedactURLs(s)
}

// SecretsIn returns the secrets in the value of a header field Authorization.
func SecretsIn(authorization string) []string {
	scheme, value, _ := strings.Cut(authorization, " ")
	secrets := []string{authorization, value}
	if strings.EqualFold(scheme, "basic") {
		if pair, err := base64.StdEncoding.DecodeString(value); err == nil {
			_, password, _ := strings.Cut(string(pair), ":")
			secrets = append(secrets, string(pair), password)
		}
	}
	return secrets
}
