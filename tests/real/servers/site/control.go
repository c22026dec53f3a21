package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// startControl lets tests break things: see the table in the README beside this folder.
func (s *site) startControl() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.control = "http://" + l.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /voter/{name}/{what}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, s.breakVoter(r.PathValue("name"), r.PathValue("what")))
	})
	mux.HandleFunc("POST /voter/{name}/path/{mode}", func(w http.ResponseWriter, r *http.Request) {
		v := s.voters[r.PathValue("name")]
		if v == nil {
			answer(w, fmt.Errorf("no voter %s", r.PathValue("name")))
			return
		}
		answer(w, v.proxy.set(r.PathValue("mode")))
	})
	mux.HandleFunc("POST /lead/{name}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, s.lead(r.PathValue("name")))
	})
	mux.HandleFunc("POST /sidecar/{state}", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.sidecarOff = r.PathValue("state") == "off"
		s.mu.Unlock()
		answer(w, nil)
	})
	mux.HandleFunc("GET /elections", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(s.elections)
	})
	go func() { _ = http.Serve(l, mux) }()
	return nil
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// breakVoter stops, continues, freezes or thaws a voter.
func (s *site) breakVoter(name, what string) error {
	v := s.voters[name]
	if v == nil {
		return fmt.Errorf("no voter %s", name)
	}
	dir, _ := v.volume.Load().(string)
	switch what {
	case "stop", "cont":
		sig := map[string]syscall.Signal{"stop": syscall.SIGSTOP, "cont": syscall.SIGCONT}[what]
		pid := s.pidOf(name)
		if pid == 0 {
			return fmt.Errorf("%s does not run", name)
		}
		if err := syscall.Kill(pid, sig); err != nil || what == "cont" {
			return err
		}
		return stopped(pid)
	case "freeze", "thaw":
		if !s.loop {
			return fmt.Errorf("volumes have no file system of their own; start with --loop-volumes")
		}
		if err := freeze(dir, what == "freeze"); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if what == "freeze" {
			s.frozen[dir] = true
		} else {
			delete(s.frozen, dir)
		}
		return nil
	}
	return fmt.Errorf("no such thing as %s; use stop, cont, freeze, thaw", what)
}

// stopped waits until the last thread stands still: kill returns when the signal is on its way, and
// a thread on another core answers one more request meanwhile.
func stopped(pid int) error {
	for begun := time.Now(); time.Since(begun) < 5*time.Second; time.Sleep(time.Millisecond) {
		stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil {
			return err
		}
		running := 0
		for _, stat := range stats {
			text, err := os.ReadFile(stat)
			// The state follows the name, which ends at the last parenthesis.
			if at := bytes.LastIndex(text, []byte(") ")); err == nil && at >= 0 && !bytes.HasPrefix(text[at+2:], []byte("T")) {
				running++
			}
		}
		if len(stats) > 0 && running == 0 {
			return nil
		}
	}
	return fmt.Errorf("process %d does not stop", pid)
}

func (s *site) pidOf(name string) int {
	s.procs.mu.Lock()
	defer s.procs.mu.Unlock()
	for pid, p := range s.procs.running {
		if strings.EqualFold(p.name, name) {
			return pid
		}
	}
	return 0
}
