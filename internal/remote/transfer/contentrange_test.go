package transfer

import (
	"net/http"
	"testing"
)

func TestContentRange(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		start, end, total int64
		ok                bool
	}{
		"bytes 0-9/10":                    {0, 9, 10, true},
		"bytes 5-5/*":                     {5, 5, -1, true},
		"bytes 5-4/10":                    {},
		"bytes 0-10/10":                   {},
		"bytes */10":                      {},
		"bytes -1-3/10":                   {},
		"bytes 0-9":                       {},
		"items 0-9/10":                    {},
		"":                                {},
		"bytes 0-99999999999999999999/10": {},
	}
	for field, want := range tests {
		start, end, total, ok := ContentRange(http.Header{"Content-Range": {field}})
		if ok != want.ok || ok && (start != want.start || end != want.end || total != want.total) {
			t.Errorf("%q: %d-%d/%d, %t", field, start, end, total, ok)
		}
	}
}
