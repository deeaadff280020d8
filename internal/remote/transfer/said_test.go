package transfer

import (
	"net/http"
	"strings"
	"testing"
)

func TestHide(t *testing.T) {
	t.Parallel()
	req := &http.Request{Header: http.Header{}}
	req.SetBasicAuth("u", "pass word")
	h := req.Header.Get("Authorization")
	got := Hide("you sent "+h+" which is u:pass word or pass word", SecretsIn(h))
	if strings.Contains(got, "pass") || strings.Contains(got, strings.TrimPrefix(h, "Basic ")) {
		t.Error(got)
	}
}
