package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
)

// loadServers is a control plane that leaves pods alone.
var loadServers = []string{"etcd", "kube-apiserver"}

// load brings up an API server with many running pods and nothing else.
func (s *site) load(pods, namespaces int) error {
	s.servers = loadServers
	if err := s.startPlane(s.ctx); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(s.dir, "kubeconfig"))
	if err != nil {
		return err
	}
	config.QPS, config.ContentType = -1, "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := loadPlaces(s.ctx, client, namespaces); err != nil {
		return err
	}
	if err := loadPods(s.ctx, client, pods, namespaces); err != nil {
		return err
	}
	text := fmt.Sprintf("format = 1\nname = %q\n\n[kubernetes]\nkubeconfig = %q\ncontext = %q\nnamespaces = [\"*\"]\n",
		s.name, filepath.Join(s.dir, "kubeconfig"), s.name)
	return os.WriteFile(filepath.Join(s.dir, "site.toml"), []byte(text), 0o600)
}

func (s *site) loadFacts() map[string]any {
	return map[string]any{"name": s.name, "dir": s.dir, "kubeconfig": filepath.Join(s.dir, "kubeconfig"),
		"context": s.name, "site_file": filepath.Join(s.dir, "site.toml")}
}

const loadNodes = 20

func loadPlaces(ctx context.Context, client *kubernetes.Clientset, namespaces int) error {
	for i := range loadNodes {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%02d", i)},
			Status: corev1.NodeStatus{Capacity: corev1.ResourceList{"pods": resource.MustParse("5000")},
				Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}
		if _, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	for i := range namespaces {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("load-%03d", i)}}
		if _, err := client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// loadPods creates pods with several workers; each is bound to a node and runs.
func loadPods(ctx context.Context, client *kubernetes.Clientset, pods, namespaces int) error {
	const workers = 12
	var next atomic.Int64
	failed := make(chan error, workers)
	var wait sync.WaitGroup
	for range workers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := int(next.Add(1)) - 1; i < pods && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := loadPod(ctx, client, i, namespaces); err != nil {
					failed <- fmt.Errorf("pod %d: %w", i, err)
					return
				}
			}
		}()
	}
	wait.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return ctx.Err()
	}
}

func loadPod(ctx context.Context, client *kubernetes.Clientset, i, namespaces int) error {
	api := client.CoreV1().Pods(fmt.Sprintf("load-%03d", i%namespaces))
	made, err := api.Create(ctx, bulkyPod(i), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	now := metav1.NewTime(time.Now())
	yes := func(kind corev1.PodConditionType) corev1.PodCondition {
		return corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now}
	}
	ip := fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)
	made.Status = corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &now, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
		Conditions: []corev1.PodCondition{yes(corev1.PodScheduled), yes(corev1.PodInitialized), yes(corev1.ContainersReady), yes(corev1.PodReady)},
		ContainerStatuses: []corev1.ContainerStatus{{Name: "main", Image: "registry.example.net/main:1", Ready: true, Started: ptr.To(true),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}}}}
	_, err = api.UpdateStatus(ctx, made, metav1.UpdateOptions{})
	return err
}

// bulkyPod is about 11 KB as JSON, as real ones are: nearly half of it is managedFields.
func bulkyPod(i int) *corev1.Pod {
	var env []corev1.EnvVar
	for n := range 64 {
		env = append(env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_NUMBER_%02d", n), Value: "a value of some length"})
	}
	annotations := map[string]string{"example.net/checksum": strings.Repeat("0123456789abcdef", 30)}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pod-%05d", i), Annotations: annotations,
			Labels: map[string]string{"app": "load", "pod-template-hash": "5b8f6c7d9f"}},
		Spec: corev1.PodSpec{NodeName: fmt.Sprintf("node-%02d", i%loadNodes), TerminationGracePeriodSeconds: ptr.To(int64(0)),
			Containers: []corev1.Container{{Name: "main", Image: "registry.example.net/main:1", Env: env}}},
	}
}
