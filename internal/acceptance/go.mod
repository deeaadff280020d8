// The suite is a module of its own so that nothing it needs becomes a requirement of the product.
module github.com/botkube-mirror/botkube-mirror/internal/acceptance

go 1.26.0

require (
	github.com/botkube-mirror/botkube-mirror v0.0.0
	gopkg.in/yaml.v3 v3.0.1
)

require github.com/hashicorp/go-version v1.9.0 // indirect

replace github.com/botkube-mirror/botkube-mirror => ../..
