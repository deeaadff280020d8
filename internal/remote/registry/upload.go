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
// Registries differ in what they keep of a broken PATCH. Those that follow the specification
// ("Pushing a blob in chunks") say how many bytes they have, and the session continues there.
//
// The distribution registry 2.8, as in Debian, does not (distribution/distribution#3755, fixed in
// 3.0). It keeps the bytes. But its Location has the size before the PATCH, signed, and it refuses a
// request with another size: 404 BLOB_UPLOAD_INVALID ("upload resumed at wrong offest" in its log).
// There, a broken PATCH starts again, with or without chunks. The session survives only if the
// registry had answered the PATCH.
type session struct {
	*Repository
	ctx      context.Context
	blob     lock.Blob
	open     func() (io.ReadSeekCloser, error)
	progress func(done int64)

	location *url.URL // the URL of the next request; nil before the upload has begun
	fresh    bool     // the location comes from the last answer
	offset   int64    // how many bytes of the blob the registry has
	high     int64    // the highest offset so far
	resumed  bool     // the upload was continued after a failure
	doubted  bool     // the registry did not answer the question for the offset
	refused  bool     // the registry has refused the digest before
	read     bool     // the content was read again here, and has the right digest
	least    int64    // the smallest chunk that the registry accepts, in bytes
	sent     int64    // how many bytes were sent
}

// pieces are the sizes of chunks, in bytes, that are tried one after the other if a request is too
// large. The default limit of nginx is 1 MiB, that of Cloudflare 100 MB.
var pieces = []int64{64 << 20, 16 << 20, 4 << 20, 1 << 20, 512 << 10}

// Upload uploads a blob unless the repository already has it. A broken upload continues where it
// stopped if the registry supports that, and otherwise starts again. It returns how many bytes were
// sent, with those that were sent again.
//
// Open is called for each attempt. Progress, if not nil, gets the number of bytes of the blob so far,
// from one goroutine at a time. That number becomes smaller if the upload starts again.
func (r *Repository) Upload(ctx context.Context, blob lock.Blob, open func() (io.ReadSeekCloser, error), progress func(done int64)) (uploaded int64, err error) {
	if progress == nil {
		progress = func(int64) {}
	}
	doing := "uploading " + digestPrefix + blob.SHA256.String() + " to " + r.name.String()
	s := &session{Repository: r, ctx: ctx, blob: blob, open: open, progress: progress}
	err = r.client.retry(ctx, doing, func() int64 { return s.high }, s.try)
	if e, ok := errors.AsType[*statusError](err); ok && e.Code >= 500 || transfer.Is[*passing](err) {
		err = cmp.Or(s.checkContent(), err) // some registries answer 5xx to a wrong digest
	}
	return s.sent, r.failure(ctx, doing, err)
}

// CheckPush finds out whether the repository accepts uploads: it begins one and cancels it.
// [RefusalOf] returns the reason in the error.
func (r *Repository) CheckPush(ctx context.Context) error {
	doing := "asking to push to " + r.name.String()
	s := &session{Repository: r, ctx: ctx, progress: func(int64) {}}
	err := r.client.retry(ctx, doing, nil, s.begin)
	if err != nil {
		return r.failure(ctx, doing, err)
	}
	// If a registry cannot cancel uploads, it removes unfinished ones later.
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

// adapt changes the way of uploading after a refusal: to smaller chunks, or to a single request. It
// returns false if no other way is left.
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

// prepare finds out where to continue, or that the registry has the blob: the answer to the last
// request may have been lost.
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

// stored has the statuses with which registries accept content. The specification has 201 or 202,
// depending on the request.
var stored = []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}

