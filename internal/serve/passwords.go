package serve

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Passwords are those of a file that htpasswd writes, with bcrypt. The file is read again when it changes.
type Passwords struct {
	file string
	reread

	mu sync.Mutex
	// data is the file as it was read, hashes has the hash of each user's password.
	data   []byte
	hashes map[string][]byte
	// any is one of the hashes: an unknown user takes as long as a known one.
	any []byte
	// right has keyed digests of user and password that were right: a hash takes long to compare.
	right map[[sha256.Size]byte]bool
	key   []byte

	// turn is held by who compares a hash: strangers take one processor at most.
	turn chan struct{}
}

const (
	// maxCost bounds the time that a hash takes: about a second.
	maxCost = 14
	// maxRight bounds how many logins are remembered.
	maxRight = 1000
	htpasswd = "write the file with htpasswd -B: htpasswd -cB FILE USER"
)

// LoadPasswords reads a file of passwords. If it cannot be used later, it calls problem and goes on with
// the last good one.
func LoadPasswords(file string, problem func(error)) (*Passwords, error) {
	p := &Passwords{file: file, reread: reread{problem: problem}, key: make([]byte, sha256.Size), turn: make(chan struct{}, 1)}
	_, _ = rand.Read(p.key) // never fails
	return p, p.load()
}

// load reads the file, and uses it if it changed.
func (p *Passwords) load() error {
	data, err := readSecret("the passwords", p.file)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || p.data != nil && bytes.Equal(data, p.data) {
		return err
	}
	p.data = data
	hashes, err := parseHtpasswd(string(data))
	if err != nil {
		return fault.New(fault.Usage, "reading the passwords: %s: %w", p.file, err).WithHint(htpasswd)
	}
	for _, p.any = range hashes {
		break
	}
	p.hashes, p.right = hashes, map[[sha256.Size]byte]bool{}
	return nil
}

// parseHtpasswd returns the hashes of a file by user. Its errors name lines, and nothing of what is in them.
func parseHtpasswd(text string) (map[string][]byte, error) {
	hashes := map[string][]byte{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		user, hash, found := strings.Cut(line, ":")
		cost, err := bcrypt.Cost([]byte(hash))
		switch {
		case !found || user == "":
			return nil, fmt.Errorf("line %d is not of the form USER:HASH", i+1)
		case err != nil:
			return nil, fmt.Errorf("line %d has no hash of bcrypt, which begins with $2y$", i+1)
		case cost > maxCost:
			return nil, fmt.Errorf("line %d has a hash of bcrypt with the cost %d; at most %d is taken", i+1, cost, maxCost)
		case hashes[user] != nil:
			return nil, fmt.Errorf("line %d has the user of a line before", i+1)
		}
		hashes[user] = []byte(hash)
	}
	if len(hashes) == 0 {
		return nil, errors.New("there is no user in it")
	}
	return hashes, nil
}

// allow reports whether a request has a user with the right password.
func (p *Passwords) allow(r *http.Request) bool {
	p.refresh("the passwords stay as they were", p.load)
	user, password, given := r.BasicAuth()
	if !given {
		return false
	}
	mac := hmac.New(sha256.New, p.key)
	fmt.Fprintf(mac, "%d:%s:%s", len(user), user, password)
	login := [sha256.Size]byte(mac.Sum(nil))
	p.mu.Lock()
	hash, exists := p.hashes[user]
	if !exists {
		hash = p.any
	}
	right := p.right // it is another map when the file changes
	known := right[login]
	p.mu.Unlock()
	if known {
		return true
	}
	if !p.compare(r.Context(), hash, password) || !exists {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(right) < maxRight {
		right[login] = true
	}
	return true
}

// compare compares a password with a hash.
func (p *Passwords) compare(ctx context.Context, hash []byte, password string) bool {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return false
	}
	return bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil
}

// authorized answers a request that has no right password, and returns false.
func (h *Handler) authorized(w http.ResponseWriter, r *http.Request) bool {
	if h.options.Passwords == nil || isProbe(r.URL.Path) || isProbe(strings.TrimPrefix(r.URL.Path, h.prefix)) || h.options.Passwords.allow(r) {
		return true
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="botkube-mirror", charset="UTF-8"`)
	refuse(w, http.StatusUnauthorized, "a user and a password are needed")
	return false
}
