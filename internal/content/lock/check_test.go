package lock

import (
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// TestCheckURLs gives each URL of a lock values that nobody could request.
func TestCheckURLs(t *testing.T) {
	t.Parallel()
	places := map[string]func(l *Lock, u string){
		"repository":      func(l *Lock, u string) { l.Repositories[0].URL = u },
		"schema":          func(l *Lock, u string) { l.Repositories[0].Schemas[0].URL = u },
		"linux/amd64":     func(l *Lock, u string) { l.Plugins[0].Builds[0].URL = u },
		"dependency":      func(l *Lock, u string) { l.Plugins[0].Builds[0].Dependencies[0].URL = u },
		"replaces":        func(l *Lock, u string) { l.Plugins[0].Builds[0].Dependencies[0].Replaces = u },
		"artifacts[0]":    func(l *Lock, u string) { l.Artifacts[0].URL = u },
		"a checksum file": func(l *Lock, u string) { l.Artifacts[0].VerifiedWith[0] = u },
		"the chart":       func(l *Lock, u string) { l.Chart.URL = u },
	}
	for place, set := range places {
		for u, want := range map[string]string{
			"https://e.com/" + strings.Repeat("a", maxURL):     "the limit is",
			"https://e.com/\x1b[31m":                           "control character",
			"https://e.com/\u202egpj":                          "control character",
			"https://user:s3cret/x@e.com/":                     "is malformed",
			"https://user:s3cret@e.com:port/":                  "is malformed",
			"https://e.com/?token=s3cret\n":                    "control character",
			"https://user:s3cret@e.com/" + "%zz" + "?x=" + "é": "is malformed",
		} {
			l := withMembers(t)
			set(l, u)
			err := l.Check()
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), place) {
				t.Errorf("%s: %v, want %q", place, err, want)
				continue
			}
			checkMessage(t, err)
		}
	}
}

func TestCheckMembers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(l *Lock)
		want   string
	}{
		"as it is":                  {func(*Lock) {}, ""},
		"reference with a digest":   {func(l *Lock) { l.AgentImage.Reference = "e.com/a:v1@sha256:" + strings.Repeat("a", 64) }, ""},
		"reference missing":         {func(l *Lock) { l.AgentImage.Reference = "" }, "no reference"},
		"reference with a space":    {func(l *Lock) { l.AgentImage.Reference = "e.com/a b" }, "not a reference"},
		"reference in colour":       {func(l *Lock) { l.AgentImage.Reference = "e.com/a\x1b[31m" }, "not a reference"},
		"reference not ASCII":       {func(l *Lock) { l.AgentImage.Reference = "e.com/é" }, "not a reference"},
		"reference too long":        {func(l *Lock) { l.AgentImage.Reference = strings.Repeat("a", maxReference+1) }, "not a reference"},
		"reference with a password": {func(l *Lock) { l.AgentImage.Reference = "https://user:s3cret@e.com/a b" }, "not a reference"},
		"chart of a build":          {func(l *Lock) { l.Chart.Version = "1.14.0+a.1" }, ""},
		"chart version not a tag":   {func(l *Lock) { l.Chart.Version = "1.14.0 beta" }, "is not valid as a tag"},
		"chart version too long":    {func(l *Lock) { l.Chart.Version = strings.Repeat("1", 129) }, "is not valid as a tag"},
		"chart version in colour":   {func(l *Lock) { l.Chart.Version = "1\x1b[31m" }, "control character"},
		"repository in colour":      {func(l *Lock) { l.Plugins[0].Repository = "x\x1b[31m" }, "the lock does not list its repository"},
		"platform in colour":        {func(l *Lock) { l.Plugins[0].Builds[0].Platform.OS = "x\x1b[31m" }, "not a platform of the lock"},
		"voucher in colour":         {func(l *Lock) { l.Artifacts[0].VerifiedBy = "x\x1b[31m" }, "has the unknown "},
		"watcher image":             {func(l *Lock) { l.WatcherImage = l.AgentImage }, ""},
		"watcher image alone":       {func(l *Lock) { l.WatcherImage, l.AgentImage = l.AgentImage, nil }, "for different platforms"},
		"watcher without manifest":  {func(l *Lock) { l.WatcherImage = &Image{Reference: "e.com/w:1"} }, "the watcher image: it has no reference or no manifest"},
		"watcher for more platforms": {func(l *Lock) {
			l.Platforms = []agent.Platform{amd64, arm64}
			l.WatcherImage = &Image{Reference: "e.com/w:1", Manifests: append([]ImageManifest{}, l.AgentImage.Manifests...)}
			l.WatcherImage.Manifests = append(l.WatcherImage.Manifests, l.AgentImage.Manifests[0])
			l.WatcherImage.Manifests[1].Platform = arm64
		}, "for different platforms"},
		"media type without end": {func(l *Lock) { l.AgentImage.Manifests[0].MediaType = strings.Repeat("x", 1<<20) }, "media type"},
	} {
		l := withMembers(t)
		tt.change(l)
		err := l.Check()
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
			continue
		}
		checkMessage(t, err)
	}
}

