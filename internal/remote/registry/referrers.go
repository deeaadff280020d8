package registry

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

const (
	indexType = "application/vnd.oci.image.index.v1+json"
	// MaxReferrers is how many referrers one manifest may have, and maxReferrerPages how many pages
	// of them are read.
	MaxReferrers     = 1000
	maxReferrerPages = 25
	// fallbackAttempts is how often a list of referrers is written if other programs write it, too.
	fallbackAttempts = 5
)

// Referrer is the descriptor of a manifest that refers to another one, such as a signature or an
// SBOM. Size is in bytes.
type Referrer struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// referrersTag returns the tag of the list of referrers, for registries without the referrers API
// (distribution specification, "Referrers Tag Schema").
func referrersTag(subject lock.SHA256) string { return "sha256-" + subject.String() }

// lacksAPI has the statuses of registries without the referrers API.
var lacksAPI = map[int]bool{
	http.StatusBadRequest: true, http.StatusNotFound: true, http.StatusMethodNotAllowed: true, http.StatusNotAcceptable: true,
	http.StatusUnsupportedMediaType: true, http.StatusNotImplemented: true,
}

// Referrers lists the manifests that refer to a subject. HasAPI reports whether the registry has the
// referrers API. Otherwise the list is in a tag, which clients maintain: see
// [Repository.AddReferrers].
func (r *Repository) Referrers(ctx context.Context, subject lock.SHA256) (all []Referrer, hasAPI bool, err error) {
	if !r.noReferrers.Load() {
		all, hasAPI, err = r.askReferrers(ctx, subject)
		if err != nil || hasAPI {
			return all, hasAPI, err
		}
		r.noReferrers.Store(true)
	}
	list, err := r.referrersList(ctx, subject)
	if err != nil {
		return nil, false, err
	}
	all, err = list.referrers()
	return all, false, r.failure(ctx, "reading "+r.name.reference(referrersTag(subject)), err)
}

func (r *Repository) askReferrers(ctx context.Context, subject lock.SHA256) (all []Referrer, hasAPI bool, err error) {
	doing := "listing the referrers of " + r.name.reference(subject.OCI())
	first := r.url("referrers", subject.OCI())
	next := first
	for range maxReferrerPages {
		var page *referrersList
		at := next
		err := r.client.retry(ctx, doing, nil, func() (err error) {
			page, next, err = r.referrersPage(ctx, at)
			return err
		})
		if e, ok := errors.AsType[*statusError](err); ok && e.stage != stageToken && !e.Proxy && lacksAPI[e.Code] && at == first {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, r.failure(ctx, doing, err)
		}
		if page == nil && at != first {
			err = transfer.Permanent(errors.New("the next page is not a list of referrers"))
			return nil, false, r.failure(ctx, doing, err)
		}
		if page == nil {
			return nil, false, nil
		}
		some, err := page.referrers()
		if all = append(all, some...); err == nil && len(all) > MaxReferrers {
			err = tooManyReferrers()
		}
		if err != nil || next == nil {
			return all, true, r.failure(ctx, doing, err)
		}
		if next.Path != first.Path {
			return nil, false, r.failure(ctx, doing, transfer.Permanent(errors.New("the next page is at another path of the registry")))
		}
		next = &url.URL{Scheme: first.Scheme, Host: first.Host, Path: first.Path, RawQuery: next.RawQuery}
	}
	return nil, false, r.failure(ctx, doing, tooManyReferrers())
}

func tooManyReferrers() error {
	return transfer.Permanent(fault.New(fault.Integrity, "the registry lists more than %d referrers", MaxReferrers))
}

// referrersPage returns a page of the list, and the URL of the next page or nil. The page is nil if
// the answer is not a list of referrers.
func (r *Repository) referrersPage(ctx context.Context, at *url.URL) (page *referrersList, next *url.URL, err error) {
	resp, err := r.exchange(ctx, request{method: http.MethodGet, url: at, header: http.Header{"Accept": {indexType}}}, http.StatusOK)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Close()
	if mediaType(resp.Header) != indexType {
		return nil, nil, nil
	}
	data, err := disk.ReadAtMost(resp, MaxManifest)
	if transfer.Is[*disk.TooLongError](err) {
		err = transfer.Permanent(err)
	}
	if err != nil {
		return nil, nil, err
	}
	page, err = parseReferrers(data)
	return page, nextPage(resp, at), err
}

