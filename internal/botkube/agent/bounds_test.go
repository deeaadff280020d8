package agent

import (
	"bytes"
	"strings"
	"testing"
)

// TestDocumentBounds gives documents of as many bytes and values as are read, and of one more.
func TestDocumentBounds(t *testing.T) {
	t.Parallel()
	// Commas in a comment count, for what counts has to be quick. The documents have one colon.
	marks := func(n int, document string) []byte {
		return []byte("#" + strings.Repeat(",", n-1) + "\n" + document)
	}
	if _, err := ReadIndex(marks(maxMarks, "entries:")); err != nil {
		t.Error(err)
	}
	if _, err := ReadIndex(marks(maxMarks+1, "entries:")); err == nil || err.Error() != "it is too large: it may have more than the maximum of 524288 values" {
		t.Error(err)
	}
	if _, err := ParseConfig(marks(maxMarks, "a: b")); err != nil {
		t.Error(err)
	}
	if _, err := ParseConfig(marks(maxMarks+1, "a: b")); err == nil || err.Error() != "it is too large: it may have more than the maximum of 524288 values" {
		t.Error(err)
	}
	if _, err := ParseConfig(bytes.Repeat([]byte(","), MaxConfig)); err == nil || !strings.Contains(err.Error(), "values") {
		t.Error(err)
	}
	if _, err := ParseConfig(bytes.Repeat([]byte(","), MaxConfig+1)); err == nil || err.Error() != "it has 4194305 bytes, and the limit is 4194304" {
		t.Error(err)
	}
}
