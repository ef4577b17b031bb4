//go:build !linux

package localpg

import (
	"os/user"
	"syscall"
)

// rootIdentities are the ways in which root can run the server: as somebody who can enter the folders.
func rootIdentities(u *user.User) []identity {
	if u == nil {
		return nil
	}
	uid, gid, ok := numeric(u)
	if !ok {
		return nil
	}
	return []identity{{name: "user " + u.Username, uid: uid, gid: gid, reserved: true, apply: func(a *syscall.SysProcAttr) {
		a.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}}}
}

// dieWithParent is Linux's alone: elsewhere a killed program leaves its server running, for the next start to find.
func dieWithParent(*syscall.SysProcAttr) {}