// withMembers returns the sample with an image and a chart.
func withMembers(t *testing.T) *Lock {
	t.Helper()
	l, err := Parse(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	blob := Blob{Size: 1}
	l.AgentImage = &Image{Reference: "ghcr.io/kubeshop/botkube:v1.14.0", Manifests: []ImageManifest{
		{Platform: agent.Platform{OS: "linux", Arch: "amd64"}, MediaType: manifestTypes[0], Blob: blob, Blobs: []Blob{blob}},
	}}
	l.Chart = &Chart{Name: "botkube", Version: "1.14.0", URL: "https://e.com/c.tgz", Blob: blob, VerifiedBy: ByIndex}
	return l
}

// checkMessage wants a message without passwords that a terminal takes as text,
// and that can be read.
func checkMessage(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	if strings.Contains(text, "s3cret") || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' || r == '\u202e' }) || len(text) > 2000 {
		t.Errorf("%.3000q", text)
	}
}

// TestCheckImageIndex refuses an index that is not the lock's.
func TestCheckImageIndex(t *testing.T) {
	t.Parallel()
	other := ImageManifest{MediaType: manifestTypes[0], Blob: Blob{Size: 1, SHA256: Sum([]byte("other"))}}
	for name, tt := range map[string]struct {
		change func(im *Image)
		want   string
	}{
		"as it is":   {func(*Image) {}, ""},
		"media type": {func(im *Image) { im.Index.MediaType = "x" }, "is not the media type of an image index"},
		"no index":   {func(im *Image) { im.Index.MediaType = manifestTypes[0] }, "exactly the one manifest"},
		"a manifest": {func(im *Image) {
			im.Index = &ImageIndex{MediaType: manifestTypes[0], SHA256: im.Manifests[0].SHA256}
		}, ""},
		"another manifest":    {func(im *Image) { im.Index = &ImageIndex{MediaType: manifestTypes[0], SHA256: other.SHA256} }, "exactly the one manifest"},
		"digest":              {func(im *Image) { im.Index.SHA256 = SHA256{} }, "has the digest"},
		"too long":            {func(im *Image) { im.Index.Data = make([]byte, MaxImageIndex+1) }, "the limit is"},
		"one is missing":      {func(im *Image) { im.Index.Others = nil }, "different manifests"},
		"one too many":        {func(im *Image) { im.Manifests[0].SHA256 = Sum(nil) }, "different manifests"},
		"one is listed twice": {func(im *Image) { im.Index.Others = append(im.Index.Others, other) }, "is listed twice"},
		"one of a platform":   {func(im *Image) { im.Index.Others[0].Platform = amd64 }, "has the platform \"linux/amd64\""},
		"no JSON":             {func(im *Image) { im.Index.Data = []byte("x"); im.Index.SHA256 = Sum([]byte("x")) }, "cannot be read"},
		"media type below":    {func(im *Image) { im.Index.Others[0].MediaType = indexTypes[0] }, "is not the media type of an image manifest"},
	} {
		l := withMembers(t)
		im := l.AgentImage
		data := []byte(`{"manifests":[{"digest":"` + im.Manifests[0].SHA256.OCI() + `"},{"digest":"` + other.SHA256.OCI() + `"}]}`)
		im.Index = &ImageIndex{MediaType: indexTypes[0], SHA256: Sum(data), Data: data, Others: []ImageManifest{other}}
		tt.change(im)
		err := l.Check()
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if part := im.forPlatforms(nil); part != nil {
				t.Errorf("a part without platforms: %+v", part)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
