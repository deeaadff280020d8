//go:build linux

package acceptance

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
	"helm.sh/helm/v3/pkg/action"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/dynamic"
)

func encodeJSON(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }

// TestAPIServerTakesRenderedObjects has a real API server judge, field by field, all that the chart renders with our
// values, and the seeding Job's pod where only what the standard "restricted" admits may run.
func TestAPIServerTakesRenderedObjects(t *testing.T) {
	s := requireAPIServer(t)
	dir := unpackAll(t)
	namespace := s.namespace(t, "rendered", "privileged")
	restricted := s.namespace(t, "restricted", "restricted")
	for way, flags := range deliveries {
		for user, text := range usersValues {
			t.Run(way+"/"+user, func(t *testing.T) {
				args := slices.Concat([]string{"values", dir, "--network-policy", "--values", valuesFile(t, text)}, flags)
				judged := 0
				for _, m := range renderedObjects(t, []byte(text), printValues(t, args...)) {
					if err := s.dryRun(t, m, namespace); err != nil {
						t.Errorf("%s: %v", m.name(), err)
					}
					judged++
					if m.text("kind") == "Job" {
						if err := s.dryRun(t, podOf(m), restricted); err != nil {
							t.Errorf("the pod of %s: %v", m.name(), err)
						}
					}
				}
				if judged < 10 {
					t.Errorf("the chart rendered %d objects only", judged)
				}
			})
		}
	}
}

// podOf returns the pod that a Job, or a Deployment, makes.
func podOf(m manifest) manifest {
	pod := manifest{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "pod"}}
	pod["spec"] = m.at("spec", "template", "spec")
	return pod
}

// TestAPIServerRefuses is about the suite: what is wrong is noticed.
func TestAPIServerRefuses(t *testing.T) {
	s := requireAPIServer(t)
	restricted := s.namespace(t, "restricted", "restricted")
	for _, m := range renderedObjects(t, printValues(t, "values", unpackAll(t), "--seed-from", "registry.example/x/y:v1")) {
		if m.text("kind") != "Job" {
			continue
		}
		pod := podOf(m)
		pod.at("spec").(map[string]any)["unheardOf"] = true
		if err := s.dryRun(t, pod, restricted); err == nil {
			t.Error("a field that does not exist was taken")
		}
		delete(pod.at("spec").(map[string]any), "unheardOf")
		delete(pod.at("spec").(map[string]any), "securityContext")
		if err := s.dryRun(t, pod, restricted); err == nil {
			t.Error("a pod without a security context was admitted as restricted")
		}
		return
	}
	t.Fatal("there is no Job")
}

