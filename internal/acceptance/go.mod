// The suite is a module of its own so that nothing it needs becomes a requirement of the product.
module github.com/botkube-mirror/botkube-mirror/internal/acceptance

go 1.26.0

require (
	github.com/botkube-mirror/botkube-mirror v0.0.0
	github.com/google/go-containerregistry v0.22.1
	github.com/klauspost/compress v1.20.1
	github.com/ulikunitz/xz v0.5.17
	gopkg.in/yaml.v3 v3.0.1
	helm.sh/helm/v3 v3.22.0
)

require (
	github.com/Masterminds/semver/v3 v3.5.0 // indirect
	github.com/go-viper/mapstructure/v2 v2.5.0 // indirect
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/hashicorp/go-version v1.9.0 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
	github.com/opencontainers/image-spec v1.1.1 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	go.yaml.in/yaml/v2 v2.4.4 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	k8s.io/client-go v0.37.0 // indirect
	oras.land/oras-go/v2 v2.6.2 // indirect
	sigs.k8s.io/yaml v1.6.0 // indirect
)

replace github.com/botkube-mirror/botkube-mirror => ../..
