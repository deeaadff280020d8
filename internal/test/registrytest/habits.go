package registrytest

import (
	"encoding/base64"
	"net/http"
)

// Basic is the header field Authorization of [User] and [Password].
var Basic = "Basic " + base64.StdEncoding.EncodeToString([]byte(User+":"+Password))

// Habits are how registries of the world differ from docker-registry, by the
// names that scripts have for them. They are written from public reports of what
// the real ones answer; each says where from, or what it stands for.
var Habits = map[string][]Fault{
	// Answers that say "stored" otherwise. go-containerregistry takes 200, 201 and 202 for a manifest.
	"accepts":   {altered("PUT", "/manifests/", 202)},
	"oks":       {altered("PUT", "/manifests/", 200), altered("PUT", "/uploads/", 200), altered("PATCH", "/uploads/", 200), altered("POST", "/uploads/", 200)},
	"nocontent": {altered("PUT", "/uploads/", 204), altered("PATCH", "/uploads/", 204), altered("POST", "/uploads/", 201)},
	// An answer that promises what is not done.
	"forgets": {{Method: "PUT", Path: "/manifests/", Status: 202}},
	// Header fields that are absent, or say more: Docker-Content-Digest is optional.
	"bare":    {headed("", "/manifests/", "Docker-Content-Digest"), headed("HEAD", "/blobs/", "Content-Length")},
	"charset": {headed("GET", "/manifests/", "Content-Type", "application/vnd.oci.image.index.v1+json; charset=utf-8")},
	// Flask says text/html of every answer that is not told otherwise (quay/quay).
	"quay": {headed("", "/v2/", "Content-Type", "text/html; charset=utf-8")},

	// Load balancers and gateways that answer in the place of the registry, once.
	"stray404": {page("POST", "/uploads/", 404, 1)},
	"stray200": {page("PUT", "/manifests/", 200, 1)},
	"stray502": {page("POST", "/uploads/", 502, 1), page("PATCH", "/uploads/", 503, 1), page("PUT", "/uploads/", 504, 1)},
	"strays":   {page("POST", "/uploads/", 404, 0)},

	// Repositories that must be there first: ECR (plexsystems/sinker#55), Google's
	// Artifact Registry, Harbor's projects, Quay's organisations, GitLab's projects.
	"ecr":     {refusal("", "/v2/mirror/", 404, "NAME_UNKNOWN", "The repository with name 'mirror' does not exist in the registry with id '123456789012'")},
	"ecrsome": {refusal("POST", "/charts/botkube/", 404, "NAME_UNKNOWN", "The repository does not exist"), refusal("POST", "/botkube-plugins-bundle/", 404, "NAME_UNKNOWN", "The repository does not exist")},
	"harbor":  {refusal("POST", "/uploads/", 404, "NOT_FOUND", "project mirror not found")},
	"nested":  {{Path: "/token", Status: 200, Body: `{"token":"t0ken-of-a-test"}`}, tokens(), refusal("POST", "/sub/", 401, "UNAUTHORIZED", "access to the requested resource is not authorized")},
	"noorg":   {{Path: "/token", Status: 200, Body: `{"token":"t0ken-of-a-test"}`}, tokens(), refusal("POST", "/uploads/", 401, "UNAUTHORIZED", "access to the requested resource is not authorized")},
	"gitlab":  {tokens(), {Path: "/token", Status: 403, Body: `{"errors":[{"code":"DENIED","message":"access forbidden"}]}`}},
	// Two levels of names: Docker Hub, Quay before 3.6 (quay/quay).
	"twolevels": {refusal("POST", "/charts/botkube/", 404, "NAME_INVALID", "invalid repository name")},

	// Images only: Docker Hub once (oras-project/oras#129), ECR once
	// (aws/containers-roadmap#308), Quay without its switch, Nexus, Artifactory.
	"imagesonly": {{Method: "PUT", Path: "/manifests/", Sending: "vnd.botkube.mirror", Status: 400, Body: `{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid"}]}`}},
	"nocharts":   {{Method: "PUT", Path: "/manifests/", Sending: "vnd.cncf.helm", Status: 415, Body: `{"errors":[{"code":"UNSUPPORTED","message":"unsupported media type"}]}`}},
	// Gitea before 1.21 (go-gitea/gitea#25846).
	"gitea":     {{Method: "PUT", Path: "/manifests/", Sending: "vnd.botkube.mirror", Status: 501, Body: `{"errors":[{"code":"UNSUPPORTED","message":"Schema version is not supported"}]}`}},
	"noindexes": {{Method: "PUT", Path: "/botkube-plugins-bundle/manifests/", Sending: `"manifests":`, Status: 405, Body: `{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported."}]}`}},

	// Locations of a registry that does not know its address
	// (distribution/distribution#2225, #2572, openshift/origin#11337).
	"inner":    {located("http://inner.invalid:5000$LOCATION")},
	"noport":   {located("http://$BAREHOST$LOCATION")},
	"clear":    {located("http://$HOST$LOCATION")},
	"relative": {located("$LOCATION")},
	"led":      {located("https://storage.invalid/bucket/upload")},
	"leads":    {{Method: "GET", Path: "/blobs/", Status: 307, Header: http.Header{"Location": {"http://minio.invalid:9000/bucket"}}}},

	"stored": {{Method: "HEAD", Path: "/blobs/", Status: 307, Header: http.Header{"Location": {"http://minio.invalid:9000/bucket"}}}},
	// A URL that S3 has signed for GET only.
	"signed": {{Method: "HEAD", Path: "/blobs/", Status: 307, Header: http.Header{"Location": {"$URL/signed"}}}, {Method: "HEAD", Path: "/signed", Status: 403}},

	// Token servers.
	"tokenpage":     {tokens(), page("", "/token", 200, 0)},
	"tokennotfound": {tokens(), page("", "/token", 404, 0)},
	"tokenempty":    {tokens(), {Path: "/token", Status: 200, Body: `{}`}},
	"tokenclear":    {{Path: "/v2/", Status: 401, Header: http.Header{"Www-Authenticate": {`Bearer realm="http://auth.invalid/token",service="x"`}}}},
	"tokenaway":     {{Path: "/v2/", Status: 401, Header: http.Header{"Www-Authenticate": {`Bearer realm="https://auth.invalid/token",service="x"`}}}},
	"token":         {tokens(), {Path: "/token", Status: 200, Body: `{"token":"t0ken-of-a-test"}`}},
	"accesstoken":   {tokens(), {Path: "/token", Status: 200, Body: `{"access_token":"t0ken-of-a-test","expires_in":0}`}},
	// ACR gives an identity token at login, which is exchanged by POST.
	"identity": {tokens(), {Method: "POST", Path: "/token", Status: 200, Body: `{"access_token":"t0ken-of-a-test"}`}, {Path: "/token", Status: 401}},
	"scope": {
		{Path: "/token", Status: 200, Body: `{"token":"t0ken-of-a-test"}`}, tokens(),
		{Method: "POST", Path: "/uploads/", Status: 401, Header: http.Header{"Www-Authenticate": {`Bearer realm="$URL/token",service="x",error="insufficient_scope"`}}, Body: `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`},
	},
	// Ways to authenticate. Artifactory and Nexus offer both, IIS Negotiate.
	"negotiate": {{Path: "/v2/", Status: 401, Header: http.Header{"Www-Authenticate": {"Negotiate"}}}},
	"negotiates": {
		{Path: "/v2/", Unless: Basic, Status: 401, Header: http.Header{"Www-Authenticate": {`Negotiate, Basic realm="x, y"`}}},
	},
	"both": {
		{Path: "/token", Status: 200, Body: `{"token":"t0ken-of-a-test"}`},
		{Path: "/v2/", Unless: "Bearer t0ken-of-a-test", Status: 401, Header: http.Header{"Www-Authenticate": {`Basic realm="x"`, `Bearer realm="$URL/token",service="x"`}}},
	},
	"bothinone": {
		{Path: "/token", Status: 200, Body: `{"token":"t0ken-of-a-test"}`},
		{Path: "/v2/", Unless: "Bearer t0ken-of-a-test", Status: 401, Header: http.Header{"Www-Authenticate": {`Basic realm="x", Bearer realm="$URL/token",service="x"`}}},
	},

	// Places that are none.
	"nov2":    {page("", "/v2/", 404, 0)},
	"website": {page("", "", 200, 0)},
	// A login of a portal before the registry, at a host that only people reach.
	"portal": {{Path: "/v2/", Status: 302, Header: http.Header{"Location": {"https://login.invalid/sso"}}}},
	// The firewall of ACR (https://aka.ms/acr/firewall).
	"firewall": {refusal("", "/v2/", 403, "DENIED", "client with IP '203.0.113.7' is not allowed access.")},
	// A server before the registry that passes reading on only.
	"nouploads": {{Method: "POST", Path: "/uploads/", Status: 404, Header: http.Header{"Content-Type": {"text/plain"}}, Body: "404 page not found\n"}},
	"nowhere":   {headed("POST", "/uploads/", "Location")},
	// One method that does not get through.
	"nohead":   {{Method: "HEAD", Status: 405}},
	"head401":  {{Method: "HEAD", Status: 401}},
	"nopatch":  {page("PATCH", "/uploads/", 405, 0)},
	"nopatch2": {refusal("PATCH", "/uploads/", 400, "UNSUPPORTED", "The operation is unsupported.")},
	"noput":    {page("PUT", "/manifests/", 405, 0)},
	"nopost":   {page("POST", "/uploads/", 405, 0)},
	// Proxies that only read (distribution's own, Harbor's, Nexus').
	"readonly2": {refusal("POST", "/uploads/", 403, "DENIED", "Repository is read-only")},
	"readonly":  {refusal("POST", "/uploads/", 405, "UNSUPPORTED", "The operation is unsupported.")},
	// Proxies that limit a request: nginx' client_max_body_size, Cloudflare.
	"limit1m":   {{Min: 1<<20 + 1, Status: 413, Header: html, Body: htmlPage}},
	"limitfew":  {{Min: 1000, Method: "PATCH", Status: 413, Header: html, Body: htmlPage}},
	"minlength": {{Min: 1<<20 + 1, Method: "PATCH", Status: 413, Header: html, Body: htmlPage}, headed("POST", "/uploads/", "OCI-Chunk-Min-Length", "5242880")},

	// Tags that may not be moved: ECR (moby/buildkit#3776), Harbor.
	"immutable":  {refusal("PUT", "/manifests/v", 400, "TAG_INVALID", "The image tag 'v1.14.0' already exists in the 'mirror' repository and cannot be overwritten because the repository is immutable.")},
	"immutable2": {refusal("PUT", "/manifests/v", 412, "PRECONDITION", "Failed to process request due to 'botkube-plugins:v1.14.0' configured as immutable.")},
	// Docker Hub (kimai/kimai#5791).
	"immutable3": {refusal("PUT", "/manifests/v", 403, "DENIED", "requested access to the resource is denied - This tag is already assigned to an image in this repository and cannot be updated due to immutability settings.")},
	// ACR's locks, and Nexus without redeployment.
	"locked":   {refusal("PUT", "/manifests/v", 405, "DENIED", "The operation is disallowed on this registry, repository or image.")},
	"redeploy": {refusal("PUT", "/manifests/v", 400, "UNKNOWN", "Repository does not allow updating assets: docker-hosted")},
	// No room left: Harbor (goharbor/harbor), others.
	"quota":  {refusal("PUT", "/manifests/", 412, "PRECONDITION", "adding 2.0 MiB of storage resource, which when updated to current usage of 10 GiB will exceed the configured upper limit of 10 GiB.")},
	"quota2": {refusal("POST", "/uploads/", 403, "DENIED", "storage quota of this project is exceeded")},
	// Docker Hub counts what is read.
	"ratelimit": {{Method: "GET", Path: "/manifests/", Status: 429, Body: `{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}`}},
	// ECR's tokens end after twelve hours.
	"expired": {refusal("POST", "/uploads/", 403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")},
}

var html = http.Header{"Content-Type": {"text/html"}}

const htmlPage = "<html>\r\n<head><title>nginx</title></head>\r\n</html>"

// page has a web page answer so often, or always for 0.
func page(method, path string, status, times int) Fault {
	return Fault{Method: method, Path: path, Status: status, Times: times, Header: html, Body: htmlPage}
}

// refusal has the registry refuse in the form that it has for that.
func refusal(method, path string, status int, code, message string) Fault {
	return Fault{Method: method, Path: path, Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"errors":[{"code":"` + code + `","message":"` + message + `"}]}`}
}

// altered gives what succeeds another status.
func altered(method, path string, status int) Fault {
	return Fault{Method: method, Path: path, Do: Alter, Status: status}
}

// headed gives what succeeds other values of a header field.
func headed(method, path, field string, values ...string) Fault {
	return Fault{Method: method, Path: path, Do: Alter, Header: http.Header{field: values}}
}

// located gives uploads another Location.
func located(location string) Fault {
	return headed("", "/blobs/uploads/", "Location", location)
}

// tokens wants a token, which the proxy itself gives at /token.
func tokens() Fault {
	return Fault{Path: "/v2/", Unless: "Bearer t0ken-of-a-test", Status: 401, Header: http.Header{"Www-Authenticate": {`Bearer realm="$URL/token",service="x"`}}}
}
