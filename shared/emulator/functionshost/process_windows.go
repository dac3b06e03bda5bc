package functionshost

import (
	"os"
	"syscall"
)

// processAttributes puts the handler into a process group of its own, so that
// Ctrl-C reaches the host only, which then decides.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// killGroup kills the handler; Windows has no signal for a group.
func killGroup(p *os.Process) error { return p.Kill() }
