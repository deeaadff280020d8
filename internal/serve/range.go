package serve

import (
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// rangeForm matches a Range field with one range of bytes (RFC 9110, section 14.1.2).
var rangeForm = lazyregexp.New(`(?i)^ *bytes *=[ \t,]*(\d*)-(\d*)[ \t,]*$`)

// normalizeRange makes [http.ServeContent] answer a Range field as RFC 9110, section 14.2, says. It
// removes fields with another unit, malformed ones, and several ranges, which would cost more than the
// whole file. The last 0 bytes become a range after the end, so that the answer is 416.
func normalizeRange(r *http.Request, size int64) {
	const field = "Range"
	given := r.Header.Get(field)
	if given == "" {
		return
	}
	m := rangeForm.FindStringSubmatch(given)
	if m == nil || m[1]+m[2] == "" {
		r.Header.Del(field)
		return
	}
	first, last := position(m[1]), position(m[2])
	switch {
	case m[1] == "" && last == 0:
		r.Header.Set(field, fmt.Sprintf("bytes=%d-", size))
	case m[1] == "":
		r.Header.Set(field, fmt.Sprintf("bytes=-%d", last))
	case last < first:
		r.Header.Del(field)
	default:
		r.Header.Set(field, fmt.Sprintf("bytes=%d-%d", first, last))
	}
}

// position parses any number of digits. No digits, or too many, mean a position after the end.
func position(digits string) int64 {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return math.MaxInt64
	}
	return n
}
