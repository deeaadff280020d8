package serve

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// rangeForm is one range of bytes (RFC 9110, section 14.1.2).
var rangeForm = lazyregexp.New(`^(\d*)-(\d*)$`)

// normalizeRange makes [http.ServeContent] answer a Range field as RFC 9110, section
// 14.2, says. It drops fields of another unit, malformed ones, and several ranges,
// which would cost more than the whole file. The last 0 bytes become a range behind
// the end, which is answered with 416.
func normalizeRange(r *http.Request, size int64) {
	const field = "Range"
	given := r.Header.Get(field)
	if given == "" {
		return
	}
	if one, ok := oneRange(given, size); ok {
		r.Header.Set(field, one)
	} else {
		r.Header.Del(field)
	}
}

// oneRange returns a range field in the form that [http.ServeContent] takes, if it
// has just one range.
func oneRange(field string, size int64) (string, bool) {
	unit, set, ok := strings.Cut(field, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return "", false
	}
	m := rangeForm.FindStringSubmatch(strings.Trim(set, " \t,"))
	if m == nil || m[1] == "" && m[2] == "" {
		return "", false
	}
	first, last := position(m[1]), position(m[2])
	switch {
	case m[1] == "" && last == 0:
		return "bytes=" + strconv.FormatInt(size, 10) + "-", true // begins behind the end
	case m[1] == "":
		return "bytes=-" + strconv.FormatInt(last, 10), true
	case m[2] == "":
		return "bytes=" + strconv.FormatInt(first, 10) + "-", true
	case last < first:
		return "", false
	}
	return "bytes=" + strconv.FormatInt(first, 10) + "-" + strconv.FormatInt(last, 10), true
}

// position reads any number of digits.
func position(digits string) int64 {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil && digits != "" {
		return math.MaxInt64
	}
	return n
}
