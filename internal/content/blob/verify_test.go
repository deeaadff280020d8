package blob_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	want := lock.Blob{Size: 3, SHA256: lock.Sum([]byte("abc"))}
	for content, says := range map[string]string{
		"abc":  "",
		"ab":   "it has 2 bytes, not 3",
		"":     "it has 0 bytes, not 3",
		"abcd": "it has more than 3 bytes",
		"abd":  "its sha256 is " + lock.Sum([]byte("abd")).String() + ", not " + want.SHA256.String(),
	} {
		for _, r := range []io.Reader{bytes.NewReader([]byte(content)), iotest.DataErrReader(iotest.OneByteReader(bytes.NewReader([]byte(content))))} {
			v := blob.Verify(t.Context(), r, want)
			_, err := io.ReadAll(v)
			if says == "" && err == nil {
				continue
			}
			if err == nil || err.Error() != says || fault.KindOf(err) != fault.Integrity {
				t.Errorf("%q: %v", content, err)
			}
			if _, again := v.Read(make([]byte, 1)); again != err {
				t.Errorf("%q: then %v", content, again)
			}
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	if _, err := io.ReadAll(blob.Verify(ctx, bytes.NewReader([]byte("abc")), want)); err != cause {
		t.Errorf("after the end of the context: %v", err)
	}
}

func TestAgain(t *testing.T) {
	t.Parallel()
	wrong, other := fault.New(fault.Integrity, "wrong"), errors.New("other")
	ended, end := context.WithCancel(t.Context())
	end()
	for name, c := range map[string]struct {
		ctx    context.Context
		errors []error
		want   error
	}{
		"right":            {t.Context(), []error{nil}, nil},
		"right at last":    {t.Context(), []error{wrong, nil}, nil},
		"wrong":            {t.Context(), []error{wrong, wrong}, wrong},
		"another error":    {t.Context(), []error{other}, other},
		"then another":     {t.Context(), []error{wrong, other}, other},
		"wrong at the end": {ended, []error{wrong}, wrong},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var before error
			left := c.errors
			err := blob.Again(c.ctx, func(wrong error) error {
				if wrong != before {
					t.Errorf("told %v, not %v", wrong, before)
				}
				before, left = left[0], left[1:]
				return before
			})
			if err != c.want || len(left) > 0 {
				t.Errorf("%v, %d calls left", err, len(left))
			}
		})
	}
}
