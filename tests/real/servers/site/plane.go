package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	api "k8s.io/client-go/tools/clientcmd/api"
)

// auditPolicy keeps what was asked to change, with its preconditions.
const auditPolicy = `{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
"rules": [{"level": "Request", "namespaces": ["vault"], "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
{"level": "None"}]}`

// plane is the control plane: etcd, apiserver, controller manager, scheduler.
type plane struct {
	port   int
	store  string
	client *kubernetes.Clientset
}

func (s *site) startPlane(ctx context.Context) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	d := filepath.Join(s.dir, "plane")
	if err := os.MkdirAll(d, 0o755); err != nil {
		return err
	}
	etcd := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	peer := fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	s.plane.port, s.plane.store = ports[2], etcd
	if err := writeServiceKeys(d); err != nil {
		return err
	}
	admin, limited := token(), token()
	tokens := fmt.Sprintf("%s,admin,admin,\"system:masters\"\n%s,limited,limited,\"readers\"\n", admin, limited)
	if err := os.WriteFile(filepath.Join(d, "tokens.csv"), []byte(tokens), 0o600); err != nil {
		return err
	}
	if err := s.writeKubeconfigs(admin, limited); err != nil {
		return err
	}
	if err := s.startServers(d, etcd, peer); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(s.dir, "kubeconfig"))
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 500, 500
	return s.waitForAPI(ctx, config)
}

func (s *site) startServers(d, etcd, peer string) error {
	kubeconfig := filepath.Join(s.dir, "kubeconfig")
	commands := map[string][]string{
		"etcd": {binary("etcd"), "--data-dir", filepath.Join(d, "etcd"), "--unsafe-no-fsync",
			"--listen-client-urls", etcd, "--advertise-client-urls", etcd,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
			"--initial-cluster", "default=" + peer, "--log-level", "warn"},
		"kube-apiserver": {binary("kube-apiserver"), "--etcd-servers=" + etcd, "--cert-dir=" + filepath.Join(d, "certs"),
			"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", s.plane.port),
			"--service-account-key-file=" + filepath.Join(d, "sa.pub"),
			"--service-account-signing-key-file=" + filepath.Join(d, "sa.key"),
			"--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.255.0.0/24",
			"--token-auth-file=" + filepath.Join(d, "tokens.csv"), "--authorization-mode=RBAC",
			"--disable-admission-plugins=ServiceAccount"},
		"kube-controller-manager": {binary("kube-controller-manager"), "--kubeconfig=" + kubeconfig,
			"--service-account-private-key-file=" + filepath.Join(d, "sa.key"), "--leader-elect=false",
			"--controllers=*,-node-lifecycle-controller", "--bind-address=127.0.0.1", "--secure-port=0"},
		"kube-scheduler": {binary("kube-scheduler"), "--kubeconfig=" + kubeconfig, "--leader-elect=false",
			"--bind-address=127.0.0.1", "--secure-port=0"},
	}
	if s.audit {
		policy := filepath.Join(d, "audit-policy.json")
		if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
			return err
		}
		commands["kube-apiserver"] = append(commands["kube-apiserver"], "--audit-policy-file="+policy,
			"--audit-log-path="+filepath.Join(s.dir, "changes.jsonl"), "--audit-log-format=json")
	}
	for _, name := range s.servers {
		if _, err := s.procs.start(name, filepath.Join(d, name+".log"), nil, d, commands[name]...); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) waitForAPI(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	s.plane.client = client
	return poll(ctx, 3*time.Minute, "the API server", func() bool {
		_, err := client.CoreV1().Namespaces().Get(ctx, "kube-system", metav1.GetOptions{})
		return err == nil
	})
}

func (s *site) writeKubeconfigs(admin, limited string) error {
	for file, tok := range map[string]string{"kubeconfig": admin, "kubeconfig-limited": limited} {
		config := api.NewConfig()
		config.Clusters[s.name] = &api.Cluster{
			Server: fmt.Sprintf("https://127.0.0.1:%d", s.plane.port), InsecureSkipTLSVerify: true,
		}
		config.AuthInfos[s.name] = &api.AuthInfo{Token: tok}
		config.Contexts[s.name] = &api.Context{Cluster: s.name, AuthInfo: s.name}
		config.CurrentContext = s.name
		if err := clientcmd.WriteToFile(*config, filepath.Join(s.dir, file)); err != nil {
			return err
		}
	}
	return nil
}

func writeServiceKeys(dir string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(filepath.Join(dir, "sa.key"), private, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "sa.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o644)
}

func token() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// poll asks until it is so, or says what did not come.
func poll(ctx context.Context, limit time.Duration, what string, so func() bool) error {
	end := time.Now().Add(limit)
	for time.Now().Before(end) && ctx.Err() == nil {
		if so() {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("%s did not come within %s", what, limit)
}

var shortClient = &http.Client{Timeout: 3 * time.Second}
