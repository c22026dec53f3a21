package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// proxy stands before a voter, so that the path to it can be cut without touching it.
type proxy struct {
	addr, to string
	mu       sync.Mutex
	mode     string
	listener net.Listener
	open     map[net.Conn]bool
	dropping int
	fill     []net.Conn
}

// The modes: pass; hold lets sys/leader through and holds every other request; blackhole
// accepts and never answers; drop lets connections time out, as a lost route does; refuse
// does not listen.
const (
	modePass      = "pass"
	modeHold      = "hold"
	modeBlackhole = "blackhole"
	modeRefuse    = "refuse"
	modeDrop      = "drop"
)

func newProxy(front, to int) (*proxy, error) {
	p := &proxy{addr: fmt.Sprintf("127.0.0.1:%d", front), to: fmt.Sprintf("127.0.0.1:%d", to), open: map[net.Conn]bool{}}
	return p, p.set(modePass)
}

// set changes the mode; open connections are closed, so that it counts at once.
func (p *proxy) set(mode string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
	for c := range p.open {
		c.Close()
		delete(p.open, c)
	}
	p.undrop()
	if mode == modeRefuse || mode == modeDrop {
		if p.listener != nil {
			p.listener.Close()
			p.listener = nil
		}
		if mode == modeDrop {
			return p.drop()
		}
		return nil
	}
	if p.listener == nil {
		l, err := net.Listen("tcp", p.addr)
		if err != nil {
			return err
		}
		p.listener = l
		go p.accept(l)
	}
	return nil
}

func (p *proxy) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.open[c] = true
		mode := p.mode
		p.mu.Unlock()
		go p.serve(c, mode)
	}
}

func (p *proxy) serve(c net.Conn, mode string) {
	defer func() {
		c.Close()
		p.mu.Lock()
		delete(p.open, c)
		p.mu.Unlock()
	}()
	if mode == modeBlackhole {
		_, _ = io.Copy(io.Discard, c)
		return
	}
	reader := bufio.NewReader(c)
	var first *http.Request
	if mode == modeHold {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if request.URL.Path != "/v1/sys/leader" {
			_, _ = io.Copy(io.Discard, reader)
			return
		}
		// What is asked next on the same connection would not be held.
		request.Close = true
		first = request
	}
	to, err := net.DialTimeout("tcp", p.to, time.Second)
	if err != nil {
		// What nobody listens behind is refused in front as well.
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		return
	}
	defer to.Close()
	p.mu.Lock()
	p.open[to] = true
	p.mu.Unlock()
	go func() {
		if first != nil {
			_ = first.Write(to)
			return
		}
		_, _ = io.Copy(to, reader)
		if tcp, ok := to.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}()
	_, _ = io.Copy(c, to)
	p.mu.Lock()
	delete(p.open, to)
	p.mu.Unlock()
}

// drop listens with a queue that is full and never emptied: the kernel then ignores who
// else knocks.
func (p *proxy) drop() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	port, _ := strconv.Atoi(p.addr[strings.LastIndex(p.addr, ":")+1:])
	address := &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
	if err := syscall.Bind(fd, address); err == nil {
		err = syscall.Listen(fd, 0)
	}
	if err != nil {
		syscall.Close(fd)
		return err
	}
	p.dropping = fd
	for range 3 {
		if c, err := net.DialTimeout("tcp", p.addr, 200*time.Millisecond); err == nil {
			p.fill = append(p.fill, c)
		}
	}
	return nil
}

func (p *proxy) undrop() {
	if p.dropping != 0 {
		syscall.Close(p.dropping)
		p.dropping = 0
	}
	for _, c := range p.fill {
		c.Close()
	}
	p.fill = nil
}
