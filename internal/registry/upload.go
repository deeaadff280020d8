package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/transfer"
)

// session is one call of [Repository.Upload].
//
// What a registry keeps of a broken PATCH differs. Those that follow the
// specification ("Pushing a blob in chunks") say how much, and the session goes
// on there. The distribution registry 2.8, as Debian has it, does not
// (distribution/distribution#3755, which changes that for 3.0): it keeps
// the bytes, but the Location that it gave holds, signed, the size before the
// PATCH, and a request whose size is another is refused with 404
// BLOB_UPLOAD_INVALID ("upload resumed at wrong offest" in its log). With it,
// chunks or not, a broken PATCH begins again; only where the PATCH was answered
// and what follows breaks does the session survive.
type session struct {
	*Repository
	ctx      context.Context
	blob     lock.Blob
	open     func() (io.ReadSeekCloser, error)
	progress func(done int64)

	// location is where the upload goes on; nil before it has begun.
	location *url.URL
	// fresh says that the registry has just given the location.
	fresh bool
	// offset is what the registry has of the blob, high what it ever had.
	offset, high int64
	// resumed says that the registry has put the blob together from pieces.
	resumed bool
	// doubted says that the registry was asked in vain how much it has.
	doubted bool
	// refused says that the registry found the digest wrong before.
	refused bool
	sent    int64
}

// Upload brings a blob into the repository, unless it is there already. An
// upload that breaks goes on where the registry says that it stopped, or begins
// again with a registry that cannot say. It returns how many bytes were handed to
// the network, those that were sent again included. Open is called for every attempt.
// Progress, if not nil, is told how many bytes of the blob are sent, from one
// goroutine at a time; it shrinks when the upload has to begin again.
func (r *Repository) Upload(ctx context.Context, blob lock.Blob, open func() (io.ReadSeekCloser, error), progress func(done int64)) (uploaded int64, err error) {
	if progress == nil {
		progress = func(int64) {}
	}
	doing := "uploading " + digestPrefix + blob.SHA256.String() + " to " + r.name.String()
	s := &session{Repository: r, ctx: ctx, blob: blob, open: open, progress: progress}
	err = r.client.retry(ctx, doing, func() int64 { return s.high }, s.try)
	return s.sent, r.failure(ctx, doing, err)
}

// try brings the upload to its end.
func (s *session) try() error {
	there, err := s.prepare()
	if there || err != nil {
		return err
	}
	if s.offset < s.blob.Size {
		if err := s.send(); err != nil {
			return s.again(err)
		}
	}
	return s.again(s.commit())
}

// prepare finds out where to go on.
func (s *session) prepare() (there bool, err error) {
	if s.location != nil && !s.fresh {
		if err := s.ask(); err != nil {
			return false, err
		}
	}
	if s.location != nil {
		return false, nil
	}
	// An answer that was lost may have been that all is well.
	_, there, err = s.hasBlob(s.ctx, s.blob.SHA256)
	if there || err != nil {
		return there, err
	}
	return false, s.begin()
}

// begin opens a session at the registry.
func (s *session) begin() error {
	resp, err := s.do(s.ctx, request{method: http.MethodPost, url: s.url("blobs", "uploads/"), data: []byte{}})
	if err != nil {
		return err
	}
	if err := s.expect(resp, http.StatusAccepted); err != nil {
		return err
	}
	defer done(resp)
	s.offset, s.resumed = 0, false
	s.progress(0)
	return s.follow(resp)
}

// follow takes the location from an answer.
func (s *session) follow(resp *transfer.Response) error {
	s.location = nil
	l := resp.Header.Get("Location")
	u, err := url.Parse(l)
	if err != nil || l == "" {
		return transfer.Permanent(errors.New("the registry does not say where the upload goes on"))
	}
	u = resp.Request.URL.ResolveReference(u)
	u.User, u.Fragment = nil, ""
	s.location, s.fresh = u, true
	return nil
}

// ask has the registry say how much it has. With one that cannot, the session
// is over.
func (s *session) ask() error {
	resp, err := s.do(s.ctx, request{method: http.MethodGet, url: s.location})
	if err != nil {
		return err
	}
	location := s.location
	s.location = nil
	err = s.expect(resp, http.StatusNoContent)
	if err != nil {
		if transfer.Transient(err, 1) && !s.doubted {
			s.location, s.doubted = location, true
			return err
		}
		return nil
	}
	defer done(resp)
	offset, ok := uploadedTo(resp.Header.Get("Range"))
	if !ok || offset > s.blob.Size {
		return nil
	}
	if resp.Header.Get("Location") == "" {
		s.location = location
	} else if err := s.follow(resp); err != nil {
		return err
	}
	s.offset, s.fresh, s.resumed, s.doubted = offset, true, true, false
	s.high = max(s.high, offset)
	s.progress(offset)
	return nil
}

// uploadedTo reads the header field Range of an upload: 0-LAST. For nothing
// and for one byte the distribution registry says the same, 0-0, which is
// therefore of no use.
func uploadedTo(value string) (offset int64, ok bool) {
	var last int64
	n, err := fmt.Sscanf(strings.TrimPrefix(value, "bytes="), "0-%d", &last)
	return last + 1, n == 1 && err == nil && last > 0
}

