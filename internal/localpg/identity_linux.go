package localpg

import (
	"os/user"
	"syscall"

	"golang.org/x/sys/unix"
)

// rootIdentities are the ways in which root can run the server. The first keeps one capability, so that folders only root may
// enter need not be opened to others; the second needs no other user, and is forbidden in many containers.
func rootIdentities(u *user.User) []identity {
	var all []identity
	if u != nil {
		if uid, gid, ok := numeric(u); ok {
			all = append(all, identity{name: "user " + u.Username, uid: uid, gid: gid, reserved: true, apply: func(a *syscall.SysProcAttr) {
				a.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
				a.AmbientCaps = []uintptr{unix.CAP_DAC_OVERRIDE}
			}})
		}
	}
	const nobody = 65534
	return append(all, identity{name: "a user namespace", uid: -1, gid: -1, apply: func(a *syscall.SysProcAttr) {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: 0, Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: 0, Size: 1}}
		a.Credential = &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}
	}})
}

// dieWithParent makes the server stop fast when the thread that started it is gone.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGINT }
