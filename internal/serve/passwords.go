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

// Passwords checks users against a file that htpasswd writes, with bcrypt. It reads the file again
// when it changes.
type Passwords struct {
	file string
	reread

	mu sync.Mutex
	// data is the content of the file, hashes has the hash of each user's password.
	data   []byte
	hashes map[string][]byte
	// any is one of the hashes. It is compared for an unknown user, so that the answer takes as long
	// as for a known one.
	any []byte
	// right has keyed digests of users and passwords that were right, because comparing a hash takes
	// long.
	right map[[sha256.Size]byte]bool
	key   []byte

	// compare is [bcrypt.CompareHashAndPassword], except in tests.
	compare func(hash, password []byte) error
	// turn is held while a hash is compared, so that unknown clients use at most one processor. Before
	// it, a client takes the turn of its address, so that many clients of one address do not delay the
	// others.
	turn   chan struct{}
	turnOf map[string]*addressTurn
}

// addressTurn is held by one client of an address at a time.
type addressTurn struct {
	turn    chan struct{}
	clients int
}

const (
	// maxCost is the highest cost of a hash: comparing one then takes about a second.
	maxCost = 14
	// maxRight is how many logins are remembered.
	maxRight = 1000
	htpasswd = "write the file with bcrypt: htpasswd -cB FILE USER"
)

// LoadPasswords reads a file of passwords. Errors are of kind [fault.Usage]. If the file cannot be used
// later, it calls problem and keeps the last good passwords.
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
		return fault.New(fault.Usage, "reading the passwords in %s: %w", p.file, err).WithHint(htpasswd)
	}
	for _, p.any = range hashes {
		break
	}
	p.hashes, p.right = hashes, map[[sha256.Size]byte]bool{}
	return nil
}

// parseHtpasswd returns the hashes in a file by user. Its errors have line numbers, but no content.
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
			return nil, fmt.Errorf("line %d has no bcrypt hash ($2y$…)", i+1)
		case cost > maxCost:
			return nil, fmt.Errorf("line %d has a bcrypt hash with the cost %d, more than the limit of %d", i+1, cost, maxCost)
		case hashes[user] != nil:
			return nil, fmt.Errorf("line %d repeats the user of an earlier line", i+1)
		}
		hashes[user] = []byte(hash)
	}
	if len(hashes) == 0 {
		return nil, errors.New("the file has no user")
	}
	return hashes, nil
}

// allow reports whether a request has a user with the right password.
func (p *Passwords) allow(r *http.Request) bool {
	p.refresh("still using the previous passwords", p.load)
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
		return true // another request with the same login was faster
	}
	p.mu.Lock()
	hash, exists := p.hashes[user]
	if !exists {
		hash = p.any
	}
	right := p.right // a change of the file replaces the map
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

// await waits until a client may have a hash compared. It returns false if ctx is done before.
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

// authorized reports whether a request has a right password. If not, it answers the request.
func (h *Handler) authorized(w http.ResponseWriter, r *http.Request) bool {
	if h.options.Passwords == nil || isProbe(r.URL.Path) || isProbe(strings.TrimPrefix(r.URL.Path, h.prefix)) || h.options.Passwords.allow(r) {
		return true
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="botkube-mirror", charset="UTF-8"`)
	refuse(w, http.StatusUnauthorized, "a user and a password are required")
	return false
}
