//go:build tools

// Package tools names the command of etcd that the test cluster keeps its objects in.
package tools

import _ "go.etcd.io/etcd/server/v3"
