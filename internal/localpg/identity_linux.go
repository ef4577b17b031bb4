package localpg

import (
	"os/user"
	"syscall"

	"golang.org/x/sys/unix"
)

// nobody is the user id that a namespace shows to a server in it.
const nobody = 65534

// rootIdentities are the ways in which root can run the server, best first. The first keeps one capability, so that folders only
// root may enter need not be opened to others; the second needs no other user. Each is forbidden in some container.
func rootIdentities(u *user.User) []identity {
	namespace := identity{name: "a user namespace", uid: -1, gid: -1, apply: func(a *syscall.SysProcAttr) {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: 0, Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: 0, Size: 1}}
		a.Credential = &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}
	}}
	if u == nil {
		return []identity{namespace}
	}
	uid, gid, ok := numeric(u)
	if !ok {
		return []identity{namespace}
	}
	other := identity{name: "user " + u.Username, uid: uid, gid: gid, reserved: true, apply: func(a *syscall.SysProcAttr) {
		a.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		a.AmbientCaps = []uintptr{unix.CAP_DAC_OVERRIDE}
	}}
	return []identity{other, namespace}
}

// dieWithParent makes the server stop fast when the thread that started it is gone.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGINT }
