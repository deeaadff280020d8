package mirror

import (
	"context"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/values"
)

// tryValues reads the values before anything else is, for they may be wrong, and to
// verify may take long.
func (v *verifying) tryValues(ctx context.Context) (err error) {
	if len(v.options.Values) == 0 {
		return nil
	}
	if v.options.Files, err = configured.Files(ctx, v.options.Values); err != nil {
		return err
	}
	_, err = configured.Read(chart.Newest, v.options.Files, v.options.AllEnabled)
	return err
}

// values says what an agent with the values would do.
func (v *verifying) values() (err error) {
	r, o, access := v.result, v.options, v.found.Form.Access
	if len(o.Values) == 0 {
		return nil
	}
	if v.found.Lock == nil && access == form.Downloaded {
		return fault.New(fault.Usage, "%s has several versions, and an agent starts from one", r.name()).
			WithHint("name it: botkube-mirror verify %s/VERSION --values …", o.Target)
	}
	m := &form.Mirror{Form: v.found.Form, Lock: v.found.Lock, Mount: r.Mount, BaseURL: r.BaseURL}
	r.Values, err = values.Check(&v.found.Report, m, o.CheckOptions)
	return err
}
