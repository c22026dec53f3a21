package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var voterNames = []string{"vault-0", "vault-1", "vault-2"}

// voter is one Vault with ports that are its own for the life of the site.
type voter struct {
	name                string
	front, api, cluster int
	proxy               *proxy
	isUnsealed          atomic.Bool
	volume              atomic.Value
}

type election struct {
	Leader string `json:"leader"`
	At     int64  `json:"at_ms"`
}

func (v *voter) address() string { return fmt.Sprintf("http://127.0.0.1:%d", v.front) }
func (v *voter) real() string    { return fmt.Sprintf("http://127.0.0.1:%d", v.api) }
func (v *voter) unsealed() bool  { return v.isUnsealed.Load() }

func (s *site) prepareVoters() error {
	if err := os.MkdirAll(filepath.Join(s.dir, "logs"), 0o755); err != nil {
		return err
	}
	ports, err := freePorts(9)
	if err != nil {
		return err
	}
	for i, name := range voterNames {
		v := &voter{name: name, front: ports[3*i], api: ports[3*i+1], cluster: ports[3*i+2]}
		if v.proxy, err = newProxy(v.front, v.api); err != nil {
			return err
		}
		s.voters[name] = v
	}
	return nil
}

// volumeDir is a claim's disk: empty for a new claim, the same for the same claim.
func (s *site) volumeDir(uid string) (string, error) {
	dir := filepath.Join(s.dir, "volumes", uid)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil || !s.loop {
		return dir, err
	}
	image := dir + ".img"
	for _, argv := range [][]string{
		{"truncate", "-s", "192M", image}, {"mkfs.ext4", "-q", "-F", image}, {"mount", "-o", "loop", image, dir},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return dir, fmt.Errorf("%s: %w: %s", argv[0], err, out)
		}
	}
	s.mu.Lock()
	s.mounts = append(s.mounts, dir)
	s.mu.Unlock()
	return dir, nil
}

func (s *site) startVoter(v *voter, data, audit, log string) (*proc, error) {
	dataDir, err := s.volumeDir(data)
	if err != nil {
		return nil, err
	}
	auditDir, err := s.volumeDir(audit)
	if err != nil {
		return nil, err
	}
	// The audit device's path is the same for all voters in the configuration that they
	// share, relative to where each runs.
	home := filepath.Join(s.dir, "pods", v.name)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, err
	}
	link := filepath.Join(home, "audit")
	_ = os.Remove(link)
	if err := os.Symlink(auditDir, link); err != nil {
		return nil, err
	}
	v.volume.Store(dataDir)
	config := fmt.Sprintf("disable_mlock = true\nui = false\nlog_level = \"warn\"\napi_addr = %q\ncluster_addr = \"http://127.0.0.1:%d\"\n"+
		"listener \"tcp\" {\n  address = \"127.0.0.1:%d\"\n  cluster_address = \"127.0.0.1:%d\"\n  tls_disable = true\n}\n"+
		"storage \"raft\" {\n  path = %q\n  node_id = %q\n  performance_multiplier = 1\n",
		v.real(), v.cluster, v.api, v.cluster, dataDir, v.name)
	for _, name := range voterNames {
		config += fmt.Sprintf("  retry_join {\n    leader_api_addr = %q\n  }\n", s.voters[name].real())
	}
	file := filepath.Join(home, "vault.hcl")
	if err := os.WriteFile(file, []byte(config+"}\n"), 0o644); err != nil {
		return nil, err
	}
	return s.procs.start(v.name, log, []string{"VAULT_LOG_FORMAT=standard"}, home, binary("vault"), "server", "-config="+file)
}

// ask sends a request to a voter and decodes the answer, whatever its code.
func (v *voter) ask(method, path, token string, body, answer any) (int, error) {
	return v.askBy(shortClient, method, path, token, body, answer)
}

