package cli

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud"
	"github.com/cognomega/edge/internal/platform"
)

// The least this machine needs.
const (
	minNodeMajor = 20
	minGoMinor   = 26
	minDiskMB    = 3000 // the engine's sources and build cache
	toolTimeout  = 10 * time.Second
)

// refusedByPeer is what crypto/tls calls an alert of the other side: the edge has no such hostname, and so no platform. A certificate
// that is not trusted is this side's error.
const refusedByPeer = "remote error"

// examiner looks at one machine.
type examiner struct {
	ctx       context.Context //nolint:containedctx // lives as long as one command
	d         *Deps
	layout    platform.Layout
	layoutErr error
}

func fine(name, detail string) symptom { return symptom{name, audit.Pass, detail, ""} }
func sick(name, detail, fix string) symptom {
	return symptom{name, audit.Fail, detail, fix}
}
func unclear(name, detail, fix string) symptom {
	return symptom{name, audit.Inconclusive, detail, fix}
}

func (x examiner) run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(x.ctx, toolTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	return strings.TrimSpace(string(out)), err
}

func (x examiner) checkout() symptom {
	if x.layoutErr != nil {
		return sick("checkout", x.layoutErr.Error(), fault.HintOf(x.layoutErr))
	}
	return fine("checkout", x.layout.Root)
}

func (x examiner) goTool() symptom {
	const fix = "install Go 1.26 or newer: https://go.dev/dl/"
	version, err := x.run("go", "env", "GOVERSION")
	if err != nil {
		return sick("go", "not on PATH", fix)
	}
	parts := strings.Split(strings.TrimPrefix(version, "go"), ".")
	if minor, err := strconv.Atoi(at(parts, 1)); err != nil || at(parts, 0) == "1" && minor < minGoMinor {
		return sick("go", version+" is too old", fix)
	}
	return fine("go", version)
}

func (x examiner) node() symptom {
	fix := fmt.Sprintf("install Node.js %d or newer: https://nodejs.org", minNodeMajor)
	version, err := x.run("node", "--version")
	if err != nil {
		return sick("node", "not on PATH", fix)
	}
	if major, err := strconv.Atoi(at(strings.Split(strings.TrimPrefix(version, "v"), "."), 0)); err != nil || major < minNodeMajor {
		return sick("node", version+" is too old", fix)
	}
	return fine("node", version)
}

// packages compares the lock file with the one that was installed last.
func (x examiner) packages() symptom {
	workers := filepath.Join(x.layout.Root, "workers")
	lock, err := os.ReadFile(filepath.Join(workers, "package-lock.json"))
	if err != nil {
		return sick("npm packages", "no lock file: "+err.Error(), "run it in a checkout")
	}
	if _, err := os.Stat(filepath.Join(workers, "node_modules")); err != nil {
		return sick("npm packages", "not installed", "make setup")
	}
	sum := sha256.Sum256(lock)
	stamp, err := os.ReadFile(filepath.Join(workers, "node_modules", ".installed"))
	if err != nil || string(stamp) != hex.EncodeToString(sum[:]) {
		return unclear("npm packages", "installed for another package-lock.json, or by hand", "make setup")
	}
	return fine("npm packages", "installed")
}

// workerd is run, not only found: the npm package of another libc or processor is there and does not start.
func (x examiner) workerd() symptom {
	path, err := x.layout.Workerd()
	if err != nil {
		return sick("workerd", err.Error(), fault.HintOf(err))
	}
	version, err := x.run(path, "--version")
	if err != nil {
		return sick("workerd", "does not run: "+err.Error(), "it needs glibc 2.35 or newer on Linux; then make setup")
	}
	return fine("workerd", version)
}

func (x examiner) pulumi() symptom {
	for _, path := range []string{filepath.Join(x.layout.Cache, "pulumi", platform.PulumiVersion, "bin", "pulumi"), "pulumi"} {
		if version, err := x.run(path, "version"); err == nil {
			return fine("pulumi", version)
		}
	}
	return sick("pulumi", "neither built nor on PATH", "make setup (builds it once, in minutes)")
}

