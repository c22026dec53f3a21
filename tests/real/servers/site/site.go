package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// site is everything that runs.
type site struct {
	dir, name string
	loop      bool
	audit     bool
	procs     *procs
	servers   []string
	plane     plane
	voters    map[string]*voter
	kubelet   *kubelet
	control   string
	ctx       context.Context
	cancel    context.CancelFunc

	mu         sync.Mutex
	sidecarOff bool
	rootToken  string
	clusterID  string
	kubeUID    string
	mounts     []string
	frozen     map[string]bool
	elections  []election
	pods       map[string]*podState
}

var allServers = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}

func newSite(dir, name string, loop bool) *site {
	ctx, cancel := context.WithCancel(context.Background())
	return &site{dir: dir, name: name, loop: loop, procs: newProcs(), servers: allServers, ctx: ctx, cancel: cancel,
		voters: map[string]*voter{}, frozen: map[string]bool{}, pods: map[string]*podState{}}
}

func (s *site) up(leader string) error {
	if err := s.startPlane(s.ctx); err != nil {
		return err
	}
	ns, err := s.plane.client.CoreV1().Namespaces().Get(s.ctx, "kube-system", metav1.GetOptions{})
	if err != nil {
		return err
	}
	s.kubeUID = string(ns.UID)
	if err := s.prepareVoters(); err != nil {
		return err
	}
	if err := s.startKubelet(); err != nil {
		return err
	}
	if err := s.createObjects(s.ctx); err != nil {
		return err
	}
	go s.every(200*time.Millisecond, s.provision)
	go s.every(200*time.Millisecond, s.runPods)
	go s.every(time.Second, s.sidecar)
	go s.every(100*time.Millisecond, s.watchElections)
	if err := s.initVault(); err != nil {
		return err
	}
	if err := s.lead(leader); err != nil {
		return err
	}
	if err := s.waitReady(); err != nil {
		return err
	}
	if err := s.startControl(); err != nil {
		return err
	}
	return s.writeSiteFile()
}

// every runs a step again and again until the site ends.
func (s *site) every(pause time.Duration, step func(context.Context)) {
	for s.ctx.Err() == nil {
		step(s.ctx)
		time.Sleep(pause)
	}
}

// down ends everything: frozen file systems first, since what writes there cannot die.
func (s *site) down() {
	s.cancel()
	s.mu.Lock()
	for mount := range s.frozen {
		_ = freeze(mount, false)
	}
	mounts := s.mounts
	s.mu.Unlock()
	s.procs.killAll()
	for _, m := range mounts {
		_ = syscall.Unmount(m, syscall.MNT_DETACH)
	}
}

// facts is what a test wants to know.
func (s *site) facts() map[string]any {
	voters := []map[string]any{}
	for _, name := range voterNames {
		v := s.voters[name]
		voters = append(voters, map[string]any{"name": name, "address": v.address(), "real": v.real()})
	}
	return map[string]any{
		"name": s.name, "dir": s.dir, "kubeconfig": filepath.Join(s.dir, "kubeconfig"),
		"kubeconfig_limited": filepath.Join(s.dir, "kubeconfig-limited"), "context": s.name,
		"kube_system_uid": s.kubeUID, "vault_cluster_id": s.clusterID, "voters": voters,
		"token_file": filepath.Join(s.dir, "vault-token"), "site_file": filepath.Join(s.dir, "site.toml"),
		"control": s.control, "manifest": filepath.Join(s.dir, "vault-statefulset-block.yaml"), "freeze": s.loop,
		"store": s.plane.store,
	}
}

func (s *site) writeSiteFile() error {
	text := fmt.Sprintf("format = 1\nname = %q\n\n[kubernetes]\nkubeconfig = %q\ncontext = %q\nnamespaces = [\"vault\"]\n\n"+
		"[vault]\nnamespace = \"vault\"\ntoken_file = %q\n", s.name,
		filepath.Join(s.dir, "kubeconfig"), s.name, filepath.Join(s.dir, "vault-token"))
	for _, name := range voterNames {
		text += fmt.Sprintf("[[vault.voter]]\nname = %q\naddress = %q\n", name, s.voters[name].address())
	}
	for _, secret := range [][2]string{{"kube-system", "proxmox-csi-encryption"}, {"vault", "vault-unseal-key"}} {
		text += fmt.Sprintf("[[secret]]\nnamespace = %q\nname = %q\n", secret[0], secret[1])
	}
	text += fmt.Sprintf("[http.vault]\nurl = %q\n", s.voters["vault-0"].address()+"/v1/sys/health?standbyok=true")
	return os.WriteFile(filepath.Join(s.dir, "site.toml"), []byte(text), 0o600)
}
