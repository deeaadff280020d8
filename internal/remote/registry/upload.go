package registry

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
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

	location *url.URL // where the upload goes on; nil before it has begun
	fresh    bool     // the registry has just given the location
	offset   int64    // how many bytes of the blob the registry has
	high     int64    // the highest offset so far
	resumed  bool     // the registry has put the blob together from pieces
	doubted  bool     // the registry was asked for the offset, and did not say it
	refused  bool     // the registry has found the digest wrong before
	read     bool     // the content was read again here, and is right
	least    int64    // the smallest piece that the registry takes, in bytes
	sent     int64
}

// pieces are the sizes, in bytes, that are tried one after the other where
// something refuses a request for its size. nginx lets 1 MiB pass unless told
// otherwise, Cloudflare 100 MB.
var pieces = []int64{64 << 20, 16 << 20, 4 << 20, 1 << 20, 512 << 10}

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
	if e, ok := errors.AsType[*statusError](err); ok && e.Code >= 500 || transfer.Is[*passing](err) {
		err = cmp.Or(s.checkContent(), err) // some registries fail over a wrong digest
	}
	return s.sent, r.failure(ctx, doing, err)
}

// CheckPush asks whether the repository takes uploads: it has one begun, and
// given up at once. [RefusalOf] says of the error why it does not.
func (r *Repository) CheckPush(ctx context.Context) error {
	doing := "asking to push to " + r.name.String()
	s := &session{Repository: r, ctx: ctx, progress: func(int64) {}}
	err := r.client.retry(ctx, doing, nil, s.begin)
	if err != nil {
		return r.failure(ctx, doing, err)
	}
	// Registries sweep what is left open; not all of them can give it up.
	if resp, err := s.do(ctx, request{method: http.MethodDelete, url: s.location}); err == nil {
		_ = resp.Close()
	}
	return nil
}

func (s *session) try() error {
	there, err := s.prepare()
	if there || err != nil {
		return err
	}
	select {
	case s.client.sending <- struct{}{}:
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
	defer func() { <-s.client.sending }()
	if s.location == nil {
		if err := s.begin(); err != nil {
			return err
		}
	}
	for s.offset < s.blob.Size && !s.whole.Load() {
		if err := s.send(); err != nil && !s.adapt(err) {
			return s.again(err)
		}
	}
	return s.again(s.commit())
}

// adapt takes from a refusal how the registry, or what stands before it, wants
// uploads, and reports whether there is another way.
func (s *session) adapt(err error) bool {
	e, ok := errors.AsType[*statusError](err)
	if !ok || s.location == nil {
		return false
	}
	switch {
	case e.Code == http.StatusRequestEntityTooLarge:
		tried := s.part()
		for _, piece := range pieces {
			if piece < tried && piece >= s.least {
				s.piece.Store(piece)
				return true
			}
		}
	case s.offset == 0 && (e.Code == http.StatusMethodNotAllowed || e.Code == http.StatusNotImplemented || e.has("UNSUPPORTED")):
		s.whole.Store(true)
		return true
	}
	return false
}

func (s *session) part() int64 {
	left := s.blob.Size - s.offset
	if piece := s.piece.Load(); piece > 0 {
		return min(left, max(piece, s.least))
	}
	return left
}

// prepare finds out where to go on, unless the registry has the blob: an answer that was
// lost may have been that all is well.
func (s *session) prepare() (there bool, err error) {
	if s.location != nil && !s.fresh {
		if err := s.ask(); err != nil {
			return false, err
		}
	}
	if s.location != nil {
		return false, nil
	}
	_, there, err = s.hasBlob(s.ctx, s.blob.SHA256)
	return there, err
}

func (s *session) begin() error {
	resp, err := s.exchange(s.ctx, request{method: http.MethodPost, url: s.url("blobs", "uploads/")}, stored...)
	if err != nil {
		return err
	}
	defer resp.Close()
	s.offset, s.resumed = 0, false
	s.least, _ = strconv.ParseInt(resp.Header.Get("OCI-Chunk-Min-Length"), 10, 64)
	s.progress(0)
	return s.follow(resp)
}

// stored are the answers by which registries say that they have taken what they
// were sent. The specification has 201 or 202, depending on the request.
var stored = []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}

