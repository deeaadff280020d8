package spelling

import "testing"

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"linux/amd64", "linux/amd46", 2}} {
		if got := Distance(tt.a, tt.b); got != tt.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"base-url", "platform", "plugin", "with-agent-image", "x"}
	for word, want := range map[string]string{
		"platfrom": "platform", "platforms": "platform", "baseUrl": "base-url", "BASE_URL": "base-url", "withAgentImage": "with-agent-image",
		"target": "", "plugins": "plugin", "y": "x",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