func (s *session) follow(resp *transfer.Response) error {
	s.location = nil
	l := resp.Header.Get("Location")
	u, err := url.Parse(l)
	if err != nil || l == "" {
		return transfer.Permanent(errors.New("the registry sends no Location for the rest of the upload"))
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

// isOwn reports whether a location is on the registry that answered, even if it has another host,
// port or scheme. Behind a proxy, a registry may send http://inner:5000, or lose the port. Further
// requests then go to the host that answered, so nothing goes to a host that the user did not name.
// Any other location is used as it is, over https and without credentials.
func (s *session) isOwn(u, asked *url.URL) bool {
	return u.Hostname() == asked.Hostname() && (u.Port() == "" || u.Port() == asked.Port()) || strings.HasPrefix(u.Path, "/v2/"+s.path+"/blobs/uploads/")
}

// ask asks the registry how many bytes it has. If it cannot say, the session ends.
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

// uploadedTo reads the header field Range of an upload: 0-LAST. 0-0 is not ok: the distribution
// registry sends it for no byte and for one byte.
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

// stream sends a request with the next size bytes of the blob, and returns the answer if the registry
// accepts them.
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
		return nil, fmt.Errorf("the registry answered after %d of %d bytes", s.offset+sent, s.blob.Size)
	}
	s.offset += sent
	s.high = max(s.high, s.offset)
	return resp, nil
}

// commit ends the upload, with the bytes that the registry does not have yet. The registry checks the
// digest.
func (s *session) commit() error {
	u := *s.location
	// The rest of the query stays as it is, because it may be signed.
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

// notStored returns the error if a registry accepted content but does not have it. The next attempt
// may find it.
func notStored(code int) error {
	return &passing{fmt.Sprintf("the registry answers %d %s, but does not have the content afterwards", code, http.StatusText(code)),
		"look into the registry's log, and check that no cache stands before it"}
}

// again decides how to go on after a failure. If the registry no longer knows the session, or has
// other bytes in it, a new session begins.
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
		return damaged("the registry received other content: %w", e)
	case e.has("DIGEST_INVALID"):
		s.refused = true
	case e.Code == http.StatusNotFound, e.Code == http.StatusRequestedRangeNotSatisfiable:
	case e.has("BLOB_UPLOAD_INVALID"), e.has("BLOB_UPLOAD_UNKNOWN"):
	case s.resumed && e.Code == http.StatusBadRequest:
	default:
		return err
	}
	s.location = nil
	// A new session may succeed, so this is not a refusal.
	return &passing{"the upload has to start again: " + e.Error(),
		"if the registry has several instances, check that they share their storage and their http secret"}
}

// otherReason has the statuses that do not mean a wrong digest. For that, registries use many: 400,
// 404, 409, 416, 422.
var otherReason = map[int]bool{
	http.StatusUnauthorized: true, http.StatusForbidden: true, http.StatusRequestEntityTooLarge: true, http.StatusTooManyRequests: true,
}

// checkContent reads the content again: the registry may have refused it because it is damaged on
// this machine.
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
		return fault.New(fault.Integrity, "the content on this machine has another digest: sha256:%s", sum).
			WithHint("check the source with botkube-mirror verify, and pull it again")
	}
	s.read = true
	return nil
}

// commitTimeout is how long a registry may take to store a blob: it may compute its digest and copy
// it within its storage.
func (c *Client) commitTimeout() time.Duration { return 10 * c.IdleTimeout }

// upload is the body of a PATCH or PUT. The transport reads it in another goroutine, maybe even after
// it has returned. It is a [transfer.FileBody].
type upload struct {
	mu   sync.Mutex
	file io.ReadSeekCloser
	// size is how many bytes to send from offset on, sent how many were sent.
	size, sent, offset int64
	err                error
	progress           func(done int64)
}

var errBodyGone = errors.New("the request must be sent again, but its body was already sent")

// body opens the content at the offset, to send size bytes of it.
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

// Next returns the file and the offset of the next byte, or nil if the content is in no file.
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

// Sent records that n bytes of the file were sent without a call of Read.
func (u *upload) Sent(n int, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.file == nil {
		return
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	} else if !errors.Is(err, syscall.EIO) {
		err = nil // an error of the connection
	}
	if _, failed := u.file.Seek(int64(n), io.SeekCurrent); err == nil {
		err = failed
	}
	u.moved(n, err)
}

// moved counts bytes that were sent, and keeps an error of the content.
func (u *upload) moved(n int, err error) {
	u.sent += int64(n)
	if n > 0 {
		u.progress(u.offset + u.sent)
	}
	switch {
	case err == nil || u.sent == u.size:
		return
	case errors.Is(err, io.EOF):
		err = errors.New("the content is shorter than expected")
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

// stop ends reading. It returns how many bytes were sent, and the error of the content.
func (u *upload) stop() (sent int64, err error) {
	_ = u.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sent, u.err
}
