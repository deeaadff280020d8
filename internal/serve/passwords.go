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

// Passwords are those of a file that htpasswd writes, with bcrypt. The file is read again when it
// changes.
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

	// compare is [bcrypt.CompareHashAndPassword], except in tests.
	compare func(hash, password []byte) error
	// turn is held by who compares a hash: strangers take one processor at most. Before it, a
	// client holds that of its address, so that a crowd at one address does not keep the others
	// waiting.
	turn   chan struct{}
	turnOf map[string]*addressTurn
}

// addressTurn is held by one of the clients of an address that have a hash compared.
type addressTurn struct {
	turn    chan struct{}
	clients int
}

const (
	// maxCost bounds the time that a hash takes: about a second.
	maxCost = 14
	// maxRight bounds how many logins are remembered.
	maxRight = 1000
	htpasswd = "write the file with htpasswd -B: htpasswd -cB FILE USER"
)

// LoadPasswords reads a file of passwords. If it cannot be used later, it calls problem and goes on
// with the last good one.
func LoadPasswords(file string, problem func(error)) (*Passwords, error) {
	p := &Passwords{file: file, reread: reread{problem: problem}, key: make([]byte, sha256.Size)}
	p.compare, p.turn, p.turnOf = bcrypt.CompareHashAndPassword, make(chan struct{}, 1), map[string]*addressTurn{}
	_, _ = rand.Read(p.key) // never fails
	return p, p.load()
}

// load reads the file, and uses it if it changed.
func (p *Passwords) load() error {
	data, err := readSecret("the passwords", p.file, htpasswd)
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

// parseHtpasswd returns the hashes of a file by user. Its errors name lines, and nothing of what is
// in them.
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
	if p.isKnown(login) {
		return true
	}
	leave, ok := p.await(r.Context(), addressOf(r.RemoteAddr))
	if !ok {
		return false
	}
	defer leave()
	if p.isKnown(login) {
		return true // many agents log in at once
	}
	p.mu.Lock()
	hash, exists := p.hashes[user]
	if !exists {
		hash = p.any
	}
	right := p.right // it is another map when the file changes
	p.mu.Unlock()
	if p.compare(hash, []byte(password)) != nil || !exists {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(right) < maxRight {
		right[login] = true
	}
	return true
}

func (p *Passwords) isKnown(login [sha256.Size]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.right[login]
}

// await waits for the turn of a client to have a hash compared. It returns false if ctx is done
// before.
func (p *Passwords) await(ctx context.Context, address string) (leave func(), ok bool) {
	p.mu.Lock()
	own := p.turnOf[address]
	if own == nil {
		own = &addressTurn{turn: make(chan struct{}, 1)}
		p.turnOf[address] = own
	}
	own.clients++
	p.mu.Unlock()

	var held []chan struct{}
	leave = func() {
		for _, turn := range held {
			<-turn
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if own.clients--; own.clients == 0 {
			delete(p.turnOf, address)
		}
	}
	for _, turn := range []chan struct{}{own.turn, p.turn} {
		select {
		case turn <- struct{}{}:
			held = append(held, turn)
		case <-ctx.Done():
			leave()
			return nil, false
		}
	}
	return leave, true
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
