// Package getter compares what the product makes of URLs and archives with what go-getter does, in the version that the
// agent is built with. It has tests only, and is here because go-getter brings the libraries of two clouds, which the
// product has no use for.
package getter
