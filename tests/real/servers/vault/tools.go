//go:build tools

// Package tools names what is built from this module: the test tier's Vault.
package tools

import _ "github.com/hashicorp/vault"
