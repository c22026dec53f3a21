// Command site brings up a whole site on loopback for tests: a Kubernetes control plane
// and a Vault of three voters that run as pods of a StatefulSet, with claims that decide
// which disk a voter has. It ends everything it started when it ends, however it ends.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] != "up" {
		fmt.Fprintln(os.Stderr, "usage: site up --dir DIR [--name example] [--leader vault-2] [--until-stdin-closes] [--loop-volumes] [--audit] [--ttl 2h] [--pods N --namespaces M]")
		os.Exit(2)
	}
	flags := flag.NewFlagSet("up", flag.ExitOnError)
	dir := flags.String("dir", "", "where all state goes")
	name := flags.String("name", "example", "name of the site and of its kubeconfig context")
	leader := flags.String("leader", "vault-2", "the voter that leads at first")
	untilEOF := flags.Bool("until-stdin-closes", false, "end when standard input ends")
	loop := flags.Bool("loop-volumes", false, "give each volume a file system of its own, so that it can be frozen")
	audit := flags.Bool("audit", false, "keep a record of every change in the namespace vault")
	ttl := flags.Duration("ttl", 2*time.Hour, "end after this in any case")
	pods := flags.Int("pods", 0, "an API server with that many running pods instead of a Vault")
	namespaces := flags.Int("namespaces", 40, "in that many namespaces")
	_ = flags.Parse(os.Args[2:])
	if *dir == "" {
		fmt.Fprintln(os.Stderr, "site: --dir is needed")
		os.Exit(2)
	}
	abs, err := filepath.Abs(*dir)
	if err == nil {
		err = os.MkdirAll(abs, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
	s := newSite(abs, *name, *loop)
	s.audit = *audit
	ended := make(chan string, 8)
	watchForEnd(ended, *untilEOF, *ttl)
	code := 0
	go func() {
		up, facts := func() error { return s.up(*leader) }, s.facts
		if *pods > 0 {
			up, facts = func() error { return s.load(*pods, max(*namespaces, 1)) }, s.loadFacts
		}
		if err := up(); err != nil {
			ended <- "error: " + err.Error()
			return
		}
		line, _ := json.Marshal(facts())
		_ = os.WriteFile(filepath.Join(abs, "site.json"), line, 0o600)
		fmt.Println("READY", string(line))
	}()
	why := <-ended
	fmt.Fprintln(os.Stderr, "site: ending:", why)
	if len(why) > 6 && why[:6] == "error:" {
		code = 1
	}
	s.down()
	os.Exit(code)
}

// watchForEnd collects the reasons for which the site ends.
func watchForEnd(ended chan<- string, untilEOF bool, ttl time.Duration) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	go func() { ended <- (<-signals).String() }()
	go func() {
		time.Sleep(ttl)
		ended <- "its time is over"
	}()
	if untilEOF {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			ended <- "standard input closed"
		}()
	}
}
