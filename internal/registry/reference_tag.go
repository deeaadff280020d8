package registry

// Tag returns the tag, or "" if there is none.
func (r Reference) Tag() string { return r.tag }
