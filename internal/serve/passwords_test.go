package serve

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// hashed returns a line of a file of passwords.
func hashed(t *testing.T, user, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return user + ":" + string(hash) + "\n"
}

func writePasswords(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPasswords(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	file := filepath.Join(t.TempDir(), "htpasswd")
	writePasswords(t, file, "# agents\n\n"+hashed(t, "agent", "s3cret:")+hashed(t, "other", "öther"))
	p, err := LoadPasswords(file, w.options(t).Problem)
	if err != nil {
		t.Fatal(err)
	}
	const base = "/sub"
	at := w.serve(t, func(o *Options) { o.Passwords, o.BaseURL = p, "https://mirror.example.com"+base })
	get := func(path, user, password string) answer {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, at+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		var fields []string
		if user != "" {
			req.SetBasicAuth(user, password)
			fields = []string{"Authorization", req.Header.Get("Authorization")}
		}
		return ask(t, http.MethodGet, at+path, fields...)
	}
	for _, path := range []string{"/", "/v1.14.0/demo/plugins-index.yaml", "/v1.14.0/", "/" + w.binary.Path, "/none", base + "/" + w.binary.Path} {
		for _, login := range [][2]string{{"", ""}, {"agent", ""}, {"agent", "s3cret"}, {"nobody", "s3cret:"}, {"other", "s3cret:"}} {
			got := get(path, login[0], login[1])
			if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") != `Basic realm="botkube-mirror", charset="UTF-8"` || strings.Contains(got.body, "binary") {
				t.Errorf("%s as %q: %d %q", path, login, got.status, got.body)
			}
		}
		for range 2 {
			if got := get(path, "agent", "s3cret:"); got.status == http.StatusUnauthorized || strings.Contains(got.header.Get("Cache-Control"), "public") {
				t.Errorf("%s: %d, %s", path, got.status, got.header.Get("Cache-Control"))
			}
		}
		if got := get(path, "other", "öther"); got.status == http.StatusUnauthorized {
			t.Errorf("%s as another user: %d", path, got.status)
		}
	}
	for _, path := range []string{"/", "/v1.14.0/"} {
		if got := get(path, "other", "öther"); !strings.Contains(got.body, "This server requires a user name and a password.") {
			t.Errorf("%s does not say that the values and commands on it lack a password", path)
		}
	}
	for _, path := range []string{healthPath, readyPath, base + readyPath} {
		if got := get(path, "", ""); got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := ask(t, http.MethodPost, at+"/"); got.status == http.StatusOK {
		t.Error("another method needs no password")
	}

	again := func() {
		p.reread.mu.Lock()
		p.checked = time.Time{}
		p.reread.mu.Unlock()
	}
	for _, damage := range []string{"", "agent:plain\n", "agent\n"} {
		writePasswords(t, file, damage)
		for range 2 {
			again()
			if got := get("/", "agent", "s3cret:"); got.status != http.StatusOK {
				t.Errorf("with a damaged file: %d", got.status)
			}
		}
	}
	if told := w.told(); strings.Count(told, "still using the previous passwords: ") != 3 || strings.Contains(told, "plain") {
		t.Errorf("problems: %s", told)
	}
	writePasswords(t, file, hashed(t, "agent", "new"))
	again()
	for login, want := range map[[2]string]int{{"agent", "s3cret:"}: 401, {"agent", "new"}: 200, {"other", "öther"}: 401} {
		if got := get("/", login[0], login[1]); got.status != want {
			t.Errorf("after a change, %q: %d", login, got.status)
		}
	}
}

// TestManyLogins has one hash compared for many agents with one password, and those of one address
// wait for each other.
func TestManyLogins(t *testing.T) {
	file := filepath.Join(t.TempDir(), "htpasswd")
	writePasswords(t, file, hashed(t, "agent", "s3cret")+hashed(t, "other", "öther"))
	synctest.Test(t, func(t *testing.T) {
		p, err := LoadPasswords(file, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		var compared []string
		var next chan struct{}
		p.compare = func(hash, password []byte) error {
			<-next
			compared = append(compared, string(password))
			return bcrypt.CompareHashAndPassword(hash, password)
		}
		login := func(address, user, password string, want bool) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = address
			r.SetBasicAuth(user, password)
			go func() {
				if got := p.allow(r); got != want {
					t.Errorf("%s as %s: %v", address, user, got)
				}
			}()
			synctest.Wait()
		}
		compare := func() []string {
			close(next)
			synctest.Wait()
			return compared
		}

		next = make(chan struct{})
		for _, address := range []string{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"} {
			login(address, "agent", "s3cret", true)
		}
		if got := compare(); len(got) != 1 {
			t.Errorf("compared for three agents with one password: %q", got)
		}

		next, compared = make(chan struct{}), nil
		for _, password := range []string{"1", "2", "3"} {
			login("192.0.2.1:3", "agent", password, false)
		}
		login("192.0.2.2:2", "other", "öther", true)
		if got, want := compare(), []string{"1", "öther", "2", "3"}; !slices.Equal(got, want) {
			t.Errorf("compared: %q, want %q", got, want)
		}
		if len(p.turnOf) != 0 {
			t.Errorf("%d addresses are remembered", len(p.turnOf))
		}
	})
}

func TestParseHtpasswd(t *testing.T) {
	right := hashed(t, "agent", "x")
	for text, want := range map[string]string{
		"":                        "no user",
		"# only this\n":           "no user",
		"agent\n":                 "line 1 is not",
		right + ":x\n":            "line 2 is not",
		right + right:             "line 2 repeats the user of an earlier line",
		"agent:{SHA}c2VjcmV0=":    "line 1 has no bcrypt hash",
		"agent:$apr1$salt$secret": "line 1 has no bcrypt hash",
		"agent:$2y$31$secretsecretsecretsecretsecretsecretsecretsecretsecre": "the cost 31",
	} {
		_, err := parseHtpasswd(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if found, err := parseHtpasswd("\n" + strings.TrimSuffix(right, "\n") + "\r\n"); err != nil || len(found) != 1 {
		t.Errorf("%v, %v", found, err)
	}
}
