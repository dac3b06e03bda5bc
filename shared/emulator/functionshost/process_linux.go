package functionshost

import "syscall"

// processAttributes puts the handler into a process group of its own, so that
// Ctrl-C reaches the host only, which then decides; and lets the kernel kill the
// handler if the host dies without a chance to do it. The kernel takes the end of
// the starting thread for the host's death, so that thread has to stay.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