func (v *voter) askBy(client *http.Client, method, path, token string, body, answer any) (int, error) {
	text, _ := json.Marshal(body)
	if body == nil {
		text = nil
	}
	req, err := http.NewRequest(method, v.real()+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	if token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if answer != nil {
		_ = json.NewDecoder(res.Body).Decode(answer)
	}
	return res.StatusCode, nil
}

func (s *site) initVault() error {
	first := s.voters["vault-0"]
	var made struct {
		Keys      []string `json:"keys_base64"`
		RootToken string   `json:"root_token"`
	}
	// Whoever hangs up while it is being made never learns the keys, and nobody else does.
	patient := &http.Client{Timeout: 2 * time.Minute}
	err := poll(s.ctx, 3*time.Minute, "vault-0", func() bool {
		code, err := first.askBy(patient, "PUT", "sys/init", "", map[string]int{"secret_shares": 1, "secret_threshold": 1}, &made)
		return err == nil && code == 200
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.rootToken = made.RootToken
	s.mu.Unlock()
	if err := os.WriteFile(filepath.Join(s.dir, "vault-token"), []byte(made.RootToken), 0o600); err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: unsealSecret}, StringData: map[string]string{"unseal-key": made.Keys[0]}}
	if _, err := s.plane.client.CoreV1().Secrets(vaultNS).Create(s.ctx, secret, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := poll(s.ctx, 3*time.Minute, "three voters", s.threeVoters); err != nil {
		return err
	}
	return s.configureVault(first)
}

func (s *site) configureVault(v *voter) error {
	leader := s.leaderVoter()
	if leader == nil {
		leader = v
	}
	kv := map[string]any{"type": "kv", "options": map[string]string{"version": "2"}}
	if code, err := leader.ask("POST", "sys/mounts/kv", s.rootToken, kv, nil); err != nil || code >= 300 {
		return fmt.Errorf("kv: %d %v", code, err)
	}
	audit := map[string]any{"type": "file", "options": map[string]string{"file_path": "audit/audit.log"}}
	if code, err := leader.ask("PUT", "sys/audit/file", s.rootToken, audit, nil); err != nil || code >= 300 {
		return fmt.Errorf("audit: %d %v", code, err)
	}
	var status struct {
		ClusterID string `json:"cluster_id"`
	}
	_, _ = leader.ask("GET", "sys/seal-status", "", nil, &status)
	s.clusterID = status.ClusterID
	return nil
}

func (s *site) threeVoters() bool {
	leader := s.leaderVoter()
	if leader == nil {
		return false
	}
	var state struct {
		Data struct {
			Healthy bool     `json:"healthy"`
			Voters  []string `json:"voters"`
		} `json:"data"`
	}
	code, err := leader.ask("GET", "sys/storage/raft/autopilot/state", s.rootToken, nil, &state)
	return err == nil && code == 200 && state.Data.Healthy && len(state.Data.Voters) == 3
}

func (s *site) leaderVoter() *voter {
	for _, name := range voterNames {
		var status struct {
			IsSelf bool `json:"is_self"`
		}
		v := s.voters[name]
		if code, err := v.ask("GET", "sys/leader", "", nil, &status); err == nil && code == 200 && status.IsSelf {
			return v
		}
	}
	return nil
}

// lead makes the wanted voter lead: with the third one stopped for a moment, a step-down
// leaves nobody else to be elected.
func (s *site) lead(wanted string) error {
	// By time, not by tries: an election on a busy machine takes as long as many of them.
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		leader := s.leaderVoter()
		if leader != nil && leader.name == wanted {
			return nil
		}
		if leader != nil {
			s.stepDownTo(leader, wanted)
		}
		time.Sleep(500 * time.Millisecond)
	}
	return fmt.Errorf("%s was not elected", wanted)
}

func (s *site) stepDownTo(leader *voter, wanted string) {
	for _, name := range voterNames {
		if name != leader.name && name != wanted && s.breakVoter(name, "stop") == nil {
			defer func() { _ = s.breakVoter(name, "cont") }()
		}
	}
	_, _ = leader.ask("PUT", "sys/step-down", s.rootToken, nil, nil)
	_ = poll(s.ctx, 6*time.Second, wanted, func() bool {
		var status struct {
			IsSelf bool `json:"is_self"`
		}
		code, err := s.voters[wanted].ask("GET", "sys/leader", "", nil, &status)
		return err == nil && code == 200 && status.IsSelf
	})
}

func (s *site) waitReady() error {
	return poll(s.ctx, 3*time.Minute, "three ready pods", func() bool {
		set, err := s.plane.client.AppsV1().StatefulSets(vaultNS).Get(s.ctx, "vault", metav1.GetOptions{})
		return err == nil && set.Status.ReadyReplicas == 3 && s.threeVoters()
	})
}

// sidecar unseals sealed voters with the key in the Secret, as the pods' sidecars would.
func (s *site) sidecar(ctx context.Context) {
	s.mu.Lock()
	off := s.sidecarOff
	s.mu.Unlock()
	for _, name := range voterNames {
		v := s.voters[name]
		var status struct {
			Initialized bool `json:"initialized"`
			Sealed      bool `json:"sealed"`
		}
		code, err := v.ask("GET", "sys/seal-status", "", nil, &status)
		v.isUnsealed.Store(err == nil && code == 200 && status.Initialized && !status.Sealed)
		if off || err != nil || code != 200 || !status.Sealed {
			continue
		}
		secret, err := s.plane.client.CoreV1().Secrets(vaultNS).Get(ctx, unsealSecret, metav1.GetOptions{})
		if err != nil {
			continue
		}
		key := strings.TrimSpace(string(secret.Data["unseal-key"]))
		code, err = v.ask("PUT", "sys/unseal", "", map[string]string{"key": key}, nil)
		appendLine(filepath.Join(s.dir, "logs", name+"-auto-unseal.log"), fmt.Sprintf("unseal: %d %v", code, err))
	}
}

// watchElections notes each change of who says that it leads.
func (s *site) watchElections(context.Context) {
	leader := s.leaderVoter()
	if leader == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.elections); n == 0 || s.elections[n-1].Leader != leader.name {
		s.elections = append(s.elections, election{leader.name, time.Now().UnixMilli()})
	}
}
