//go:build linux

package acceptance

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// apiServer is a Kubernetes API server with nothing behind it but etcd: no controller, no scheduler, no node.
type apiServer struct {
	config *rest.Config
	client dynamic.Interface
	mapper meta.RESTMapper
}

const apiToken = "acceptance"

// buildAPIServer builds kube-apiserver, which takes some minutes the first time.
var buildAPIServer = sync.OnceValues(func() (string, error) {
	dir, err := build("kubernetes", "kubernetes", []string{"CGO_ENABLED=0"}, "k8s.io/kubernetes/cmd/kube-apiserver")
	return filepath.Join(dir, "kube-apiserver"), err
})

// requireAPIServer starts the API server that the tests share. Without etcd, which Debian has, the test is skipped.
func requireAPIServer(t *testing.T) *apiServer {
	t.Helper()
	tier.Program(t, "etcd") // Debian: etcd-server
	s, err := startAPIServer()
	return must(t, s, err)
}

// stopAPIServer ends what startAPIServer started; [runIn] calls it.
var stopAPIServer = func() {}

var startAPIServer = sync.OnceValues(func() (*apiServer, error) {
	program, err := buildAPIServer()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(scratch, "apiserver")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	etcd, peer := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	if err := startProcess(dir, "etcd", "--data-dir", filepath.Join(dir, "etcd"), "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer); err != nil {
		return nil, err
	}
	key, tokens := filepath.Join(dir, "key.pem"), filepath.Join(dir, "tokens.csv")
	if err := writeKey(key); err != nil {
		return nil, err
	}
	if err := os.WriteFile(tokens, []byte(apiToken+",admin,1,system:masters\n"), 0o600); err != nil {
		return nil, err
	}
	// Without a controller, there are no service accounts for pods to be of.
	if err := startProcess(dir, program, "--etcd-servers", etcd, "--cert-dir", filepath.Join(dir, "certs"), "--bind-address", "127.0.0.1", "--secure-port", ports[2],
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", key, "--service-account-signing-key-file", key,
		"--token-auth-file", tokens, "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.96.0.0/16", "--disable-admission-plugins", "ServiceAccount"); err != nil {
		return nil, err
	}
	s := &apiServer{config: &rest.Config{QPS: -1, Host: "https://127.0.0.1:" + ports[2], BearerToken: apiToken, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}}
	if s.client, err = dynamic.NewForConfig(s.config); err != nil {
		return nil, err
	}
	return s, s.wait()
})

// freePorts returns ports that nobody listened on just now, and that the system gives nobody who does not ask for
// them (net.ipv4.ip_local_port_range of Linux): the other tests make connections by the hundred meanwhile.
func freePorts(n int) ([]string, error) {
	var ports []string
	for range 1000 {
		port := strconv.Itoa(20000 + mathrand.IntN(12000))
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			continue
		}
		defer l.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, errors.New("no port is free")
}

// startProcess starts a program that runs until the tests are over. Its log is beside its data.
func startProcess(dir, program string, args ...string) error {
	log, err := os.Create(filepath.Join(dir, filepath.Base(program)+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	// Debian has etcd for processors on which etcd 3.4 starts only if it is told to.
	cmd.Dir, cmd.Env = dir, append(homeEnv(dir), "ETCD_UNSUPPORTED_ARCH="+here.Arch)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	before := stopAPIServer
	stopAPIServer = func() {
		_ = cmd.Process.Kill() // it has nothing to keep
		_ = cmd.Wait()
		before()
	}
	return nil
}

func writeKey(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

// wait waits until the server is ready, and asks what it serves.
func (s *apiServer) wait() error {
	client, err := discovery.NewDiscoveryClientForConfig(s.config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for {
		_, err := client.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil {
			groups, err := restmapper.GetAPIGroupResources(client)
			s.mapper = restmapper.NewDiscoveryRESTMapper(groups)
			return err
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(scratch, "apiserver", "kube-apiserver.log"))
			return fmt.Errorf("the API server does not become ready: %w\n%s", err, log[max(0, len(log)-4000):])
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// resource returns where objects of a kind are.
func (s *apiServer) resource(t *testing.T, m manifest, namespace string) dynamic.ResourceInterface {
	t.Helper()
	gvk := schema.FromAPIVersionAndKind(m.text("apiVersion"), m.text("kind"))
	mapping, err := s.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		t.Fatalf("%s: %v", m.name(), err)
	}
	if mapping.Scope.Name() == "root" {
		return s.client.Resource(mapping.Resource)
	}
	return s.client.Resource(mapping.Resource).Namespace(namespace)
}

// namespace makes a namespace that admits pods by a Pod Security Standard.
func (s *apiServer) namespace(t *testing.T, name, standard string) string {
	t.Helper()
	ns := manifest{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{
		"name": name, "labels": map[string]any{"pod-security.kubernetes.io/enforce": standard},
	}}
	_, err := s.resource(t, ns, "").Create(t.Context(), &unstructured.Unstructured{Object: ns}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	return name
}

// dryRun has the server judge a new object, and every field of it.
func (s *apiServer) dryRun(t *testing.T, m manifest, namespace string) error {
	t.Helper()
	_, err := s.resource(t, m, namespace).Create(t.Context(), &unstructured.Unstructured{Object: jsonOf(t, m)},
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
	return err
}

// patch patches an object as kubectl patch does.
func (s *apiServer) patch(t *testing.T, m manifest, namespace string) (manifest, error) {
	t.Helper()
	data, err := (&unstructured.Unstructured{Object: jsonOf(t, m)}).MarshalJSON()
	got, err := s.resource(t, m, namespace).Patch(t.Context(), m.text("metadata", "name"), types.StrategicMergePatchType, must(t, data, err),
		metav1.PatchOptions{FieldManager: "kubectl-patch", FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		return nil, err
	}
	return got.Object, nil
}

// apply applies an object as kubectl apply --server-side --force-conflicts does.
func (s *apiServer) apply(t *testing.T, m manifest, namespace string) (manifest, error) {
	t.Helper()
	data, err := (&unstructured.Unstructured{Object: jsonOf(t, m)}).MarshalJSON()
	force := true
	got, err := s.resource(t, m, namespace).Patch(t.Context(), m.text("metadata", "name"), types.ApplyPatchType, must(t, data, err),
		metav1.PatchOptions{FieldManager: "botkube-mirror", Force: &force, FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		return nil, err
	}
	return got.Object, nil
}

// jsonOf returns an object with numbers as JSON has them.
func jsonOf(t *testing.T, m manifest) map[string]any {
	t.Helper()
	var buf bytes.Buffer
	u := &unstructured.Unstructured{}
	err := encodeJSON(&buf, map[string]any(m))
	if err == nil {
		err = u.UnmarshalJSON(buf.Bytes())
	}
	if err != nil {
		t.Fatalf("%s: %v", m.name(), err)
	}
	return u.Object
}
