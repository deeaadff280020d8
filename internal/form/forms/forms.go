// Package forms lists the forms of mirrors. A new form is added here.
package forms

import (
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/dir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
	"github.com/botkube-mirror/botkube-mirror/internal/form/lockfile"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// All are the forms. See [form.Forms] for their order.
var All = form.Forms{dir.Form, bundle.Form, image.Form, site.Form, bundle.Directory, lockfile.Form}
