package registry

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// Limits for the list of tags: their number, and the size of the answer in bytes.
const (
	mostTags = "1000"
	maxTags  = 1 << 20
)

// Tags returns the tags of the repository that the registry lists in one answer: at most 1000.
func (r *Repository) Tags(ctx context.Context) (tags []string, err error) {
	doing := "listing the tags of " + r.name.String()
	err = r.client.retry(ctx, doing, nil, func() (err error) {
		tags, err = r.tags(ctx)
		return err
	})
	return tags, r.failure(ctx, doing, err)
}

func (r *Repository) tags(ctx context.Context) (tags []string, err error) {
	u := r.url("tags", "list")
	u.RawQuery = url.Values{"n": {mostTags}}.Encode()
	resp, err := r.exchange(ctx, request{method: http.MethodGet, url: u}, http.StatusOK)
	if err != nil {
		return nil, err
	}
	defer resp.Close()
	data, err := disk.ReadAtMost(resp, maxTags)
	if transfer.Is[*disk.TooLongError](err) {
		err = transfer.Permanent(err)
	}
	if err != nil {
		return nil, err
	}
	var list struct {
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, transfer.Permanent(err)
	}
	for _, tag := range list.Tags {
		if lock.IsTag(tag) {
			tags = append(tags, tag)
		}
	}
	return tags, nil
}
