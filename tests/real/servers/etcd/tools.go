//go:build tools

// Package tools names what is built from this module: the test tier's etcd.
package tools

import _ "go.etcd.io/etcd/server/v3"