// TestManifestsAndPatch applies what --format manifests prints, and patches with --format patch an agent that is there:
// one that came by kubectl apply, whose Deployment is to be changed by nothing but a patch. From one way for files to
// come to the agent, it goes on to the next, each twice.
func TestManifestsAndPatch(t *testing.T) {
	s := requireAPIServer(t)
	namespace := s.namespace(t, "manifests", "privileged")
	for _, m := range renderedObjects(t) {
		if m.text("kind") == "Deployment" {
			if _, err := s.resource(t, m, namespace).Create(t.Context(), &unstructured.Unstructured{Object: jsonOf(t, m)}, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	job := s.resource(t, manifest{"apiVersion": "batch/v1", "kind": "Job"}, namespace)
	for _, way := range []string{"site", "image", "seed", "pvc", "image", "pvc"} {
		args := slices.Concat([]string{"values", unpackAll(t), "--network-policy"}, deliveries[way])
		for range 2 {
			config := ""
			for _, m := range readManifests(t, printValues(t, append(args, "--format", "manifests")...)) {
				if m.text("kind") == "Job" {
					_ = job.Delete(t.Context(), m.text("metadata", "name"), metav1.DeleteOptions{}) // it is not there at first
				}
				if _, err := s.apply(t, m, namespace); err != nil {
					t.Fatalf("%s: %s: %v", way, m.name(), err)
				}
				config += m.text("data", "mirror.yaml")
			}
			patches := readManifests(t, printValues(t, append(args, "--format", "patch")...))
			if len(patches) != 1 {
				t.Fatalf("%s: there are %d patches", way, len(patches))
			}
			deployment, err := s.patch(t, patches[0], namespace)
			if err != nil {
				t.Fatalf("%s: %v", way, err)
			}
			checkMounted(t, deployment, way)
			// An agent reads its configuration when it starts: it must start anew.
			annotation := deployment.text("spec", "template", "metadata", "annotations", "mirror.botkube.io/config")
			if want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(config))); annotation != want {
				t.Errorf("%s: the pod is annotated with %q, want %s", way, annotation, want)
			}
		}
	}
}

// checkMounted wants what was there and what was applied to be in one Deployment, and nothing of another way.
func checkMounted(t *testing.T, deployment manifest, way string) {
	t.Helper()
	pod := podOf(deployment)
	container := pod.objects("spec", "containers")[0]
	mounts := map[string]manifest{}
	for _, m := range container.objects("volumeMounts") {
		mounts[m.text("mountPath")] = m
	}
	if mounts["/tmp"] == nil || mounts["/mirror-config"] == nil || (mounts["/plugins"] != nil) != (way != "site") {
		t.Errorf("%s: there is mounted: %v", way, mounts)
	}
	if len(pod.objects("spec", "containers")) != 1 || container.text("image") == "" {
		t.Errorf("%s: the containers are %v", way, pod.objects("spec", "containers"))
	}
	if way == "site" {
		return
	}
	if got, want := mounts["/plugins"].text("subPath"), map[string]string{"image": "plugins"}[way]; got != want {
		t.Errorf("%s: of the volume, %q is mounted, want %q", way, got, want)
	}
	kind := map[bool]string{true: "image", false: "persistentVolumeClaim"}[way == "image"]
	for _, v := range pod.objects("spec", "volumes") {
		if v.text("name") == "botkube-plugins" && (len(v) != 2 || v.at(kind) == nil) {
			t.Errorf("%s: the volume is %v", way, v)
		}
	}
}

// TestManifestsConfigureAgent reads the files that the agent would read with what --format manifests adds.
func TestManifestsConfigureAgent(t *testing.T) {
	m := pullAll(t)
	text := usersValues["slack"]
	rendered := configurationOf(t, renderChart(t, []byte(text)))
	for _, o := range readManifests(t, printValues(t, "values", m.dir, "--pvc", "plugins", "--format", "manifests")) {
		if file := o.text("data", "mirror.yaml"); file != "" {
			// Behind the configuration and the platforms, and before the agent's own state.
			rendered.Documents = slices.Insert(rendered.Documents, 2, []byte(file))
		}
	}
	if len(rendered.Documents) != 5 {
		t.Fatalf("the agent reads %d files", len(rendered.Documents))
	}
	checkEnabled(t, m.start(t, agentConfig{Rendered: &rendered}), askCollector(t, []configuration{rendered})[0])
}

// TestHelmUpgradesSeededAgent has Helm itself install Botkube without a mirror on a real API server, upgrade it with
// our values, upgrade that, uninstall it, and install it anew. A claim that is there is never touched, and a Job comes before the agent.
func TestHelmUpgradesSeededAgent(t *testing.T) {
	s := requireAPIServer(t)
	namespace := s.namespace(t, "helm", "privileged")
	config := s.helm(t, namespace)
	s.finishJobs(t, namespace)
	chart, err := loadBotkubeChart()
	chart = must(t, chart, err)

	install := action.NewInstall(config)
	install.ReleaseName, install.Namespace, install.Timeout = "botkube", namespace, time.Minute
	if _, err := install.Run(chart, map[string]any{}); err != nil {
		t.Fatal(err)
	}
	claim := manifest{"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
	job := manifest{"apiVersion": "batch/v1", "kind": "Job"}
	claims, jobs := s.resource(t, claim, namespace), s.resource(t, job, namespace)
	var first, last manifest
	for _, image := range []string{"registry.example/mirror/botkube-plugins:v1.14.0", "registry.example/mirror/botkube-plugins:v1.14.1", "registry.example/mirror/botkube-plugins:v1.14.1"} {
		upgrade := action.NewUpgrade(config)
		upgrade.Namespace, upgrade.Timeout = namespace, time.Minute
		if _, err := upgrade.Run("botkube", chart, seededValues(t, "--seed-from", image)); err != nil {
			t.Fatal(err)
		}
		bound, seeded := get(t, claims, "botkube-plugins"), get(t, jobs, "botkube-plugins-seed")
		if got := podOf(seeded).objects("spec", "containers")[0].text("image"); got != image {
			t.Errorf("the Job runs %s, want %s", got, image)
		}
		if last != nil && last.text("metadata", "uid") == seeded.text("metadata", "uid") {
			t.Error("the Job is still that of the last upgrade")
		}
		if first == nil {
			first = bound
		}
		if first.text("metadata", "uid") != bound.text("metadata", "uid") || bound.at("metadata", "deletionTimestamp") != nil {
			t.Error("the claim is another, or is being deleted")
		}
		last = seeded
	}
	if _, err := action.NewUninstall(config).Run("botkube"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"botkube-plugins", "another"} {
		install := action.NewInstall(config)
		install.ReleaseName, install.Namespace, install.Timeout = "botkube", namespace, time.Minute
		if _, err := install.Run(chart, seededValues(t, "--seed-from", "registry.example/mirror/botkube-plugins:v1.14.1", "--pvc", name)); err != nil {
			t.Fatalf("installing with the claim %s: %v", name, err)
		}
		got := get(t, claims, name)
		if name == "botkube-plugins" && (got.at("metadata", "deletionTimestamp") != nil || got.text("metadata", "uid") != first.text("metadata", "uid")) {
			t.Error("uninstalling or installing Botkube deleted the claim")
		}
		get(t, jobs, name+"-seed")
		if _, err := action.NewUninstall(config).Run("botkube"); err != nil {
			t.Fatal(err)
		}
	}
}

// seededValues are what values prints.
func seededValues(t *testing.T, flags ...string) map[string]any {
	t.Helper()
	var values map[string]any
	if err := yaml.Unmarshal(printValues(t, append([]string{"values", unpackAll(t)}, flags...)...), &values); err != nil {
		t.Fatal(err)
	}
	return values
}

func get(t *testing.T, in dynamic.ResourceInterface, name string) manifest {
	t.Helper()
	got, err := in.Get(t.Context(), name, metav1.GetOptions{})
	return must(t, got, err).Object
}

// helm is Helm's own client.
func (s *apiServer) helm(t *testing.T, namespace string) *action.Configuration {
	t.Helper()
	flags := genericclioptions.NewConfigFlags(false)
	insecure, cache, kubeconfig := true, tempDir(t), filepath.Join(tempDir(t), "none")
	flags.APIServer, flags.BearerToken, flags.Insecure, flags.Namespace, flags.CacheDir = &s.config.Host, &s.config.BearerToken, &insecure, &namespace, &cache
	flags.KubeConfig = &kubeconfig
	writeFile(t, kubeconfig, nil)
	config := new(action.Configuration)
	if err := config.Init(flags, namespace, "secret", t.Logf); err != nil {
		t.Fatal(err)
	}
	return config
}

// finishJobs does what a Job's controller and a node would do: Jobs complete. It asks again and again, because with
// Debian's etcd 3.4 a watch that begins now fails where nothing happened yet.
func (s *apiServer) finishJobs(t *testing.T, namespace string) {
	t.Helper()
	jobs := s.resource(t, manifest{"apiVersion": "batch/v1", "kind": "Job"}, namespace)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			if err := finishAll(ctx, jobs); err != nil && ctx.Err() == nil {
				t.Errorf("finishing Jobs: %v", err)
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
}

func finishAll(ctx context.Context, jobs dynamic.ResourceInterface) error {
	all, err := jobs.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	now := time.Now().UTC().Format(time.RFC3339)
	is := func(condition string) map[string]any {
		return map[string]any{"type": condition, "status": "True", "lastTransitionTime": now, "lastProbeTime": now}
	}
	for _, job := range all.Items {
		if manifest(job.Object).at("status", "succeeded") != nil {
			continue
		}
		job.Object["status"] = map[string]any{
			"startTime": now, "completionTime": now, "succeeded": int64(1), "uncountedTerminatedPods": map[string]any{},
			"conditions": []any{is("SuccessCriteriaMet"), is("Complete")},
		}
		if _, err := jobs.UpdateStatus(ctx, &job, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	return nil
}