func (x examiner) programs() symptom {
	for _, name := range []string{"stacks", "plugins/pulumi-resource-cognomega", "standin/pulumi-resource-cloudflare", "langhost/pulumi-language-go"} {
		if _, err := os.Stat(filepath.Join(x.layout.Bin, name)); err != nil {
			return sick("programs", "bin/"+name+" is not built", "make setup")
		}
	}
	return fine("programs", "built in "+relative(x.layout.Bin))
}

// ports are wanted, not needed: the local cloud takes free ones instead.
func (x examiner) ports() symptom {
	if _, err := localcloud.ReadEndpoints(x.layout.Local); err == nil {
		return fine("ports", "in use by this project's local cloud")
	}
	p := localcloud.DefaultPorts()
	var taken []string
	for _, port := range []int{p.APIHTTP, p.APIHTTPS, p.EdgeHTTP, p.EdgeHTTPS} {
		l, err := new(net.ListenConfig).Listen(x.ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			taken = append(taken, strconv.Itoa(port))
			continue
		}
		_ = l.Close()
	}
	if len(taken) > 0 {
		return fine("ports", strings.Join(taken, ", ")+" taken: free ones will be used, and printed")
	}
	return fine("ports", "free")
}

func (x examiner) disk() symptom {
	var fs unix.Statfs_t
	dir := x.layout.Root
	if dir == "" {
		dir = x.d.WorkDir
	}
	if err := unix.Statfs(dir, &fs); err != nil {
		return unclear("disk", err.Error(), "check the disk by hand")
	}
	free := fs.Bavail * uint64(fs.Bsize) >> 20
	if free < minDiskMB {
		return sick("disk", fmt.Sprintf("%d MB free", free), fmt.Sprintf("free %d MB: Pulumi's sources and build cache need it once", minDiskMB))
	}
	return fine("disk", fmt.Sprintf("%d MB free", free))
}

func (x examiner) localCloud() symptom {
	if x.layoutErr != nil {
		return unclear("local cloud", "no checkout to look in", "")
	}
	e, err := platform.RunningLocal(x.ctx, x.layout)
	switch {
	case err == nil:
		return fine("local cloud", fmt.Sprintf("serving, pid %d", e.PID))
	case e.PID != 0:
		return sick("local cloud", fmt.Sprintf("its file says pid %d serves, and it does not answer", e.PID), "cogctl up (nothing acknowledged is lost)")
	default:
		return fine("local cloud", "stopped")
	}
}

// authority checks that the local certificate authority is sound and, when the edge serves, that the edge's certificate is its.
func (x examiner) authority() symptom {
	path := filepath.Join(x.layout.Local, "ca.pem")
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return fine("certificate", "made at the first start")
	}
	block, _ := pem.Decode(raw)
	if err != nil || block == nil {
		return sick("certificate", relative(path)+" holds no certificate", "cogctl local stop; remove it; cogctl local start")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil || x.d.Now().After(ca.NotAfter) {
		return sick("certificate", relative(path)+" is unreadable or expired", "cogctl local stop; remove it; cogctl local start")
	}
	e, err := platform.RunningLocal(x.ctx, x.layout)
	if err != nil {
		return fine("certificate", "valid until "+ca.NotAfter.Format(time.DateOnly))
	}
	return x.handshake(e, ca)
}

func (x examiner) handshake(e localcloud.Endpoints, ca *x509.Certificate) symptom {
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	c, err := x.d.Contract()
	if err != nil {
		return unclear("certificate", err.Error(), fault.HintOf(err))
	}
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: toolTimeout}, Config: &tls.Config{RootCAs: roots, ServerName: c.Envs[localEnv].Hostname, MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(x.ctx, "tcp", e.EdgeHTTPS)
	if refused := (*net.OpError)(nil); errors.As(err, &refused) && refused.Op == refusedByPeer {
		return fine("certificate", "valid; there is no platform yet to serve with it: cogctl up")
	}
	if err != nil {
		return sick("certificate", "the edge's certificate is not trusted by "+relative(e.CAFile)+": "+err.Error(), "cogctl local stop; cogctl local start")
	}
	_ = conn.Close()
	return fine("certificate", "trusted by "+relative(e.CAFile)+"; for curl and others: --cacert "+relative(e.CAFile))
}

// at is an element, or nothing.
func at(parts []string, i int) string {
	if i < len(parts) {
		return parts[i]
	}
	return ""
}