// nextPage reads the header field Link (RFC 8288): <URL>; rel="next".
func nextPage(resp *transfer.Response, at *url.URL) *url.URL {
	target, params, found := strings.Cut(strings.TrimPrefix(strings.TrimSpace(resp.Header.Get("Link")), "<"), ">")
	if !found || !strings.Contains(strings.ReplaceAll(params, `"`, ""), "rel=next") {
		return nil
	}
	u, err := url.Parse(target)
	if err != nil {
		return nil
	}
	return at.ResolveReference(u)
}

// referrersList is an image index that lists referrers. It keeps fields that it does not know.
type referrersList struct {
	fields    map[string]json.RawMessage
	manifests []json.RawMessage
}

func parseReferrers(data []byte) (*referrersList, error) {
	l := &referrersList{}
	err := json.Unmarshal(data, &l.fields)
	if said := l.fields["manifests"]; err == nil && said != nil {
		err = json.Unmarshal(said, &l.manifests)
	}
	if err != nil {
		return nil, transfer.Permanent(fault.New(fault.Integrity, "the list of referrers is not valid: %w", textfile.JSONError(data, err)))
	}
	return l, nil
}

func (l *referrersList) referrers() (all []Referrer, err error) {
	if len(l.manifests) > MaxReferrers {
		return nil, tooManyReferrers()
	}
	for _, raw := range l.manifests {
		var d Referrer
		if err := json.Unmarshal(raw, &d); err != nil {
			return nil, transfer.Permanent(fault.New(fault.Integrity, "the list of referrers is not valid: %w", textfile.JSONError(raw, err)))
		}
		all = append(all, d)
	}
	return all, nil
}

// add adds referrers that the list lacks, and reports whether there are any.
func (l *referrersList) add(all []Referrer) (added bool, err error) {
	listed, err := l.referrers()
	for _, d := range all {
		if err != nil {
			break
		}
		if slices.ContainsFunc(listed, func(other Referrer) bool { return other.Digest == d.Digest }) {
			continue
		}
		var raw []byte
		if raw, err = json.Marshal(d); err == nil {
			l.manifests, added = append(l.manifests, raw), true
		}
	}
	return added, err
}

func (l *referrersList) encode() ([]byte, error) {
	fields := map[string]any{"schemaVersion": 2, "mediaType": indexType}
	for key, value := range l.fields {
		fields[key] = value
	}
	fields["manifests"] = l.manifests
	return json.Marshal(fields)
}

// referrersList reads the list of referrers from its tag. It is empty if there is no such tag.
func (r *Repository) referrersList(ctx context.Context, subject lock.SHA256) (*referrersList, error) {
	tag := referrersTag(subject)
	m, err := r.Manifest(ctx, tag)
	switch {
	case IsNotFound(err):
		return &referrersList{}, nil
	case err != nil:
		return nil, err
	case m.MediaType != indexType:
		return nil, fault.New(fault.Integrity, "%s is of type %.100q, not a list of referrers", r.name.reference(tag), m.MediaType).
			WithHint("delete this tag in the registry: the OCI distribution specification reserves it for lists of referrers")
	}
	l, err := parseReferrers(m.Data)
	return l, r.failure(ctx, "reading "+r.name.reference(tag), err)
}

// PutReferrer writes a manifest that has a subject. Listed reports whether the registry adds it to the
// subject's referrers itself.
func (r *Repository) PutReferrer(ctx context.Context, m Manifest) (listed bool, err error) {
	doing := "writing " + r.name.reference(m.Digest.OCI())
	err = r.client.retry(ctx, doing, nil, func() error {
		header, err := r.putManifest(ctx, m.Digest.OCI(), m.MediaType, m.Data)
		listed = header.Get("OCI-Subject") != ""
		return err
	})
	return listed, r.failure(ctx, doing, err)
}

// AddReferrers adds to the list in the tag, for a registry without the referrers API. Because other
// programs may write the list at the same time, it reads the list again until it has all.
func (r *Repository) AddReferrers(ctx context.Context, subject lock.SHA256, all []Referrer) error {
	tag := referrersTag(subject)
	for range fallbackAttempts {
		l, err := r.referrersList(ctx, subject)
		if err != nil {
			return err
		}
		added, err := l.add(all)
		if err != nil || !added {
			return r.failure(ctx, "adding to "+r.name.reference(tag), err)
		}
		data, err := l.encode()
		if err != nil {
			return err
		}
		if err := r.PutManifest(ctx, tag, indexType, data); err != nil {
			return err
		}
	}
	return fault.New(fault.Upstream, "%s lost entries: another program writes it at the same time", r.name.reference(tag)).
		WithHint("run the command again when no other program signs or copies there")
}
