package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// podState is what this kubelet knows of one pod.
type podState struct {
	uid        types.UID
	started    time.Time
	proc       *proc
	restarts   int
	nextStart  time.Time
	lastExit   string
	waiting    string
	volumes    []string
	ending     bool
	lastStatus string
}

// runPods is the kubelet's loop: start what is scheduled, report, end what terminates.
func (s *site) runPods(ctx context.Context) {
	pods, err := s.plane.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	seen := map[string]bool{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Namespace != vaultNS || pod.Labels["app"] != "vault" {
			s.reportOther(ctx, pod)
			continue
		}
		seen[pod.Name] = true
		s.runPod(ctx, pod)
	}
	for name, state := range s.pods {
		if !seen[name] {
			s.endPod(ctx, state)
			delete(s.pods, name)
		}
	}
}

// reportOther gives any other pod a status once, so that loads of pods can be tested.
func (s *site) reportOther(ctx context.Context, pod *corev1.Pod) {
	if pod.DeletionTimestamp != nil && pod.Spec.NodeName != "" {
		s.finish(ctx, pod)
	}
}

func (s *site) runPod(ctx context.Context, pod *corev1.Pod) {
	state := s.pods[pod.Name]
	if state != nil && state.uid != pod.UID {
		s.endPod(ctx, state)
		state = nil
	}
	if pod.DeletionTimestamp != nil {
		if state == nil || !state.ending {
			if state == nil {
				state = &podState{uid: pod.UID}
				s.pods[pod.Name] = state
			}
			state.ending = true
			go func() {
				s.endPod(ctx, state)
				s.finish(ctx, pod)
			}()
		}
		return
	}
	if pod.Spec.NodeName == "" {
		return
	}
	if state == nil {
		state = &podState{uid: pod.UID, started: time.Now(), waiting: "ContainerCreating"}
		s.pods[pod.Name] = state
	}
	s.keepRunning(ctx, pod, state)
	s.report(ctx, pod, state)
}

// keepRunning starts the pod's Vault once its claims are bound, and again after it ended.
func (s *site) keepRunning(ctx context.Context, pod *corev1.Pod, state *podState) {
	if state.proc != nil && state.proc.alive() {
		return
	}
	if state.proc != nil {
		state.lastExit = fmt.Sprint(state.proc.err)
		state.proc = nil
		state.restarts++
		state.waiting = "CrashLoopBackOff"
		state.nextStart = time.Now().Add(time.Duration(state.restarts) * time.Second)
	}
	if time.Now().Before(state.nextStart) {
		return
	}
	uids, block, ok := s.boundClaims(ctx, pod, state)
	if !ok {
		return
	}
	v := s.voters[pod.Name]
	log := filepath.Join(s.dir, "logs", pod.Name+"-"+string(pod.UID)+".log")
	if block && (pod.Spec.SecurityContext == nil || pod.Spec.SecurityContext.FSGroup == nil) {
		appendLine(log, "error initializing storage of type raft: failed to create fsm: failed to open bolt file: open /vault/data/vault.db: permission denied")
		state.restarts++
		state.waiting, state.lastExit = "CrashLoopBackOff", "exit status 1"
		state.nextStart = time.Now().Add(2 * time.Second)
		return
	}
	started, err := s.startVoter(v, uids["data"], uids["audit"], log)
	if err != nil {
		appendLine(log, err.Error())
		state.nextStart = time.Now().Add(time.Second)
		return
	}
	state.proc, state.waiting = started, ""
	for _, volume := range state.volumes {
		s.attach(ctx, volume, pod.Spec.NodeName)
	}
}

// boundClaims gives the UIDs of the pod's claims by template name, once all are bound.
func (s *site) boundClaims(ctx context.Context, pod *corev1.Pod, state *podState) (map[string]string, bool, bool) {
	uids, block := map[string]string{}, false
	state.volumes = nil
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim == nil {
			continue
		}
		claim, err := s.plane.client.CoreV1().PersistentVolumeClaims(pod.Namespace).Get(ctx, volume.PersistentVolumeClaim.ClaimName, metav1.GetOptions{})
		if err != nil || claim.Status.Phase != corev1.ClaimBound {
			return nil, false, false
		}
		uids[volume.Name] = string(claim.UID)
		if strings.HasPrefix(ptr.Deref(claim.Spec.StorageClassName, ""), "proxmox") {
			block = true
			state.volumes = append(state.volumes, claim.Spec.VolumeName)
		}
	}
	return uids, block, uids["data"] != "" && uids["audit"] != ""
}

func (s *site) endPod(ctx context.Context, state *podState) {
	if state.proc != nil && state.proc.alive() {
		state.proc.stop(8 * time.Second)
	}
	for _, volume := range state.volumes {
		s.detach(ctx, volume)
	}
}

// finish removes a terminating pod for good, if it is still the same one.
func (s *site) finish(ctx context.Context, pod *corev1.Pod) {
	_ = s.plane.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: ptr.To(int64(0)), Preconditions: &metav1.Preconditions{UID: &pod.UID}})
}

// report writes the pod's status when it changed.
func (s *site) report(ctx context.Context, pod *corev1.Pod, state *podState) {
	running := state.proc != nil && state.proc.alive()
	ready := running && s.voters[pod.Name].unsealed()
	vault := map[string]any{"name": "vault", "image": "vault:1.18.1", "imageID": "", "ready": ready, "restartCount": state.restarts,
		"started": running, "state": map[string]any{"waiting": map[string]any{"reason": orElse(state.waiting, "ContainerCreating")}}}
	if running {
		vault["state"] = map[string]any{"running": map[string]any{"startedAt": state.started.UTC().Format(time.RFC3339)}}
	}
	if state.lastExit != "" {
		vault["lastState"] = map[string]any{"terminated": map[string]any{"reason": "Error", "exitCode": 1, "message": state.lastExit}}
	}
	sidecar := map[string]any{"name": "auto-unseal", "image": "vault:1.18.1", "imageID": "", "ready": running, "restartCount": 0, "started": running,
		"state": vault["state"]}
	phase := "Pending"
	if running || state.restarts > 0 {
		phase = "Running"
	}
	condition := func(kind string, is bool) map[string]any {
		return map[string]any{"type": kind, "status": map[bool]string{true: "True", false: "False"}[is]}
	}
	patch, _ := json.Marshal(map[string]any{"status": map[string]any{
		"phase": phase, "podIP": "127.0.0.1", "podIPs": []any{map[string]any{"ip": "127.0.0.1"}}, "hostIP": "127.0.0.1",
		"startTime":         state.started.UTC().Format(time.RFC3339),
		"containerStatuses": []any{vault, sidecar},
		"conditions": []any{condition("PodScheduled", true), condition("Initialized", true),
			condition("ContainersReady", ready), condition("Ready", ready)},
	}})
	if string(patch) != state.lastStatus && s.patchPodStatus(ctx, pod.Name, patch) == nil {
		state.lastStatus = string(patch)
	}
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func appendLine(file, line string) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintln(f, line)
}

func freeze(mount string, on bool) error {
	const fifreeze, fithaw = 0xC0045877, 0xC0045878
	dir, err := os.Open(mount)
	if err != nil {
		return err
	}
	defer dir.Close()
	request := uintptr(fithaw)
	if on {
		request = fifreeze
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, dir.Fd(), request, 0); errno != 0 {
		return errno
	}
	return nil
}