// send streams what is missing.
func (s *session) send() error {
	body, err := s.body()
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	if s.offset > 0 {
		header.Set("Content-Range", fmt.Sprintf("%d-%d", s.offset, s.blob.Size-1))
	}
	s.fresh = false
	resp, err := s.do(s.ctx, request{method: http.MethodPatch, url: s.location, header: header, body: body, patience: s.client.settling()})
	// The transport may still be reading, even after an answer.
	sent, sum, localErr := body.stop()
	s.sent += sent
	if localErr != nil {
		if err == nil {
			_ = resp.Close()
		}
		return transfer.Local(localErr)
	}
	if err != nil {
		return err
	}
	if err := s.expect(resp, http.StatusAccepted, http.StatusNoContent); err != nil {
		return err
	}
	defer done(resp)
	if sent < body.size {
		return fmt.Errorf("the registry is content with %d of %d bytes", s.offset+sent, s.blob.Size)
	}
	if sum != s.blob.SHA256 {
		return fault.New(fault.Integrity, "the content to send is sha256:%s", sum).
			WithHint("it was altered or damaged here; verify it, and pull it again")
	}
	if err := s.follow(resp); err != nil {
		return err
	}
	s.offset = s.blob.Size
	s.high = max(s.high, s.offset)
	return nil
}

// commit closes the session: the registry compares the digest.
func (s *session) commit() error {
	u := *s.location
	// What else is in the query may be signed as it is.
	u.RawQuery = strings.TrimPrefix(u.RawQuery+"&digest="+url.QueryEscape(digestPrefix+s.blob.SHA256.String()), "&")
	s.fresh = false
	resp, err := s.do(s.ctx, request{
		method: http.MethodPut, url: &u, data: []byte{}, patience: s.client.settling(),
		header: http.Header{"Content-Type": {"application/octet-stream"}},
	})
	if err != nil {
		return err
	}
	if err := s.expect(resp, http.StatusCreated); err != nil {
		return err
	}
	done(resp)
	return nil
}

// again decides what a failure within a session means. A session that the
// registry no longer knows, or holds something else in, is given up for a new one.
func (s *session) again(err error) error {
	e, ok := errors.AsType[*statusError](err)
	if !ok {
		return err
	}
	switch {
	case e.has(transport.DigestInvalidErrorCode) && s.refused && !s.resumed:
		return &transfer.Mismatch{Reason: "the registry received something else: " + e.Error()}
	case e.has(transport.DigestInvalidErrorCode):
		s.refused = true
	case e.Code == http.StatusNotFound, e.Code == http.StatusRequestedRangeNotSatisfiable:
	case e.has(transport.BlobUploadInvalidErrorCode), e.has(transport.BlobUploadUnknownErrorCode):
	case s.resumed && e.Code == http.StatusBadRequest:
	default:
		return err
	}
	s.location = nil
	return &sessionLost{e.Error()}
}

// sessionLost has another session begun. The refusal that says so is no longer
// one of the whole.
type sessionLost struct{ reason string }

func (e *sessionLost) Error() string { return "the upload has to begin again: " + e.reason }

// settling is how long a registry may take to put away what it has received:
// it may compute its digest anew, and copy it within its storage.
func (c *Client) settling() time.Duration { return 10 * c.stall }

// upload is the body of a PATCH. The transport reads it from a goroutine of its
// own, and may do so even after it has returned.
type upload struct {
	mu   sync.Mutex
	file io.ReadSeekCloser
	// size is how many bytes are to be sent, sent how many were.
	size, sent int64
	offset     int64
	sum        hash.Hash
	err        error
	progress   func(done int64)
}

var (
	errBodyGone = errors.New("the request was sent twice, its body cannot be")
	errShort    = errors.New("the content is shorter than it should be")
)

// body opens the content, and hashes what the registry has of it.
func (s *session) body() (*upload, error) {
	f, err := s.open()
	if err != nil {
		return nil, transfer.Local(fmt.Errorf("opening the content: %w", err))
	}
	u := &upload{file: f, size: s.blob.Size - s.offset, offset: s.offset, sum: sha256.New(), progress: s.progress}
	_, err = f.Seek(0, io.SeekStart)
	if err == nil {
		err = transfer.CopyWithContext(s.ctx, u.sum, io.LimitReader(f, s.offset))
	}
	if err != nil {
		_ = f.Close()
		return nil, transfer.Local(fmt.Errorf("reading the content: %w", err))
	}
	return u, nil
}

// left returns how many bytes are to be sent.
func (u *upload) left() int64 { return u.size }

// Read reads the content.
func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.file == nil {
		return 0, errBodyGone
	}
	if u.sent == u.size {
		return 0, io.EOF
	}
	n, err := u.file.Read(p[:min(int64(len(p)), u.size-u.sent)])
	u.sent += int64(n)
	_, _ = u.sum.Write(p[:n]) // hashes do not fail
	if u.sent == u.size {
		err = nil
	}
	if n > 0 {
		u.progress(u.offset + u.sent)
	}
	if errors.Is(err, io.EOF) {
		err = errShort
	}
	if err != nil {
		u.err = fmt.Errorf("reading the content: %w", err)
	}
	return n, err
}

// Close closes the content.
func (u *upload) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.file == nil {
		return nil
	}
	err := u.file.Close()
	u.file = nil
	return err
}

// stop ends reading. It returns what was read: its size, the digest with what
// the registry had before, and what went wrong here.
func (u *upload) stop() (sent int64, sum lock.SHA256, err error) {
	_ = u.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sent, lock.SHA256(u.sum.Sum(nil)), u.err
}
