package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/kubelet/pkg/cri/streaming/portforward"
	streaming "k8s.io/kubelet/pkg/cri/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// kubelet answers exec, logs and port-forward for the site's pods.
type kubelet struct {
	site *site
	port int
}

func (s *site) startKubelet() error {
	cert, err := selfSigned()
	if err != nil {
		return err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		return err
	}
	k := &kubelet{site: s, port: l.Addr().(*net.TCPAddr).Port}
	s.kubelet = k
	mux := http.NewServeMux()
	mux.HandleFunc("/exec/{ns}/{pod}/{container}", k.exec)
	mux.HandleFunc("/portForward/{ns}/{pod}", k.forward)
	mux.HandleFunc("/containerLogs/{ns}/{pod}/{container}", k.logs)
	go func() { _ = http.Serve(l, mux) }()
	return nil
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubelet"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

func (k *kubelet) exec(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	options := &streaming.Options{Stdin: q.Get("input") == "1", Stdout: q.Get("output") == "1", Stderr: q.Get("error") == "1", TTY: q.Get("tty") == "1"}
	streaming.ServeExec(w, r, k, r.PathValue("pod"), types.UID(""), r.PathValue("container"), q["command"], options,
		time.Hour, 30*time.Second, []string{"v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io"})
}

// ExecInContainer runs a local process with the pod's environment.
func (k *kubelet) ExecInContainer(ctx context.Context, pod string, _ types.UID, _ string, argv []string, in io.Reader, out, errOut io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	v := k.site.voters[pod]
	if v == nil || len(argv) == 0 {
		return fmt.Errorf("nothing to run in %s", pod)
	}
	path := filepath.Dir(binary("vault")) + ":" + os.Getenv("PATH")
	program := argv[0]
	if program == "vault" {
		program = binary("vault")
	}
	cmd := exec.CommandContext(ctx, program, argv[1:]...)
	home := filepath.Join(k.site.dir, "pods", pod)
	cmd.Dir, cmd.WaitDelay = home, 2*time.Second
	cmd.Env = append(os.Environ(), "VAULT_ADDR="+v.real(), "HOME="+home, "PATH="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = out, errOut
	if in != nil {
		pipe, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(pipe, in)
			pipe.Close()
		}()
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &utilexec.CodeExitError{Err: err, Code: exit.ExitCode()}
	}
	return err
}

func (k *kubelet) forward(w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, k, r.PathValue("pod"), types.UID(""), options, time.Hour, 30*time.Second, portforward.SupportedProtocols)
}

// PortForward leads the pod's API port to its voter, and no other port anywhere.
func (k *kubelet) PortForward(_ context.Context, pod string, _ types.UID, port int32, stream io.ReadWriteCloser) error {
	v := k.site.voters[pod]
	if v == nil || port != 8200 {
		return fmt.Errorf("nothing listens on port %d of %s", port, pod)
	}
	to, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", v.api))
	if err != nil {
		return err
	}
	defer to.Close()
	go func() {
		_, _ = io.Copy(to, stream)
		_ = to.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, to)
	return err
}

// logs serves a container's log; the one before is that of the pod's previous incarnation.
func (k *kubelet) logs(w http.ResponseWriter, r *http.Request) {
	q, pod := r.URL.Query(), r.PathValue("pod")
	file := filepath.Join(k.site.dir, "logs", pod+"-auto-unseal.log")
	if r.PathValue("container") == "vault" {
		files, _ := filepath.Glob(filepath.Join(k.site.dir, "logs", pod+"-*-*-*-*-*.log"))
		sort.Slice(files, func(i, j int) bool { return modified(files[i]).Before(modified(files[j])) })
		back := 1
		if q.Get("previous") == "true" {
			back = 2
		}
		if len(files) < back {
			http.Error(w, "there is no previous log", http.StatusBadRequest)
			return
		}
		file = files[len(files)-back]
	}
	f, err := os.Open(file)
	if err != nil {
		http.Error(w, "no log yet", http.StatusNotFound)
		return
	}
	defer f.Close()
	var lines []string
	for scan := bufio.NewScanner(f); scan.Scan(); {
		lines = append(lines, scan.Text())
	}
	if n, err := strconv.Atoi(q.Get("tailLines")); err == nil && n < len(lines) {
		lines = lines[len(lines)-n:]
	}
	_, _ = io.WriteString(w, strings.Join(lines, "\n")+"\n")
}

func modified(file string) time.Time {
	info, err := os.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
