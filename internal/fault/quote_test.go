package fault

import "testing"

// TestQuote has words that a shell would take apart.
func TestQuote(t *testing.T) {
	for word, want := range map[string]string{
		"demo=https://e.com/i.yaml": "demo=https://e.com/i.yaml", "a b": "'a b'", "it's": `'it'\''s'`, "x?ref=1": "'x?ref=1'", "{os}": "'{os}'", "~/lock": "'~/lock'",
	} {
		if got := Quote(word); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}
