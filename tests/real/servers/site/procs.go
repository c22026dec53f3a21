package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// procs starts processes that die with this one. Linux ties the death signal to the
// thread that forked, so one locked thread starts them all and lives as long as we do.
type procs struct {
	mu      sync.Mutex
	starts  chan func()
	running map[int]*proc
	closing bool
}

type proc struct {
	cmd  *exec.Cmd
	name string
	done chan struct{}
	err  error
}

func newProcs() *procs {
	p := &procs{starts: make(chan func()), running: map[int]*proc{}}
	go func() {
		runtime.LockOSThread()
		for f := range p.starts {
			f()
		}
	}()
	return p
}

// start runs a program with its output appended to log.
func (p *procs) start(name, log string, env []string, dir string, argv ...string) (*proc, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = file, file
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	result := make(chan error, 1)
	p.starts <- func() { result <- cmd.Start() }
	if err := <-result; err != nil {
		file.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	started := &proc{cmd: cmd, name: name, done: make(chan struct{})}
	p.mu.Lock()
	p.running[cmd.Process.Pid] = started
	p.mu.Unlock()
	go func() {
		started.err = cmd.Wait()
		file.Close()
		p.mu.Lock()
		delete(p.running, cmd.Process.Pid)
		p.mu.Unlock()
		close(started.done)
	}()
	return started, nil
}

// stop ends a process: politely, then not.
func (pr *proc) stop(grace time.Duration) {
	_ = syscall.Kill(pr.cmd.Process.Pid, syscall.SIGCONT)
	_ = pr.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-pr.done:
	case <-time.After(grace):
		_ = pr.cmd.Process.Kill()
		select {
		case <-pr.done:
		case <-time.After(5 * time.Second):
		}
	}
}

func (pr *proc) alive() bool {
	select {
	case <-pr.done:
		return false
	default:
		return true
	}
}

// killAll ends what still runs.
func (p *procs) killAll() {
	p.mu.Lock()
	rest := make([]*proc, 0, len(p.running))
	for _, r := range p.running {
		rest = append(rest, r)
	}
	p.mu.Unlock()
	for _, r := range rest {
		_ = r.cmd.Process.Kill()
	}
	for _, r := range rest {
		select {
		case <-r.done:
		case <-time.After(3 * time.Second):
		}
	}
}

// freePorts asks the kernel for ports that nobody uses now. All are held until the last
// is known, so that no two are the same.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// binary is a program beside this one.
func binary(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	// The cache's folder of links comes first: it has all of them.
	if dir := os.Getenv("HOLDPOINT_REAL_BIN"); dir != "" {
		return filepath.Join(dir, name)
	}
	return filepath.Join(filepath.Dir(self), name)
}
