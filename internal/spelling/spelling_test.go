package spelling

import "testing"

func TestDistance(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	known := []string{"base-url", "platform", "plugin", "with-agent-image", "x"}
	for word, want := range map[string]string{
		"platfrom": "platform", "platforms": "platform", "baseUrl": "base-url", "BASE_URL": "base-url", "withAgentImage": "with-agent-image",
		"target": "", "plugins": "plugin", "y": "x",
		"plat": "platform", "with": "with-agent-image", "pl": "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// Of names that are as near as each other, the first counts; the bound grows with the word.
func TestNearestBounds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		word  string
		known []string
		want  string
	}{
		{"ab", []string{"ac", "ad"}, "ac"},
		{"ab", []string{"cd"}, ""},
		{"ab", []string{"ac"}, "ac"},
		{"abc", []string{"axy"}, "axy"},
		{"abc", []string{"xyz"}, ""},
		{"ver", []string{"verbose", "version", "via"}, ""},
		{"via", []string{"viable", "vial", "vie"}, "vial"},
	} {
		if got := Nearest(tt.word, tt.known); got != tt.want {
			t.Errorf("Nearest(%q, %q) = %q, want %q", tt.word, tt.known, got, tt.want)
		}
	}
}

func TestSlip(t *testing.T) {
	t.Parallel()
	known := []string{"image", "executors", "repositories", "plugins", "tag"}
	for word, want := range map[string]string{
		"executers": "executors", "repositorys": "repositories", "plugin": "plugins", "tags": "tag", "Image": "image",
		"x-mine": "", "execs": "", "repo": "", "": "",
	} {
		if got := Slip(word, known); got != want {
			t.Errorf("Slip(%q) = %q, want %q", word, got, want)
		}
	}
}