func (s *session) follow(resp *transfer.Response) error {
	s.location = nil
	l := resp.Header.Get("Location")
	u, err := url.Parse(l)
	if err != nil || l == "" {
		return transfer.Permanent(errors.New("the registry does not say where the upload goes on"))
	}
	asked := resp.Request.URL
	u = asked.ResolveReference(u)
	u.User, u.Fragment = nil, ""
	if s.isOwn(u, asked) {
		u.Scheme, u.Host = asked.Scheme, asked.Host
	}
	s.location, s.fresh = u, true
	return nil
}

// isOwn reports whether a location is on the registry that was asked, whatever
// host, port or scheme it has. Behind a proxy, a registry may take itself for
// http://inner:5000, or lose the port. What follows goes to the host that
// answered, so nothing is sent where the user did not name. A location of another form is
// followed as it is, over https and without credentials.
func (s *session) isOwn(u, asked *url.URL) bool {
	return u.Hostname() == asked.Hostname() && (u.Port() == "" || u.Port() == asked.Port()) || strings.HasPrefix(u.Path, "/v2/"+s.path+"/blobs/uploads/")
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
	defer resp.Close()
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

func (s *session) send() error {
	size := s.part()
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	if size < s.blob.Size {
		header.Set("Content-Range", fmt.Sprintf("%d-%d", s.offset, s.offset+size-1))
	}
	resp, err := s.stream(request{method: http.MethodPatch, url: s.location, header: header}, size)
	if err != nil {
		return err
	}
	defer resp.Close()
	return s.follow(resp)
}

// stream sends a request with so many bytes of the blob, from where the registry
// has it, and returns the answer if that is that all is well.
func (s *session) stream(q request, size int64) (*transfer.Response, error) {
	s.fresh = false
	q.answering = s.client.commitTimeout()
	if size == 0 {
		return s.exchange(s.ctx, q, stored...)
	}
	body, err := s.body(size)
	if err != nil {
		return nil, err
	}
	q.body = body
	resp, err := s.do(s.ctx, q)
	// The transport may still be reading, even after an answer.
	sent, localErr := body.stop()
	s.sent += sent
	if localErr != nil {
		if err == nil {
			_ = resp.Close()
		}
		return nil, transfer.Local(localErr)
	}
	if err != nil {
		return nil, err
	}
	if err := s.expect(resp, stored...); err != nil {
		return nil, err
	}
	if sent < size {
		_ = resp.Close()
		return nil, fmt.Errorf("the registry is content with %d of %d bytes", s.offset+sent, s.blob.Size)
	}
	s.offset += sent
	s.high = max(s.high, s.offset)
	return resp, nil
}

// commit closes the session: the registry compares the digest. What it does not
// have yet goes along.
func (s *session) commit() error {
	u := *s.location
	// What else is in the query may be signed as it is.
	u.RawQuery = strings.TrimPrefix(u.RawQuery+"&digest="+url.QueryEscape(digestPrefix+s.blob.SHA256.String()), "&")
	resp, err := s.stream(request{
		method: http.MethodPut, url: &u, header: http.Header{"Content-Type": {"application/octet-stream"}},
	}, s.blob.Size-s.offset)
	if err != nil {
		return err
	}
	_ = resp.Close()
	if resp.StatusCode == http.StatusCreated {
		return nil
	}
	_, there, err := s.hasBlob(s.ctx, s.blob.SHA256)
	if err == nil && !there {
		return notStored(resp.StatusCode)
	}
	return err
}

// notStored is the error if a registry does not have what it seemed to have taken. Another
// attempt may find it there.
func notStored(code int) error {
	return &passing{fmt.Sprintf("the registry answers %d %s, but does not have it", code, http.StatusText(code)),
		"the registry says that all is well, but does not keep it: its log tells more; see too that no cache stands before it"}
}

// again decides what a failure within a session means. A session that the
// registry no longer knows, or holds something else in, is given up for a new one.
func (s *session) again(err error) error {
	e, ok := errors.AsType[*statusError](err)
	if !ok {
		return err
	}
	if e.Code == http.StatusBadRequest || e.method == http.MethodPut && e.Code < 500 && !otherReason[e.Code] {
		if err := s.checkContent(); err != nil {
			return err
		}
	}
	switch {
	case e.has("DIGEST_INVALID") && s.refused && !s.resumed:
		return damaged("the registry received something else: %w", e)
	case e.has("DIGEST_INVALID"):
		s.refused = true
	case e.Code == http.StatusNotFound, e.Code == http.StatusRequestedRangeNotSatisfiable:
	case e.has("BLOB_UPLOAD_INVALID"), e.has("BLOB_UPLOAD_UNKNOWN"):
	case s.resumed && e.Code == http.StatusBadRequest:
	default:
		return err
	}
	s.location = nil
	// The refusal that says so is no longer one of the whole.
	return &passing{"the upload has to begin again: " + e.Error(),
		"does the registry have several instances? all must share their storage and their http secret"}
}

// otherReason has the refusals that are not for a wrong digest, which registries
// refuse in many ways (400, 404, 409, 416, 422).
var otherReason = map[int]bool{
	http.StatusUnauthorized: true, http.StatusForbidden: true, http.StatusRequestEntityTooLarge: true, http.StatusTooManyRequests: true,
}

// checkContent reads once more what was sent: the registry may have refused it for
// damage that is here.
func (s *session) checkContent() error {
	if s.sent == 0 || s.read {
		return nil
	}
	f, err := s.open()
	if err != nil {
		return transfer.Local(fmt.Errorf("opening the content: %w", err))
	}
	defer f.Close()
	h := sha256.New()
	if err := blob.Copy(s.ctx, h, f); err != nil {
		return transfer.Local(fmt.Errorf("reading the content: %w", err))
	}
	if sum := lock.SHA256(h.Sum(nil)); sum != s.blob.SHA256 {
		return fault.New(fault.Integrity, "the content to send is sha256:%s", sum).
			WithHint("it was altered or damaged here; verify it, and pull it again")
	}
	s.read = true
	return nil
}

// commitTimeout is how long a registry may take to put away what it has received:
// it may compute its digest anew, and copy it within its storage.
func (c *Client) commitTimeout() time.Duration { return 10 * c.IdleTimeout }

// upload is the body of a PATCH. The transport reads it from a goroutine of its
// own, and may do so even after it has returned. It is a [transfer.FileBody].
type upload struct {
	mu   sync.Mutex
	file io.ReadSeekCloser
	// size is how many bytes are to be sent from offset on, sent how many were.
	size, sent, offset int64
	err                error
	progress           func(done int64)
}

var errBodyGone = errors.New("the request was sent twice, its body cannot be")

// body opens the content, of which so many bytes are to be sent.
func (s *session) body(size int64) (*upload, error) {
	f, err := s.open()
	if err != nil {
		return nil, transfer.Local(fmt.Errorf("opening the content: %w", err))
	}
	if _, err := f.Seek(s.offset, io.SeekStart); err != nil {
		_ = f.Close()
		return nil, transfer.Local(fmt.Errorf("reading the content: %w", err))
	}
	return &upload{file: f, size: size, offset: s.offset, progress: s.progress}, nil
}

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
	u.moved(n, err)
	return n, u.err
}

// Next returns where in a file the next byte is, if the content is in one.
func (u *upload) Next() (file *os.File, at int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch f := u.file.(type) {
	case *os.File:
		file = f
	case interface{ Region() (*os.File, int64) }:
		file, at = f.Region()
	}
	return file, at + u.offset + u.sent
}

// Sent is told what was sent of the file, which is then not read.
func (u *upload) Sent(n int, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.file == nil {
		return
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	} else if !errors.Is(err, syscall.EIO) {
		err = nil // it is the connection's
	}
	if _, failed := u.file.Seek(int64(n), io.SeekCurrent); err == nil {
		err = failed
	}
	u.moved(n, err)
}

// moved counts what left, and keeps what is wrong with the content.
func (u *upload) moved(n int, err error) {
	u.sent += int64(n)
	if n > 0 {
		u.progress(u.offset + u.sent)
	}
	switch {
	case err == nil || u.sent == u.size:
		return
	case errors.Is(err, io.EOF):
		err = errors.New("the content is shorter than it should be")
	}
	u.err = fmt.Errorf("reading the content: %w", err)
}

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

// stop ends reading. It returns how much was read, and what went wrong here.
func (u *upload) stop() (sent int64, err error) {
	_ = u.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sent, u.err
}
